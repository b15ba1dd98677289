package site

import (
	"strings"

	"userkeys"
)

// A KeyRoute is a route where a key may stand in the query: a [userkeys.Route] to read that is not a whole part of
// the site, such as "GET /t/{slug}/{id}.rss".
type KeyRoute struct{ userkeys.Route }

// ParseKeyRoute reads a route such as "GET /t/{slug}/{id}.rss".
func ParseKeyRoute(s string) (KeyRoute, error) {
	r, err := userkeys.ParseRoute(s)
	switch {
	case err != nil:
		return KeyRoute{}, err
	case !strings.HasPrefix(s, "GET "):
		return KeyRoute{}, invalid("a key in the address can only read: the method must be GET")
	case strings.HasSuffix(s, "...}"):
		return KeyRoute{}, invalid("that is too much of the site: say how the addresses of the feeds end, as in GET " +
			"/{any...}.rss")
	}
	return KeyRoute{r}, nil
}
