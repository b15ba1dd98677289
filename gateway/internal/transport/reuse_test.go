//go:build linux || darwin

package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"userkeys/internal/testkit/nettest"
)

// One connection serves requests of all kinds, one after the other.
func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, answering(func(r *http.Request, body string) string {
		switch r.Method {
		case "HEAD":
			return strings.TrimSuffix(okAnswer, "ok")
		case "DELETE":
			return "HTTP/1.1 204 No Content\r\n\r\n"
		case "POST":
			return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n" + body + "\r\n0\r\nX-Sum: 1\r\n\r\n"
		}
		return okAnswer
	}))
	tr := direct(t, u.config())
	for range 3 {
		for method, want := range map[string]string{"GET": "ok", "HEAD": "", "DELETE": "", "POST": "body"} {
			var body io.Reader
			if method == "POST" {
				body = strings.NewReader("body")
			}
			ctx, cancel := context.WithCancel(t.Context())
			if a, err := ask(tr, u.request(t, method, body).WithContext(ctx)); err != nil || a.Body != want {
				t.Errorf("%s: got %v (%v)", method, a, err)
			}
			cancel() // which is nothing to the next request
			until(t, "the connection is idle", func() bool { return tr.idleCount() == 1 })
		}
	}
	if u.came() != 1 {
		t.Errorf("%d connections", u.came())
	}
}

// After these answers a connection is not used again.
func TestConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"Connection: close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"a second answer":   okAnswer + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON",
		"a status below":    "HTTP/1.1 099 x\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, answering(func(*http.Request, string) string { return sent }))
			tr := direct(t, u.config())
			for range 2 {
				if a, err := ask(tr, u.request(t, "GET", nil)); err != nil || strings.Contains(a.Body, "POISON") {
					t.Errorf("got %v (%v)", a, err)
				}
			}
			if u.came() != 2 || tr.idleCount() != 0 {
				t.Errorf("%d connections, %d idle", u.came(), tr.idleCount())
			}
		})
	}
}

// A connection that ended while it was idle, or over which something came, is noticed before the next
// request is sent, also a POST; nothing of what came is an answer.
func TestIdleConnectionThatIsOver(t *testing.T) {
	t.Parallel()
	for name, unasked := range map[string]string{
		"closed": "", "an answer": "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON", "a parting word": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
	} {
		for _, stays := range []bool{false, true} {
			if stays && unasked == "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				idle := make(chan struct{})
				requests := make(chan string, 10)
				u := newUpstream(t, func(n int, c net.Conn, br *bufio.Reader) {
					for {
						r, err := http.ReadRequest(br)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, r.Body)
						requests <- r.Method
						_, _ = io.WriteString(c, okAnswer)
						if n > 1 {
							continue
						}
						<-idle
						if _, _ = io.WriteString(c, unasked); !stays {
							return
						}
					}
				})
				tr := direct(t, u.config())
				mustBeOK(t, tr, u.request(t, "GET", nil))
				first := tr.idle[0].Conn.Conn
				close(idle)
				nettest.UntilReadable(t, first)
				mustBeOK(t, tr, u.request(t, "POST", strings.NewReader("body")))
				if u.came() != 2 || <-requests != "GET" || <-requests != "POST" || len(requests) > 0 {
					t.Errorf("%d connections, %d requests too many", u.came(), len(requests))
				}
				if _, err := first.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the first connection is still held: %v", err)
				}
			})
		}
	}
}

// What a website has said beyond an answer is no part of the next one, whatever it says and however it comes.
func TestLeftoversAreNoAnswer(t *testing.T) {
	t.Parallel()
	rounds := 200
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 20_000
	}
	written := make(chan struct{}, 1)
	sent := ""
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if r.Header.Get("X-First") == "" {
				_, _ = io.WriteString(c, okAnswer)
				continue
			}
			_, _ = io.WriteString(c, sent)
			written <- struct{}{}
		}
	})
	tr := direct(t, u.config())
	rng := rand.New(rand.NewPCG(15, 4))
	for range rounds {
		first := []int{0, 1, 4, 6, 7, 8, 9}[rng.IntN(7)] // those whose end is not that of the connection
		sent = whole[first]
		if rng.IntN(3) > 0 {
			sent += randomAnswer(rng)
		}
		r := u.request(t, methods[rng.IntN(len(methods))], nil)
		r.Header.Set("X-First", "1")
		if _, err := ask(tr, r); err != nil {
			t.Fatalf("%s answered by %q: %v", r.Method, sent, err)
		}
		<-written
		for _, method := range []string{"POST", "GET"} {
			if a, err := ask(tr, u.request(t, method, nil)); err != nil || a.Body != "ok" || a.Length != 2 {
				t.Fatalf("%s after %s, which was answered by %q: got %v (%v)", method, r.Method, sent, a, err)
			}
		}
	}
}

// A connection that cannot be looked at is used once.
func TestConnectionThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	l := nettest.ListenPipe()
	defer l.Close()
	u := &upstream{url: &url.URL{Scheme: "http", Host: "up.example"}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answering(ok)(0, c, bufio.NewReader(c))
		}
	}()
	cfg := u.config()
	cfg.Dial = l.Dial
	tr := direct(t, cfg)
	for range 2 {
		mustBeOK(t, tr, u.request(t, "GET", nil))
		if tr.idleCount() != 0 {
			t.Error("the connection is idle")
		}
	}
}
