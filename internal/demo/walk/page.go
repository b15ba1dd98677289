package walk

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A webPage is an answer as a user of a browser sees it.
type webPage struct {
	*answer
	root *html.Node
}

// A webForm is a form of a page.
type webForm struct {
	action *url.URL
	hidden url.Values
	node   *html.Node
}

func newWebPage(a *answer) (*webPage, error) {
	root, err := html.Parse(bytes.NewReader(a.body))
	if err != nil {
		return nil, fmt.Errorf("%s is no page: %v", a.Request.URL.Path, err)
	}
	return &webPage{a, root}, nil
}

// form returns the form that posts to a path of the site.
func (p *webPage) form(path string) (*webForm, error) {
	return p.formIn(p.root, path)
}

func (p *webPage) formIn(within *html.Node, path string) (*webForm, error) {
	for n := range within.Descendants() {
		if n.DataAtom != atom.Form || !strings.EqualFold(attribute(n, "method"), "post") {
			continue
		}
		action, err := p.Request.URL.Parse(attribute(n, "action"))
		if err != nil || action.Host != p.Request.URL.Host || action.Path != path {
			continue
		}
		f := &webForm{action: action, hidden: url.Values{}, node: n}
		for input := range n.Descendants() {
			if input.DataAtom == atom.Input && sentAsItStands(input) {
				f.hidden.Add(attribute(input, "name"), attribute(input, "value"))
			}
		}
		return f, nil
	}
	return nil, fmt.Errorf("%s has no form for %s; it says: %s", p.Request.URL.Path, path, shorten(p.text(), 300))
}

// sentAsItStands reports whether a browser sends the field of a form that nobody has touched.
func sentAsItStands(input *html.Node) bool {
	switch strings.ToLower(attribute(input, "type")) {
	case "hidden":
		return true
	case "checkbox":
		return slices.ContainsFunc(input.Attr, func(a html.Attribute) bool { return a.Key == "checked" })
	}
	return false
}

// has reports whether the form has a field to fill in.
func (f *webForm) has(name string) bool {
	for n := range f.node.Descendants() {
		if n.DataAtom == atom.Input && attribute(n, "name") == name {
			return true
		}
	}
	return false
}

// lines returns the text of the main part of the page.
func (p *webPage) lines() []string {
	for n := range p.root.Descendants() {
		if n.DataAtom == atom.Main {
			return textLines(n)
		}
	}
	return textLines(p.root)
}

// text returns the text of the main part as one line.
func (p *webPage) text() string { return strings.Join(p.lines(), " ") }

// item returns the smallest list item, row or article that has an element with exactly this text.
func (p *webPage) item(title string) *html.Node {
	for n := range p.root.Descendants() {
		if n.Type != html.TextNode || strings.TrimSpace(n.Data) != title {
			continue
		}
		for up := range n.Ancestors() {
			if slices.Contains([]atom.Atom{atom.Li, atom.Tr, atom.Article}, up.DataAtom) {
				return up
			}
		}
	}
	return nil
}

var (
	blocks = []atom.Atom{
		atom.Address, atom.Article, atom.Aside, atom.Div, atom.Dl, atom.Dt, atom.Footer, atom.Form, atom.H1,
		atom.H2, atom.H3, atom.H4, atom.Header, atom.Li, atom.Main, atom.Nav, atom.Ol, atom.P, atom.Pre, atom.Section,
		atom.Summary, atom.Table, atom.Td, atom.Th, atom.Tr, atom.Ul,
	}
	// unread are elements whose content is not shown, or is not text.
	unread = []atom.Atom{atom.Button, atom.Head, atom.Script, atom.Style, atom.Template, atom.Title}
)

// spaces replaces white space within a text by spaces, so that lines end only with blocks.
var spaces = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")

// textLines returns the text of a part of a page, one line for each block.
func textLines(within *html.Node) []string {
	var b strings.Builder
	var visit func(*html.Node)
	visit = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(spaces.Replace(n.Data))
		case slices.Contains(unread, n.DataAtom), n.DataAtom == atom.Details && attribute(n, "class") != "":
			return // what is folded below a page; a row of a list is folded without a class
		}
		block := slices.Contains(blocks, n.DataAtom)
		if block {
			b.WriteByte('\n')
		}
		for c := range n.ChildNodes() {
			visit(c)
		}
		switch {
		case n.DataAtom == atom.Dt:
			b.WriteString(": ")
		case block:
			b.WriteByte('\n')
		}
	}
	visit(within)
	var lines []string
	for line := range strings.Lines(b.String()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, strings.ReplaceAll(line, " :", ":"))
		}
	}
	return lines
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == name {
			return a.Val
		}
	}
	return ""
}

// shorten cuts a text that is shown.
func shorten(s string, n int) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n]) + "..."
}
