package cli

import (
	"bytes"
	"testing"
)

// TestHarmless: what others wrote must not steer a terminal, nor look like something else there; in pieces of any size.
func TestHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\x1b[2Jb\tc\r\nd\u009be\x00\u00e4": "a?[2Jb\tc\r\nd?e?\u00e4",
		"good\revil\n":                       "good?evil\n",
		"\r\r\n":                             "?\r\n",
		"a\u202eb\u2066c\u200bd\u200de\ufefff\u00adg\u2028h": "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh",
		"\U0001f600 \u05d0 \xff.":                            "\U0001f600 \u05d0 \ufffd.",
	} {
		for size := 1; size <= len(text); size++ {
			var out bytes.Buffer
			w := &Harmless{to: &out}
			for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if n, err := w.Write(rest[:min(size, len(rest))]); err != nil || n != min(size, len(rest)) {
					t.Fatal(n, err)
				}
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
}
