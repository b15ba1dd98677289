// Package apology has the pages of the gateway: what people at a browser read where neither the website nor the pages
// of this program answer them. You go here to change how these pages look.
package apology

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"strings"
)

// A Page says what happened, who can help, and has one way on.
type Page struct {
	Status int
	Title  string
	Says   []string // paragraphs, as text
	// Address is where the one link of the page leads, and Link its text. An empty address is that of the page itself.
	Address, Link string
}

// style is the whole look of these pages: they load nothing.
const style = `:root{color-scheme:light dark;` +
	`--ground:#f4f6f8;--card:#fff;--text:#1b2733;--line:#dce2e8;--link:#2a5a8c}` +
	`@media(prefers-color-scheme:dark){:root{--ground:#10161d;--card:#182029;--text:#e4eaf0;` +
	`--line:#2b3743;--link:#8ebbe8}}` +
	`body{margin:0;padding:clamp(1.25rem,5vw,3rem) 1rem;background:var(--ground);color:var(--text);` +
	`font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif;overflow-wrap:anywhere}` +
	`main{max-width:35rem;margin:0 auto;box-sizing:border-box;padding:clamp(1.1rem,4.5vw,2rem);background:var(--card);` +
	`border:1px solid var(--line);border-radius:14px}h1{margin:0;font-size:1.5rem;line-height:1.25}p{margin:1rem 0 0}` +
	`a{color:var(--link)}:focus-visible{outline:3px solid var(--link);outline-offset:2px}`

// policy lets a page have its style and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()

// Write answers r with p. Headers that are set already, such as Retry-After, stay.
func (p Page) Write(w http.ResponseWriter, r *http.Request) {
	if p.Address == "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.Address, p.Link = "/", toStart // a link sends no form again
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
	w.WriteHeader(p.Status)
	_, _ = w.Write([]byte(p.html()))
}

const toStart = "To the start page"

// head stands before the title of every page.
const head = "<!DOCTYPE html>\n" + `<html lang="en"><head><meta charset="utf-8">` +
	`<meta name="viewport" content="width=device-width, initial-scale=1">` +
	`<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><style>` + style + `</style>`

func (p Page) html() string {
	title := html.EscapeString(p.Title)
	var b strings.Builder
	b.WriteString(head + "<title>" + title + "</title></head>\n<body><main>\n<h1>" + title + "</h1>\n")
	for _, text := range p.Says {
		b.WriteString("<p>" + html.EscapeString(text) + "</p>\n")
	}
	b.WriteString(`<p><a href="` + html.EscapeString(p.Address) + `">` + html.EscapeString(p.Link) + "</a></p>\n")
	return b.String() + "</main></body></html>\n"
}
