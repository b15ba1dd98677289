package question

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"userkeys"
)

// In these headers of a 401 or 403 nginx finds the refusal that its client should see.
const (
	StatusHeader = "X-Userkeys-Status"
	BodyHeader   = "X-Userkeys-Body"
)

// removalsHeader names to Envoy the headers that it takes out of the client's request.
const removalsHeader = "X-Envoy-Auth-Headers-To-Remove"

// Lines that are always the same. Nobody changes them in place.
var (
	nothing = []string{""}
	noStore = []string{"no-store"}
)

// Allow answers that the request may pass. Every header of identity is in the answer, with an empty value
// where the answer has none: a header that is missing there could be the client's own behind some web servers, and
// the name of a placeholder behind others.
func (q Question) Allow(w http.ResponseWriter, identity []string) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["Content-Length"] = zero
	h[StatusHeader] = allowed
	removals := ""
	for _, name := range identity {
		if _, ok := h[name]; ok {
			continue
		}
		h[name] = nothing
		if q.dialect == envoy {
			removals += "," + strings.ToLower(name)
		}
	}
	if q.dialect == envoy {
		h[removalsHeader] = []string{strings.ToLower(userkeys.KeyHeader) + removals}
	}
	w.WriteHeader(http.StatusOK)
}

var zero = []string{"0"}

// Refuse answers with what write writes: to nginx, in the headers of a 401 or 403.
func (q Question) Refuse(w http.ResponseWriter, write func(http.ResponseWriter)) {
	if q.dialect != nginx {
		write(w)
		return
	}
	f := &folded{header: w.Header(), status: http.StatusOK}
	write(f)
	h := w.Header()
	h.Set(StatusHeader, strconv.Itoa(f.status))
	h.Set(BodyHeader, foldedBody(f.body))
	h["Content-Length"] = zero
	h.Del("Content-Type")
	status := http.StatusForbidden
	if f.status == http.StatusUnauthorized {
		status = f.status
	}
	w.WriteHeader(status)
}

// RefuseNow refuses as Refuse does, also while the handler of the question has not returned: the answer is whole, and
// the web server asks by another connection next.
func (q Question) RefuseNow(w http.ResponseWriter, write func(http.ResponseWriter)) {
	f := &folded{header: w.Header(), status: http.StatusOK}
	q.Refuse(f, write)
	f.header["Content-Length"] = []string{strconv.Itoa(len(f.body))}
	f.header["Connection"] = []string{"close"}
	w.WriteHeader(f.status)
	_, _ = w.Write(f.body) // a web server that is gone needs no answer
	_ = http.NewResponseController(w).Flush()
}

// Timer calls a function when its time is over, unless it was stopped before.
type Timer struct {
	timer *time.Timer
	ended chan any // the cause of a panic, or nil
}

// AfterFunc has f called after d, in a goroutine of its own.
func AfterFunc(d time.Duration, f func()) Timer {
	ended := make(chan any, 1)
	return Timer{time.AfterFunc(d, func() {
		defer func() {
			cause := recover()
			if cause != nil {
				cause = fmt.Sprintf("%v\n%s", cause, debug.Stack())
			}
			ended <- cause
		}()
		f()
	}), ended}
}

// Stop reports whether the function is not called any more. If it was called, it has returned. If it has panicked, Stop
// does: the server then ends the connection and goes on, and an answer that was not begun does not become a 200.
func (t Timer) Stop() bool {
	if t.timer.Stop() {
		return true
	}
	if cause := <-t.ended; cause != nil {
		panic(cause)
	}
	return false
}

// folded keeps a refusal.
type folded struct {
	header http.Header
	status int
	body   []byte
}

// Header returns the headers of the answer itself, in which those of the refusal stay.
func (f *folded) Header() http.Header { return f.header }

// WriteHeader keeps the status.
func (f *folded) WriteHeader(status int) { f.status = status }

// Write keeps p.
func (f *folded) Write(p []byte) (int, error) {
	f.body = append(f.body, p...)
	return len(p), nil
}

// maxBody is how long a folded body may be: nginx takes at most 4 KB of headers as it is shipped.
const maxBody = 1024

// longBody is what is said in place of a longer one.
const longBody = `{"errors":["` + userkeys.NotPermitted + `"]}`

// foldedBody writes a body of JSON on one line in ASCII, as the value of a header.
func foldedBody(body []byte) string {
	var b strings.Builder
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		switch {
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r > '~':
			fmt.Fprintf(&b, `\u%04x`, r)
		case r >= ' ':
			b.WriteByte(byte(r))
		default: // JSON has line ends and tabs between values only
			b.WriteByte(' ')
		}
		body = body[n:]
	}
	if b.Len() > maxBody {
		return longBody
	}
	return strings.TrimSpace(b.String())
}

// allowed tells web servers that a server of userkeys allows the request, and not some other program.
var allowed = []string{"200"}
