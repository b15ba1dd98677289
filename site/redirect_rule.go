package site

import (
	"net/netip"
	"strings"

	"userkeys"
)

// A RedirectRule is one line of allowed_user_api_auth_redirects: an exact
// address; or with "*." as its whole left-most label, for every host below
// (not the domain itself); or with "*" as its last character, for every path and query
// that begins so. A rule that would allow more than its writer probably meant is refused when it is set.
type RedirectRule struct {
	text       string
	fixed      userkeys.Redirect // without the wildcards; its path and query are a prefix if open
	subdomains bool
	open       bool
}

// ParseRedirectRule reads one rule and explains what is wrong with it.
func ParseRedirectRule(s string) (RedirectRule, error) {
	refuse := func(why string) (RedirectRule, error) {
		return RedirectRule{}, invalid("redirect rule %s: %s", userkeys.Quoted(s), why)
	}
	r := RedirectRule{text: s}
	fixed, open := strings.CutSuffix(s, "*")
	r.open = open
	scheme, after, hasAuthority := strings.Cut(fixed, "://")
	if inner, ok := strings.CutPrefix(after, "*."); ok && hasAuthority {
		r.subdomains = true
		fixed = scheme + "://" + inner
	}
	if problem := misplacedWildcard(s, fixed, open); problem != "" {
		return refuse(problem)
	}
	if problem := userkeys.AddressProblem(fixed); problem != "" {
		return refuse(problem)
	}
	var err error
	if r.fixed, err = userkeys.ParseRedirect(fixed); err != nil {
		return RedirectRule{}, err
	}
	if r.fixed.Host() == "" && open {
		return refuse("an address without a host must be written out in full")
	}
	if r.subdomains {
		if problem := subdomainProblem(r.fixed); problem != "" {
			return refuse(problem)
		}
	}
	return r, nil
}

// misplacedWildcard says why a * in the rule s would allow the addresses of strangers; empty if none would.
// The text fixed is s without the wildcards that are allowed.
func misplacedWildcard(s, fixed string, open bool) string {
	scheme, after, hasAuthority := strings.Cut(fixed, "://")
	switch {
	case s == "*":
		return "a * alone would send answers anywhere, to anybody"
	case strings.Contains(scheme, "*") && hasAuthority:
		return "the scheme must be written out"
	case !hasAuthority:
		if open || strings.Contains(fixed, "*") {
			return "a * is for addresses with two slashes and a host; others must be written out in full"
		}
		return ""
	}
	end := strings.IndexAny(after, "/?")
	authority, rest := after, ""
	if end >= 0 {
		authority, rest = after[:end], after[end:]
	}
	loopback, _, _ := strings.Cut(strings.TrimRight(authority, "*"), ":")
	ported := strings.Contains(authority, "*") || open && end < 0
	switch {
	case ported && scheme == "http" && (loopback == "127.0.0.1" || strings.HasPrefix(authority, "[::1]")):
		return "programs on 127.0.0.1 and [::1] are let in on any port already, without a rule, while " +
			"allow_user_api_key_loopback_redirects is on"
	case ported && scheme == "http" && loopback == "localhost":
		return "a * may not stand in the port of localhost, which need not be the user's machine; let the program use " +
			"127.0.0.1, where any port is let in without a rule"
	case ported:
		return "a * in the host must be its whole left-most label, as in https://*.example.com/callback, and none may " +
			"stand in the port: otherwise strangers' hosts match too"
	case strings.Contains(rest, "*"):
		return "a * in path or query must be the last character"
	}
	return ""
}

// subdomainProblem says why "*." must not stand before the host of an address; empty if it may.
func subdomainProblem(to userkeys.Redirect) string {
	_, notIP := netip.ParseAddr(strings.Trim(to.Hostname(), "[]"))
	switch {
	case to.Scheme() != "http" && to.Scheme() != "https":
		return "a * in the host is for http and https only"
	case notIP == nil:
		return "an IP address has nothing below it"
	case !strings.Contains(to.Hostname(), "."):
		return "a * below a top-level domain would send answers to anybody"
	}
	return ""
}

// String is the rule as it was written.
func (r RedirectRule) String() string { return r.text }

// Scheme is the scheme of every address that the rule allows.
func (r RedirectRule) Scheme() string { return r.fixed.Scheme() }

// WildcardDomain is the domain below which every host matches; empty if the
// rule names one host. A domain under which anybody may have a name
// (github.io) is worth a warning.
func (r RedirectRule) WildcardDomain() string {
	if !r.subdomains {
		return ""
	}
	return r.fixed.Hostname()
}

// Matches reports whether to is one of the rule's addresses. Scheme and host are
// compared without case, path and query byte by byte.
func (r RedirectRule) Matches(to userkeys.Redirect) bool {
	if r.Scheme() == "" || r.Scheme() != to.Scheme() || r.fixed.Port() != to.Port() {
		return false
	}
	if r.subdomains {
		if !strings.HasSuffix(to.Hostname(), "."+r.fixed.Hostname()) {
			return false
		}
	} else if r.fixed.Hostname() != to.Hostname() {
		return false
	}
	if r.open {
		return strings.HasPrefix(to.PathAndQuery(), r.fixed.PathAndQuery())
	}
	return r.fixed.PathAndQuery() == to.PathAndQuery()
}
