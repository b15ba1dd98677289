package testkit

import (
	"os"
	"time"
)

// Patience is how long a test waits for what must come: far above what it
// takes, because the machine may be busy with other tests.
const Patience = time.Minute

// Bound is how long a test accepts that something takes which the site
// promises within d: [Patience], as a busy machine keeps no promise of time. With USERKEYS_LONG=1,
// for a machine that does nothing else, it is d.
func Bound(d time.Duration) time.Duration {
	if os.Getenv("USERKEYS_LONG") != "" {
		return d
	}
	return Patience
}
