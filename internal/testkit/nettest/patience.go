// Package nettest has networks for tests: a listener within the process, addresses that no other program takes, a DNS
// server that answers as a test wants it, programs that others wrote, and how long to wait for any of them.
package nettest

import (
	"os"
	"time"
)

// Patience is how long a test waits for what must come: far above what it
// takes, because the machine may be busy with other tests.
const Patience = time.Minute

// Bound is how long a test lets something take that the site promises within d. It is [Patience], because
// a busy machine keeps no promise of time, and d with USERKEYS_LONG=1, on a machine that does nothing else.
func Bound(d time.Duration) time.Duration {
	if os.Getenv("USERKEYS_LONG") != "" {
		return d
	}
	return Patience
}
