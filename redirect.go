package userkeys

import (
	"net/url"
	"strings"
)

// A Redirect is an auth_redirect that every parser reads alike: where the
// answer to an authorization request is sent. Make one with [ParseRedirect];
// site.Settings.CheckRedirect reports whether a site sends answers there.
type Redirect struct {
	raw  string
	addr address
}

// ParseRedirect reads an address of http, https or a scheme of an app's own
// (discourse://auth_redirect). It refuses, whatever a site allows, everything
// that two parsers could read in two ways, schemes that run code, and a query
// that already has a parameter named like the answer.
// com.example.app:/path is read too, but a site must list it letter by letter.
func ParseRedirect(s string) (Redirect, error) {
	a, problem := parseAddress(s)
	if problem != "" {
		return Redirect{}, Errorf(RedirectNotAllowed, "auth_redirect is no address to send an answer to: %s", problem)
	}
	return Redirect{raw: s, addr: a}, nil
}

// String is the address as it was given, byte for byte.
func (r Redirect) String() string { return r.raw }

// Scheme is the scheme in lower case, without the colon.
func (r Redirect) Scheme() string { return r.addr.scheme }

// Host is host or host:port in lower case; the port of http and https is left
// out where it is the scheme's own. Empty for com.example.app:/path.
func (r Redirect) Host() string { return r.addr.hostPort() }

// Hostname is the host in lower case, without the port; IPv6 in brackets.
func (r Redirect) Hostname() string { return r.addr.host }

// Port is the port; empty if none is written, or the scheme's own.
func (r Redirect) Port() string { return r.addr.port }

// PathAndQuery is what follows the host, as it was given.
func (r Redirect) PathAndQuery() string { return r.addr.rest }

// Origin is what a page shows of the address: "https://app.example",
// "http://127.0.0.1:8787", "discourse://auth_redirect".
func (r Redirect) Origin() string { return r.addr.origin() }

// Loopback tells an address of a program on the user's own machine: http on
// 127.0.0.1 or [::1]. Not "localhost", which need not resolve to it (RFC 8252 8.3).
func (r Redirect) Loopback() bool {
	return r.addr.scheme == "http" && (r.addr.host == "127.0.0.1" || r.addr.host == "[::1]")
}

// With is the address with parameters added at the end of its query:
// With("payload", sealed) and so on. What stands before them is unchanged, to
// the byte: apps keep their own state there, and browsers open exactly what was checked.
// It panics if a value is missing.
func (r Redirect) With(nameValues ...string) string {
	if len(nameValues)%2 != 0 {
		panic("userkeys: Redirect.With needs a value for every name")
	}
	var b strings.Builder
	b.WriteString(r.raw)
	separator := byte('?')
	if strings.Contains(r.raw, "?") {
		separator = '&'
	}
	for i := 0; i < len(nameValues); i += 2 {
		b.WriteByte(separator)
		b.WriteString(url.QueryEscape(nameValues[i]))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(nameValues[i+1]))
		separator = '&'
	}
	return b.String()
}

// SuggestedRule is the line of allowed_user_api_auth_redirects to ask an administrator for: the narrowest
// rule that admits r whatever state the app
// puts in the query.
func (r Redirect) SuggestedRule() string {
	path, _, hasQuery := strings.Cut(r.raw, "?")
	switch {
	case r.addr.host != "" && strings.Contains(path, "*"):
		return r.Origin() + "/*"
	case r.addr.host != "" && hasQuery:
		return path + "?*"
	}
	return r.raw
}
