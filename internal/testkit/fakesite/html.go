package fakesite

import (
	"regexp"
	"strings"
	"testing"

	"userkeys/server/input"

	"golang.org/x/net/html"
)

// checkHTML holds what a page needs to be usable by everybody, and what keeps
// it free of code in its text.
func checkHTML(t *testing.T, where, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	c := htmlCheck{T: t, Where: where, Ids: map[string]int{}, Labels: map[string]bool{}}
	c.Collect(doc)
	c.Walk(doc)
	for id, n := range c.Ids {
		if n > 1 {
			t.Errorf("%s: the id %s stands %d times", where, id, n)
		}
	}
	if c.Mains != 1 || c.H1 != 1 {
		t.Errorf("%s: %d main elements and %d first headings, want one each", where, c.Mains, c.H1)
	}
	if c.Lang == "" {
		t.Errorf("%s: the page has no language", where)
	}
	if c.Title == "" {
		t.Errorf("%s: the page has no title", where)
	}
}

type htmlCheck struct {
	T           *testing.T
	Where       string
	Ids         map[string]int
	Labels      map[string]bool
	Mains, H1   int
	Lang, Title string
	Level       int
}

func (c *htmlCheck) Collect(n *html.Node) {
	if n.Type == html.ElementNode {
		if id := Attr(n, "id"); id != "" {
			c.Ids[id]++
		}
		if n.Data == "label" {
			c.Labels[Attr(n, "for")] = true
		}
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.Collect(k)
	}
}

var headings = regexp.MustCompile(`^h[1-6]$`)

func (c *htmlCheck) Walk(n *html.Node) {
	if n.Type == html.ElementNode {
		c.Element(n)
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.Walk(k)
	}
}

func (c *htmlCheck) Element(n *html.Node) {
	t, where := c.T, c.Where
	c.Attributes(n)
	c.Heading(n)
	switch n.Data {
	case "html":
		c.Lang = Attr(n, "lang")
	case "title":
		c.Title = TextOf(n)
	case "main":
		c.Mains++
	case "script":
		if Attr(n, "src") == "" || TextOf(n) != "" {
			t.Errorf("%s: an inline script", where)
		}
	case "style", "iframe", "object", "embed", "base":
		t.Errorf("%s: a <%s>", where, n.Data)
	case "meta":
		if strings.EqualFold(Attr(n, "http-equiv"), "refresh") {
			t.Errorf("%s: a meta refresh", where)
		}
	case "button":
		if strings.TrimSpace(TextOf(n)) == "" {
			t.Errorf("%s: a button without a name", where)
		}
	case "input", "select", "textarea":
		if Attr(n, "type") != "hidden" && !c.Labels[Attr(n, "id")] {
			t.Errorf("%s: the field %s has no label", where, Attr(n, "name"))
		}
	}
}

// Attributes refuses code in attributes, and links that lead elsewhere or to nothing.
func (c *htmlCheck) Attributes(n *html.Node) {
	t, where := c.T, c.Where
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			t.Errorf("%s: <%s> has the attribute %s", where, n.Data, a.Key)
		}
		if (a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction") &&
			!strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
			t.Errorf("%s: <%s> leads to %s, off this site", where, n.Data, a.Val)
		}
		if a.Key == "aria-labelledby" || a.Key == "aria-describedby" {
			for _, id := range strings.Fields(a.Val) {
				if c.Ids[id] == 0 {
					t.Errorf("%s: %s names %s, which is not there", where, a.Key, id)
				}
			}
		}
	}
}

// Heading counts the first headings, and refuses one that skips a level.
func (c *htmlCheck) Heading(n *html.Node) {
	if headings.MatchString(n.Data) {
		level := int(n.Data[1] - '0')
		if level == 1 {
			c.H1++
		}
		if level > c.Level+1 {
			c.T.Errorf("%s: heading %q skips a level", c.Where, TextOf(n))
		}
		c.Level = level
	}
}

// Attr is an attribute of n; empty if it has none.
func Attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TextOf is the text in n.
func TextOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		b.WriteString(TextOf(k))
	}
	return b.String()
}

// ByID finds an element of a page; nil if it is not there.
func ByID(t *testing.T, page, id string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var find func(n *html.Node) *html.Node
	find = func(n *html.Node) *html.Node {
		if n.Type == html.ElementNode && Attr(n, "id") == id {
			return n
		}
		for k := n.FirstChild; k != nil; k = k.NextSibling {
			if found := find(k); found != nil {
				return found
			}
		}
		return nil
	}
	return find(doc)
}

// Inside is the text of an element; it fails if the element is not there.
func Inside(t *testing.T, page, id string) string {
	t.Helper()
	n := ByID(t, page, id)
	if n == nil {
		t.Fatalf("the page has no #%s: %s", id, input.Cut(page, 4000))
	}
	return TextOf(n)
}
