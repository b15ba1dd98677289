package transport

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// TestMain keeps net/http from logging what websites of these tests say unasked.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// upstream is a website of a few lines: it hands each connection to serve, and closes it when serve returns.
type upstream struct {
	url   *url.URL
	mu    sync.Mutex
	conns int // that came
	open  sync.WaitGroup
}

func newUpstream(t testing.TB, serve func(n int, c net.Conn, r *bufio.Reader)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newUpstreamOn(t, l, serve)
}

func newUpstreamOn(t testing.TB, l net.Listener, serve func(n int, c net.Conn, r *bufio.Reader)) *upstream {
	t.Helper()
	u := &upstream{url: &url.URL{Scheme: "http", Host: l.Addr().String()}}
	u.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns++
			n := u.conns
			u.mu.Unlock()
			u.open.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		u.open.Wait()
	})
	return u
}

// came returns how many connections came.
func (u *upstream) came() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.conns
}

// answering serves every request of a connection with what answer returns for it.
func answering(answer func(r *http.Request, body string) string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, answer(r, string(body)))
		}
	}
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func ok(*http.Request, string) string { return okAnswer }

func (u *upstream) config() Config { return Config{Upstream: u.url, HeaderTimeout: nettest.Patience} }

// direct returns a synchronous transport. Its connections are closed at the end of the test.
func direct(t testing.TB, cfg Config) *synchronous {
	t.Helper()
	if !canLook {
		t.Skip("the transport of this system is net/http's")
	}
	tr, isOurs := New(cfg).(*synchronous)
	if !isOurs {
		t.Fatal("New returns another transport")
	}
	t.Cleanup(tr.closeAll)
	return tr
}

func (t *synchronous) closeAll() {
	t.standard.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.idle {
		_ = l.Close()
	}
	t.idle = nil
}

func (t *synchronous) idleCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}

// until waits for what must come.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(nettest.Patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not yet", what)
		}
	}
}

func (u *upstream) request(t testing.TB, method string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, u.url.String()+"/x", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	return r
}

// answer is what comes of a request.
type answer struct {
	Status, Proto string
	Header        http.Header
	Length        int64
	Coding        []string
	Close         bool
	Body          string
	Trailer       http.Header
	Early         []string // informational answers
	Failed        string   // where: "request", "body" or not at all
}

// ask sends r and reads the whole answer. err is why that failed.
func ask(tr http.RoundTripper, r *http.Request) (a answer, err error) {
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		a.Early = append(a.Early, fmt.Sprint(code, h))
		return nil
	}}
	res, err := tr.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		a.Failed = "request"
		return a, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a.Status, a.Proto, a.Header, a.Length, a.Coding, a.Close = res.Status, res.Proto, res.Header, res.ContentLength, res.TransferEncoding, res.Close
	a.Body, a.Trailer = string(b), res.Trailer
	if err != nil {
		a.Failed = "body"
	}
	return a, err
}

// mustBeOK asks and wants the answer "ok".
func mustBeOK(t *testing.T, tr http.RoundTripper, r *http.Request) {
	t.Helper()
	if a, err := ask(tr, r); err != nil || a.Body != "ok" {
		t.Errorf("got %v (%v)", a, err)
	}
}

func isTimeout(err error) bool {
	if os.IsTimeout(err) {
		return true
	}
	return err != nil && strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error())
}
