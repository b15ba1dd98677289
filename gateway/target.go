package gateway

import (
	"net/http"
	"strings"

	"userkeys"
)

// target is a request target as the client sent it, cut at the first '?'.
// Decisions are made on these bytes and these bytes are forwarded, so that
// nobody can make us judge one path and the upstream serve another.
type target struct {
	raw      string // all of it
	path     string // before the '?'; still escaped
	query    string // after the '?'
	hasQuery bool   // there was a '?', perhaps with nothing behind it
}

// targetOf takes r's target from the request line. A request that no server
// read (made by hand, say in a test) has none there; then its URL counts.
func targetOf(r *http.Request) target {
	raw := r.RequestURI
	if raw == "" && r.URL != nil {
		raw = r.URL.RequestURI()
	}
	t := target{raw: raw}
	t.path, t.query, t.hasQuery = strings.Cut(raw, "?")
	return t
}

// maxParameters is how many parameters a query of a request with a key may
// have: as many as Go's own parser takes.
const maxParameters = 10000

// soundQuery tells whether every parser reads q alike: no broken percent
// encoding, no ';' (a separator to some), no '#' (the end to some).
func soundQuery(q string) bool {
	parameters := 1
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case ';', '#':
			return false
		case '&':
			if parameters++; parameters > maxParameters {
				return false
			}
		case '%':
			if _, ok := unescape(q[i:]); !ok {
				return false
			}
			i += 2
		}
	}
	return true
}

// keyParameter is the query parameter in which feed readers of the wire carry
// a key; its name as [foldByte] leaves it.
const keyParameter = "user-api-key"

// withoutKeyParameter is the target without every parameter that names a key,
// so that no upstream logs one. All other bytes stay as they came.
func (t target) withoutKeyParameter() string {
	if !hasKeyParameter(t.query) {
		return t.raw
	}
	var kept []string
	for p := range strings.SplitSeq(t.query, "&") {
		if !isKeyParameter(p) {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return t.path
	}
	return t.path + "?" + strings.Join(kept, "&")
}

func hasKeyParameter(query string) bool {
	for query != "" {
		var p string
		if p, query, _ = strings.Cut(query, "&"); isKeyParameter(p) {
			return true
		}
	}
	return false
}

// isKeyParameter tells whether a parameter's name, percent-decoded and folded
// as frameworks fold names, is that of a key. p is from a sound query.
func isKeyParameter(p string) bool {
	n := 0
	for i := 0; i < len(p) && p[i] != '='; i++ {
		c := p[i]
		if c == '%' {
			c, _ = unescape(p[i:])
			i += 2
		}
		if n == len(keyParameter) || foldByte[c] != keyParameter[n] {
			return false
		}
		n++
	}
	return n == len(keyParameter)
}

// unescape is the byte of the escape that s begins with: %41 is 'A'.
func unescape(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	for _, d := range []byte(s[1:3]) {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		c = c<<4 | d
	}
	return c, true
}

// acceptable refuses requests that no handler of ours should see and that no
// upstream should get, with a key or without: other protocol versions, no
// host, a tunnel, a loop-back of the request, a target that is no path, and
// every protocol switch but websocket (an h2c connection would carry requests past every check).
func acceptable(r *http.Request) *refusal {
	switch {
	case r.ProtoMajor > 2, r.ProtoMajor == 2 && r.Method == "PRI", r.ProtoMajor == 1 && r.ProtoMinor > 1, r.ProtoMajor < 1:
		return refuseVersion
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return refuseMethod
	case r.Host == "":
		return refuseNoHost
	case r.RequestURI != "" && r.RequestURI[0] != '/' && r.RequestURI != "*":
		return refuseAbsolute
	}
	if up, ok := r.Header["Upgrade"]; ok && !isWebsocket(up) {
		return refuseUpgrade
	}
	return nil
}

func isWebsocket(upgrade []string) bool {
	return len(upgrade) == 1 && strings.EqualFold(strings.TrimSpace(upgrade[0]), "websocket")
}

// mayUseMethod tells whether a key may be used with a method at all.
func mayUseMethod(method string) bool {
	for _, m := range userkeys.Methods {
		if m == method {
			return true
		}
	}
	return false
}
