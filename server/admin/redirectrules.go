package admin

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"userkeys/site"
)

// publicSuffixWarnings names the redirect rules under which anybody can get a
// host of their own: a wildcard right before a public suffix.
func publicSuffixWarnings(rules []string) []string {
	var out []string
	for _, text := range rules {
		rule, err := site.ParseRedirectRule(text)
		if err != nil {
			continue // a rule that nothing matches sends nothing anywhere
		}
		domain := rule.WildcardDomain()
		suffix, icann := publicsuffix.PublicSuffix(domain)
		managed := icann || strings.Contains(suffix, ".")
		if domain != "" && managed && suffix == domain {
			out = append(out, text+": anybody can register a name under "+domain+
				" and would be sent keys. Name the host instead.")
		}
	}
	return out
}
