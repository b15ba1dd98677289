// Package gateway is the API's door: it checks the key of every request that
// carries one, for a Go handler ([Guard], [Require]), before any website (the reverse proxy), or for a web server that
// asks about each of its requests ([Asked]).
package gateway

import (
	"context"

	"userkeys"
	"userkeys/site"
)

// Checker decides about keys. The authority is one; what wraps it, to count or to log, embeds a Checker and so keeps
// all that a door asks.
type Checker interface {
	// Check charges and decides one request. Errors are *userkeys.Error.
	Check(ctx context.Context, c site.Call) (userkeys.Access, error)
	// Holds reports whether an access given earlier would still be given, without
	// charging: for streams that outlive the check.
	Holds(ctx context.Context, a userkeys.Access) error
	// Rebind moves a key that was found good to the client that its app names in the header User-Api-Client-Id (W7.4),
	// so that an app which learns another id of its device goes on with the key that it has. It returns a as it is
	// afterwards: moved, or unchanged where the key may not move.
	Rebind(ctx context.Context, a userkeys.Access, clientID string) userkeys.Access
	// IsAdminKey reports whether text is an admin API key of this site, or was one, so that the proxy takes it out of
	// requests for the website. If that cannot be known, it reports true.
	IsAdminKey(ctx context.Context, text string) bool
	// Edge returns what the settings in force say before a key is checked: other origins (CORS), limits by address, and
	// the routes that take a key in the query. The zero Edge allows none of them.
	Edge() *site.Edge
}
