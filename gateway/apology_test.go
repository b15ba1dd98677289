package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestBrowsersReadPages compares what a browser reads of each refusal before a key with what programs read, which
// stays as the wire has it.
func TestBrowsersReadPages(t *testing.T) {
	t.Parallel()
	front, _, _, _ := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "1")
	_ = passed(t, front, 1, func() *http.Request { return from("203.0.113.9", "GET", "/my/apps") })
	elsewhere := OnlyHost(&url.URL{Scheme: "https", Host: "site.example"}, identities)
	for _, tt := range []struct {
		name           string
		handler        http.Handler
		ip             string
		method, target string
		status         int
		program        string
		page, link     string
	}{
		{"too many", front, "203.0.113.9", "GET", "/my/apps", 429, "Slow down: too many requests", "Too many requests", `<a href="">Try again</a>`},
		{"too many forms", front, "203.0.113.9", "POST", "/my/apps", 429, "Slow down: too many requests", "Too many requests", `<a href="/">To the start page</a>`},
		{"another host", elsewhere, "127.0.0.1", "GET", "/my/apps", 421, `{"errors":["this site is https://site.example; start it with another --url if that is wrong"]}`, "This site has another address", `<a href="https://site.example">Go to https://site.example</a>`},
		{"another method", front, "127.0.0.1", "PROPFIND", "/my/apps", 405, `{"errors":["this request method is not allowed here"],"error_type":"invalid_parameters","reason":"method not allowed"}`, "That cannot be done here", `<a href="/">To the start page</a>`},
		{"an ambiguous path", front, "127.0.0.1", "GET", "/my/apps/..%2f", 400, `{"errors":["this request path is ambiguous`, "This request cannot be read", `<a href="/">To the start page</a>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ask := func(more ...string) *httptest.ResponseRecorder {
				return answerOf(tt.handler, from(tt.ip, tt.method, tt.target, more...))
			}
			for _, program := range [][]string{
				nil,
				{"Accept", "*/*"},
				{"Accept", "application/json"},
				{"Accept", "text/html", "X-Requested-With", "XMLHttpRequest"},
			} {
				w := ask(program...)
				if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.program) || strings.Contains(w.Header().Get("Content-Type"), "html") {
					t.Errorf("a program with %v reads %d %s", program, w.Code, w.Body)
				}
			}
			w, plain := ask("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ask()
			if w.Code != tt.status || !strings.Contains(w.Body.String(), "<h1>"+tt.page+"</h1>") || !strings.Contains(w.Body.String(), tt.link) ||
				strings.Count(w.Body.String(), "<a ") != 1 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("a browser reads %d %s", w.Code, w.Body)
			}
			if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
				t.Errorf("the policy is %q", policy)
			}
			for _, name := range []string{"Allow", "Retry-After", "Discourse-Rate-Limit-Error-Code"} {
				if got, want := w.Header().Get(name), plain.Header().Get(name); (got == "") != (want == "") {
					t.Errorf("%s is %q for a browser and %q for a program", name, got, want)
				}
			}
		})
	}
}
