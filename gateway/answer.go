package gateway

import (
	"net/http"
	"os"
	"sync"
)

// answer is a ResponseWriter that can be cut off by another goroutine and
// keeps the excesses of an upstream from the client.
type answer struct {
	http.ResponseWriter
	http10        bool // such clients do not know informational answers
	informational int
	stall         *stall // nil: a client may read as slowly as it likes

	mu      sync.Mutex
	began   bool // the status is on its way
	severed bool
}

// maxInformational is how many informational answers (1xx) reach a client.
const maxInformational = 8

// Unwrap lets http.ResponseController find what the server's writer can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader passes the status on; superfluous informational ones end here.
func (a *answer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if a.informational++; a.http10 || a.informational > maxInformational {
			return
		}
	} else {
		a.mu.Lock()
		a.began = true
		a.mu.Unlock()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write passes p on; a client that takes nothing of it for long is cut.
func (a *answer) Write(p []byte) (int, error) {
	if !a.mayWrite() {
		return 0, os.ErrDeadlineExceeded
	}
	return a.ResponseWriter.Write(p)
}

// mayWrite sets the deadline of one write, unless cut has set the last one.
func (a *answer) mayWrite() bool {
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
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// cut makes writing fail, also a write that waits for a client who reads
// slowly. An answer that has not begun is left alone: it will say why.
func (a *answer) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.began {
		a.severed = true
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(longAgo)
	}
}
