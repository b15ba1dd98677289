package userkeys

import "strings"

// A RedirectRule is one line of allowed_user_api_auth_redirects: an exact
// address; or with "*." as its whole left-most label, for every host below
// (not the domain itself); or with "*" as its last character, for every path and query
// that begins so. A rule that would admit what its writer did not mean is refused when it is set.
type RedirectRule struct {
	text       string
	addr       address // without the wildcards; rest is a prefix if open
	subdomains bool
	open       bool
}

// ParseRedirectRule reads one rule and explains what is wrong with it.
func ParseRedirectRule(s string) (RedirectRule, error) {
	refuse := func(why string) (RedirectRule, error) {
		return RedirectRule{}, Errorf(InvalidParameters, "redirect rule %s: %s", Quoted(s), why)
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
	a, problem := parseAddress(fixed)
	if problem != "" {
		return refuse(problem)
	}
	r.addr = a
	if a.host == "" && open {
		return refuse("an address without a host must be written out in full")
	}
	if r.subdomains {
		if problem := a.subdomainProblem(); problem != "" {
			return refuse(problem)
		}
	}
	return r, nil
}

// misplacedWildcard explains a * in a place where it would admit strangers.
// fixed is the rule s without the wildcards that are allowed.
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
		return "programs on 127.0.0.1 and [::1] are let in on any port already, without a rule, while allow_user_api_key_loopback_redirects is on"
	case ported && scheme == "http" && loopback == "localhost":
		return "a * may not stand in the port of localhost, which need not be the user's machine; let the program use 127.0.0.1, where any port is let in without a rule"
	case ported:
		return "a * in the host must be its whole left-most label, as in https://*.example.com/callback, and none may stand in the port: otherwise strangers' hosts match too"
	case strings.Contains(rest, "*"):
		return "a * in path or query must be the last character"
	}
	return ""
}

// subdomainProblem judges what follows "*.".
func (a address) subdomainProblem() string {
	switch {
	case !a.web():
		return "a * in the host is for http and https only"
	case a.host[0] == '[' || isNumeric(a.host[strings.LastIndexByte(a.host, '.')+1:]):
		return "an IP address has nothing below it"
	case !strings.Contains(a.host, "."):
		return "a * below a top-level domain would send answers to anybody"
	}
	return ""
}

// String is the rule as it was written.
func (r RedirectRule) String() string { return r.text }

// Scheme is the scheme of every address that the rule allows.
func (r RedirectRule) Scheme() string { return r.addr.scheme }

// WildcardDomain is the domain below which every host matches; empty if the
// rule names one host. A domain under which anybody may have a name
// (github.io) is worth a warning.
func (r RedirectRule) WildcardDomain() string {
	if !r.subdomains {
		return ""
	}
	return r.addr.host
}

// Matches tells whether to is one of the rule's addresses. Scheme and host are
// compared without case, path and query byte by byte.
func (r RedirectRule) Matches(to Redirect) bool {
	if r.addr.scheme == "" || r.addr.scheme != to.addr.scheme || r.addr.port != to.addr.port {
		return false
	}
	if r.subdomains {
		if !strings.HasSuffix(to.addr.host, "."+r.addr.host) {
			return false
		}
	} else if r.addr.host != to.addr.host {
		return false
	}
	if r.open {
		return strings.HasPrefix(to.addr.rest, r.addr.rest)
	}
	return r.addr.rest == to.addr.rest
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
