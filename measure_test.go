package userkeys_test

import (
	"bytes"
	"go/ast"
	"go/scanner"
	"go/token"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

// A measure is one thing that a budget bounds.
type measure struct {
	kind  string // of the budget
	name  string // of the thing
	where string
	size  int
}

// A house is all product code, measured: everything but tests and generated files.
type house struct {
	measures []measure
	code     map[string]int // code lines by package
	tokens   []int          // the tokens of each code line
}

func (h *house) add(kind, name, where string, size int) {
	h.measures = append(h.measures, measure{kind, name, where, size})
}

// measureHouse measures the product code of the module.
func measureHouse(t *testing.T) house {
	h := house{code: map[string]int{}}
	methods, interfaces := map[string]int{}, map[string]*ast.InterfaceType{}
	for _, f := range sources(t) {
		if f.test || ast.IsGenerated(f.syntax) {
			continue
		}
		dir := path.Dir(f.path)
		lines := f.codeLines()
		for _, n := range lines {
			h.tokens = append(h.tokens, n)
		}
		h.code[dir] += len(lines)
		h.add("file", f.path, f.path, len(lines))
		h.add("width", f.path, f.path, f.widest())
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				h.addFunction(f, n, lines)
				if n.Recv != nil {
					methods[dir+"."+receiver(n)]++
				}
			case *ast.TypeSpec:
				if i, ok := n.Type.(*ast.InterfaceType); ok {
					interfaces[dir+"."+n.Name.Name] = i
				}
			}
			return true
		})
	}
	for dir, n := range h.code {
		h.add("package", dir, dir, n)
	}
	for name, n := range methods {
		h.add("methods", name, name, n)
	}
	for name := range interfaces {
		h.add("interface", name, name, flattened(interfaces, name))
	}
	return h
}

// addFunction measures a function's code lines and parameters.
func (h *house) addFunction(f source, d *ast.FuncDecl, lines map[int]int) {
	name := f.path + " " + d.Name.Name
	code := 0
	for l := f.fset.Position(d.Pos()).Line; l <= f.fset.Position(d.End()).Line; l++ {
		if lines[l] > 0 {
			code++
		}
	}
	h.add("function", name, f.at(d), code)
	h.add("parameters", name, f.at(d), d.Type.Params.NumFields())
}

// codeLines are the lines of f with a token, and how many tokens begin on each. A text of
// several lines is code on each of them.
func (f source) codeLines() map[int]int {
	lines := map[int]int{}
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile(f.path, -1, len(f.text))
	s.Init(file, f.text, nil, 0)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue // put in by the scanner
		}
		first := file.Line(pos)
		lines[first]++
		if tok != token.STRING {
			continue
		}
		for l := first + 1; l <= file.Line(pos+token.Pos(len(text))-1); l++ {
			lines[l] = max(lines[l], 1)
		}
	}
}

// widest is the number of characters in the longest line of f.
func (f source) widest() int {
	widest := 0
	for line := range bytes.Lines(f.text) {
		widest = max(widest, utf8.RuneCount(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return widest
}

// receiver names the type that d is a method of.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch u := t.(type) {
		case *ast.StarExpr:
			t = u.X
		case *ast.IndexExpr:
			t = u.X
		case *ast.IndexListExpr:
			t = u.X
		case *ast.Ident:
			return u.Name
		default:
			return "?"
		}
	}
}

// flattened is how many methods the interface named "dir.Name" has, those of embedded ones included.
func flattened(interfaces map[string]*ast.InterfaceType, name string) int {
	i := interfaces[name]
	if i == nil {
		return 1 // one of the standard library
	}
	n := 0
	for _, m := range i.Methods.List {
		switch t := m.Type.(type) {
		case *ast.FuncType:
			n += len(m.Names)
		case *ast.Ident: // of the same package
			n += flattened(interfaces, strings.TrimSuffix(name, path.Ext(name))+"."+t.Name)
		case *ast.SelectorExpr:
			n += flattened(interfaces, packageNamed(interfaces, t.X.(*ast.Ident).Name)+"."+t.Sel.Name)
		}
	}
	return n
}

// packageNamed is the directory of the package called name among those with an interface.
func packageNamed(interfaces map[string]*ast.InterfaceType, name string) string {
	for i := range interfaces {
		if dir := strings.TrimSuffix(i, path.Ext(i)); path.Base(dir) == name {
			return dir
		}
	}
	return "."
}
