package testkit

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Upstream is a website behind the site: it remembers what reached it and
// answers with who it was told calls.
type Upstream struct {
	URL string

	mu     sync.Mutex
	got    []Received
	answer http.HandlerFunc // nil: "user=NAME target=TARGET"
}

// Received is a request as it reached the upstream.
type Received struct {
	Method, Target, Host string
	From                 string // the address of the other side of the connection
	Header, Trailer      http.Header
}

// NewUpstream starts an upstream that ends with the test.
func NewUpstream(t testing.TB) *Upstream {
	u := &Upstream{}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.URL = server.URL
	return u
}

// ServeHTTP implements http.Handler.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.got = append(u.got, Received{r.Method, r.RequestURI, r.Host, r.RemoteAddr, r.Header.Clone(), r.Trailer})
	answer := u.answer
	u.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	// A client that is gone needs no answer.
	_, _ = w.Write([]byte("user=" + r.Header.Get("X-Userkeys-Username") + " target=" + r.RequestURI))
}

// Say has answer answer from now on; nil: as at first.
func (u *Upstream) Say(answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

// Take returns what was received since the last call.
func (u *Upstream) Take() []Received {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := u.got
	u.got = nil
	return got
}

// Raw sends bytes to the site as they are, and reads the first answer. No
// answer at all is status 0.
func (s *Site) Raw(request string) Answer {
	s.t.Helper()
	return s.RawAnswers(request, 1)[0]
}

// RawAnswers is [Site.Raw] for several requests on one connection.
func (s *Site) RawAnswers(requests string, n int) []Answer {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.URL, "http://"), 5*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // else the test's own deadline
	go func() { _, _ = conn.Write([]byte(requests)) }()    // the site may answer, and close, before the end
	line, _, _ := strings.Cut(requests, "\n")
	method, _, _ := strings.Cut(line, " ")
	asked := &http.Request{Method: method, URL: &url.URL{Path: line}}
	r, out := bufio.NewReader(conn), make([]Answer, n)
	for i := range out {
		out[i] = Answer{Response: &http.Response{Request: asked, Header: http.Header{}}}
		res, err := http.ReadResponse(r, asked)
		if err != nil {
			continue
		}
		out[i] = Answer{Response: res, Body: Read(res)}
	}
	return out
}

// Read reads a body as far as it comes.
func Read(res *http.Response) string {
	var b strings.Builder
	_, _ = bufio.NewReader(res.Body).WriteTo(&b) // an answer that was cut says so by its length
	_ = res.Body.Close()
	return b.String()
}
