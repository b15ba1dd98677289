// Command testreport reads the events of `go test -json` and prints packages as they end, the output of what failed
// and, at the end, what was skipped and why. With CI=true a skipped test is a failure, because nothing is missing
// there.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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

// tally is what is remembered of a run. Names are a package, a space, and a test
// or nothing. A test that ran several times (-count) has failed if it ever did.
type tally struct {
	output  map[string][]string // by name, until it is known to have passed
	passed  map[string]bool
	skipped map[string]string // and why
	failed  map[string]bool
	broken  bool // a package failed, or did not build
}

// report reads events from r, prints to w and tells whether all is well.
func report(r io.Reader, w io.Writer, nothingMaySkip bool) bool {
	t := tally{map[string][]string{}, map[string]bool{}, map[string]string{}, map[string]bool{}, false}
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
	isTest := e.Test != ""
	switch e.Action {
	case "output":
		t.output[name] = append(t.output[name], e.Output)
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "build-fail":
		t.broken = true
	case "pass":
		if isTest {
			t.passed[name] = true
		}
		t.end(e, "ok", w)
	case "skip":
		if isTest {
			t.skipped[name] = reason(t.output[name])
		}
		t.end(e, "--", w)
	case "fail":
		if isTest {
			t.failed[name] = true
		}
		t.broken = true
		if !isTest {
			t.unfinished(e.Package, w)
		}
		fmt.Fprint(w, strings.Join(t.output[name], ""))
		t.end(e, "FAIL", w)
	}
}

// unfinished prints what the tests of a package said that were running when its
// program died: go test puts a panic, or the stacks after a time-out, among the words of one of them.
func (t *tally) unfinished(pkg string, w io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(t.output)) {
		test, ok := strings.CutPrefix(name, pkg+" ")
		if !ok || test == "" {
			continue
		}
		said := slices.DeleteFunc(t.output[name], func(line string) bool { return strings.HasPrefix(line, "=== ") })
		if len(said) > 0 {
			fmt.Fprintf(w, "%s did not end:\n%s", test, strings.Join(said, ""))
		}
		t.failed[name] = true
		delete(t.output, name)
	}
}

// end forgets the output of what e ended and, if that is a package, says so.
func (t *tally) end(e event, word string, w io.Writer) {
	name := e.Package + " " + e.Test
	if e.Test == "" {
		fmt.Fprintf(w, "%-4s %s %.1fs", word, e.Package, e.Elapsed)
		if seed := shuffled(t.output[name]); seed != "" && e.Action == "fail" {
			fmt.Fprintf(w, ", to be repeated with -shuffle=%s", seed)
		}
		fmt.Fprintln(w)
	}
	delete(t.output, name)
}

// shuffled is the seed of the order in which a package's tests ran; empty if
// they ran in that of the source.
func shuffled(output []string) string {
	for _, line := range output {
		if seed, ok := strings.CutPrefix(line, "-test.shuffle "); ok {
			return strings.TrimSpace(seed)
		}
	}
	return ""
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
	for name := range t.failed {
		delete(t.passed, name)
		delete(t.skipped, name)
	}
	fmt.Fprintf(w, "\n%d tests passed, %d failed, %d skipped\n", len(t.passed), len(t.failed), len(t.skipped))
	for _, name := range slices.Sorted(maps.Keys(t.skipped)) {
		fmt.Fprintf(w, "skipped %s: %s\n", name, t.skipped[name])
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
