package gateway

import (
	"io"
	"net/http"
	"time"
)

// maxHeaderLines is how many header lines a request may have, Host among them.
const maxHeaderLines = 100

// Limits sets what a server on the open internet needs against clients that
// are slow or send too much, and wraps s.Handler in [LimitHeaders]: set the handler first.
//
// Headers must have come after 5 seconds and have at most 32 KB. There is no
// ReadTimeout and no WriteTimeout, for they would end honest streams and long
// polls: [Proxy] has a deadline for every piece instead, and our own pages get theirs from [Deadlines].
//
// It panics if there is no handler: net/http would serve what any package may have registered.
func Limits(s *http.Server) {
	if s.Handler == nil {
		panic("gateway: limits need a handler")
	}
	s.ReadHeaderTimeout = 5 * time.Second
	s.IdleTimeout = 60 * time.Second
	s.MaxHeaderBytes = 32<<10 - 4096 // net/http adds 4096 to what is set here
	if s.HTTP2 == nil {
		s.HTTP2 = &http.HTTP2Config{
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		}
	}
	s.Handler = LimitHeaders(s.Handler)
}

// LimitHeaders refuses requests with more than 100 header lines: each costs
// every program on the way a look-up, however short it is. After a request in chunks it
// closes the connection, so that none can hide another one from a proxy before us.
func LimitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines := 1 // Host, which is not among the headers
		for _, values := range r.Header {
			lines += len(values)
		}
		if lines > maxHeaderLines {
			w.Header().Set("Connection", "close")
			refuseHeaderCount.Write(w)
			return
		}
		if len(r.TransferEncoding) > 0 {
			// net/http hides whether there was a Content-Length beside it. A proxy before us that went by
			// that would take the rest for the body, and we for another request.
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
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
	// A writer without deadlines has none to keep.
	_ = http.NewResponseController(w).SetWriteDeadline(now().Add(d.Write))
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
