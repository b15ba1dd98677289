package userkeys_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Comments and tests name attacks and faults by codes such as KU16, and rules of the wire by codes such as W13.3.
// The documents say what a code means and which test holds it; the tests below hold the documents.
const (
	attackCodes = `(?:AD|CA|DB|DV|FA|GR|HT|ID|IN|KU|LG|LK|OT|PK|PS|RD|RL|RP|RQ|RV|SC|SS|[BEFGT])[0-9]{1,2}`
	wireCodes   = `W[0-9]{1,2}(?:\.[0-9])?|C[0-9]{1,2}`
)

// TestEveryCodeHasARow: whoever meets a code in a Go file finds it in docs/attacks.md or docs/wire.md.
func TestEveryCodeHasARow(t *testing.T) {
	t.Parallel()
	rows := codesOfRows(t)
	for _, f := range sources(t) {
		visitTexts(f, func(n ast.Node, text string) {
			for _, code := range codesIn(text) {
				if !rows[code] {
					t.Errorf("%s: neither docs/attacks.md nor docs/wire.md has a row %s", f.at(n), code)
				}
			}
		})
	}
}

// TestEveryVectorHasARow: the vectors of testdata begin with the code of what they try.
func TestEveryVectorHasARow(t *testing.T) {
	t.Parallel()
	rows := codesOfRows(t)
	line := regexp.MustCompile(`(?m)^(?:id: )?([A-Z]{1,2}[0-9]{1,2}(?:\.[0-9])?)(?: |$)`)
	err := walkRepo(func(name string) error {
		if path.Ext(name) != ".txt" || !strings.HasPrefix(name, "testdata/") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range line.FindAllSubmatch(text, -1) {
			if !rows[string(m[1])] {
				t.Errorf("%s: neither docs/attacks.md nor docs/wire.md has a row %s", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCodeRows: every row of the two documents names tests that exist, or says why there is none.
// Where a rule of the wire is different on purpose, docs/divergences.md says why.
func TestCodeRows(t *testing.T) {
	t.Parallel()
	tests := testsByName(t)
	rules, differ := map[string]bool{}, map[string]bool{}
	for _, row := range codeRows(t, "docs/divergences.md") {
		differ[row.code] = true
	}
	for _, row := range codeRows(t, "docs/attacks.md") {
		row.check(t, oneAttack, tests, strings.HasPrefix(row.proof, "none: "))
	}
	for _, row := range codeRows(t, "docs/wire.md") {
		different := strings.Contains(row.proof, "(divergences.md#")
		row.check(t, oneRule, tests, different && differ[row.code])
		rules[row.code] = true
	}
	for code := range differ {
		if !rules[code] {
			t.Errorf("docs/divergences.md: docs/wire.md has no row %s", code)
		}
	}
	for n := 1; n <= 37; n++ { // what shipped apps need: one rule for each thing that was found
		if code := fmt.Sprintf("C%d", n); !rules[code] {
			t.Errorf("docs/wire.md has no row %s", code)
		}
	}
}

// TestPagesNameTestsAndCodes: tests and codes that other pages name exist.
func TestPagesNameTestsAndCodes(t *testing.T) {
	t.Parallel()
	rows, tests := codesOfRows(t), testsByName(t)
	named := regexp.MustCompile("`(?:Test|Fuzz)[A-Z][A-Za-z0-9_]*`")
	err := walkRepo(func(name string) error {
		if path.Ext(name) != ".md" || name == "CHANGELOG.md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, code := range codesIn(string(text)) {
			if !rows[code] {
				t.Errorf("%s: neither docs/attacks.md nor docs/wire.md has a row %s", name, code)
			}
		}
		for _, m := range named.FindAllString(string(text), -1) {
			if m = strings.Trim(m, "`"); tests[m] == nil {
				t.Errorf("%s: there is no test %s", name, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// codesOfRows are the codes that have a row.
func codesOfRows(t *testing.T) map[string]bool {
	rows := map[string]bool{}
	for _, row := range append(codeRows(t, "docs/attacks.md"), codeRows(t, "docs/wire.md")...) {
		rows[row.code] = true
	}
	return rows
}

// codeRow is a row of a table whose first cell is a code.
type codeRow struct {
	at    string // file and line
	code  string
	proof string // its last cell: tests between backquotes, or a reason why there is none
}

// likeCode is what a first cell looks like that is a code, also one of no known kind: such a row would be held by nobody.
var likeCode = regexp.MustCompile(`^[A-Z]{1,3}[0-9]{1,3}(?:\.[0-9]+)?$`)

// codeRows reads the rows of a document.
func codeRows(t *testing.T, file string) []codeRow {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []codeRow
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if oneCode.MatchString(cells[0]) {
			rows = append(rows, codeRow{fmt.Sprintf("%s:%d", file, i+1), cells[0], cells[len(cells)-1]})
		} else if likeCode.MatchString(cells[0]) {
			t.Errorf("%s:%d: attackCodes and wireCodes do not know %s", file, i+1, cells[0])
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", file)
	}
	return rows
}

var inBackquotes = regexp.MustCompile("`([^`]+)`")

// check reports a row whose code is of another document, or that has neither a test nor a reason.
func (row codeRow) check(t *testing.T, codes *regexp.Regexp, tests map[string][]source, reason bool) {
	t.Helper()
	if !codes.MatchString(row.code) {
		t.Errorf("%s: %s is a code of another document", row.at, row.code)
	}
	if reason {
		return
	}
	names := inBackquotes.FindAllStringSubmatch(row.proof, -1)
	if len(names) == 0 {
		t.Errorf("%s: %s names no test and gives no reason", row.at, row.code)
	}
	for _, m := range names {
		name, text, _ := strings.Cut(m[1], "/")
		found := false
		for _, f := range tests[name] {
			found = found || bytes.Contains(f.text, []byte(text))
		}
		if !found {
			t.Errorf("%s: %s: there is no test %s", row.at, row.code, m[1])
		}
	}
}

// testsByName are the files that have a test or a fuzz target of a name.
func testsByName(t *testing.T) map[string][]source {
	tests := map[string][]source{}
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && f.test {
				tests[fn.Name.Name] = append(tests[fn.Name.Name], f)
			}
		}
	}
	return tests
}

// visitTexts calls visit with what may name a code: comments, and in test files names of functions and strings.
func visitTexts(f source, visit func(n ast.Node, text string)) {
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			visit(c, c.Text)
		}
	}
	if !f.test || path.Base(f.path) == "codes_test.go" {
		return
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			visit(n, n.Name.Name)
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				visit(n, n.Value)
			}
		}
		return true
	})
}

// A word is what may be a code. Signs that make another thing of it (%C3, http://T1) are part of the word.
var (
	word      = regexp.MustCompile(`[A-Za-z0-9%\\:=+#/]+(?:\.[0-9])?`)
	oneAttack = regexp.MustCompile(`^(?:` + attackCodes + `)$`)
	oneRule   = regexp.MustCompile(`^(?:` + wireCodes + `)$`)
	oneCode   = regexp.MustCompile(`^(?:` + attackCodes + `|` + wireCodes + `)$`)
	testName  = regexp.MustCompile(`^Test((?:` + attackCodes + `)+)(?:[A-Z].*)?$`)
	attack    = regexp.MustCompile(attackCodes)
)

// codesIn are the codes that text names.
func codesIn(text string) []string {
	var codes []string
	for _, w := range word.FindAllString(text, -1) {
		w = strings.TrimRight(w, ":/")
		if w == "" || w[0] < 'A' || 'Z' < w[0] || !strings.ContainsAny(w, "0123456789") {
			continue // no code, and quicker than the patterns
		}
		if m := testName.FindStringSubmatch(w); m != nil {
			codes = append(codes, attack.FindAllString(m[1], -1)...)
		} else if oneCode.MatchString(w) {
			codes = append(codes, w)
		}
	}
	return codes
}
