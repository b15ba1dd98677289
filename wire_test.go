package userkeys_test

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// wireRules are the numbered rules of the wire: W and a section of what is
// known of Discourse's protocol, C and a number of what shipped apps need.
func wireRules() []string {
	sections := strings.Fields(`1 2 3 4.1 4.2 4.3 4.4 4.5 4.6 5.1 5.2 5.3 6.1 6.2 6.3 6.4 6.5
		7.1 7.2 7.3 7.4 7.5 7.6 7.7 8.1 8.2 8.3 9.1 9.2 9.3 10.1 10.2 10.3 10.4 11 12.1 12.2 12.3
		13.1 13.2 13.3 13.4 13.5 14 15 16 17 18 19 20 21 22`)
	var out []string
	for _, s := range sections {
		out = append(out, "W"+s)
	}
	for n := 1; n <= 37; n++ {
		out = append(out, "C"+strconv.Itoa(n))
	}
	return out
}

// TestEveryRuleOfTheWire holds testdata/wire: each rule of the protocol has a
// test that proves it, or a line in the list of what is different on purpose. None is forgotten.
func TestEveryRuleOfTheWire(t *testing.T) {
	t.Parallel()
	tests := testSources(t)
	known := map[string]bool{}
	for _, id := range wireRules() {
		known[id] = true
	}
	covered := map[string]int{}
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/wire/*.txt: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			fields := strings.Split(line, "\t")
			if len(fields) != 3 || fields[2] == "" || !known[fields[0]] {
				t.Errorf("%s:%d: want a rule (W13.5, C7), a test or docs/divergences.md, and what it says, between tabs", file, i+1)
				continue
			}
			if fields[1] != "docs/divergences.md" && !tests.has(fields[1]) {
				t.Errorf("%s:%d: %s: there is no test %q", file, i+1, fields[0], fields[1])
				continue
			}
			covered[fields[0]]++
		}
	}
	lines := 0
	for _, id := range wireRules() {
		if covered[id] == 0 {
			t.Errorf("testdata/wire: nothing says how %s is kept", id)
		}
		lines += covered[id]
	}
	t.Logf("%d rules, %d lines", len(wireRules()), lines)
}

// testFiles finds tests by the name of their folder and function.
type testFiles map[string]source

func testSources(t *testing.T) testFiles {
	tests := testFiles{}
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && f.test {
				tests[path.Dir(f.path)+" "+fn.Name.Name] = f
			}
		}
	}
	return tests
}

// has tells whether "folder TestName/row" is a test: row is a text of its file.
func (files testFiles) has(name string) bool {
	folder, test, _ := strings.Cut(name, " ")
	test, row, _ := strings.Cut(test, "/")
	f, ok := files[folder+" "+test]
	return ok && bytes.Contains(f.text, []byte(row))
}
