package forward

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// stall ends requests that make no progress: every piece that is read from or
// written to the client has its own deadline. One for the whole request would end honest long streams.
// Writes have one over HTTP/1 only: HTTP/2 has a timer of its own, which the server sets.
type stall struct {
	after   time.Duration
	now     func() time.Time
	control http.ResponseController
	written time.Time // when the last deadline for writing was set
}

// beforeWrite sets the deadline of a write, unless the last one is nearly as good.
func (s *stall) beforeWrite() {
	now := s.now()
	if now.Sub(s.written) < s.after/64 {
		return
	}
	s.written = now
	_ = s.control.SetWriteDeadline(now.Add(s.after))
}

// body is a request's body on its way to the upstream.
type body struct {
	io.ReadCloser
	stall  *stall
	failed atomic.Pointer[error]
	over   atomic.Bool // the handler has returned or the protocol was switched: what comes is no longer ours
	keeps  bool        // what is read first is kept, to be sent again if need be: all of it, or none
	lost   bool        // more was read than is kept
	ended  bool        // all was read

	// A client may be slow, but not for ever: each could hold a worker of the upstream.
	least  int           // bytes that must come in rateTime; 0: any
	came   int           // bytes since the last time that rateTime was over
	waited time.Duration // for them; the upstream's own slowness does not count

	kept []byte // what was read first
	from int    // what of kept comes next
}

// rateTime is how long the rate of an upload is measured before it counts.
const rateTime = time.Minute

// maxKept is how much of a body is kept to be sent again.
const maxKept = 16 << 10

// Read reads with a deadline, and remembers whether it was the client that failed.
func (b *body) Read(p []byte) (int, error) {
	if b.from < len(b.kept) {
		n := copy(p, b.kept[b.from:])
		b.from += n
		return n, nil
	}
	if b.ended {
		return 0, io.EOF // not asked of the server, which closes what was read
	}
	if b.over.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	began := b.stall.now()
	_ = b.stall.control.SetReadDeadline(began.Add(b.patience()))
	n, err := b.ReadCloser.Read(p)
	b.measure(began, n)
	switch {
	case err == io.EOF:
		b.ended = true
		_ = b.stall.control.SetReadDeadline(time.Time{})
	case err != nil:
		b.failed.Store(&err) // the deadline stays: the server still reads what is left
	}
	b.keep(p[:n])
	return n, err
}

// patience is how long the next piece may take.
func (b *body) patience() time.Duration {
	if b.came < b.least {
		return min(b.stall.after, rateTime-b.waited)
	}
	return b.stall.after
}

// measure counts a piece that was waited for since began. The next time begins when enough has come in this one.
func (b *body) measure(began time.Time, n int) {
	b.waited += b.stall.now().Sub(began)
	if b.came += n; b.waited >= rateTime && b.came >= b.least {
		b.waited, b.came = 0, 0
	}
}

// keep keeps a piece that was read.
func (b *body) keep(piece []byte) {
	if b.lost || len(piece) == 0 {
		return
	}
	if !b.keeps || len(b.kept)+len(piece) > maxKept {
		b.lost, b.kept, b.from = true, nil, 0
		return
	}
	b.kept = append(b.kept, piece...)
	b.from = len(b.kept)
}

// rewind makes the body be read from its beginning again, and reports whether it can be.
func (b *body) rewind() bool {
	b.from = 0
	return !b.lost && b.failure() == nil
}

// unclosed is a body that stays open.
type unclosed struct{ io.Reader }

// Close does nothing.
func (unclosed) Close() error { return nil }

// failure is why the client's body could not be read; nil if it could.
func (b *body) failure() error {
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}
