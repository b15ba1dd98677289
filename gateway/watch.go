package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"userkeys"
)

// How a request that outlives its check is watched: the last question before
// the key is lost, the pause until the next and the time to answer it together
// stay under a second.
const (
	firstLook = 500 * time.Millisecond
	nextLook  = 250 * time.Millisecond
	lookTime  = 400 * time.Millisecond
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
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := userkeys.FromContext(r.Context())
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			x := &struct {
				answer
				watched
			}{answer: answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1)}}
			ctx := x.watched.start(r.Context(), c, a, &x.answer)
			defer x.watched.stop()
			next.ServeHTTP(&x.answer, r.WithContext(ctx))
		})
	}
}

// watched is a request in progress whose key is asked about now and then.
type watched struct {
	checker Checker
	access  userkeys.Access
	ctx     context.Context
	cancel  context.CancelCauseFunc
	out     *answer

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// start returns a context that ends when the access does, with the refusal as
// its cause. stop must be called before the handler returns.
func (s *watched) start(ctx context.Context, c Checker, a userkeys.Access, out *answer) context.Context {
	s.checker, s.access, s.out = c, a, out
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.mu.Lock()
	s.timer = time.AfterFunc(firstLook, s.look)
	s.mu.Unlock()
	return s.ctx
}

// look asks once. Whoever cannot be told that the key still holds is cut: a
// stream is no place to wait in the dark.
func (s *watched) look() {
	ctx, cancel := context.WithTimeout(s.ctx, lookTime)
	defer cancel()
	err := s.checker.Holds(ctx, s.access)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
	case err == nil:
		s.timer.Reset(nextLook)
	default:
		s.cancel(revoked{err})
		s.out.cut()
	}
}

func (s *watched) stop() {
	s.mu.Lock()
	s.over = true
	s.timer.Stop()
	s.mu.Unlock()
	s.cancel(nil)
}

// revoked is why a request was cut: the error that Holds gave.
type revoked struct{ error }

func (r revoked) Unwrap() error { return r.error }
