package gateway

import (
	"context"
	"net/http"

	"userkeys"
	"userkeys/gateway/internal/forward"
	"userkeys/gateway/internal/monitor"
)

// CutStreams ends requests of a key within a second of the key's end:
// revoked, expired, its owner suspended. It stands inside [Guard], around handlers
// that answer for long (event streams, long polls, big downloads): their
// context ends, and writing to a client fails once an answer has begun. The
// proxy needs no CutStreams: it ends such requests itself.
func CutStreams(c Checker) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		m := monitor.New(c)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := userkeys.FromContext(r.Context())
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			out := forward.NewAnswer(w, r)
			s := m.Follow(r.Context(), a, out)
			defer s.Stop()
			next.ServeHTTP(out, r.WithContext(s.Context()))
		})
	}
}

// Monitor ends what outlives its handler with the key that it was asked with, as [CutStreams] ends handlers.
type Monitor struct{ all *monitor.Monitor }

// NewMonitor makes a monitor that asks c.
func NewMonitor(c Checker) *Monitor { return &Monitor{monitor.New(c)} }

// Follow returns a context that ends within a second of the access, with the refusal as its cause. The caller calls
// stop when it needs the context no more.
func (m *Monitor) Follow(ctx context.Context, a userkeys.Access) (while context.Context, stop func()) {
	s := m.all.Follow(ctx, a, nil)
	return s.Context(), s.Stop
}
