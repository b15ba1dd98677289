package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
)

// How requests that outlive their check are watched: the pause until the next
// look and the time that it may take together stay under a second.
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
		all := &watcher{checker: c}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := userkeys.FromContext(r.Context())
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			out := &answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1)}
			s := all.watch(r.Context(), a, out)
			defer s.stop()
			next.ServeHTTP(out, r.WithContext(s.ctx))
		})
	}
}

// Watcher watches requests that outlive their handler, as [CutStreams] watches those that do not.
type Watcher struct{ all watcher }

// NewWatcher makes a watcher.
func NewWatcher(c Checker) *Watcher { return &Watcher{watcher{checker: c}} }

// Watch gives a context that ends within a second of the access, with the refusal as its cause. stop ends the watch.
func (w *Watcher) Watch(ctx context.Context, a userkeys.Access) (while context.Context, stop func()) {
	s := w.all.watch(ctx, a, nil)
	return s.ctx, s.stop
}

// watcher asks about the keys of requests in progress, all in one round: a
// timer for each would be dearer than the check itself. It rests while there are none.
type watcher struct {
	checker Checker

	mu      sync.Mutex
	first   *watched // a list through next and prev
	round   int64
	running bool
}

// watched is a request in progress.
type watched struct {
	all    *watcher
	access userkeys.Access
	ctx    context.Context // ends when the access does, with the refusal as its cause
	cancel context.CancelCauseFunc
	out    *answer // nil: there is none to cut

	// Guarded by all.mu.
	since      int64
	over       bool
	next, prev *watched
}

// watch begins to watch a request. stop must be called before its handler returns.
func (w *watcher) watch(ctx context.Context, a userkeys.Access, out *answer) *watched {
	s := &watched{all: w, access: a, out: out}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.next = w.first; s.next != nil {
		s.next.prev = s
	}
	w.first, s.since = s, w.round
	if !w.running {
		w.running = true
		time.AfterFunc(lookPause, w.look)
	}
	return s
}

// stop ends the watch: from now on nobody touches the request.
func (s *watched) stop() {
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
func (w *watcher) look() {
	due := w.due()
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
func (w *watcher) due() []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.round++
	if w.running = w.first != nil; w.running {
		time.AfterFunc(lookPause, w.look)
	}
	var due []*watched
	for s := w.first; s != nil; s = s.next {
		if w.round-s.since >= firstRound && s.ctx.Err() == nil {
			due = append(due, s)
		}
	}
	return due
}

// look asks once. Whoever cannot be told in time that the key still holds is
// cut: a stream is no place to wait in the dark.
func (s *watched) look(ctx context.Context) {
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
