package userkeys

import (
	"slices"
	"strings"
)

// MaxScopesBytes is the longest scopes parameter.
const MaxScopesBytes = 500

// Bounds of the names of scopes (Discourse's device flow; SC4).
const (
	maxScopesCount = 20
	maxScopeName   = 64
)

// Scopes are names of scopes in the order they were asked for, each once.
type Scopes []string

// ParseScopes reads the wire's comma-separated list by Ruby's rules: names are
// not trimmed, trailing empty names drop, a leading or inner empty name stays
// and is a name that no site allows. Repeated names count once.
// A list of no names is refused: a key that can do nothing only confuses.
func ParseScopes(s string) (Scopes, error) {
	if len(s) > MaxScopesBytes {
		return nil, Errorf(InvalidParameters, "scopes is longer than %d bytes", MaxScopesBytes)
	}
	names := strings.Split(strings.TrimRight(s, ","), ",")
	if len(names) > maxScopesCount {
		return nil, Errorf(InvalidParameters, "scopes names more than %d scopes", maxScopesCount)
	}
	if len(names) == 1 && names[0] == "" {
		return nil, Errorf(ScopeNotAllowed, "scopes names no scope")
	}
	var out Scopes
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// String is the list as the wire writes it.
func (s Scopes) String() string { return strings.Join(s, ",") }

// Has reports whether name is one of s.
func (s Scopes) Has(name string) bool { return slices.Contains(s, name) }

// A Scope is a name that an app asks for, a sentence that people read, and the
// routes it opens. A scope without routes opens none; some of those mean
// something elsewhere ("push").
type Scope struct {
	Name     string
	Sentence string // what the app may do, continuing "It wants to": "read everything you can read"
	Routes   []Route
}

// ValidScopeName reports whether a site may call a scope s: lower-case letters,
// digits and '_', at most 64, a letter first.
func ValidScopeName(s string) bool {
	return s != "" && len(s) <= maxScopeName && s[0] >= 'a' && s[0] <= 'z' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// The names with a meaning of their own.
const (
	ScopeRead            = "read"
	ScopeWrite           = "write"
	ScopePush            = "push"
	ScopeNotifications   = "notifications"
	ScopeMessageBus      = "message_bus"
	ScopeOneTimePassword = "one_time_password"
)

// presetScopes are Discourse's scopes (W9.1), narrowest first, so that a
// refusal names the least that would help.
func presetScopes() []Scope {
	preset := func(name, sentence string, routes ...string) Scope {
		s := Scope{Name: name, Sentence: sentence}
		for _, text := range routes {
			r, err := ParseRoute(text)
			if err != nil {
				panic(err) // a programmer's mistake in the table below
			}
			s.Routes = append(s.Routes, r)
		}
		return s
	}
	return []Scope{
		preset("session_info", "see who you are and your session",
			"GET /session/current", "GET /session/current.json",
			"GET /u/{username}/topic-tracking-state", "GET /u/{username}/topic-tracking-state.json"),
		preset("notifications", "read your notifications and mark them as read",
			"GET /notifications", "GET /notifications.json",
			"GET /notifications/totals", "GET /notifications/totals.json",
			"PUT /notifications/mark-read", "PUT /notifications/mark-read.json",
			"PUT /notifications/read", "PUT /notifications/read.json",
			"POST /message-bus/{client}/poll"),
		preset(ScopeMessageBus, "receive live updates", "POST /message-bus/{client}/poll"),
		preset("push", "send your notifications to an outside service"),
		preset("one_time_password", "sign in to this site as you, once, when it is installed"),
		preset("bookmarks_calendar", "read your bookmark reminders", "GET /u/{username}/bookmarks.ics"),
		preset("user_status", "read and change your status",
			"GET /user-status", "GET /user-status.json", "PUT /user-status", "PUT /user-status.json",
			"DELETE /user-status", "DELETE /user-status.json"),
		preset("read", "read everything that you can read", "GET /{rest...}"),
		preset("write", "read, write, change and delete everything that you can",
			"GET /{rest...}", "POST /{rest...}", "PUT /{rest...}", "PATCH /{rest...}", "DELETE /{rest...}"),
	}
}

// A Catalog holds the scopes that a site knows: Discourse's and the site's own.
type Catalog struct{ scopes []Scope }

// NewCatalog makes a catalog of Discourse's scopes and own, which may not
// redefine them. Own scopes come first: they are the narrower ones.
func NewCatalog(own ...Scope) (*Catalog, error) {
	c := &Catalog{}
	for _, s := range append(slices.Clone(own), presetScopes()...) {
		if !ValidScopeName(s.Name) {
			return nil, Errorf(InvalidParameters,
				"scope %q: a name is lower-case letters, digits and _, a letter first, at most %d", s.Name, maxScopeName)
		}
		if s.Sentence == "" {
			return nil, Errorf(InvalidParameters, "scope %q has no sentence for people", s.Name)
		}
		if _, ok := c.Scope(s.Name); ok {
			return nil, Errorf(InvalidParameters, "scope %q is defined twice", s.Name)
		}
		c.scopes = append(c.scopes, s)
	}
	return c, nil
}

// WithEvents is c for a site that answers GET /events itself, which is its message bus as
// server-sent events: what opens the bus opens it too. Everywhere else a path of that
// name is the website's own, and what its users have granted must not grow by it.
func (c *Catalog) WithEvents() *Catalog {
	r, err := ParseRoute("GET /events")
	if err != nil {
		panic(err) // a programmer's mistake in the line above
	}
	with := &Catalog{scopes: slices.Clone(c.scopes)}
	for i, s := range with.scopes {
		if s.Name == ScopeNotifications || s.Name == ScopeMessageBus {
			with.scopes[i].Routes = append(slices.Clone(s.Routes), r)
		}
	}
	return with
}

// Scopes are all scopes, the site's own first.
func (c *Catalog) Scopes() []Scope { return slices.Clone(c.scopes) }

// Scope finds a scope by name.
func (c *Catalog) Scope(name string) (Scope, bool) {
	i := slices.IndexFunc(c.scopes, func(s Scope) bool { return s.Name == name })
	if i < 0 {
		return Scope{}, false
	}
	return c.scopes[i], true
}

// Sentences says in words what names allow; a name that the site does not know says so.
func (c *Catalog) Sentences(names Scopes) []string {
	var out []string
	for _, n := range names {
		if s, ok := c.Scope(n); ok {
			out = append(out, s.Sentence)
		} else {
			out = append(out, "nothing: the scope "+n+" is not known here any more")
		}
	}
	return out
}

// Covers reports whether any of names opens a route for the request. Names that
// the site does not know open nothing. path is decoded and canonical.
func (c *Catalog) Covers(names Scopes, method, path string) bool {
	for _, n := range names {
		s, ok := c.Scope(n)
		if ok && s.covers(method, path) {
			return true
		}
	}
	return false
}

func (s Scope) covers(method, path string) bool {
	return slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Matches(method, path) })
}

// Missing names the first of allowed, narrowest first, that would open the request; empty if none would.
func (c *Catalog) Missing(allowed Scopes, method, path string) string {
	for _, s := range c.scopes {
		if allowed.Has(s.Name) && s.covers(method, path) {
			return s.Name
		}
	}
	return ""
}
