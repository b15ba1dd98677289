package userkeys_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"userkeys"
)

// A vectorLine is one case of a text file of testdata: what is before " -- ",
// what is after, and where it stands.
type vectorLine struct {
	number int
	text   string
	note   string
}

// vectorLines reads a file without comments and blank lines.
func vectorLines(t testing.TB, name string) []vectorLine {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []vectorLine
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		if line := s.Text(); line != "" && !strings.HasPrefix(line, "#") {
			text, note, _ := strings.Cut(line, " -- ")
			out = append(out, vectorLine{n, text, note})
		}
	}
	if err := s.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%s: %d cases, %v", name, len(out), err)
	}
	return out
}

// at names a case for a failure.
func (v vectorLine) at(name string) string { return name + ":" + strconv.Itoa(v.number) }

// unquote reads a value that is a Go string if it is in quotes.
func unquote(t testing.TB, s string) string {
	t.Helper()
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	out, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return out
}

// public is the text that a person would read, and the code; empty without an error.
func public(err error) (text string, code userkeys.Code) {
	if err == nil {
		return "", ""
	}
	e := userkeys.AsError(err)
	return e.Public, e.Code
}

// mustRefuse fails unless err has the code and its public text the words.
func mustRefuse(t testing.TB, err error, code userkeys.Code, words string) {
	t.Helper()
	text, got := public(err)
	if err == nil || got != code || !strings.Contains(text, words) {
		t.Errorf("refused with %q: %q; want %q with %q", got, text, code, words)
	}
}

func discourse(t testing.TB) *userkeys.Catalog {
	t.Helper()
	c, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
