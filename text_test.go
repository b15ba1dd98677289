package userkeys

import "testing"

func TestIsText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text     string
		line, storable bool
	}{
		{"empty", "", true, true},
		{"letters of any script", "\u00e9\u05d0\u4e2d \U0001f600", true, true},
		{"line end", "a\nb", false, true},
		{"tab", "a\tb", false, true},
		{"escape", "a\x1b[2J", false, true},
		{"control above ASCII", "a\u009bb", false, true},
		{"line separator", "a\u2028b", false, true},
		{"NUL", "a\x00b", false, false},
		{"no UTF-8", "a\xffb", false, false},
		{"half a surrogate pair", "\xed\xa0\x80", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := IsText(tt.text); got != tt.line {
				t.Errorf("IsText(%q) = %v", tt.text, got)
			}
			if got := IsStorable(tt.text); got != tt.storable {
				t.Errorf("IsStorable(%q) = %v", tt.text, got)
			}
		})
	}
}

func TestPrintableKeepsNothingThatActsOnWhatStandsAround(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"plain", "Notifier 2.0 \u00e9\u05d0\u4e2d", "Notifier 2.0 \u00e9\u05d0\u4e2d"},
		{"other spaces", "a\u00a0b\u3000c", "a\u00a0b\u3000c"},
		{"terminal control", "a\x1b[2J\u009b1m", "a\ufffd[2J\ufffd1m"},
		{"lines", "a\r\nb\u2028c", "a\ufffd\ufffdb\ufffdc"},
		{"turned around", "a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd"},
		{"nothing to see", "a\u200b\u2800\u3164\ufe0f", "a\ufffd\ufffd\ufffd\ufffd"},
		{"no UTF-8", "a\xffb", "a\ufffdb"},
		{"private use", "a\ue000", "a\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Printable(tt.text); got != tt.want {
				t.Errorf("Printable(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}
