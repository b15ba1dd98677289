// Package headers decides which headers pass, from a client to the website and back, and what answers say to
// caches and to pages of other origins.
package headers

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"userkeys"
)

// folded has each byte of a header's name as some server or framework
// may read it: case is lost, and whatever is neither letter nor digit becomes '-'
// (CGI makes '_' of '-', PHP makes '_' of '.').
var folded = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			t[i] = c
		case 'A' <= c && c <= 'Z':
			t[i] = c + 'a' - 'A'
		default:
			t[i] = '-'
		}
	}
	return t
}()

// Fold returns a byte of a name as some server or framework may read it: without case, and '-' for what is neither
// letter nor digit. Two names that fold to the same are the same name to somebody.
func Fold(c byte) byte { return folded[c] }

// Same reports whether two names of headers fold to the same.
func Same(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if folded[a[i]] != folded[b[i]] {
			return false
		}
	}
	return true
}

// fate is what becomes of a client's header before an upstream.
type fate int

const (
	passes       fate = iota
	never             // removed from every request
	fromTrusted       // removed unless a trusted proxy sent it
	withoutKey        // removed from requests with a key
	adminKey          // removed from requests with a key, and if it is an admin API key of this site
	asSpelled         // removed in every odd spelling
	edgeIdentity      // removed unless a trusted proxy sent it, and from requests with a key
	mayHaveKey        // removed if it has a key of this site
)

// certificates are headers in which a proxy says whose certificate the client has.
const certificates = "ssl-client-cert ssl-client-s-dn x-ssl-client-cert x-client-cert x-client-dn"

// common has the headers that do not just pass, by folded name, on every site. Prefixes are in [Table.fateOf].
//
// The identity headers are those of the common authenticating proxies: an
// application that believes one would believe a client who sends it. The
// connection headers concern the client's connection and not the upstream's.
var common = func() Table {
	m := Table{}
	for f, names := range map[fate]string{
		never: "user-api-key proxy " +
			"connection proxy-connection keep-alive proxy-authenticate proxy-authorization te trailer " +
			"transfer-encoding upgrade http2-settings " +
			"x-auth-user x-auth-username x-auth-userid x-auth-email x-auth-groups x-auth-roles " +
			"x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username " +
			"x-forwarded-access-token " +
			"x-remote-user x-remote-email x-remote-group x-remote-groups x-remote-name " +
			"remote-user remote-email remote-groups remote-name " +
			"x-webauth-user x-webauth-email x-webauth-groups x-webauth-name x-webauth-role " +
			"x-authenticated-user x-authenticated-userid x-authenticated-groups",
		fromTrusted: "forwarded via x-real-ip true-client-ip cf-connecting-ip cf-connecting-ipv6 " +
			"client-ip x-client-ip x-cluster-client-ip fastly-client-ip fly-client-ip x-nf-client-connection-ip " +
			"do-connecting-ip cf-pseudo-ipv4 " +
			"x-remote-ip x-remote-addr remote-addr x-proxyuser-ip x-originating-ip x-azure-clientip " +
			"x-azure-socketip x-appengine-user-ip " +
			"x-appengine-remote-addr x-vercel-forwarded-for x-envoy-external-address x-forwarded " +
			"x-original-forwarded-for x-host " +
			"x-original-url x-original-uri x-original-host x-original-method x-rewrite-url x-envoy-original-path " +
			"ssl-client-verify " + certificates,
		withoutKey: "cookie cookie2 api-username " +
			"x-http-method x-http-method-override x-method x-method-override",
		adminKey:  "api-key",
		asSpelled: "host content-length", mayHaveKey: "authorization",
	} {
		for name := range strings.FieldsSeq(names) {
			m[name] = f
		}
	}
	return m
}()

// Table says what becomes of each of a client's headers before a website.
type Table map[string]fate

// NewTable returns the table of a site. No client may send the headers named in forbidden; those named in
// besideNoKey tell who calls, and are removed from requests with a key. No name is longer than maxName.
func NewTable(forbidden, besideNoKey []string) Table {
	t := maps.Clone(common)
	for _, name := range besideNoKey {
		switch f, _ := common.fateOf(name); f {
		case passes:
			t[folding(name)] = withoutKey
		case fromTrusted:
			t[folding(name)] = edgeIdentity
		}
	}
	for _, name := range forbidden {
		t[folding(name)] = never
	}
	return t
}

// folding is a name as [Table.fateOf] looks it up.
func folding(name string) string {
	for beginsHTTP(name) {
		name = name[len("http-"):]
	}
	b := []byte(name)
	for i, c := range b {
		b[i] = Fold(c)
	}
	return string(b)
}

// meanElse are prefixes of headers that a client sends for something else than to tell who calls.
var meanElse = []string{
	"accept", "access-control-", "content-", "if-", "sec-", "proxy", "user-api-", "api-", "x-http-method", "x-method",
	"x-userkeys", "x-accel-", "x-envoy-",
}

// alsoMeanElse are names of such headers.
var alsoMeanElse = []string{
	"host", "authorization", "cookie", "cookie2", "connection", "keep-alive", "te", "trailer", "transfer-encoding",
	"upgrade", "http2-settings", "date", "expect", "origin", "range", "referer", "user-agent", "via", "forwarded",
	"pragma", "cache-control", "dnt", "destination", "depth", "overwrite", "lock-token", "timeout", "x-csrf-token",
	"x-requested-with", "discourse-present", "set-cookie", "location", "retry-after", "www-authenticate", "priority",
	"early-data", "max-forwards", "allow", "vary", "server", "status", "x-xsrf-token", "request-method",
}

// mayTell reports whether a header of a name may tell a website who calls: whether nothing else on the way reads
// something else in it.
func mayTell(name string) bool {
	if len(name) == 0 || len(name) > maxName || strings.Trim(name, nameLetters) != "" || beginsHTTP(name) {
		return false
	}
	plain := folding(name)
	if strings.Trim(plain, "-") == "" {
		return false
	}
	if f, _ := common.fateOf(name); f == fromTrusted {
		return false
	}
	return !slices.Contains(alsoMeanElse, plain) &&
		!slices.ContainsFunc(meanElse, func(p string) bool { return strings.HasPrefix(plain, p) })
}

// CheckLogin reports what is wrong with the name of a header in which a proxy tells who signs in: that clients and
// servers use it for something else.
//
// Errors: [userkeys.InvalidParameters].
func CheckLogin(name string) error {
	if mayTell(name) || slices.ContainsFunc(strings.Fields(certificates), func(c string) bool {
		return strings.EqualFold(c, name)
	}) {
		return nil
	}
	return userkeys.Errorf(userkeys.InvalidParameters, "%q cannot be a header of a login: it is one in which a proxy "+
		"tells who signs in, such as Remote-User, and that clients and servers use for nothing else", name)
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// maxName is how long a name in a [Table] may be.
const maxName = 64

// fateOf tells what becomes of a header. odd says that the name is not spelled
// as a well-behaved proxy spells it.
func (t Table) fateOf(name string) (f fate, odd bool) {
	for beginsHTTP(name) {
		name, odd = name[len("http-"):], true
	}
	var buf [maxName]byte
	n := min(len(name), maxName)
	for i := range n {
		c := name[i]
		buf[i] = Fold(c)
		odd = odd || buf[i] == '-' && c != '-'
	}
	plain := buf[:n]
	switch {
	case hasPrefix(plain, "x-userkeys-"), hasPrefix(plain, "x-auth-request-"):
		return never, odd
	case len(name) > maxName:
		f = passes
	default:
		f = t[string(plain)]
	}
	if f == passes && hasPrefix(plain, "x-forwarded-") {
		f = fromTrusted
	}
	if f == passes && slices.ContainsFunc(edgePrefixes, func(p string) bool { return hasPrefix(plain, p) }) {
		f = edgeIdentity
	}
	return f, odd
}

// beginsHTTP reports whether a name is like HTTP_USER_API_KEY, which is what CGI and its heirs (Rack, WSGI, PHP) make
// of User-Api-Key: some programs that look for the one find the other.
func beginsHTTP(name string) bool {
	const prefix = "http-"
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if Fold(name[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// edgePrefixes begin the headers in which the edges of hosting providers tell
// an application who calls: theirs to say, if they are trusted proxies, and nobody else's. Beside a key, which says who
// calls, they would name a second person.
var edgePrefixes = slices.Sorted(maps.Keys(families))

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// Strip takes out of a client's headers what an upstream must not get.
type Strip struct {
	Table   Table                      // of the site; nil: that of every site
	Trusted bool                       // a trusted proxy sent them
	Keyed   bool                       // the request has a key
	Carried bool                       // Authorization has one
	Ours    func(values []string) bool // reports whether one of a header's values is an admin API key of this site
}

// Passing returns what of a client's headers an upstream may get, in a map that has
// room for more, so that it need not grow. The values are shared with in.
func (s Strip) Passing(in http.Header, more int) http.Header {
	out := make(http.Header, len(in)+more)
	named := in["Connection"]
	if s.Table == nil {
		s.Table = common
	}
	for name, lines := range in {
		f, odd := s.Table.fateOf(name)
		if s.drops(f, odd) || f == adminKey && s.Ours(lines) || len(named) > 0 && HasToken(named, name) {
			continue
		}
		out[name] = lines
	}
	return out
}

// drops reports whether a header goes. An odd spelling of a forwarding header
// goes also when a trusted proxy sent it: that proxy sets the usual spelling
// and has passed on a client's.
func (s Strip) drops(f fate, odd bool) bool {
	switch f {
	case never:
		return true
	case fromTrusted:
		return !s.Trusted || odd
	case edgeIdentity:
		return !s.Trusted || odd || s.Keyed
	case withoutKey, adminKey:
		return s.Keyed
	case mayHaveKey:
		return s.Carried
	case asSpelled:
		return odd
	}
	return false
}

// HasToken reports whether header lines that are lists have token, in any case.
func HasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// StripCookies removes the named cookies from Cookie headers and leaves all
// other bytes as they came.
func StripCookies(h http.Header, names []string) {
	lines := h["Cookie"]
	if len(lines) == 0 || len(names) == 0 {
		return
	}
	kept := make([]string, 0, len(lines)) // the old ones are shared
	for _, line := range lines {
		if line = withoutCookies(line, names); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

func withoutCookies(line string, names []string) string {
	found := false
	for pair := range strings.SplitSeq(line, ";") {
		found = found || isCookie(pair, names)
	}
	if !found {
		return line
	}
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		if !isCookie(pair, names) {
			kept = append(kept, pair)
		}
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " \t")
}

// isCookie reports whether a browser or a server may take pair for one of the
// named cookies. A pair without a name whose value looks like "name=value" is
// sent back as just that, so leading '=' do not count.
func isCookie(pair string, names []string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(pair, " \t="), "=")
	name = strings.TrimRight(name, " \t")
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// StripSetCookies removes the named cookies from an upstream's answer, so that
// no upstream can give a browser a session of ours.
func StripSetCookies(h http.Header, names []string) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	lines = slices.DeleteFunc(lines, func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return isCookie(pair, names)
	})
	if len(lines) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = lines
}

// hopHeaders concern one connection only (RFC 9110, 7.6.1).
var hopHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// StripHops removes the headers that concern the upstream's connection. The
// reverse proxy does it for final answers only.
func StripHops(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.Trim(name, " \t"))
		}
	}
	for _, name := range hopHeaders {
		delete(h, name)
	}
}
