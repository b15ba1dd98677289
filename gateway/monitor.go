package gateway

import (
	"context"
	"net/http"
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

// longAgo is a deadline that has passed by any clock.
var longAgo = time.Unix(1, 0)

// CutStreams ends requests of a key within a second of the key's end:
// revoked, expired, its owner suspended. It stands inside [Guard], around handlers
// that answer for long (event streams, long polls, big downloads): their
// context ends, and writing to a client fails once an answer has begun. The
// proxy does so by itself.
func CutStreams(c Checker) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		m := &monitor{checker: c}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := userkeys.FromContext(r.Context())
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			out := &answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1)}
			s := m.follow(r.Context(), a, out)
			defer s.stop()
			next.ServeHTTP(out, r.WithContext(s.ctx))
		})
	}
}

// Monitor ends what outlives its handler with the key that it was asked with, as [CutStreams] ends handlers.
type Monitor struct{ all monitor }

// NewMonitor makes a monitor that asks c.
func NewMonitor(c Checker) *Monitor { return &Monitor{monitor{checker: c}} }

// Follow returns a context that ends within a second of the access, with the refusal as its cause. The caller calls
// stop when it needs the context no more.
func (m *Monitor) Follow(ctx context.Context, a userkeys.Access) (while context.Context, stop func()) {
	s := m.all.follow(ctx, a, nil)
	return s.ctx, s.stop
}

// A monitor asks about the keys of requests in progress, all in one round: a
// timer for each would be dearer than the check itself. It rests while there are none.
type monitor struct {
	checker Checker

	mu      sync.Mutex
	first   *monitored // a list through next and prev
	round   int64
	running bool
}

// monitored is a request in progress.
type monitored struct {
	all    *monitor
	access userkeys.Access
	ctx    context.Context // ends when the access does, with the refusal as its cause
	cancel context.CancelCauseFunc
	out    *answer // nil: there is none to cut

	// Guarded by all.mu.
	since      int64
	over       bool
	next, prev *monitored
}

// follow begins to monitor a request. stop must be called before its handler returns.
func (m *monitor) follow(ctx context.Context, a userkeys.Access, out *answer) *monitored {
	s := &monitored{all: m, access: a, out: out}
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

// stop ends the monitoring: from now on nobody touches the request.
func (s *monitored) stop() {
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
func (m *monitor) look() {
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
func (m *monitor) due() []*monitored {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.round++
	if m.running = m.first != nil; m.running {
		time.AfterFunc(lookPause, m.look)
	}
	var due []*monitored
	for s := m.first; s != nil; s = s.next {
		if m.round-s.since >= firstRound && s.ctx.Err() == nil {
			due = append(due, s)
		}
	}
	return due
}

// look asks once. Whoever cannot be told in time that the key still holds is
// cut: a stream is no place to wait in the dark.
func (s *monitored) look(ctx context.Context) {
	err := s.all.checker.Holds(ctx, s.access)
	if err == nil {
		return
	}
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	end := func() { s.cancel(revoked{err}) }
	if s.over || s.out == nil { // the connection may serve another request by now
		end()
		return
	}
	s.out.cut(end)
}

// revoked is why a request was cut: the error that Holds gave.
type revoked struct{ error }

func (r revoked) Unwrap() error { return r.error }
