package watch

import (
	"fmt"
	"strings"
	"time"

	"userkeys"
)

// Quiet is a part of every day, by local time; the zero value is none.
type Quiet struct{ from, to int } // minutes of the day

// ParseQuiet reads "22:00-07:30"; an empty text is no quiet time. Errors: [userkeys.InvalidParameters].
func ParseQuiet(s string) (Quiet, error) {
	if s == "" {
		return Quiet{}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	a, err := time.Parse("15:04", strings.TrimSpace(from))
	b, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || err != nil || err2 != nil || a.Equal(b) {
		return Quiet{}, userkeys.Errorf(userkeys.InvalidParameters, "quiet hours are written like 22:00-07:30, not %q", s)
	}
	return Quiet{a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute()}, nil
}

// At reports whether t is in the quiet time, in t's own time zone.
func (q Quiet) At(t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	if q.from <= q.to {
		return q.from <= m && m < q.to
	}
	return m >= q.from || m < q.to
}

// String returns the quiet time as [ParseQuiet] reads it.
func (q Quiet) String() string {
	if q == (Quiet{}) {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", q.from/60, q.from%60, q.to/60, q.to%60)
}
