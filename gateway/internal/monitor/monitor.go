// Package monitor ends what outlives the check of its key: requests in progress whose key is revoked or expires.
package monitor

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
)

// How often the keys of requests in progress are asked about: the pause until the next
// round and the time that it may take together stay under a second.
const (
	lookPause  = 250 * time.Millisecond
	lookTime   = 400 * time.Millisecond
	lookers    = 16 // at once
	firstRound = 2  // a request is spared the round that it comes in, and so most are never looked at
)

// Checker knows which accesses still hold.
type Checker interface {
	// Holds reports whether an access given earlier would still be given. Errors are *userkeys.Error.
	Holds(ctx context.Context, a userkeys.Access) error
}

// Answer is what a request in progress writes to.
type Answer interface {
	// Cut calls end, and makes writing fail from then on if the answer has begun.
	Cut(end func())
}

// Monitor asks about the keys of requests in progress, all in one round: a
// timer for each would cost more than the check itself. It rests while there are none.
type Monitor struct {
	checker Checker

	mu      sync.Mutex
	first   *Followed // a list through next and prev
	round   int64
	running bool
}

// New returns a monitor that asks c.
func New(c Checker) *Monitor { return &Monitor{checker: c} }

// Followed is a request in progress.
type Followed struct {
	all    *Monitor
	access userkeys.Access
	ctx    context.Context
	cancel context.CancelCauseFunc
	out    Answer // nil: there is none to cut

	// Guarded by all.mu.
	since      int64
	over       bool
	next, prev *Followed
}

// Follow begins to monitor a request that writes to out; nil: there is nothing to cut. The caller calls Stop before the
// request's handler returns.
func (m *Monitor) Follow(ctx context.Context, a userkeys.Access, out Answer) *Followed {
	s := &Followed{all: m, access: a, out: out}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.next = m.first; s.next != nil {
		s.next.prev = s
	}
	m.first, s.since = s, m.round
	if !m.running {
		m.running = true
		time.AfterFunc(lookPause, m.look)
	}
	return s
}

// Context returns a context that ends when the access does, with [Ended] as its cause.
func (s *Followed) Context() context.Context { return s.ctx }

// Access returns the access that the request was let in with.
func (s *Followed) Access() userkeys.Access { return s.access }

// Stop ends the monitoring: from now on nobody touches the request.
func (s *Followed) Stop() {
	s.all.mu.Lock()
	s.over = true
	if s.next != nil {
		s.next.prev = s.prev
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.all.first = s.next
	}
	s.all.mu.Unlock()
	s.cancel(nil)
}

// look is one round. The next begins on time also when this one takes long.
func (m *Monitor) look() {
	due := m.due()
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	var taken atomic.Int64
	var all sync.WaitGroup
	for range min(len(due), lookers) {
		all.Go(func() {
			for i := taken.Add(1); i <= int64(len(due)); i = taken.Add(1) {
				due[i-1].look(ctx)
			}
		})
	}
	all.Wait()
}

// due collects the requests that are old enough, and plans the next round.
func (m *Monitor) due() []*Followed {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.round++
	if m.running = m.first != nil; m.running {
		time.AfterFunc(lookPause, m.look)
	}
	var due []*Followed
	for s := m.first; s != nil; s = s.next {
		if m.round-s.since >= firstRound && s.ctx.Err() == nil {
			due = append(due, s)
		}
	}
	return due
}

// look asks once. Whoever cannot be told in time that the key still holds is
// cut: a stream is no place to wait in the dark.
func (s *Followed) look(ctx context.Context) {
	err := s.holds(ctx)
	if err == nil {
		return
	}
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	end := func() { s.cancel(Ended{err}) }
	if s.over || s.out == nil { // the connection may serve another request by now
		end()
		return
	}
	s.out.Cut(end)
}

// holds asks whether the access still holds. A panic of the checker is an error.
func (s *Followed) holds(ctx context.Context) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = userkeys.AsError(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	return s.all.checker.Holds(ctx, s.access)
}

// Ended is why a request was cut: the error that Holds gave.
type Ended struct{ error }

// Unwrap returns the error that Holds gave.
func (e Ended) Unwrap() error { return e.error }
