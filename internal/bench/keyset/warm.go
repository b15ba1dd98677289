package keyset

import (
	"context"
	"fmt"

	"userkeys"
	"userkeys/site"
)

// Path is what every request asks for.
const Path = "/notifications.json"

// Raised is the limits of a site whose keys are used so often that those that are shipped would be reached.
var Raised = map[string]string{
	"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "10000000",
	"max_user_api_reqs_per_user_per_minute": "10000", "max_user_api_reqs_per_user_per_day": "10000000",
}

// Checker checks keys and writes their last uses.
type Checker interface {
	Check(ctx context.Context, c site.Call) (userkeys.Access, error)
	Flush(ctx context.Context) error
}

// Warm checks every key once, so that all are in memory. It also writes these uses: with a million keys that takes a
// second, which must not be counted with the requests that follow.
func Warm(ctx context.Context, c Checker, keys Keys) error {
	for i := range keys.Len() {
		if _, err := c.Check(ctx, Call(keys.Text(i))); err != nil {
			return fmt.Errorf("warming up key %d: %w", i, err)
		}
	}
	return c.Flush(ctx)
}

// Call is a request with a key.
func Call(key string) site.Call { return site.Call{Key: key, Method: "GET", Path: Path} }
