package forward

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"strings"

	"userkeys/gateway/internal/transport"
)

// attempt is a request on a connection to the upstream.
type attempt struct {
	conn          *transport.Conn // nil: none yet, or one that does not count
	reused        bool
	written, read int64 // what went over conn before
}

// gotConn begins an attempt.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	c, _ := conn.(*transport.Conn)
	if *a = (attempt{conn: c, reused: info.Reused}); c == nil {
		return
	}
	a.written, a.read = c.Written(), c.Received()
	if a.reused {
		c.Reuse()
	}
}

// mayRepeat reports whether a request that failed may be sent once more: only after a connection
// that was used before, whose end may have met the request. Either no byte of it was written, or its
// method says that twice is the same as once, and no byte of an answer came.
func (a *attempt) mayRepeat(method string) bool {
	if a.conn == nil || !a.reused {
		return false
	}
	return a.conn.Written() == a.written || isIdempotent(method) && a.conn.Received() == a.read
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
