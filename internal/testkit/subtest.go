package testkit

import (
	"net/http"
	"net/url"
	"testing"

	"userkeys"
)

// For is the same site whose actors fail t, a subtest's, and live as long as it does.
func (s *Site) For(t testing.TB) *Site {
	c := *s
	c.t = t
	return &c
}

// At is the same person, with the same browser, at a site made by [Site.For].
func (p *Person) At(s *Site) *Person {
	c := *p
	c.Site, c.t = s, s.t
	return &c
}

// At is the same app at a site made by [Site.For].
func (a *App) At(s *Site) *App {
	c := *a
	c.Site, c.t = s, s.t
	return &c
}

// Form is the fields of the page's first form with that action, as a browser would send them.
func (a Answer) Form(action string) (url.Values, bool) { return formOf(a.Body, action) }

// Request makes a request with the app's key; send it from a [Site.Visitor].
func (a *App) Request(method, path, body string) *http.Request {
	a.t.Helper()
	r := a.Site.Visitor().Request(method, path, body)
	r.Header.Set(userkeys.KeyHeader, a.Key.Reveal())
	return r
}

// Len is how much was logged so far, for [Log.Since].
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.text)
}

// Since is what was logged after the log had n bytes.
func (l *Log) Since(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[n:])
}
