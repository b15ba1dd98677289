package site

import (
	"strings"

	"userkeys"
)

// A KeyRoute is a route where a key may stand in the query: a [userkeys.Route] to read,
// whose last {name} or {name...} may have an ending: "GET /t/{slug}/{id}.rss".
type KeyRoute struct {
	route  userkeys.Route
	ending string
}

// ParseKeyRoute reads a route such as "GET /t/{slug}/{id}.rss".
func ParseKeyRoute(s string) (KeyRoute, error) {
	text, ending := s, ""
	if i := strings.LastIndexByte(s, '}'); i >= 0 && strings.HasPrefix(s[i+1:], ".") {
		text, ending = s[:i+1], s[i+1:]
	}
	r, err := userkeys.ParseRoute(text)
	switch {
	case err != nil:
		return KeyRoute{}, err
	case !strings.HasPrefix(text, "GET "):
		return KeyRoute{}, invalid("a key in the address can only read: the method must be GET")
	case ending == "." || ending == ".." || strings.ContainsAny(ending, `/{*\;#?%`) || !userkeys.IsText(ending):
		return KeyRoute{}, invalid("only the last segment may have an ending, such as .rss")
	case strings.HasSuffix(text, "...}") && ending == "":
		return KeyRoute{}, invalid("that is too much of the site: say how the addresses of the feeds end, as in GET " +
			"/{any...}.rss")
	}
	return KeyRoute{r, ending}, nil
}

// Matches reports whether a key may stand in the query of a request.
func (k KeyRoute) Matches(method, path string) bool {
	if k.ending != "" {
		last := path[strings.LastIndexByte(path, '/')+1:]
		if !strings.HasSuffix(last, k.ending) || len(last) == len(k.ending) {
			return false
		}
	}
	return k.route.Matches(method, path)
}
