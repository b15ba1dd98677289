package transport

import (
	"cmp"
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
	head, usual := appendHead((*buf)[:0], r)
	*buf = head
	if !usual {
		buffers.Put(buf)
		return t.standard.RoundTrip(r)
	}
	x, err := t.send(r, head)
	buffers.Put(buf)
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

// roundTrip is a request on its way and then, as an [io.ReadCloser], the body of its answer.
type roundTrip struct {
	t       *synchronous
	link    *link
	request *http.Request
	body    io.Reader     // of the answer, as http.ReadResponse returns it
	sent    chan struct{} // closed when the request's body is read no more; nil: it has none

	unwatch func() bool  // ends the wait for the end of the request's context; false: it has ended
	users   atomic.Int32 // of the connection: one sends the request's body, one reads the answer
	spoilt  atomic.Bool  // the connection is for no other request
	ended   atomic.Bool  // nothing of the answer is read any more

	mu       sync.Mutex
	answered bool  // the header of the answer has come
	failure  error // to send the request's body
}

// send writes the head of r and begins to send its body.
func (t *synchronous) send(r *http.Request, head []byte) (*roundTrip, error) {
	for ctx := r.Context(); ; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		x := &roundTrip{t: t, request: r}
		var err error
		if x.link, err = t.connect(ctx); err != nil {
			return nil, x.reason(err)
		}
		x.users.Store(1)
		x.unwatch = context.AfterFunc(ctx, x.abort)
		_ = x.link.SetDeadline(t.deadline())
		if _, err = x.link.Write(head); err != nil {
			_ = x.Close()
			if errors.Is(err, errStale) {
				continue // with another connection; nothing was sent
			}
			return nil, x.reason(err)
		}
		if r.ContentLength > 0 {
			_ = x.link.SetReadDeadline(time.Time{}) // the website's time begins when it has the body
			x.sent = make(chan struct{})
			x.users.Add(1)
			go x.sendBody()
		}
		return x, nil
	}
}

// abort ends what goes on over the connection.
func (x *roundTrip) abort() { _ = x.link.Close() }

// reason returns why the request has failed, if err is what that looks like from the connection.
func (x *roundTrip) reason(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if ctx := x.request.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return cmp.Or(x.failure, err)
}

// grace is how long is waited for what must be nearly there: the answer of a website that has hung up on the
// request's body, the failure of the body that has also ended the request's context, and the website that has yet to
// take a piece of a body which it has answered already.
const grace = 500 * time.Millisecond

// sendBody sends the request's body while the answer is awaited, which may begin before.
func (x *roundTrip) sendBody() {
	ofBody, ofConn := x.copyBody()
	_ = x.request.Body.Close()
	x.mu.Lock()
	switch {
	case ofBody != nil || errors.Is(ofConn, os.ErrDeadlineExceeded) && !x.answered:
		x.failure = cmp.Or(ofBody, ofConn)
		x.abort()
	case x.answered: // and read without a deadline
	case ofConn != nil:
		x.failure = ofConn // unless an answer comes
		_ = x.link.SetReadDeadline(x.t.cfg.Now().Add(grace))
	default:
		_ = x.link.SetReadDeadline(x.t.deadline())
	}
	x.mu.Unlock()
	close(x.sent)
	x.release(ofBody == nil && ofConn == nil)
}

var errLength = errors.New("the request's body is not as long as its Content-Length")

// copyBody sends the request's body, each piece with a deadline. What fails is the body or the connection.
func (x *roundTrip) copyBody() (ofBody, ofConn error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for left := x.request.ContentLength; ; {
		n, err := x.request.Body.Read((*buf)[:cap(*buf)])
		left -= int64(n)
		if left < 0 || left > 0 && err == io.EOF {
			return errLength, nil
		}
		if n > 0 {
			_ = x.link.SetWriteDeadline(x.t.deadline())
			if x.ended.Load() {
				x.hurry()
			}
			if _, err := x.link.Write((*buf)[:n]); err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			return nil, nil
		} else if err != nil {
			return err, nil
		}
	}
}

// hurry sets the deadline of a piece of the request's body when the answer is over.
func (x *roundTrip) hurry() { _ = x.link.SetWriteDeadline(x.t.cfg.Now().Add(grace)) }

// awaitBody returns when the request's body is read no more, so that it may be sent again, or the context has ended.
func (x *roundTrip) awaitBody() {
	if x.sent == nil {
		return
	}
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
	res, err := x.readHeader()
	if err != nil {
		_ = x.Close()
		x.awaitBody()
		return nil, x.reason(err)
	}
	if res.Close || res.StatusCode < http.StatusOK {
		x.spoilt.Store(true)
	}
	x.mu.Lock()
	x.answered = true
	if res.ContentLength < 0 || res.ContentLength > int64(x.link.reader.Buffered()) {
		_ = x.link.SetReadDeadline(time.Time{})
	}
	x.mu.Unlock()
	if res.Body == http.NoBody {
		x.end()
	} else {
		x.body, res.Body = res.Body, x
	}
	return res, nil
}

var errSwitch = errors.New("upstream switched protocols unasked")

// readHeader reads the header of the final answer. Informational ones are shown to who traces the request, who then
// also counts them, as with net/http; else all headers together must keep within the bound.
func (x *roundTrip) readHeader() (*http.Response, error) {
	x.link.left = maxHeader
	defer func() { x.link.left = -1 }()
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
	n, err := x.body.Read(p)
	switch {
	case err == io.EOF:
		x.end()
	case err != nil:
		_ = x.Close()
		err = x.reason(err)
	}
	return n, err
}

// end says that the answer is there to its end.
func (x *roundTrip) end() {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	if x.users.Load() > 1 {
		x.hurry()
	}
	x.release(x.unwatch())
}

// Close ends the reading of the answer's body, also by another goroutine. What has not been read is lost, and the
// connection with it.
func (x *roundTrip) Close() error {
	if x.ended.CompareAndSwap(false, true) {
		x.abort()
		x.unwatch()
		x.release(false)
	}
	return nil
}

// release says that one user needs the connection no more, and whether all went well for it. After the last one
// another request may have the connection, or it is closed.
func (x *roundTrip) release(whole bool) {
	if !whole {
		x.spoilt.Store(true)
	}
	if x.users.Add(-1) > 0 {
		return
	}
	if x.spoilt.Load() {
		x.abort()
	} else {
		x.t.putIdle(x.link)
	}
}
