package userkeys

import (
	"slices"
	"strings"
)

// Edge is what the outermost door of a site needs of the settings at every
// request, worked out once for each change of them. It is shared; do not change it.
type Edge struct {
	// Origins whose pages may call from a browser (W18). Empty: CORS is off.
	Origins []string
	// KeyRoutes are where a key may stand in the query.
	KeyRoutes []KeyRoute

	// What one address may ask for (W13.3), and what happens above it.
	PerMinute, Per10Seconds int
	BlocksAddresses         bool
	WarnsOfAddresses        bool
}

// NewEdge works s out.
func NewEdge(s Settings) *Edge {
	e := &Edge{
		Origins:   slices.Clone(s.CORSOrigins),
		PerMinute: s.MaxReqsPerIPPerMinute, Per10Seconds: s.MaxReqsPerIPPer10Second,
		BlocksAddresses:  strings.HasSuffix(s.MaxReqsPerIPMode, "block"),
		WarnsOfAddresses: strings.HasPrefix(s.MaxReqsPerIPMode, "warn"),
	}
	if s.EnableCORS {
		e.Origins = append(e.Origins, s.CORSOrigin...)
	}
	for _, text := range s.UserAPIKeyParameterRoutes {
		if r, err := ParseKeyRoute(text); err == nil { // the setting takes no other
			e.KeyRoutes = append(e.KeyRoutes, r)
		}
	}
	return e
}

// LimitsAddresses tells whether requests are counted by address at all.
func (e *Edge) LimitsAddresses() bool { return e.BlocksAddresses || e.WarnsOfAddresses }

// TakesKeyInQuery tells whether a key may stand in the query of a request.
// path is the decoded path of a canonical target; see [CanonicalPath].
func (e *Edge) TakesKeyInQuery(method, path string) bool {
	for i := range e.KeyRoutes {
		if e.KeyRoutes[i].Matches(method, path) {
			return true
		}
	}
	return false
}

// A KeyRoute is a route where a key may stand in the query: a [Route] to read,
// whose last {name} or {name...} may have an ending: "GET /t/{slug}/{id}.rss".
type KeyRoute struct {
	route  Route
	ending string
}

// ParseKeyRoute reads one.
func ParseKeyRoute(s string) (KeyRoute, error) {
	text, ending := s, ""
	if i := strings.LastIndexByte(s, '}'); i >= 0 && strings.HasPrefix(s[i+1:], ".") {
		text, ending = s[:i+1], s[i+1:]
	}
	r, err := ParseRoute(text)
	switch {
	case err != nil:
		return KeyRoute{}, err
	case r.method != "GET":
		return KeyRoute{}, Errorf(InvalidParameters, "a key in the address can only read: the method must be GET")
	case ending != "" && (strings.ContainsAny(ending, "/{*") || !canonicalSegment(ending)):
		return KeyRoute{}, Errorf(InvalidParameters, "only the last segment may have an ending, such as .rss")
	case r.rest && ending == "":
		return KeyRoute{}, Errorf(InvalidParameters, "that is too much of the site: say how the addresses of the feeds end, as in GET /{any...}.rss")
	}
	return KeyRoute{r, ending}, nil
}

// Matches tells whether a key may stand in the query of a request.
func (k KeyRoute) Matches(method, path string) bool {
	if k.ending != "" {
		last := path[strings.LastIndexByte(path, '/')+1:]
		if !strings.HasSuffix(last, k.ending) || len(last) == len(k.ending) {
			return false
		}
	}
	return k.route.Matches(method, path)
}

// AllowsOrigin tells whether pages of an origin may call: byte for byte, and
// never null, which any page can claim to be.
func (e *Edge) AllowsOrigin(origin string) bool {
	return origin != "" && origin != "null" && slices.Contains(e.Origins, origin)
}
