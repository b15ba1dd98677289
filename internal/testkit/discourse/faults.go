package discourse

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"
)

// Request is a request that came in.
type Request struct {
	Time    time.Time // by the site's clock
	Method  string
	Path    string // as it was sent, without the query
	Query   url.Values
	Header  http.Header
	Status  int  // of the answer; 0 if none was sent (yet)
	Limited bool // refused by a limit, or, on the message bus, turned into a stranger's by one
	Browser bool // a [Browser] sent it
}

// Requests are copies of all requests so far, oldest first.
func (s *Site) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Count is how many requests apps, not browsers, have sent to a path.
func (s *Site) Count(method, path string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Method == method && r.Path == path && !r.Browser {
			n++
		}
	}
	return n
}

// Fault is something that goes wrong on purpose. Only what is set happens: a
// [Fault] with nothing but a Delay is answered as usual after it. The requests of browsers are spared.
type Fault struct {
	Path   string // as it is sent, with its .json; empty is any
	Method string // empty is any
	Times  int    // how many requests it hits; 0 is one

	Delay      time.Duration // by the site's clock, before all else
	Cut        Cut
	Status     int // answered in place of the site's own answer
	Header     http.Header
	Body       string // with Content-Type application/json unless Header says otherwise
	HugeBody   int64  // answers with one JSON string of so many bytes
	RedirectTo string // answers with 302, or Status, to there
}

// Cut says when the connection is cut without an answer.
type Cut int

// When connections are cut.
const (
	CutNever  Cut = iota
	CutBefore     // nothing has happened
	CutAfter      // the request took effect, and its answer is lost
	CutMiddle     // in the middle of the answer's body
)

// Fail makes the next requests that it describes go wrong. Of several faults
// for a path, the first is used up first. Go's own client silently repeats a
// GET whose reused connection was cut: the repetition is a request as well.
func (s *Site) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, &f)
}

// fault takes the fault that hits a request; the zero one if none. Callers hold mu.
func (s *Site) fault(r *http.Request) Fault {
	if isBrowser(r) {
		return Fault{}
	}
	for _, f := range s.faults {
		if f.Times > 0 && (f.Path == "" || f.Path == r.URL.Path) && (f.Method == "" || f.Method == r.Method) {
			f.Times--
			return *f
		}
	}
	return Fault{}
}

// answers tells whether the fault answers in the site's place.
func (f Fault) answers() bool {
	return f.Status != 0 || f.Body != "" || f.HugeBody > 0 || f.RedirectTo != ""
}

func (f Fault) status() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.RedirectTo != "":
		return http.StatusFound
	}
	return http.StatusOK
}

func (f Fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", jsonType)
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if f.RedirectTo != "" {
		w.Header().Set("Location", f.RedirectTo)
	}
	w.WriteHeader(f.status())
	_, _ = io.WriteString(w, f.Body) // the app may have gone
	if f.HugeBody > 0 {
		_, _ = io.WriteString(w, `"`)
		_, _ = io.CopyN(w, filler{}, f.HugeBody-2)
		_, _ = io.WriteString(w, `"`)
	}
}

// filler is endless text.
type filler struct{}

func (filler) Read(p []byte) (int, error) { return copy(p, strings.Repeat("x", len(p))), nil }

// serve is the site's door: it writes the request down, lets faults happen, and answers.
func (s *Site) serve(w http.ResponseWriter, r *http.Request) {
	c := s.newCall(r)
	s.mu.Lock()
	c.entry = len(s.requests)
	s.requests = append(s.requests, Request{
		Time: c.now, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(),
		Header: r.Header.Clone(), Browser: isBrowser(r),
	})
	f := s.fault(r)
	s.mu.Unlock()
	if f.Delay > 0 {
		ctx, cancel := s.left(r)
		s.Clock.sleep(ctx, f.Delay)
		cancel()
		c.now = s.Clock.Now()
	}
	switch {
	case f.Cut == CutBefore:
		panic(http.ErrAbortHandler)
	case f.answers():
		s.mu.Lock()
		c.finish(f.status())
		s.mu.Unlock()
		if f.Cut == CutNever {
			f.write(w)
			return
		}
		w = halfWriter{w}
		f.write(w)
		panic(http.ErrAbortHandler)
	case f.Cut == CutAfter:
		s.handle(httptest.NewRecorder(), c)
		panic(http.ErrAbortHandler)
	case f.Cut == CutMiddle:
		s.handle(halfWriter{w}, c)
		panic(http.ErrAbortHandler)
	}
	s.handle(w, c)
}

// halfWriter sends half of what is written.
type halfWriter struct{ http.ResponseWriter }

func (h halfWriter) Write(p []byte) (int, error) {
	_, _ = h.ResponseWriter.Write(p[:len(p)/2])
	_ = http.NewResponseController(h.ResponseWriter).Flush() // so that the app sees the half
	return len(p), nil
}

// browserHeader marks the requests of browsers.
const browserHeader = "X-Stand-In-Browser"

func isBrowser(r *http.Request) bool { return r.Header.Get(browserHeader) != "" }

// left is a context that ends with the request or the test.
func (s *Site) left(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
