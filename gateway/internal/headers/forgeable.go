package headers

import (
	"net/http"
	"slices"
	"strings"
)

// families are prefixes of headers that tell who calls, and the rest of the usual ones: the proxy goes by the prefixes,
// and web servers that cannot do so by the names.
var families = map[string]string{
	"x-auth-request-": "user email groups preferred-username access-token",
	"x-amzn-oidc-":    "identity data accesstoken", "cf-access-": "authenticated-user-email jwt-assertion client-id",
	"tailscale-user-": "login name profile-pic", "x-authentik-": "username groups entitlements email name uid jwt",
	"x-goog-authenticated-user-": "email id", "x-goog-iap-": "jwt-assertion",
	"x-ms-client-principal": "name id idp", "x-pomerium-": "jwt-assertion claim-email claim-user claim-groups",
	"x-tailscale-": "user login name",
}

// targets are headers that may change what a request asks for, or through which proxy a CGI program asks others.
var targets = []string{
	"x-original-url", "x-original-uri", "x-original-host", "x-original-method", "x-rewrite-url", "x-envoy-original-path",
	"x-forwarded-uri", "x-forwarded-method", "x-forwarded-prefix", "x-forwarded-host", "x-host", "proxy",
}

// notForged are headers that a web server removes or needs itself.
var notForged = append([]string{"user-api-key", "proxy", "http2-settings"}, lowered(hopHeaders)...)

// Forgeable returns the headers that a web server takes from what clients send: those that tell who calls, of which one
// that ends in a hyphen stands for all that begin so, and those that change what is asked for or hold an API key.
func Forgeable() (identity, overrides []string) {
	overrides = canonicalNames(targets)
	for name, f := range common {
		switch {
		case f == never && !slices.Contains(notForged, name):
			identity = append(identity, http.CanonicalHeaderKey(name))
		case f == withoutKey && name != "cookie" && name != "cookie2", f == adminKey:
			overrides = append(overrides, http.CanonicalHeaderKey(name))
		}
	}
	for prefix, rest := range families {
		if !strings.HasSuffix(prefix, "-") {
			identity = append(identity, http.CanonicalHeaderKey(prefix))
			prefix += "-"
		}
		identity = append(identity, http.CanonicalHeaderKey(prefix))
		for end := range strings.FieldsSeq(rest) {
			identity = append(identity, http.CanonicalHeaderKey(prefix+end))
		}
	}
	slices.Sort(identity)
	slices.Sort(overrides)
	return identity, overrides
}

func canonicalNames(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, http.CanonicalHeaderKey(n))
	}
	return all
}

func lowered(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, strings.ToLower(n))
	}
	return all
}
