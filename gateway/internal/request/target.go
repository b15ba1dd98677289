// Package request reads what a request says before anybody acts on it: its target, its key, and whether every program
// on its way reads both alike. What can be read in two ways is refused.
package request

import (
	"log/slog"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/headers"
	"userkeys/internal/logs"
)

// Target is a request target as the client sent it, cut at the first '?'.
// Decisions are made on these bytes and these bytes are forwarded, so that
// nobody can make us judge one path and the upstream serve another.
type Target struct {
	Raw      string // all of it
	Path     string // before the '?'; still escaped
	Query    string // after the '?'
	HasQuery bool   // there was a '?', perhaps with nothing behind it
}

// TargetOf takes r's target from the request line. A request that no server
// read (made by hand, say in a test) has none there; then its URL counts.
func TargetOf(r *http.Request) Target {
	raw := r.RequestURI
	if raw == "" && r.URL != nil {
		raw = r.URL.RequestURI()
	}
	t := Target{Raw: raw}
	t.Path, t.Query, t.HasQuery = strings.Cut(raw, "?")
	return t
}

// maxQueryParameters is how many parameters a query of a request with a key may
// have: as many as Go's own parser takes.
const maxQueryParameters = 10000

// soundQuery reports whether every parser reads q alike: no broken percent
// encoding, no ';' (a separator to some), no '#' (the end to some).
func soundQuery(q string) bool {
	parameters := 1
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case ';', '#':
			return false
		case '&':
			if parameters++; parameters > maxQueryParameters {
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
// a key; its name as [headers.Fold] leaves it.
const keyParameter = "user-api-key"

// WithoutKey returns the target without every parameter that names a key,
// so that no upstream logs one. All other bytes stay as they came.
func (t Target) WithoutKey() string {
	if !hasKeyParameter(t.Query) {
		return t.Raw
	}
	kept := make([]byte, 0, len(t.Raw))
	kept = append(kept, t.Path...)
	separator := byte('?')
	for rest, more := t.Query, true; more; {
		var p string
		var next byte
		if p, rest, next, more = cutParameter(rest); !isKeyParameter(p) {
			kept = append(append(kept, separator), p...)
		} else if separator == '?' {
			next = separator
		}
		separator = next
	}
	return string(kept)
}

func hasKeyParameter(query string) bool {
	for more := query != ""; more; {
		var p string
		if p, query, _, more = cutParameter(query); isKeyParameter(p) {
			return true
		}
	}
	return false
}

// cutParameter cuts a query behind its first parameter, at '&' or at ';', which separates them too for some programs.
func cutParameter(query string) (p, rest string, separator byte, more bool) {
	if i := strings.IndexAny(query, "&;"); i >= 0 {
		return query[:i], query[i+1:], query[i], true
	}
	return query, "", 0, false
}

// isKeyParameter reports whether a parameter's name, percent-decoded and folded as frameworks fold names, is that of a
// key: spaces before it do not count for PHP, and user_api_key[] is a list of keys.
func isKeyParameter(p string) bool {
	n := 0
	for i := 0; i < len(p) && p[i] != '='; i++ {
		c := p[i]
		if d, ok := unescape(p[i:]); ok && c == '%' {
			c, i = d, i+2
		}
		switch {
		case n == 0 && (c == ' ' || c == '+'):
			continue
		case n == len(keyParameter):
			return c == '[' || c == 0
		case headers.Fold(c) != keyParameter[n]:
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

// Acceptable refuses requests that no handler of ours should see and that no
// upstream should get, with a key or without: other protocol versions, no
// host, a tunnel, a loop-back of the request, a target that is no path, and
// every protocol switch but websocket (an h2c connection would carry requests past every check).
// It returns nil for every other request.
func Acceptable(r *http.Request) *Refusal {
	switch {
	case r.ProtoMajor > 2, r.ProtoMajor == 2 && r.Method == "PRI",
		r.ProtoMajor == 1 && r.ProtoMinor > 1, r.ProtoMajor < 1:
		return refuseVersion
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return RefuseMethod
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

// MayUseMethod reports whether a key may be used with a method on every site.
func MayUseMethod(method string) bool {
	for _, m := range userkeys.Methods {
		if m == method {
			return true
		}
	}
	return false
}

// LogAttrs names a request in a log: by its method and by its path, if that reads in one way. The query, which may
// hold a key, is left out.
func LogAttrs(r *http.Request) []slog.Attr {
	path, err := userkeys.CanonicalPath(TargetOf(r).Path)
	if err != nil {
		path = "(ambiguous)"
	}
	return []slog.Attr{slog.String("method", userkeys.Shorten(r.Method, 20)), slog.String("path", logs.Path(path))}
}
