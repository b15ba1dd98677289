package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// keepIdle is how long an idle connection to the upstream is kept. It is less than the
// five seconds after which common servers close theirs, so that few requests meet one that is being closed.
const keepIdle = 3 * time.Second

// NewTransport returns a transport that speaks HTTP/1.1 only: websockets need it, and every target can
// be said in it. It asks no proxy of the environment and opens no gzip. If socket is not empty, it connects to that
// Unix socket, whatever the address of the request is.
func NewTransport(socket string, headerTimeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if socket != "" {
				network, addr = "unix", socket
			}
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &Conn{Conn: c}, nil
		},
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        keepIdle,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 128 << 10,
	}
}

// Conn is a connection to the upstream that counts what went over it.
type Conn struct {
	net.Conn
	secure        bool         // TLS is spoken over it
	idle          atomic.Bool  // until the first write of the next request
	written, read atomic.Int64 // bytes
}

// errOver is of a connection that the upstream has closed while it was idle.
var errOver = errors.New("the upstream has closed this connection")

// Write writes and counts. An idle connection is looked at first: net/http hears
// of its end only a little later, when the request may be on its way to nobody.
func (c *Conn) Write(p []byte) (int, error) {
	if c.idle.Load() && c.idle.Swap(false) && isOver(c.Conn, c.secure) {
		return 0, errOver
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// Read reads and counts.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// CloseWrite tells a websocket's upstream that nothing more comes.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// attempt is a request on a connection to the upstream.
type attempt struct {
	conn          *Conn // nil: none yet, or one that does not count
	reused        bool
	written, read int64 // what went over conn before
}

// gotConn begins an attempt.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	conn, secure := info.Conn, false
	if c, ok := conn.(*tls.Conn); ok {
		conn, secure = c.NetConn(), true
	}
	c, _ := conn.(*Conn)
	if *a = (attempt{conn: c, reused: info.Reused}); c == nil {
		return
	}
	a.written, a.read = c.written.Load(), c.read.Load()
	c.secure = secure
	c.idle.Store(a.reused)
}

// mayRepeat reports whether a request that failed may be sent once more: only after a connection
// that was used before, whose end may have met the request. Either no byte of it was written, or its
// method says that twice is the same as once, and no byte of an answer came.
func (a *attempt) mayRepeat(method string) bool {
	if a.conn == nil || !a.reused {
		return false
	}
	return a.conn.written.Load() == a.written || isIdempotent(method) && a.conn.read.Load() == a.read
}

// isIdempotent reports whether a method says that twice is the same as once (RFC 9110, 9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// repeater sends requests again where that is safe. net/http by itself never repeats a request with a body.
type repeater struct{ next http.RoundTripper }

// RoundTrip sends a request of the proxy.
func (t repeater) RoundTrip(r *http.Request) (*http.Response, error) {
	x := requestOf(r)
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn == nil {
		trace.GotConn = x.attempt.gotConn // it is the reverse proxy's, made for this request
	}
	if !isIdempotent(r.Method) {
		hideIdempotencyKeys(r.Header)
	}
	for {
		x.attempt = attempt{}
		res, err := t.next.RoundTrip(r)
		if err == nil || IsTimeout(err) || r.Context().Err() != nil {
			return res, err
		}
		if !x.attempt.mayRepeat(r.Method) || !x.body.rewind() {
			return res, err
		}
		again := *r
		if r.Body != nil {
			again.Body = unclosed{&x.body} // the last one was closed
		}
		r = &again
	}
}

// hideIdempotencyKeys spells the headers in another case, in which net/http does not take
// them for leave to send a request twice: a website may not know them.
func hideIdempotencyKeys(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if lines, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = lines
		}
	}
}
