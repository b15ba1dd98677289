package live

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/server/door"
	"userkeys/site"
)

// A request that waits in its handler costs two goroutines, whose stacks grew with all that is around a
// handler, and the buffers of its connection. So in a crowd polls of apps are parked: the connection is taken
// over, everything else of the request is let go, and the waiting goes on in two goroutines with small stacks.
// Such a connection is closed after its answer, which is why polls are not parked before there are many.
const (
	parkAbove = 1000 // listeners
	// maxStray is how many pieces of something else a client may send while its poll is parked.
	maxStray = 128
)

// park takes r's connection over, if there is a crowd and it can be. Then the poll is answered without the
// handler, which has nothing left to do.
func (h *Handlers) park(w http.ResponseWriter, r *http.Request, p *poll) bool {
	_, keyed := userkeys.FromContext(r.Context())
	if !keyed || r.ProtoMajor != 1 || h.bus.Listeners() <= h.parkAbove {
		return false
	}
	h.parked.Add(1) // before it is looked whether the server stops: see Drain
	if !p.l.Over() {
		// else HTTP/2 over a proxy of the embedder's, or a test
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			log := h.door.LogLater(r)
			t := &takenOver{conn: conn, now: h.door.Now, header: w.Header().Clone()}
			go h.unpark(context.WithoutCancel(r.Context()), t, log, p) // that context ends with the handler
			return true
		}
	}
	h.parked.Add(-1)
	return false
}

// Drain ends requests that wait for news, for a server that is about to stop: it returns when those whose
// connections the server does not know of are answered, or when ctx ends. Nobody can begin to wait any more.
func (h *Handlers) Drain(ctx context.Context) {
	if h.bus == nil {
		return
	}
	h.bus.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for h.parked.Load() > 0 { // those who come to park now see that it is over
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// unpark is the life of a parked poll, in a goroutine of its own.
func (h *Handlers) unpark(ctx context.Context, t *takenOver, log func(status int), p *poll) {
	defer h.parked.Add(-1)
	defer func() { log(t.status) }()
	access, _ := userkeys.FromContext(ctx)
	while, stop := h.watcher.Follow(ctx, access)
	context.AfterFunc(while, t.cut)
	left := make(chan struct{})
	go func() {
		defer close(left)
		t.untilLeft()
		stop()
	}()
	h.answerParked(t, new(http.Request).WithContext(while), p)
	_ = t.conn.Close() // what could be told was
	<-left
}

// answerParked does what the adapter does for a poll in its handler. Of r there is the context only.
func (h *Handlers) answerParked(t *takenOver, r *http.Request, p *poll) {
	err := h.holdParked(t, r, p)
	if err != nil {
		door.Note(r, err)
		if t.begun.Load() {
			return // it ends without its end
		}
		t.refuses.Store(true)
		_ = h.refusePoll(t, r, err) // it is written
	}
	h.door.Extend(t)
	_ = t.finish() // a client that is gone needs no answer
}

// holdParked is hold; a panic in it is an error.
func (h *Handlers) holdParked(t *takenOver, r *http.Request, p *poll) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return h.hold(t, r, site.Caller{}, p)
}

// takenOver writes the one answer that a connection that was taken over still has, as net/http would: in one piece, or
// in chunks once it is flushed. Its connection is closed afterwards.
type takenOver struct {
	conn   net.Conn
	now    func() time.Time
	header http.Header
	status int         // 0: there is no answer yet
	body   []byte      // what is not sent yet
	begun  atomic.Bool // the head was sent

	refuses atomic.Bool // the answer says why it ends, and is not cut
}

// Header is the answer's head, until it is sent.
func (t *takenOver) Header() http.Header { return t.header }

// WriteHeader sets the status; the first one counts.
func (t *takenOver) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
}

// Write keeps b until the answer is flushed or finished.
func (t *takenOver) Write(b []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	t.body = append(t.body, b...)
	return len(b), nil
}

// SetWriteDeadline is for http.ResponseController.
func (t *takenOver) SetWriteDeadline(at time.Time) error { return t.conn.SetWriteDeadline(at) }

// FlushError sends what was written as a chunk (RFC 9112 7.1), for http.ResponseController.
func (t *takenOver) FlushError() error {
	t.WriteHeader(http.StatusOK)
	b := t.head("Transfer-Encoding", "chunked")
	if len(t.body) > 0 {
		b = fmt.Appendf(b, "%x\r\n%s\r\n", len(t.body), t.body)
	}
	t.body = nil
	_, err := t.conn.Write(b)
	return err
}

// finish sends the rest of the answer, if there is one.
func (t *takenOver) finish() error {
	if t.status == 0 {
		return nil
	}
	b := []byte("0\r\n\r\n")
	if !t.begun.Load() {
		b = append(t.head("Content-Length", strconv.Itoa(len(t.body))), t.body...)
	}
	_, err := t.conn.Write(b)
	return err
}

// head is the head with what says how long the answer is; nothing if it was sent.
func (t *takenOver) head(length, is string) []byte {
	if t.begun.Swap(true) {
		return nil
	}
	t.header.Set(length, is)
	t.header.Set("Date", t.now().UTC().Format(http.TimeFormat))
	t.header.Set("Connection", "close")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", t.status, http.StatusText(t.status))
	_ = t.header.Write(&b) // to memory
	b.WriteString("\r\n")
	t.header = http.Header{} // it may wait for long
	return b.Bytes()
}

// cut ends an answer that has begun, also a write that waits for a client who reads slowly. Another is left
// alone: it will say why.
func (t *takenOver) cut() {
	if t.begun.Load() && !t.refuses.Load() {
		_ = t.conn.Close() // that is all there is to do
	}
}

// untilLeft returns when the client has closed the connection, or it was closed here. What else a client sends is
// dropped; who sends much is taken for one that does not wait.
func (t *takenOver) untilLeft() {
	var dropped [64]byte
	for range maxStray {
		if _, err := t.conn.Read(dropped[:]); err != nil {
			return
		}
	}
}
