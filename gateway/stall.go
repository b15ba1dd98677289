package gateway

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// stall ends exchanges that make no progress: every piece that is read from or
// written to the client has its own deadline. One for the whole request would end honest long streams.
// Only for HTTP/1: HTTP/2 has timers of its own, see [Limits].
type stall struct {
	after   time.Duration
	now     func() time.Time
	control http.ResponseController
}

func (s *stall) beforeWrite() { _ = s.control.SetWriteDeadline(s.now().Add(s.after)) }

// body is a request's body on its way to the upstream.
type body struct {
	io.ReadCloser
	stall  *stall // may be nil
	failed atomic.Pointer[error]
}

// Read reads with a deadline, and remembers whether it was the client that failed.
func (b *body) Read(p []byte) (int, error) {
	if b.stall != nil {
		_ = b.stall.control.SetReadDeadline(b.stall.now().Add(b.stall.after))
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF && b.stall != nil:
		_ = b.stall.control.SetReadDeadline(time.Time{})
	case err != nil && err != io.EOF:
		b.failed.Store(&err) // the deadline stays: the server still reads what is left
	}
	return n, err
}

// failure is why the client's body could not be read; nil if it could.
func (b *body) failure() error {
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Deadlines bound a request of a handler that is done in one go: its body must
// have come after Read, its answer be taken after Write. A zero value of one sets none.
// The server itself cannot have such limits, for streams and long polls live under it too.
type Deadlines struct {
	Read, Write time.Duration
	Now         func() time.Time // nil: the system's clock
}

// Handler puts the deadlines on every request of next.
func (d Deadlines) Handler(next http.Handler) http.Handler {
	if d.Now == nil {
		d.Now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, now := http.NewResponseController(w), d.Now()
		if d.Write > 0 {
			_ = control.SetWriteDeadline(now.Add(d.Write)) // a writer without deadlines has none to keep
		}
		// Without a body the deadline would end the wait for the client's leaving, and with it the request.
		if d.Read > 0 && r.ContentLength != 0 {
			_ = control.SetReadDeadline(now.Add(d.Read))
			r.Body = &deadlineBody{ReadCloser: r.Body, control: control}
		}
		next.ServeHTTP(w, r)
	})
}

// Extend gives the client d.Write from now on to take what is written, in place of the deadline that
// it had: for a handler within [Deadlines.Handler] that answers for long.
func (d Deadlines) Extend(w http.ResponseWriter) {
	now := d.Now
	if now == nil {
		now = time.Now
	}
	_ = http.NewResponseController(w).SetWriteDeadline(now().Add(d.Write)) // a writer without deadlines has none to keep
}

// deadlineBody lifts the deadline when the body has come.
type deadlineBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read reads on; at the end there is nothing more to wait for.
func (b *deadlineBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
