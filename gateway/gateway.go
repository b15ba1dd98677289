// Package gateway is the API's door: it checks the key of every request that
// carries one, for a Go handler ([Guard], [Require]) or before any website (the reverse proxy).
package gateway

import (
	"context"

	"userkeys"
	"userkeys/site"
)

// Checker decides about keys; authority.Authority is one.
type Checker interface {
	// Check charges and decides one request. Errors are *userkeys.Error.
	Check(ctx context.Context, c site.Call) (userkeys.Access, error)
	// Holds tells whether an access given earlier would still be given, without
	// charging: for streams that outlive the check.
	Holds(ctx context.Context, a userkeys.Access) error
}
