package userkeys

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// webNames are host names as browsers look them up: UTS 46, not transitional. They
// are looser with names of intranets than DNS, such as my_host.
var webNames = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// notInHosts are what ends a host in an address. Some letters become one of them when a name is
// looked up, such as a wide slash or the sign for "account of".
const notInHosts = " #%/:<>?@[\\]^|"

// OriginHost returns the host and port of u in the one spelling that browsers send and that can be compared:
// lower case, names outside of ASCII as xn--..., without a final dot, and without the port that is the scheme's
// own.
//
// Errors: [InvalidParameters] if u has no host, or one that is no name.
func OriginHost(u *url.URL) (string, error) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if ascii, err := webNames.ToASCII(host); !strings.Contains(host, ":") { // an IPv6 address is no name
		if host = strings.TrimSuffix(ascii, "."); err != nil || host == "" || strings.ContainsAny(host, notInHosts) {
			return "", Errorf(InvalidParameters, "%q is no name of a host", u.Hostname())
		}
	}
	if port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		return net.JoinHostPort(host, port), nil
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]", nil
	}
	return host, nil
}

// webHostProblem judges the host of an http or https address, in lower case: a
// DNS name, or an IP address in its one canonical spelling. Browsers also
// know "127.1", "0x7f.1" and "[::ffff:7f00:1]"; Go does not.
func webHostProblem(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !closed || err != nil || !ip.Is6() || ip.Is4In6() || ip.Zone() != "" || ip.String() != inner {
			return "its host is no IPv6 address in canonical spelling"
		}
		return ""
	}
	if host == "" {
		return "it has no host"
	}
	if len(host) > 253 {
		return "its host is longer than 253 bytes"
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if problem := labelProblem(label); problem != "" {
			return problem
		}
		last = label
	}
	if !isNumeric(last) {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Is4() || ip.String() != host {
		return "its host ends in a number but is no IPv4 address in canonical spelling"
	}
	return ""
}

// isNumeric tells a label that browsers take for a number of an IPv4 address.
func isNumeric(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(label, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

func labelProblem(label string) string {
	switch {
	case label == "":
		return "its host has an empty label or ends in a dot"
	case len(label) > 63:
		return "its host has a label of more than 63 bytes"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "its host has a label that begins or ends with a hyphen"
	}
	for i := range len(label) {
		if c := label[i]; !isAlnum(c) && c != '-' {
			return "its host has a " + string(rune(c)) + "; a host has letters, digits, hyphens and dots"
		}
	}
	if strings.HasPrefix(label, "xn--") && !validPunycode(label) {
		return "its host has a label " + label + " that is no valid punycode"
	}
	return ""
}

// customHostProblem judges the host of a scheme that an app made up: there the
// host is a name of the app's own, such as auth_redirect.
func customHostProblem(host string) string {
	if host == "" {
		return "it has no host"
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" {
			return "its host has an empty label or ends in a dot"
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return "its host has a " + string(rune(c)) + "; a host has letters, digits, hyphens, underscores and dots"
			}
		}
	}
	return ""
}

// validPunycode reports whether a label xn--... decodes to what a label may hold, of which something at
// least is not ASCII. A browser does not open anything else, and the user would be stuck after consent.
func validPunycode(label string) bool {
	text, err := idna.Punycode.ToUnicode(label)
	if err != nil || text == label {
		return false
	}
	runes := []rune(text)
	foreign := false
	for _, r := range runes {
		if r >= 0x80 {
			foreign = true
			// idna decodes half of a surrogate pair to the replacement character.
			if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.ToLower(r) != r || r == unicode.ReplacementChar {
				return false
			}
		}
	}
	return foreign && !unicode.IsMark(runes[0]) && runes[0] != '-' && runes[len(runes)-1] != '-'
}
