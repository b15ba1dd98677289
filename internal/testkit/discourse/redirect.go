package discourse

import (
	"net/url"
	"regexp"
	"strings"
)

// redirectAllowed tells whether the site's list admits an address to send
// answers to, by the rules of its era.
func (s *Site) redirectAllowed(address string) bool {
	u, ok := parseAddress(address)
	if !ok {
		return false
	}
	for _, pattern := range s.list("allowed_user_api_auth_redirects") {
		if s.Era == New && (pattern == "*" || matchParts(pattern, u)) || s.Era != New && matchFirstStar(pattern, address) {
			return true
		}
	}
	return false
}

// parseAddress reads an address of ASCII with a scheme and a host.
func parseAddress(text string) (*url.URL, bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, false
	}
	u, err := url.Parse(text)
	return u, err == nil && u.Scheme != "" && u.Hostname() != ""
}

// matchFirstStar is the rule before the newest era: the first * is any run of
// characters but spaces, slashes and dots too, which let strangers' hosts in.
func matchFirstStar(pattern, address string) bool {
	before, after, starred := strings.Cut(pattern, "*")
	expression := regexp.QuoteMeta(before)
	if starred {
		expression += `\S*` + regexp.QuoteMeta(after)
	}
	return regexp.MustCompile(`(?i)\A` + expression + `\z`).MatchString(address)
}

// matchParts is the rule of the newest era: each part of the address is
// compared with the same part of the pattern.
func matchParts(pattern string, u *url.URL) bool {
	p, ok := parseAddress(pattern)
	return ok &&
		strings.EqualFold(p.Scheme, u.Scheme) &&
		port(p) == port(u) &&
		strings.EqualFold(p.User.String(), u.User.String()) &&
		matchHost(strings.ToLower(p.Hostname()), strings.ToLower(u.Hostname())) &&
		matchStars(pathAndQuery(p), pathAndQuery(u), `.*`) &&
		matchStars(p.EscapedFragment(), u.EscapedFragment(), `.*`)
}

func port(u *url.URL) string {
	if u.Port() == "" {
		return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return u.Port()
}

func pathAndQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}

// matchHost: "*." at the begin and no other star means any name below, and not the domain itself.
func matchHost(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok && !strings.Contains(suffix, "*") {
		below, ok := strings.CutSuffix(host, "."+suffix)
		return ok && below != "" && matchStars("*", below, `[a-z0-9.-]*`)
	}
	return matchStars(pattern, host, `[a-z0-9.-]*`)
}

// matchStars compares the whole text, in any case, with * standing for star.
func matchStars(pattern, text, star string) bool {
	expression := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, star)
	return regexp.MustCompile(`(?is)\A` + expression + `\z`).MatchString(text)
}

// withParameter appends name=value to the query of an address, before its fragment.
func withParameter(address, name, value string) string {
	base, fragment, hasFragment := strings.Cut(address, "#")
	separator := "?"
	if strings.Contains(base, "?") {
		separator = "&"
	}
	base += separator + name + "=" + url.QueryEscape(value)
	if hasFragment {
		base += "#" + fragment
	}
	return base
}

// shownHost is what the newest era's consent page says about where the answer goes.
func shownHost(address string) any {
	u, ok := parseAddress(address)
	if !ok || address == "discourse://auth_redirect" {
		return nil
	}
	if p := u.Port(); p != "" && p != "80" && p != "443" {
		return u.Host
	}
	return u.Hostname()
}
