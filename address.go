package userkeys

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MaxAddress is the longest auth_redirect or push_url, in bytes (RD44).
const MaxAddress = 2000

// An address is an absolute URL that every parser reads alike. Browsers, Go
// and Ruby disagree about URLs in hundreds of ways; what they could disagree
// about is refused and never repaired, so that the text that was checked, the
// text that was shown and the text that is sent are the same bytes with the same meaning.
type address struct {
	scheme string // lower case
	host   string // lower case, IPv6 in brackets; empty for com.example.app:/path
	port   string // empty if none is written, or the scheme's own
	rest   string // path and query as written
}

// dangerousSchemes run code, read files, open other programs or are no way
// back to an app. No configuration admits them.
var dangerousSchemes = []string{
	"about", "afp", "android-app", "attributionsrc", "blob", "callto", "chrome", "chrome-search", "chrome-untrusted",
	"cid", "content", "dav", "data", "devtools", "edge", "facetime", "facetime-audio", "feed", "file", "filesystem",
	"ftp", "ftps", "geo", "git", "gopher", "imap", "intent", "irc", "ircs", "itms-services", "jar", "javascript",
	"ldap", "ldaps", "livescript", "magnet", "mailto", "market", "mhtml", "mid", "mk", "mms", "mocha", "news", "nfs",
	"nntp", "opaquelocktoken", "pop", "res", "resource", "rtsp", "search", "search-ms", "sftp", "shell", "sip", "sips",
	"skype", "sms", "smsto", "smb", "ssh", "tel", "telnet", "tn3270", "urn", "vbs", "vbscript", "view-source", "webcal",
	"ws", "wss", "wyciwyg", "x-apple.systempreferences", "xmpp",
}

func isDangerousScheme(scheme string) bool {
	return strings.HasPrefix(scheme, "ms-") || slices.Contains(dangerousSchemes, scheme)
}

// parseAddress reads s; problem says what is wrong with it, empty if nothing is.
func parseAddress(s string) (a address, problem string) {
	if len(s) > MaxAddress {
		return a, "it is longer than 2000 bytes"
	}
	if problem := foreignByte(s); problem != "" {
		return a, problem
	}
	scheme, after, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return a, "it does not begin with a scheme such as https:"
	}
	a.scheme = strings.ToLower(scheme)
	if isDangerousScheme(a.scheme) {
		return a, "the scheme " + a.scheme + ": is never a way back to an app"
	}
	after, hasAuthority := strings.CutPrefix(after, "//")
	switch {
	case hasAuthority:
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		if problem := a.setAuthority(after[:end]); problem != "" {
			return a, problem
		}
		a.rest = after[end:]
	case a.scheme != "http" && a.scheme != "https" && strings.Contains(a.scheme, ".") && strings.HasPrefix(after, "/"):
		a.rest = after // RFC 8252 7.1: com.example.app:/path
	default:
		return a, "it has no host: after the scheme come two slashes and a host"
	}
	return a, restProblem(a.rest)
}

// WebAddressProblem says why s is no http or https address that a site may call; it is empty if s is one.
func WebAddressProblem(s string) string {
	a, problem := parseAddress(s)
	if a.scheme != "" && !a.web() {
		return "its scheme is " + a.scheme // whatever else is wrong with it: it is no way back to an app
	}
	return problem
}

// AddressProblem says why s is no address that every parser reads alike; it is empty if s is one.
func AddressProblem(s string) string {
	_, problem := parseAddress(s)
	return problem
}

// WebTarget is the host:port that an http or https address with this scheme and authority (host[:port]) leads to: in
// lower case, IPv6 in brackets, the scheme's own port if none is written. [InvalidParameters] if programs could
// read it in more than one way, such as 127.1 or 0x7f000001, and if it has a user name, or port 0.
func WebTarget(scheme, authority string) (string, error) {
	a := address{scheme: strings.ToLower(scheme)}
	if !a.web() {
		return "", Errorf(InvalidParameters, "the scheme of the address is neither http nor https")
	}
	if problem := a.setAuthority(authority); problem != "" {
		return "", Errorf(InvalidParameters, "the address cannot be called: %s", problem)
	}
	if a.port == "" {
		a.port = a.defaultPort()
	}
	return a.host + ":" + a.port, nil
}

// foreignByte finds the bytes that no address has, and names the ones that
// parsers are known to quarrel about.
func foreignByte(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case isAlnum(c) || strings.IndexByte("-._~:/?[]@!$&'()*+,=%", c) >= 0:
		case c == ';' && !strings.Contains(s[:i], "?"):
		case c == ';':
			return "its query has a ;"
		case c == '#':
			return "it has a fragment (#)"
		case c == '\\':
			return "it has a backslash, which browsers read as a slash"
		case c >= 0x80:
			return "it has characters outside ASCII; write the host as punycode (xn--...) and the rest percent-encoded"
		case c <= ' ' || c == 0x7f:
			return "it has a space or a control character"
		default:
			return "it has a " + string(rune(c)) + " that is not percent-encoded"
		}
	}
	return ""
}

func isScheme(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '+' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// setAuthority reads host[:port].
func (a *address) setAuthority(s string) string {
	if strings.Contains(s, "@") {
		return "it has a user name before the host (@)"
	}
	s = strings.ToLower(s)
	host, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port, hasPort = s[:i], s[i+1:], true
	}
	problem := ""
	if a.web() {
		problem = webHostProblem(host)
	} else {
		problem = customHostProblem(host)
	}
	if problem != "" {
		return problem
	}
	if hasPort && !isPort(port) {
		return "its port is no number from 1 to 65535 without leading zeros"
	}
	if port == a.defaultPort() {
		port = ""
	}
	a.host, a.port = host, port
	return ""
}

func (a address) web() bool { return a.scheme == "http" || a.scheme == "https" }

func (a address) defaultPort() string {
	switch a.scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && 0 < n && n <= 65535 && strconv.Itoa(n) == s
}

// hostPort is host[:port] without the scheme's own port.
func (a address) hostPort() string {
	if a.port == "" {
		return a.host
	}
	return a.host + ":" + a.port
}

func (a address) origin() string {
	switch {
	case a.scheme == "":
		return ""
	case a.host == "":
		return a.scheme + ":"
	}
	return a.scheme + "://" + a.hostPort()
}

// restProblem judges path and query.
func restProblem(rest string) string {
	for i := range len(rest) {
		switch rest[i] {
		case '%':
			if i+2 >= len(rest) || !isHex(rest[i+1]) || !isHex(rest[i+2]) {
				return "its percent-encoding is broken"
			}
		case '[', ']':
			return "it has a " + rest[i:i+1] + " that is not percent-encoded"
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	if HasDotSegment(path) {
		return "its path has dot segments"
	}
	return queryProblem(query)
}

// HasDotSegment reports whether anybody could climb out of path: a browser, which
// takes %2e for a dot, or the app's own server, which may also take %2f and %5c for
// slashes and "..;x" for "..".
func HasDotSegment(path string) bool {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return true
	}
	for seg := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		seg, _, _ = strings.Cut(seg, ";")
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// queryProblem refuses the names under which the answer is sent: a program
// that reads the first of two would read the attacker's value (RD28).
func queryProblem(query string) string {
	for pair := range strings.SplitSeq(query, "&") {
		raw, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil {
			return "its query cannot be read"
		}
		name, _, _ = strings.Cut(strings.ToLower(name), "[")
		switch name = strings.TrimSpace(name); name {
		case "payload", "onetimepassword", "api_key":
			return "its query has a parameter " + name + " already, where the answer goes"
		}
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isLetter(c) || isDigit(c) }
