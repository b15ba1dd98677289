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

// How fresh is fresh. Every change that can take access away raises the epoch
// in its own transaction. What memory holds counts only while the last good
// reading of the epoch began at most leaseLength ago, so a change made
// anywhere is obeyed here within that time whatever else fails.
const (
	epochInterval = 250 * time.Millisecond
	leaseLength   = time.Second
	renewTimeout  = time.Second
)

// neverRead is the mark of a checker that has not read the epoch yet.
var neverRead = site.Mark{N: -1}

// lease is the time for which the table may be used without reading the epoch again.
type lease struct {
	base  time.Time
	until atomic.Int64 // nanoseconds since base, by the clock's monotonic reading

	mu       sync.Mutex // held while renewing
	mark     site.Mark
	failedAt int64 // when renewing failed last, since base

	endMu sync.Mutex
	ends  int // how often it was ended before its time
}

// since returns t in nanoseconds since the base of the lease.
func (l *lease) since(t time.Time) int64 { return int64(t.Sub(l.base)) }

func (l *lease) fresh(now time.Time) bool {
	t := l.since(now)
	until := l.until.Load()
	// A clock that went back by more than a lease must not stretch one.
	return t < until && t >= until-2*int64(leaseLength)
}

// end ends the lease now. It also prevents a renewal that is under way, which may have read the epoch too early, from
// extending the lease.
func (l *lease) end() {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	l.ends++
	l.until.Store(math.MinInt64)
}

func (l *lease) ended() int {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	return l.ends
}

// extend extends the lease to a time, unless it was ended after ends was read.
func (l *lease) extend(until int64, ends int) {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	if l.ends == ends {
		l.until.Store(until)
	}
}

// obey forgets the keys that a change made by this process concerns.
func (ck *Checker) obey(c site.Changes) {
	if c.All {
		ck.lease.end()
	}
	for _, h := range c.Hashes {
		ck.table.forget(h)
	}
}

// Ready reports whether requests can be decided now. It renews the lease if the background has not.
// Errors: [userkeys.Unavailable] if that fails.
func (ck *Checker) Ready(ctx context.Context) error {
	began := ck.now()
	if ck.lease.fresh(began) {
		return nil
	}
	ck.lease.mu.Lock()
	defer ck.lease.mu.Unlock()
	if ck.lease.fresh(ck.now()) { // somebody else did while we waited
		return nil
	}
	if ck.lease.failedAt > ck.lease.since(began) { // or tried in vain: do not queue up behind a dead database
		return Unavailable(errStale)
	}
	return ck.renewLocked(ctx)
}

var errStale = errors.New("the epoch could not be read")

// Refresh reads the epoch, forgets what changed and extends the lease. Settings that changed are in force then.
func (ck *Checker) Refresh(ctx context.Context) error {
	ck.lease.mu.Lock()
	defer ck.lease.mu.Unlock()
	return ck.renewLocked(ctx)
}

// renewLocked renews the lease for all who wait for it, so the end of ctx, which belongs to one of them, does not
// stop it.
func (ck *Checker) renewLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTimeout)
	defer cancel()
	began, ends := ck.now(), ck.lease.ended() // before the reading: a change after it may be missing
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
	ck.lease.extend(ck.lease.since(began)+int64(leaseLength), ends)
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
