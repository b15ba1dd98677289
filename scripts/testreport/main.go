// Command testreport reads the events of `go test -json` and tells people what
// matters: packages as they end, the output of what failed and, at the end, what was skipped and
// why. With CI=true a skipped test is a failure, since nothing is missing there.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if !report(os.Stdin, os.Stdout, os.Getenv("CI") == "true") {
		os.Exit(1)
	}
}

// event is a line of `go test -json` (see `go doc test2json`); ImportPath and
// the action build-output come from the compiler.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

// tally is what is remembered of a run.
type tally struct {
	output  map[string][]string // by package and test, until it is known to have passed
	skipped []string
	passed  int
	failed  int
	broken  bool // a package failed, or did not build
}

// report reads events from r, prints to w and tells whether all is well.
func report(r io.Reader, w io.Writer, nothingMaySkip bool) bool {
	t := tally{output: map[string][]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	seen := false
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(w, lines.Text()) // not from go test: a word of the wrapper around it
			continue
		}
		seen = true
		t.take(e, w)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(w, "testreport:", err)
		return false
	}
	return t.sum(w, nothingMaySkip) && seen
}

func (t *tally) take(e event, w io.Writer) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		t.output[name] = append(t.output[name], e.Output)
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "build-fail":
		t.broken = true
	case "pass":
		t.passed += one(e.Test)
		t.end(e, "ok", w)
	case "skip":
		if e.Test != "" {
			t.skipped = append(t.skipped, e.Package+" "+e.Test+": "+reason(t.output[name]))
		}
		t.end(e, "--", w)
	case "fail":
		t.failed += one(e.Test)
		t.broken = true
		fmt.Fprint(w, strings.Join(t.output[name], ""))
		t.end(e, "FAIL", w)
	}
}

// end forgets the output of what e ended and, if that is a package, says so.
func (t *tally) end(e event, word string, w io.Writer) {
	delete(t.output, e.Package+" "+e.Test)
	if e.Test == "" {
		fmt.Fprintf(w, "%-4s %s %.1fs\n", word, e.Package, e.Elapsed)
	}
}

// one counts tests, not packages.
func one(test string) int {
	if test == "" {
		return 0
	}
	return 1
}

// reason is what a test said when it skipped itself.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return text
		}
		return line
	}
	return "no reason given"
}

func (t *tally) sum(w io.Writer, nothingMaySkip bool) bool {
	fmt.Fprintf(w, "\n%d tests passed, %d failed, %d skipped\n", t.passed, t.failed, len(t.skipped))
	for _, s := range t.skipped {
		fmt.Fprintln(w, "skipped", s)
	}
	if t.broken {
		return false
	}
	if nothingMaySkip && len(t.skipped) > 0 {
		fmt.Fprintln(w, "with CI=true nothing may be skipped")
		return false
	}
	return true
}
