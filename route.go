package userkeys

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Methods are the request methods that a key may use at all; HEAD counts as
// GET. Everything else but [MoreMethods] is refused before any rule is asked.
var Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// MoreMethods are those that a key may use only on sites with a scope that names them: WebDAV's and CalDAV's, and
// OPTIONS, by which their programs learn what a server can do. COPY and MOVE are not among them: their header
// Destination names a second address, and a route is about one.
var MoreMethods = []string{"OPTIONS", "PROPFIND", "PROPPATCH", "REPORT", "MKCOL", "MKCALENDAR", "LOCK", "UNLOCK"}

// A Route is one rule of a scope: a method and a path pattern, written
// "GET /t/{id}" or "POST /message-bus/{client}/poll" or "GET /api/{rest...}".
// {name} stands for one whole segment, {name...} at the end for any number of
// them, also none. Both may have an ending: {id}.json stands for a segment that
// is longer than .json and ends in it, {rest...}.rss for one segment or more
// whose last one is such. Everything else is compared byte by byte.
type Route struct {
	method   string
	segments []string // anySegment and its ending stand for {name}.ending; the root is one empty segment
	rest     string   // anySegment and its ending if the pattern ends in {name...}.ending; else empty
	text     string
}

// anySegment cannot be mistaken for a segment of a request: no pattern may have braces elsewhere.
const anySegment = "{}"

// ParseRoute reads a route such as "GET /t/{id}".
func ParseRoute(s string) (Route, error) {
	bad := func(why string) (Route, error) {
		return Route{}, Errorf(InvalidParameters, "route %q: %s", s, why)
	}
	method, path, ok := strings.Cut(s, " ")
	if !ok || method == "HEAD" || !slices.Contains(Methods, method) && !slices.Contains(MoreMethods, method) {
		return bad("must begin with GET, POST, PUT, PATCH, DELETE or a method of WebDAV, and a space (HEAD counts as GET)")
	}
	if !strings.HasPrefix(path, "/") {
		return bad("the path must begin with a slash")
	}
	r := Route{method: method, text: s}
	segments := strings.Split(path[1:], "/")
	for i, seg := range segments {
		last, parts := i == len(segments)-1, wildcard.FindStringSubmatch(seg)
		switch {
		case parts != nil && parts[1] != "" && !last:
			return bad("{name...} must come last")
		case parts != nil && !canonicalSegment("x"+parts[2]):
			return bad("no request can have the ending " + strconv.QuoteToASCII(parts[2]))
		case parts != nil && parts[1] != "":
			r.rest = anySegment + parts[2]
		case parts != nil:
			r.segments = append(r.segments, anySegment+parts[2])
		case strings.ContainsAny(seg, "{}*"):
			return bad("a segment is either written out or {name}, which may have an ending such as {name}.json")
		case !canonicalSegment(seg) || seg == "" && !last:
			return bad("no request can have the segment " + strconv.QuoteToASCII(seg))
		default:
			r.segments = append(r.segments, seg)
		}
	}
	return r, nil
}

// wildcard is {name} or {name...}, with an ending or without.
var wildcard = regexp.MustCompile(`^\{[A-Za-z0-9_-]+(\.\.\.)?\}(\.[^{}*]+)?$`)

// canonicalSegment reports whether [CanonicalPath] lets a decoded segment through.
func canonicalSegment(seg string) bool {
	return IsText(seg) && seg != "." && seg != ".." && !strings.ContainsAny(seg, `\;#?%`)
}

// String is the route as it was written.
func (r Route) String() string { return r.text }

// Matches reports whether r covers a request. path is the decoded path of a
// canonical target (see [CanonicalPath]).
func (r Route) Matches(method, path string) bool {
	if method == "HEAD" {
		method = "GET"
	}
	if method != r.method || path == "" || path[0] != '/' {
		return false
	}
	rest := path
	for _, want := range r.segments {
		if rest == "" {
			return false
		}
		seg := rest[1:]
		if j := strings.IndexByte(seg, '/'); j >= 0 {
			seg, rest = seg[:j], seg[j:]
		} else {
			rest = ""
		}
		if (want != anySegment || seg == "") && want != seg && !matchesAny(want, seg) {
			return false
		}
	}
	return r.rest == anySegment || rest == "" && r.rest == "" ||
		rest != "" && matchesAny(r.rest, rest[strings.LastIndexByte(rest, '/')+1:])
}

// matchesAny reports whether want is anySegment with an ending, and seg longer than the ending, in which it ends.
func matchesAny(want, seg string) bool {
	return len(want) >= len(anySegment) && want[0] == anySegment[0] && len(seg) > len(want)-len(anySegment) &&
		strings.HasSuffix(seg, want[len(anySegment):])
}

// CanonicalPath reads the path of a request target (as received, still escaped, without
// the query) and refuses every spelling that two programs could read in two
// ways: dot segments, empty segments, encoded slashes, backslashes, semicolons, '#', NUL and other
// controls, double encoding, raw bytes outside ASCII. It never cleans: what was judged is what is forwarded.
// It returns the decoded path.
func CanonicalPath(target string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", &Error{Code: InvalidParameters, Public: "this request path is ambiguous: " + why, Reason: "ambiguous path"}
	}
	if target == "" || target[0] != '/' {
		return refuse("it must begin with a slash")
	}
	for i := range len(target) {
		switch c := target[i]; {
		case c <= ' ' || c >= 0x7f:
			return refuse("it has a byte that must be percent-encoded")
		case c == '\\' || c == ';' || c == '#' || c == '?':
			return refuse("it has a " + string(rune(c)))
		}
	}
	path := target
	if strings.IndexByte(target, '%') >= 0 {
		decoded, err := url.PathUnescape(target)
		if err != nil {
			return refuse("its percent-encoding is broken")
		}
		if why := ambiguousDecoded(target, decoded); why != "" {
			return refuse(why)
		}
		path = decoded
	}
	for rest := path[1:]; ; {
		seg, more, ok := strings.Cut(rest, "/")
		if seg == "." || seg == ".." {
			return refuse("it has dot segments")
		}
		if !ok {
			return path, nil
		}
		if seg == "" {
			return refuse("it has an empty segment")
		}
		rest = more
	}
}

// ambiguousDecoded says what is wrong with a path once it is decoded; empty if nothing is.
func ambiguousDecoded(target, decoded string) string {
	if !utf8.ValidString(decoded) {
		return "it is not UTF-8"
	}
	if !IsText(decoded) {
		return "it has a control character"
	}
	if strings.Count(decoded, "/") != strings.Count(target, "/") {
		return "it has an encoded slash"
	}
	for i := range len(decoded) {
		switch c := decoded[i]; {
		case c == '\\' || c == ';' || c == '#':
			return "it has an encoded " + string(rune(c))
		case c == '%' && i+2 < len(decoded) && isHex(decoded[i+1]) && isHex(decoded[i+2]):
			return "it is encoded twice"
		}
	}
	return ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
