package appcmd

import (
	"strings"
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("this machine has no time zones: %v", err)
	}
	now := time.Date(2026, 3, 27, 9, 0, 0, 0, berlin)
	tests := []struct{ text, want, says string }{
		{text: "2026-12-01T09:00:00Z", want: "2026-12-01T09:00:00Z"},
		{text: "2026-12-01T09:00:00+05:00", want: "2026-12-01T04:00:00Z"},
		{text: "2026-12-01 09:00", want: "2026-12-01T08:00:00Z"},
		{text: "2026-07-01 09:00", want: "2026-07-01T07:00:00Z"},
		{text: "2027-01-01 9:00", want: "2027-01-01T08:00:00Z"},
		{text: "2026-03-29 2:30", says: "does not exist"},
		{text: "2026-10-25 2:30", want: "2026-10-25T01:30:00Z"},
		{text: "+2h", want: "2026-03-27T10:00:00Z"},
		{text: "+0s", want: "2026-03-27T08:00:00Z"},
		{text: "2026-03-29 02:30", says: "does not exist"},
		{text: "2026-03-27 08:59", says: "is past"},
		{text: "2025-12-01T09:00:00Z", says: "is past"},
		{text: "+-2h", says: "is no time"},
		{text: "++2h", says: "is no time"},
		{text: "+2", says: "is no time"},
		{text: "2h", says: "is no time"},
		{text: "09:00", says: "is no time"},
		{text: "2026-12-01", says: "is no time"},
		{text: "2026-13-01 09:00", says: "is no time"},
	}
	for _, tt := range tests {
		got, err := parseMoment(tt.text, now, berlin)
		switch {
		case tt.says != "":
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q: %v, %v; want an error with %q", tt.text, got, err, tt.says)
			}
		case err != nil || got.UTC().Format(time.RFC3339) != tt.want:
			t.Errorf("%q: %v, %v; want %s", tt.text, got.UTC(), err, tt.want)
		}
	}
	if got, err := parseMoment("", now, berlin); err != nil || !got.IsZero() {
		t.Errorf("none: %v, %v", got, err)
	}
}
