package userkeys_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// source is a Go file of this module, parsed.
type source struct {
	path   string // with slashes, from the root
	test   bool
	text   []byte
	syntax *ast.File
	fset   *token.FileSet
}

// sources are all Go files of the module. They are read once.
func sources(t *testing.T) []source {
	t.Helper()
	files, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var readSources = sync.OnceValues(func() ([]source, error) {
	var out []source
	err := walkRepo(func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{name, strings.HasSuffix(name, "_test.go"), text, syntax, fset})
		return nil
	})
	return out, err
})

// walkRepo calls visit for every file that belongs to the project.
func walkRepo(visit func(name string) error) error {
	return filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".cache", "bin", "node_modules", "userkeys-data":
				return fs.SkipDir
			}
			return nil
		}
		if d.Name() == ".git" { // of a work tree that git worktree made
			return nil
		}
		return visit(name)
	})
}

// at is the place of a node, for people.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// selectors calls visit for every pkg.Name in s where pkg is the import of importPath.
func (s source) selectors(imported string, visit func(sel *ast.SelectorExpr, called bool)) {
	name := ""
	for _, spec := range s.syntax.Imports {
		if importPath(spec) == imported {
			name = path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	if name == "" {
		return
	}
	called := map[ast.Expr]bool{}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			called[n.Fun] = true
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == name {
				visit(n, called[n])
			}
		}
		return true
	})
}

// within tells whether the file stands in one of dirs.
func (s source) within(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(s.path, d+"/") })
}

// TestNobodyReadsTheClock: time is a parameter or a Now field, so that tests
// can move it. Only the default of such a field may name time.Now, without calling it.
func TestNobodyReadsTheClock(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test || f.within("cmd", "internal/appcmd", "internal/sitecmd", "internal/cli", "internal/desktop", "internal/bench", "internal/demo", "internal/testkit", "scripts") {
			continue
		}
		f.selectors("time", func(sel *ast.SelectorExpr, called bool) {
			switch sel.Sel.Name {
			case "Now":
				if called {
					t.Errorf("%s calls time.Now; take the time from a parameter or a Now field", f.at(sel))
				}
			case "Since", "Until":
				t.Errorf("%s: time.%s reads the clock", f.at(sel), sel.Sel.Name)
			}
		})
	}
}

// TestScriptsWaitForEvents: a script that waits for time fails on a slow machine, and is slow on a fast one.
func TestScriptsWaitForEvents(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("cmd/userkeys/testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, error %v", len(scripts), err)
	}
	for _, name := range scripts {
		if text, err := os.ReadFile(name); err != nil || strings.Contains(string(text), "exec sleep") {
			t.Errorf("%s sleeps; wait for what is to happen, with until, shows or api; error %v", name, err)
		}
	}
}

// TestForbiddenNames: each of these has hurt somebody.
func TestForbiddenNames(t *testing.T) {
	t.Parallel()
	forbidden := []struct{ pkg, name, why string }{
		{"net/http", "DefaultClient", "it has no time limit and obeys HTTP_PROXY"},
		{"net/http", "Get", "it is http.DefaultClient"},
		{"net/http", "Post", "it is http.DefaultClient"},
		{"net/http", "PostForm", "it is http.DefaultClient"},
		{"net/http", "Head", "it is http.DefaultClient"},
		{"net/http", "ListenAndServe", "it has no time limits"},
		{"net/http/httputil", "NewSingleHostReverseProxy", "its Director lets clients remove identity headers"},
		{"math/rand", "Read", "secrets come from crypto/rand"},
	}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, b := range forbidden {
			f.selectors(b.pkg, func(sel *ast.SelectorExpr, _ bool) {
				if sel.Sel.Name == b.name {
					t.Errorf("%s uses %s.%s: %s", f.at(sel), b.pkg, b.name, b.why)
				}
			})
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == "AddInsecureBypassPattern" {
				t.Errorf("%s opens a hole in the cross-origin protection", f.at(id))
			}
			return true
		})
	}
}

// TestCVE_2021_33197_NoDirector: with ReverseProxy.Director a client's
// "Connection: X-Auth-User" removes the identity header that the proxy set.
// Rewrite runs after those headers are gone.
func TestCVE_2021_33197_NoDirector(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Director" {
					t.Errorf("%s sets Director; use Rewrite", f.at(n))
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "Director" {
					t.Errorf("%s uses Director; use Rewrite", f.at(n))
				}
			}
			return true
		})
	}
}

// notASCII are the Go files that may hold other characters, and why.
var notASCII = map[string]string{}

// TestSourcesAreASCII: characters that look alike, or turn the direction of
// the text, hide what code does. Strings can say \u202e.
func TestSourcesAreASCII(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		i := bytes.IndexFunc(f.text, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' && r != '\t' })
		if _, allowed := notASCII[f.path]; allowed == (i >= 0) {
			continue
		}
		if i < 0 {
			t.Errorf("%s is ASCII and need not be in the list", f.path)
			continue
		}
		t.Errorf("%s:%d has a character outside ASCII", f.path, 1+bytes.Count(f.text[:i], []byte("\n")))
	}
}

// TestEverythingIsDocumented: every package and every exported name says what it is for.
func TestEverythingIsDocumented(t *testing.T) {
	t.Parallel()
	packages := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		dir := path.Dir(f.path)
		packages[dir] = packages[dir] || f.syntax.Doc != nil
		for _, d := range f.syntax.Decls {
			if name := undocumented(d); name != "" {
				t.Errorf("%s: %s has no doc comment", f.at(d), name)
			}
		}
	}
	for dir, ok := range packages {
		if !ok {
			t.Errorf("the package in %s has no doc comment", dir)
		}
	}
}

// wellKnown are methods whose meaning their interface gives.
var wellKnown = []string{"Error", "Unwrap", "String", "GoString", "ServeHTTP", "RoundTrip", "Close", "Read", "Write", "Is", "LogValue", "Len", "Less", "Swap", "Flush"}

// undocumented names an exported declaration without a comment; empty if all have one.
func undocumented(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc != nil || !d.Name.IsExported() || d.Recv != nil && (!exportedReceiver(d) || slices.Contains(wellKnown, d.Name.Name)) {
			return ""
		}
		return d.Name.Name
	case *ast.GenDecl:
		if d.Doc != nil {
			return ""
		}
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Doc == nil && s.Name.IsExported() {
					return s.Name.Name
				}
			case *ast.ValueSpec:
				if s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					return s.Names[0].Name
				}
			}
		}
	}
	return ""
}

func exportedReceiver(d *ast.FuncDecl) bool {
	t := d.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if g, ok := t.(*ast.IndexExpr); ok {
		t = g.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

// TestPagesForPeople holds the documents to a length that is read, their
// links to files that exist, and the commands that they name to the Makefile.
func TestPagesForPeople(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"README.md": 150, "CONTRIBUTING.md": 100, "ARCHITECTURE.md": 100}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	target := regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z-]*)")
	err = walkRepo(func(name string) error {
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if n := bytes.Count(text, []byte("\n")); limits[name] > 0 && n > limits[name] {
			t.Errorf("%s has %d lines, limit %d", name, n, limits[name])
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), string(m[1]))); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
			}
		}
		for _, m := range target.FindAllSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + string(m[1]) + `:`).Match(makefile) {
				t.Errorf("%s: there is no make %s", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range limits {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// TestDecisionsAreNumbered: docs/decisions/NNNN-title.md, without gaps.
func TestDecisionsAreNumbered(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("docs/decisions")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions: %v", err)
	}
	for i, f := range files {
		if want := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(f.Name(), want) {
			t.Errorf("docs/decisions/%s: the next number is %s", f.Name(), want)
		}
	}
}

// TestNoMachinePaths: nothing here depends on whose machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	private := regexp.MustCompile(`(?:^|[\s"'=(:` + "`" + `])(/(?:work|root|Users|home/[a-z]+)/[A-Za-z.])`)
	err := walkRepo(func(name string) error {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		suspect := func(root string) bool { return bytes.Contains(text, []byte(root)) } // quicker than the pattern
		if !slices.ContainsFunc([]string{"/work/", "/root/", "/Users/", "/home/"}, suspect) || bytes.ContainsRune(text, 0) {
			return nil
		}
		if m := private.FindSubmatchIndex(text); m != nil {
			t.Errorf("%s:%d names a path of somebody's machine", name, 1+bytes.Count(text[:m[0]], []byte("\n")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLockFilesNameNoHost: packages come from whatever registry a machine uses.
func TestLockFilesNameNoHost(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/apps/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(`"resolved"`)) {
		t.Error("testdata/apps/package-lock.json records where packages were downloaded")
	}
	if !bytes.Contains(text, []byte(`"integrity"`)) {
		t.Error("testdata/apps/package-lock.json has no checksums")
	}
}

// TestEveryFuzzTargetRuns: scripts/fuzz finds its targets by reading lines, so every
// target must be written the way it looks for.
func TestEveryFuzzTargetRuns(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("scripts/fuzz")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`'(\^func Fuzz[^']*)'`).FindSubmatch(script)
	if pattern == nil {
		t.Fatal("scripts/fuzz looks for no targets")
	}
	line := regexp.MustCompile("(?m)" + string(pattern[1]))
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			found := slices.ContainsFunc(line.FindAll(f.text, -1), func(l []byte) bool {
				return string(l) == "func "+fn.Name.Name+"("
			})
			if f.test && !found {
				t.Errorf("%s: make fuzz does not find %s", f.at(fn), fn.Name.Name)
			}
		}
	}
}

// TestCVE_2024_27304_MinimumVersions: below these, what we build on has known holes.
func TestCVE_2024_27304_MinimumVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, least := range map[string]string{
		"github.com/jackc/pgx/v5": "v5.9.2",  // SQL injection by long messages
		"modernc.org/sqlite":      "v1.61.1", // SQLite before 3.51.3 could corrupt a WAL database
		"golang.org/x/crypto":     "v0.52.0",
		"golang.org/x/net":        "v0.56.0",
	} {
		m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(text)
		switch {
		case m == nil:
			t.Errorf("go.mod: %s is not there; is its line here still needed?", module)
		case compareVersions(string(m[1]), least) < 0:
			t.Errorf("go.mod: %s %s, want %s or newer", module, m[1], least)
		}
	}
	if m := regexp.MustCompile(`(?m)^\s*godebug\b.*`).Find(text); m != nil {
		t.Errorf("go.mod: %q changes what Go checks by default", m)
	}
}

// compareVersions compares vX.Y.Z by its numbers; pre-release parts are not looked at.
func compareVersions(a, b string) int {
	numbers := func(v string) (n [3]int) {
		_, _ = fmt.Sscanf(v, "v%d.%d.%d", &n[0], &n[1], &n[2]) // what is missing counts as 0
		return n
	}
	x, y := numbers(a), numbers(b)
	return slices.Compare(x[:], y[:])
}
