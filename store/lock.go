package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// lockPatience is how long a write waits for a lock. It is shorter than the time limit of the write, so that the
// database ends the wait and the connection stays usable, and a request that cannot be served is answered within two
// seconds.
const lockPatience = 1400 * time.Millisecond

var errLocked = errors.New("another process has locked the database")

// wait is how long a write waits for a lock. Postgres ends the wait by itself, after the time in args. SQLite has one
// lock for all writes: until the write has it, its context ends with the patience, also while it queues in this
// process.
type wait struct {
	args  []any
	limit time.Duration // 0: none
	timer *time.Timer   // nil: none runs
}

// newWait returns how long a write waits for a lock. If the caller has set a deadline, only that counts.
func (s *Store) newWait(ctx context.Context) *wait {
	limit := lockPatience
	if _, ok := ctx.Deadline(); ok {
		limit = 0
	}
	if s.diff.takesPatience {
		return &wait{args: []any{strconv.FormatInt(limit.Milliseconds(), 10) + "ms"}}
	}
	return &wait{limit: limit}
}

// begin starts the wait; stop frees what it holds.
func (w *wait) begin(ctx context.Context) (of context.Context, stop func()) {
	if w.limit == 0 {
		return ctx, func() {}
	}
	of, cancel := context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.limit, func() { cancel(errLocked) })
	return of, func() { w.timer.Stop(); cancel(nil) }
}

// over ends the wait because the write has the lock.
func (w *wait) over() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
