package server

import (
	"regexp"
	"strings"
	"testing"

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
	c := htmlCheck{t: t, where: where, ids: map[string]int{}, labels: map[string]bool{}}
	c.collect(doc)
	c.walk(doc)
	for id, n := range c.ids {
		if n > 1 {
			t.Errorf("%s: the id %s stands %d times", where, id, n)
		}
	}
	if c.mains != 1 || c.h1 != 1 {
		t.Errorf("%s: %d main elements and %d first headings, want one each", where, c.mains, c.h1)
	}
	if c.lang == "" {
		t.Errorf("%s: the page has no language", where)
	}
	if c.title == "" {
		t.Errorf("%s: the page has no title", where)
	}
}

type htmlCheck struct {
	t           *testing.T
	where       string
	ids         map[string]int
	labels      map[string]bool
	mains, h1   int
	lang, title string
	level       int
}

func (c *htmlCheck) collect(n *html.Node) {
	if n.Type == html.ElementNode {
		if id := attr(n, "id"); id != "" {
			c.ids[id]++
		}
		if n.Data == "label" {
			c.labels[attr(n, "for")] = true
		}
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.collect(k)
	}
}

var headings = regexp.MustCompile(`^h[1-6]$`)

func (c *htmlCheck) walk(n *html.Node) {
	if n.Type == html.ElementNode {
		c.element(n)
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.walk(k)
	}
}

func (c *htmlCheck) element(n *html.Node) {
	t, where := c.t, c.where
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			t.Errorf("%s: <%s> has the attribute %s", where, n.Data, a.Key)
		}
		if (a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
			t.Errorf("%s: <%s> leads to %s, off this site", where, n.Data, a.Val)
		}
		if a.Key == "aria-labelledby" || a.Key == "aria-describedby" {
			for _, id := range strings.Fields(a.Val) {
				if c.ids[id] == 0 {
					t.Errorf("%s: %s names %s, which is not there", where, a.Key, id)
				}
			}
		}
	}
	switch n.Data {
	case "html":
		c.lang = attr(n, "lang")
	case "title":
		c.title = textOf(n)
	case "main":
		c.mains++
	case "script":
		if attr(n, "src") == "" || textOf(n) != "" {
			t.Errorf("%s: an inline script", where)
		}
	case "style", "iframe", "object", "embed", "base":
		t.Errorf("%s: a <%s>", where, n.Data)
	case "meta":
		if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
			t.Errorf("%s: a meta refresh", where)
		}
	case "button":
		if strings.TrimSpace(textOf(n)) == "" {
			t.Errorf("%s: a button without a name", where)
		}
	case "input", "select", "textarea":
		if attr(n, "type") != "hidden" && !c.labels[attr(n, "id")] {
			t.Errorf("%s: the field %s has no label", where, attr(n, "name"))
		}
	}
	if headings.MatchString(n.Data) {
		level := int(n.Data[1] - '0')
		if level == 1 {
			c.h1++
		}
		if level > c.level+1 {
			t.Errorf("%s: heading %q skips a level", where, textOf(n))
		}
		c.level = level
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		b.WriteString(textOf(k))
	}
	return b.String()
}

// byID finds an element of a page; nil if it is not there.
func byID(t *testing.T, page, id string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var find func(n *html.Node) *html.Node
	find = func(n *html.Node) *html.Node {
		if n.Type == html.ElementNode && attr(n, "id") == id {
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

// inside is the text of an element; it fails if the element is not there.
func inside(t *testing.T, page, id string) string {
	t.Helper()
	n := byID(t, page, id)
	if n == nil {
		t.Fatalf("the page has no #%s: %s", id, cutBytes(page, 4000))
	}
	return textOf(n)
}
