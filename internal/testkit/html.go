package testkit

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"userkeys"
)

// pageHeaders is what every HTML answer carries.
var pageHeaders = map[string]string{
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	"Cache-Control": "no-store", "Pragma": "no-cache", "Expires": "0",
	"Strict-Transport-Security": "max-age=31536000", "Content-Type": "text/html; charset=utf-8",
}

// CheckPage holds what the headers of every page must have.
func CheckPage(t testing.TB, where string, h http.Header) {
	t.Helper()
	for name, want := range pageHeaders {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", where, name, got, want)
		}
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'",
		"frame-ancestors 'none'", "form-action 'self'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s: the policy %q lacks %s", where, policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("%s: the policy %q allows inline code", where, policy)
	}
	if p := h.Get("Referrer-Policy"); p != "same-origin" && p != "strict-origin" && p != "no-referrer" {
		t.Errorf("%s: Referrer-Policy is %q", where, p)
	}
	if h.Get("Permissions-Policy") == "" {
		t.Errorf("%s: no Permissions-Policy", where)
	}
}

// CheckHTML holds what a page needs to be usable by everybody, and what keeps
// it free of code in its text.
func CheckHTML(t testing.TB, where, page string) {
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
	t           testing.TB
	where       string
	ids         map[string]int
	labels      map[string]bool
	mains, h1   int
	lang, title string
	level       int // of the last heading
}

func (c *htmlCheck) collect(n *html.Node) {
	if n.Type == html.ElementNode {
		if id := Attr(n, "id"); id != "" {
			c.ids[id]++
		}
		if n.Data == "label" {
			c.labels[Attr(n, "for")] = true
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

func (c *htmlCheck) attributes(n *html.Node) {
	t, where := c.t, c.where
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
				if c.ids[id] == 0 {
					t.Errorf("%s: %s names %s, which is not there", where, a.Key, id)
				}
			}
		}
	}
}

func (c *htmlCheck) element(n *html.Node) {
	t, where := c.t, c.where
	c.attributes(n)
	switch n.Data {
	case "html":
		c.lang = Attr(n, "lang")
	case "title":
		c.title = TextOf(n)
	case "main":
		c.mains++
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
		if Attr(n, "type") != "hidden" && !c.labels[Attr(n, "id")] {
			t.Errorf("%s: the field %s has no label", where, Attr(n, "name"))
		}
	}
	if headings.MatchString(n.Data) {
		level := int(n.Data[1] - '0')
		if level == 1 {
			c.h1++
		}
		if level > c.level+1 {
			t.Errorf("%s: heading %q skips a level", where, TextOf(n))
		}
		c.level = level
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
func ByID(t testing.TB, page, id string) *html.Node {
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
func Inside(t testing.TB, page, id string) string {
	t.Helper()
	n := ByID(t, page, id)
	if n == nil {
		t.Fatalf("the page has no #%s: %s", id, userkeys.Shorten(page, 4000))
	}
	return TextOf(n)
}
