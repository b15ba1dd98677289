package userkeys

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
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

// OriginHost returns the host and port of u in the one spelling that browsers send and that can be
// compared: lower case, names outside of ASCII as xn--..., without a final dot, and without the port that is the scheme's own.
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
	if encoded, ok := strings.CutPrefix(label, "xn--"); ok && !validPunycode(encoded) {
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

// validPunycode tells whether the part after xn-- decodes (RFC 3492) to
// what a label may hold, of which something at least is not ASCII. A browser does
// not open anything else, and the user would be stuck after consent.
func validPunycode(encoded string) bool {
	runes, ok := decodePunycode(encoded)
	if !ok {
		return false
	}
	foreign := false
	for _, r := range runes {
		if r >= 0x80 {
			foreign = true
			if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.ToLower(r) != r {
				return false
			}
		}
	}
	return foreign && !unicode.IsMark(runes[0]) && runes[0] != '-' && runes[len(runes)-1] != '-'
}

// The parameters of RFC 3492, section 5.
const (
	punyBase        = 36
	punyTMin        = 1
	punyTMax        = 26
	punySkew        = 38
	punyDamp        = 700
	punyInitialBias = 72
	punyInitialN    = 0x80
)

// decodePunycode is RFC 3492, section 6.2. s is at most 59 bytes, so that no
// sum below comes near the end of an int.
func decodePunycode(s string) ([]rune, bool) {
	var out []rune
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		if i == 0 {
			return nil, false
		}
		out = []rune(s[:i])
		s = s[i+1:]
	}
	if s == "" {
		return nil, false
	}
	n, i, bias, damp := punyInitialN, 0, punyInitialBias, punyDamp
	for s != "" {
		delta, left, ok := punyInteger(s, bias)
		if !ok {
			return nil, false
		}
		s = left
		count := len(out) + 1
		bias = punyAdapt(delta/damp, count)
		damp = 2
		i += delta
		n += i / count
		i %= count
		if n > unicode.MaxRune || 0xd800 <= n && n <= 0xdfff {
			return nil, false
		}
		out = slices.Insert(out, i, rune(n))
		i++
	}
	return out, true
}

// punyInteger reads one integer of variable length and returns what is left.
func punyInteger(s string, bias int) (value int, left string, ok bool) {
	weight := 1
	for k := punyBase; s != ""; k += punyBase {
		digit := punyDigit(s[0])
		s = s[1:]
		value += digit * weight
		if digit < 0 || value > math.MaxInt32 {
			return 0, "", false
		}
		threshold := min(max(k-bias, punyTMin), punyTMax)
		if digit < threshold {
			return value, s, true
		}
		weight *= punyBase - threshold
		if weight > math.MaxInt32 {
			return 0, "", false
		}
	}
	return 0, "", false
}

// punyDigit is the value of a digit: a to z are 0 to 25, 0 to 9 are 26 to 35.
func punyDigit(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return int(c - 'a')
	case isDigit(c):
		return int(c-'0') + 26
	}
	return -1
}

func punyAdapt(delta, count int) int {
	delta += delta / count
	k := 0
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}
