package site

import (
	"slices"
	"strings"
)

// Edge is what the gateway needs of the settings at every request. It is made once for each change of the
// settings and shared; do not change it.
type Edge struct {
	// Origins whose pages may call from a browser (W18). Empty: CORS is off.
	Origins []string
	// KeyRoutes are where a key may stand in the query.
	KeyRoutes []KeyRoute
	// Carriers are where a key may stand in Authorization, if it begins with CarriedPrefix; see [Edge.SetCarriers].
	Carriers      []Carrier
	CarriedPrefix string
	// Methods are those of [userkeys.MoreMethods] that some scope of the site names.
	Methods []string

	// What one address may ask for (W13.3), and what happens above it.
	PerMinute, Per10Seconds int
	BlocksAddresses         bool
	WarnsOfAddresses        bool
}

// NewEdge returns what the gateway needs of s.
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

// LimitsAddresses reports whether requests are counted by address at all.
func (e *Edge) LimitsAddresses() bool { return e.BlocksAddresses || e.WarnsOfAddresses }

// TakesKeyInQuery reports whether a key may stand in the query of a request.
// path is the decoded path of a canonical target; see [userkeys.CanonicalPath].
func (e *Edge) TakesKeyInQuery(method, path string) bool {
	for i := range e.KeyRoutes {
		if e.KeyRoutes[i].Matches(method, path) {
			return true
		}
	}
	return false
}

// AllowsOrigin reports whether pages of an origin may call: byte for byte, and
// never null, which any page can claim to be.
func (e *Edge) AllowsOrigin(origin string) bool {
	return origin != "" && origin != "null" && slices.Contains(e.Origins, origin)
}
