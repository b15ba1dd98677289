package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// RoundTrip implements [http.RoundTripper].
func (t *synchronous) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.isUsual(r) {
		return t.standard.RoundTrip(r)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	head, usual := appendHead((*buf)[:0], r)
	*buf = head
	if !usual {
		return t.standard.RoundTrip(r)
	}
	x, err := t.send(r, head)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return x.receive()
}

// buffers lends the memory for heads of requests, and for pieces of their bodies.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 4<<10)
	return &b
}}

// roundTrip is a request on its way, and the body of its answer.
type roundTrip struct {
	io.ReadCloser // the answer's body, without an eye on its end
	t             *synchronous
	link          *link
	request       *http.Request
	forget        func() bool   // ends the wait for the end of the request's context; false: it has ended
	sent          chan struct{} // closed when no more of the request's body is sent; nil: it has none

	parts   atomic.Int32 // that use the connection: the request's body, the answer
	spoilt  atomic.Bool  // the connection is for no other request
	hasRead atomic.Bool  // the answer, or as much of it as will be

	mu       sync.Mutex
	answered bool  // the header of the answer has come
	failure  error // of the request's body
}

// send writes the head of r and begins to send its body.
func (t *synchronous) send(r *http.Request, head []byte) (*roundTrip, error) {
	for ctx := r.Context(); ; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l, err := t.connect(ctx)
		if err != nil {
			return nil, err
		}
		x := &roundTrip{t: t, link: l, request: r}
		x.parts.Store(1)
		x.forget = context.AfterFunc(ctx, x.abort)
		_ = l.SetDeadline(t.deadline())
		if _, err = l.Write(head); err != nil {
			_ = x.Close()
			if errors.Is(err, errOver) {
				continue // with another connection; nothing was sent
			}
			return nil, x.reason(err)
		}
		if r.ContentLength > 0 {
			_ = l.SetReadDeadline(time.Time{}) // the website's time begins when it has the body
			x.sent = make(chan struct{})
			x.parts.Add(1)
			go x.sendBody()
		}
		return x, nil
	}
}

// abort ends what goes on over the connection.
func (x *roundTrip) abort() { _ = x.link.Close() }

// reason says why a request failed whose connection has failed with err.
func (x *roundTrip) reason(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch ctx := x.request.Context(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case x.failure != nil:
		return x.failure
	}
	return err
}

// grace is how long is waited for what must be nearly there: the answer of a website that has hung up on the
// request's body, and the failure of the body that has also ended the request's context.
const grace = 500 * time.Millisecond

// sendBody sends the request's body while the answer is awaited, which may begin before.
func (x *roundTrip) sendBody() {
	failure, err := x.copyBody()
	_ = x.request.Body.Close()
	x.mu.Lock()
	switch {
	case failure != nil || errors.Is(err, os.ErrDeadlineExceeded) && !x.answered:
		x.failure = errors.Join(failure, err)
		x.abort()
	case x.answered: // and read without a deadline
	case err != nil:
		_ = x.link.SetReadDeadline(x.t.cfg.Now().Add(grace))
	default:
		_ = x.link.SetReadDeadline(x.t.deadline())
	}
	x.mu.Unlock()
	close(x.sent)
	x.over(failure == nil && err == nil)
}

// copyBody sends the body, each piece with a deadline. A failure is the body's own, an error the connection's.
func (x *roundTrip) copyBody() (failure, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for left := x.request.ContentLength; ; {
		n, failure := x.request.Body.Read((*buf)[:cap(*buf)])
		left -= int64(n)
		if left < 0 || left > 0 && failure == io.EOF {
			return errors.New("the request's body is not as long as its Content-Length"), nil
		}
		if n > 0 {
			_ = x.link.SetWriteDeadline(x.t.deadline())
			if _, err := x.link.Write((*buf)[:n]); err != nil {
				return nil, err
			}
		}
		if failure == io.EOF {
			return nil, nil
		} else if failure != nil {
			return failure, nil
		}
	}
}

// awaitBody returns when the request's body is read no more, so that it may be sent again, or the context has ended.
func (x *roundTrip) awaitBody() {
	select {
	case <-x.sent:
	case <-x.request.Context().Done():
		select {
		case <-x.sent:
		case <-time.After(grace):
		}
	}
}

// receive reads the header of the answer.
func (x *roundTrip) receive() (*http.Response, error) {
	l := x.link
	res, err := x.readHeader()
	if err != nil {
		_ = x.Close()
		if x.sent != nil {
			x.awaitBody()
		}
		return nil, x.reason(err)
	}
	if l.left = -1; res.Close || res.StatusCode < http.StatusOK {
		x.spoilt.Store(true)
	}
	x.mu.Lock()
	x.answered = true
	if res.ContentLength < 0 || res.ContentLength > int64(l.reader.Buffered()) {
		_ = l.SetReadDeadline(time.Time{})
	}
	x.mu.Unlock()
	if res.Body == http.NoBody {
		x.over(x.forget())
	} else {
		x.ReadCloser, res.Body = res.Body, x
	}
	return res, nil
}

var errSwitch = errors.New("upstream switched protocols unasked")

// readHeader reads the header of the final answer. Informational ones are shown to who traces the request, who then
// also counts them, as with net/http; else all headers together must keep within the bound.
func (x *roundTrip) readHeader() (*http.Response, error) {
	x.link.left = maxHeader
	trace := httptrace.ContextClientTrace(x.request.Context())
	for {
		res, err := http.ReadResponse(x.link.reader, x.request)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitch
		case res.StatusCode < 100 || res.StatusCode > 199:
			return res, nil
		case trace != nil && trace.Got1xxResponse != nil:
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
			x.link.left = maxHeader
		}
	}
}

// Read reads the answer's body.
func (x *roundTrip) Read(p []byte) (int, error) {
	n, err := x.ReadCloser.Read(p)
	switch {
	case err == io.EOF && x.hasRead.CompareAndSwap(false, true):
		x.over(x.forget())
	case err != nil && err != io.EOF:
		_ = x.Close()
		err = x.reason(err)
	}
	return n, err
}

// Close ends the reading of the answer's body, also by another goroutine. What has not been read is lost, and the
// connection with it.
func (x *roundTrip) Close() error {
	if x.hasRead.CompareAndSwap(false, true) {
		x.abort()
		x.forget()
		x.over(false)
	}
	return nil
}

// over says that a part is over. After the last one the connection is ready for another request, or closed. The body
// may still be sent when the answer is over: it ends with its deadlines, or with the handler that it belongs to.
func (x *roundTrip) over(whole bool) {
	if !whole {
		x.spoilt.Store(true)
	}
	if x.parts.Add(-1) > 0 {
		return
	}
	if x.spoilt.Load() {
		x.abort()
	} else {
		x.t.putIdle(x.link)
	}
}
