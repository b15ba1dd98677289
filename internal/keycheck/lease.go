package keycheck

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/site"
)

// Every change that can take access away raises the epoch in its own transaction. The table is used only while the
// last successful reading of the epoch began at most leaseLength ago. So a change made by any node is obeyed here
// within that time, whatever else fails.
const (
	epochInterval = 250 * time.Millisecond
	leaseLength   = time.Second
	renewTimeout  = time.Second
)

// neverRead is the mark of a checker that has not read the epoch yet.
var neverRead = site.Mark{N: -1}

// lease says until when the table may be used without reading the epoch again.
type lease struct {
	base  time.Time    // when the checker was made; its times count from here, by the monotonic clock
	until atomic.Int64 // when the lease ends, in nanoseconds since base

	mu       sync.Mutex // locked while the epoch is read
	mark     site.Mark  // the epoch that was read last
	failedAt int64      // when reading failed last, in nanoseconds since base

	endMu   sync.Mutex
	endings int // how often end was called
}

// since returns a time in nanoseconds since base.
func (l *lease) since(t time.Time) int64 { return int64(t.Sub(l.base)) }

// valid reports whether the table may be used.
func (l *lease) valid(now time.Time) bool {
	t := l.since(now)
	until := l.until.Load()
	// A clock that was set back must not make the lease longer.
	return t < until && t >= until-2*int64(leaseLength)
}

// end ends the lease now. A renewal that is under way may have read the epoch too early, so it no longer extends the
// lease.
func (l *lease) end() {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	l.endings++
	l.until.Store(math.MinInt64)
}

// ended returns how often end was called.
func (l *lease) ended() int {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	return l.endings
}

// extend extends the lease to a time, unless end was called since ended returned endings.
func (l *lease) extend(until int64, endings int) {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	if l.endings == endings {
		l.until.Store(until)
	}
}

// obey is called for each change that this process makes, and forgets the keys that it concerns.
func (ck *Checker) obey(c site.Changes) {
	if c.All {
		ck.lease.end()
	}
	for _, h := range c.Hashes {
		ck.table.forget(h)
	}
}

// Ready returns nil if keys can be checked now. If the lease has ended, it renews it.
// Errors: [userkeys.Unavailable] if that fails.
func (ck *Checker) Ready(ctx context.Context) error {
	began := ck.now()
	if ck.lease.valid(began) {
		return nil
	}
	ck.lease.mu.Lock()
	defer ck.lease.mu.Unlock()
	if ck.lease.valid(ck.now()) { // another request renewed it while this one waited
		return nil
	}
	if ck.lease.failedAt > ck.lease.since(began) { // or tried to: do not wait in turn for a dead database
		return Unavailable(errNoEpoch)
	}
	return ck.renewLocked(ctx)
}

var errNoEpoch = errors.New("the epoch could not be read")

// Refresh reads the epoch, forgets the keys that changed, and extends the lease. If settings changed, it reads them
// first.
func (ck *Checker) Refresh(ctx context.Context) error {
	ck.lease.mu.Lock()
	defer ck.lease.mu.Unlock()
	return ck.renewLocked(ctx)
}

// renewLocked is Refresh with mu locked. Many requests may wait for it, so the end of ctx, which belongs to one of
// them, does not stop it.
func (ck *Checker) renewLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTimeout)
	defer cancel()
	began, endings := ck.now(), ck.lease.ended() // before the reading: a change after it may be missing
	ch, err := ck.store.Changes(ctx, ck.lease.mark)
	if err == nil && (ch.All || ck.lease.mark == neverRead) {
		err = ck.loadPolicy(ctx)
	}
	if err != nil {
		ck.lease.failedAt = ck.lease.since(ck.now())
		return Unavailable(err)
	}
	if ch.All {
		ck.table.forgetAll()
	}
	for _, h := range ch.Hashes {
		ck.table.forget(h)
	}
	ck.lease.mark = ch.Mark
	ck.lease.extend(ck.lease.since(began)+int64(leaseLength), endings)
	return nil
}

// Unavailable returns the error for a question that cannot be answered now. It never means that a key is bad: an app
// must not delete its key because a database was down.
func Unavailable(err error) error {
	return &userkeys.Error{
		Code: userkeys.Unavailable, Public: "the site cannot check keys right now",
		Reason: "unavailable", RetryAfter: time.Second, Err: err,
	}
}
