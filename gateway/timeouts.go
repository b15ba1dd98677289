package gateway

import (
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
			refuseHeaderCount.write(w)
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
