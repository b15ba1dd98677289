package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
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

// TestTableFits: on a terminal the widest columns are cut, and no line is longer than the terminal is wide; elsewhere
// everything is printed.
func TestTableFits(t *testing.T) {
	t.Parallel()
	rows := func() [][]string {
		return [][]string{
			{"ID", "APPLICATION", "ABOUT"},
			{"17", strings.Repeat("\u00e4", 200), "short"},
			{"18", "Reader", strings.Repeat("word ", 9) + "end"},
		}
	}
	for columns, want := range map[int]string{
		0:  "ID  APPLICATION",
		40: "17  " + strings.Repeat("\u00e4", 16) + "\u2026  short",
		80: "18  Reader ",
		10: "18  Reader    word wo\u2026", // as narrow as it gets
	} {
		var out bytes.Buffer
		if err := printTable(&out, rows(), columns); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("in %d columns:\n%s\nwant %q", columns, out.String(), want)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= 40 && n > columns {
				t.Errorf("in %d columns a line has %d", columns, n)
			}
		}
		if columns == 0 && !strings.Contains(out.String(), "word end") {
			t.Errorf("a file gets less than everything:\n%s", out.String())
		}
	}
}
