package site

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"userkeys"
)

func checkScopeName(v string) string {
	if !userkeys.ValidScopeName(v) {
		return "is no name of a scope (lower-case letters, digits and _)"
	}
	return ""
}

func checkGroup(v string) string {
	if v == "" || len(v) > 100 || strings.ContainsAny(v, ", ") {
		return "is no name of a group"
	}
	return ""
}

func checkKeyPrefix(v string) string {
	if !userkeys.ValidKeyPrefix(v) {
		return "must be at most three lower-case letters; the underscore is added"
	}
	return ""
}

func checkConsentPage(v string) string {
	const why = "must be a path such as /allow, or an http or https address, without ? and #"
	switch {
	case v == "":
		return ""
	case strings.ContainsAny(v, "?#"), strings.HasPrefix(v, "//"), strings.HasPrefix(v, "/user-api-key"):
		return why
	case strings.HasPrefix(v, "/") && userkeys.WebAddressProblem("https://site.example"+v) == "":
		return ""
	case userkeys.WebAddressProblem(v) != "":
		return why
	}
	return ""
}

func checkTitle(v string) string {
	if strings.TrimSpace(v) == "" || len(v) > 200 {
		return "must have 1 to 200 bytes"
	}
	return ""
}

func checkRedirectRule(v string) string {
	if _, err := ParseRedirectRule(v); err != nil {
		return userkeys.AsError(err).Public
	}
	return ""
}

func checkPushURL(v string) string {
	if strings.Contains(v, "*") {
		return "has a *: exact addresses only, each written out"
	}
	if problem := userkeys.WebAddressProblem(v); problem != "" {
		return "is no http or https address: " + problem
	}
	return ""
}

func checkHostPort(v string) string {
	host, port, err := net.SplitHostPort(v)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port ||
		userkeys.WebAddressProblem("http://"+v+"/") != "" || host != strings.ToLower(host) {
		return "is no host:port in lower case, such as hub:8080 or 127.0.0.1:9000"
	}
	return ""
}

func checkParameterRoute(v string) string {
	if _, err := ParseKeyRoute(v); err != nil {
		return userkeys.AsError(err).Public
	}
	return ""
}

// checkOrigin asks for the spelling that browsers send, since origins are compared as bytes.
func checkOrigin(v string) string {
	if to, err := userkeys.ParseRedirect(v); err != nil || to.Host() == "" || to.Origin() != v {
		return "is no origin such as https://app.example, in lower case and without a path"
	}
	return ""
}

func checkIP(v string) string {
	if _, err := netip.ParseAddr(v); err == nil {
		return ""
	}
	if _, err := netip.ParsePrefix(v); err == nil {
		return ""
	}
	return "is no address or network"
}

func checkIPMode(v string) string {
	if !slices.Contains([]string{"block", "warn", "warn+block", "none"}, v) {
		return "must be block, warn, warn+block or none"
	}
	return ""
}
