package testkit

import (
	"net/url"
	"testing"
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
