package forward

import (
	"maps"
	"net/http"
	"os"
	"sync"
	"time"

	"userkeys/gateway/internal/headers"
)

// Answer is a ResponseWriter that can be cut off by another goroutine and
// keeps the excesses of an upstream from the client.
type Answer struct {
	http.ResponseWriter
	http10        bool // such clients do not know informational answers
	informational int
	stall         *stall // nil: a client may read as slowly as it likes

	// awaited is set in the proxy until the upstream's final answer is there. What is
	// written until then is informational, and its headers are kept apart in early.
	awaited bool
	early   http.Header
	cookies []string // names of the cookies that no upstream may set

	mu      sync.Mutex
	began   bool // the status is on its way
	severed bool
}

// NewAnswer returns the answer to r that is written to w.
func NewAnswer(w http.ResponseWriter, r *http.Request) *Answer {
	return &Answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1)}
}

// maxInformational is how many informational answers (1xx) reach a client.
const maxInformational = 8

// Unwrap lets http.ResponseController find what the server's writer can do.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Header is the header of the next status to be written. The reverse proxy empties
// that of an informational answer, so it is another one than the final answer's.
func (a *Answer) Header() http.Header {
	if !a.awaited {
		return a.ResponseWriter.Header()
	}
	if a.early == nil {
		a.early = http.Header{}
	}
	return a.early
}

// WriteHeader passes the status on; superfluous informational ones end here.
func (a *Answer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		a.inform(status)
		return
	}
	a.mu.Lock()
	a.began = true
	a.mu.Unlock()
	a.ResponseWriter.WriteHeader(status)
}

// inform passes an informational answer on. The headers of the final one, which
// handlers around the proxy have begun to set, are not in it and are there again afterwards.
func (a *Answer) inform(status int) {
	if a.informational++; a.http10 || a.informational > maxInformational {
		return
	}
	if a.stall != nil {
		a.stall.beforeWrite()
	}
	if a.awaited {
		headers.StripHops(a.early)
		headers.StripSetCookies(a.early, a.cookies)
		h := a.ResponseWriter.Header()
		ours := maps.Clone(h)
		clear(h)
		maps.Copy(h, a.early)
		defer func() {
			clear(h)
			maps.Copy(h, ours)
		}()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write passes p on; a client that takes nothing of it for long is cut.
func (a *Answer) Write(p []byte) (int, error) {
	if !a.mayWrite() {
		return 0, os.ErrDeadlineExceeded
	}
	return a.ResponseWriter.Write(p)
}

// mayWrite sets the deadline of one write, unless Cut has set the last one.
func (a *Answer) mayWrite() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.severed {
		return false
	}
	a.began = true
	if a.stall != nil {
		a.stall.beforeWrite()
	}
	return true
}

// Flush sends what was written, for handlers that look for an http.Flusher.
func (a *Answer) Flush() {
	if a.mayWrite() {
		_ = http.NewResponseController(a.ResponseWriter).Flush()
	}
}

// end sets the deadline of what the server writes when the handler has
// returned: what it has buffered, the last chunk, the trailers. In these no
// cookie is set, and none that an upstream tries to set goes out.
func (a *Answer) end() {
	delete(a.Header(), http.TrailerPrefix+"Set-Cookie")
	_ = a.mayWrite()
}

// longAgo is a deadline that has passed by any clock.
var longAgo = time.Unix(1, 0)

// Cut calls end, which ends the request's context, and makes writing fail, also a write that
// waits for a client who reads slowly. An answer that has not begun by then is left
// alone: it says why. None begins in between, or the one that says why would be cut too.
func (a *Answer) Cut(end func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	end()
	if a.began {
		a.severed = true
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(longAgo)
	}
}
