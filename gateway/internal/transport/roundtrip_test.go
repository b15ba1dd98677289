//go:build linux || darwin

package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// gated is a body that comes when its gate is opened.
type gated struct {
	io.Reader
	open chan struct{}
}

func (g *gated) Read(p []byte) (int, error) {
	<-g.open
	return g.Reader.Read(p)
}

// slowPost is a POST whose body "body" comes when open is closed.
func (u *upstream) slowPost(t testing.TB) (r *http.Request, open chan struct{}) {
	t.Helper()
	open = make(chan struct{})
	r = u.request(t, "POST", &gated{strings.NewReader("body"), open})
	r.ContentLength = 4
	return r, open
}

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

// A website may answer before a body has come, and the body goes on afterwards.
func TestEarlyAnswerToAPost(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 2)
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			bodies <- string(b)
		}
	})
	tr := direct(t, u.config())
	for range 2 {
		r, open := u.slowPost(t)
		mustBeOK(t, tr, r)
		if tr.idleCount() != 0 {
			t.Fatal("the connection is idle while a body is sent over it")
		}
		close(open)
		if b := <-bodies; b != "body" {
			t.Errorf("the website got %q", b)
		}
		until(t, "the connection is idle", func() bool { return tr.idleCount() == 1 })
	}
	if u.came() != 1 {
		t.Errorf("%d connections", u.came())
	}
}

// A website that refuses a body hangs up on it: its answer is read all the same, and the connection is given up.
func TestAnswerOfAWebsiteThatHangsUpOnTheBody(t *testing.T) {
	t.Parallel()
	refusal := "HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\n\r\ntoo big"
	hungUp := make(chan struct{})
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, refusal)
		_ = c.Close()
		close(hungUp)
	})
	tr := direct(t, u.config())
	body := &gated{strings.NewReader(strings.Repeat("x", maxBody)), hungUp}
	r := u.request(t, "POST", body)
	r.ContentLength = maxBody
	if a, err := ask(tr, r); err != nil || a.Body != "too big" {
		t.Errorf("got %v (%v)", a, err)
	}
	if n := tr.idleCount(); n != 0 {
		t.Errorf("%d idle connections", n)
	}
}

// A website that stops to read ends a request when its time is over, in the head as in the body.
func TestUpstreamThatNeverReads(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]bool{"nothing": false, "only the head": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := nettest.ListenPipe()
			defer l.Close()
			u := &upstream{url: newUpstream(t, answering(ok)).url}
			cfg := u.config()
			cfg.Dial, cfg.HeaderTimeout = l.Dial, 50*time.Millisecond
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				if head {
					_, _ = io.ReadFull(c, make([]byte, 30))
					_, _ = http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\n"), c)))
				}
				<-t.Context().Done()
			}()
			tr := direct(t, cfg)
			r := u.request(t, "POST", strings.NewReader(strings.Repeat("x", maxBody)))
			if _, err := tr.RoundTrip(r); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A request that is given up ends at once, wherever it is, and the website sees its connection end.
func TestCancel(t *testing.T) {
	t.Parallel()
	why := errors.New("the client has left")
	for _, tt := range []struct {
		name, answer string
		post         bool
	}{
		{"before the answer", "", false},
		{"in the header of the answer", "HTTP/1.1 200 OK\r\nX-A", false},
		{"in the answer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", false},
		{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", false},
		{"while it uploads", "", true},
		{"while it uploads and is answered", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked, ended := make(chan struct{}), make(chan struct{})
			u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
				_, _ = http.ReadRequest(br)
				_, _ = io.WriteString(c, tt.answer)
				close(asked)
				_, _ = io.Copy(io.Discard, br)
				close(ended)
			})
			tr := direct(t, u.config())
			r, open := u.slowPost(t)
			defer close(open)
			if !tt.post {
				r = u.request(t, "GET", nil)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-asked
				cancel(why)
			}()
			if a, err := ask(tr, r.WithContext(ctx)); !errors.Is(err, why) {
				t.Errorf("got %v (%v)", a, err)
			}
			<-ended
			if n := tr.idleCount(); n != 0 {
				t.Errorf("%d idle connections", n)
			}
		})
	}
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		u := newUpstream(t, answering(ok))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := direct(t, u.config()).RoundTrip(u.request(t, "GET", nil).WithContext(ctx)); !errors.Is(err, why) || u.came() != 0 {
			t.Errorf("%v, %d connections", err, u.came())
		}
	})
}

// A body that fails ends its request with its own error; the website does not take what came for all.
func TestBodyThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken body")
	for name, body := range map[string]io.Reader{
		"fails":     io.MultiReader(strings.NewReader("ab"), &failing{broken}),
		"too short": strings.NewReader("ab"),
		"too long":  strings.NewReader("abcde"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := make(chan bool, 1)
			u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
				r, err := http.ReadRequest(br)
				if err != nil {
					whole <- false
					return
				}
				_, err = io.ReadAll(r.Body)
				whole <- err == nil
				_, _ = io.Copy(io.Discard, c)
			})
			r := u.request(t, "POST", body)
			r.ContentLength = 4
			_, err := direct(t, u.config()).RoundTrip(r)
			if err == nil || errors.Is(err, broken) != (name == "fails") {
				t.Errorf("got %v", err)
			}
			if <-whole {
				t.Error("the website got a whole body")
			}
		})
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// Headers are bounded, those of informational answers with them unless somebody looks at these.
func TestHeaderBound(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return "X-A: " + strings.Repeat("a", n) + "\r\n" }
	hint := "HTTP/1.1 103 Early Hints\r\n" + long(1000) + "\r\n"
	for _, tt := range []struct {
		name, sent    string
		traced, plain bool // whether the answer passes
	}{
		{"within", "HTTP/1.1 200 OK\r\n" + long(100<<10) + "Content-Length: 2\r\n\r\nok", true, true},
		{"beyond", "HTTP/1.1 200 OK\r\n" + long(200<<10) + "Content-Length: 2\r\n\r\nok", false, false},
		{"many lines", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n", false, false},
		{"endless", "HTTP/1.1 200 OK\r\n" + long(4<<20), false, false},
		{"informational", strings.Repeat(hint, 200) + okAnswer, true, false},
		{"a long informational", "HTTP/1.1 103 Early Hints\r\n" + long(200<<10) + "\r\n" + okAnswer, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, answering(func(*http.Request, string) string { return tt.sent }))
			tr := direct(t, u.config())
			if a, err := ask(tr, u.request(t, "GET", nil)); (err == nil) != tt.traced {
				t.Errorf("traced: %.200s (%v)", a, err)
			}
			res, err := tr.RoundTrip(u.request(t, "GET", nil))
			if err == nil {
				_ = res.Body.Close()
			}
			if (err == nil) != tt.plain || err != nil && !errors.Is(err, errHeader) {
				t.Errorf("not traced: %v", err)
			}
		})
	}
}

// The website's time is up to the header of its answer: a body may be slow, either way.
func TestHeaderTimeout(t *testing.T) {
	t.Parallel()
	const short = 100 * time.Millisecond
	wait := func() <-chan time.Time { return time.After(3 * short) }
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name    string
		serve   func(c net.Conn)
		post    bool
		timeout bool
	}{
		{"no answer", silent, false, true},
		{"half a header", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200"); silent(c) }, false, true},
		{"a slow answer", func(c net.Conn) {
			_, _ = io.WriteString(c, strings.TrimSuffix(okAnswer, "k"))
			<-wait()
			_, _ = io.WriteString(c, "k")
		}, false, false},
		{"no answer to a body", silent, true, true},
		{"a slow body", func(c net.Conn) { _, _ = io.WriteString(c, okAnswer); silent(c) }, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
				if r, err := http.ReadRequest(br); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					tt.serve(c)
				}
			})
			cfg := u.config()
			cfg.HeaderTimeout = short
			tr := direct(t, cfg)
			r := u.request(t, "GET", nil)
			if tt.post {
				var open chan struct{}
				r, open = u.slowPost(t)
				time.AfterFunc(3*short, func() { close(open) })
			}
			if a, err := ask(tr, r); isTimeout(err) != tt.timeout || !tt.timeout && a.Body != "ok" {
				t.Errorf("got %v (%v)", a, err)
			}
		})
	}
}

// Another goroutine may close an answer that is being read.
func TestCloseWhileReading(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
		_, _ = io.Copy(io.Discard, c)
	})
	tr := direct(t, u.config())
	res, err := tr.RoundTrip(u.request(t, "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err == nil || len(b) != 0 {
		t.Errorf("got %q (%v)", b, err)
	}
	_ = res.Body.Close()
	if tr.idleCount() != 0 {
		t.Error("the connection is idle")
	}
}

// An answer that nobody reads to its end ends its connection, and so a body that is still sent over it.
func TestCloseWhileSending(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
		_, _ = io.Copy(io.Discard, br)
		close(ended)
	})
	r, open := u.slowPost(t)
	defer close(open)
	res, err := direct(t, u.config()).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	<-ended
}

// Who is told that a request failed may read its body again: nobody else does.
func TestBodyIsLeftAloneAfterAFailure(t *testing.T) {
	t.Parallel()
	for range 20 {
		hungUp := make(chan struct{})
		u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			_ = c.Close()
			close(hungUp)
		})
		body := &closing{Reader: &gated{strings.NewReader("body"), hungUp}}
		r := u.request(t, "PUT", body)
		r.ContentLength = 4
		if _, err := direct(t, u.config()).RoundTrip(r); err == nil || !body.closed.Load() {
			t.Fatalf("error %v, the body is closed: %v", err, body.closed.Load())
		}
	}
}

// closing is a body that remembers whether it was closed.
type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error {
	time.Sleep(time.Millisecond) // so that who does not wait is seen
	c.closed.Store(true)
	return nil
}

// Nobody asks for another protocol here, so a switch to one gives nobody a connection.
func TestUnaskedSwitch(t *testing.T) {
	t.Parallel()
	for _, lines := range []string{"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
		u := newUpstream(t, answering(func(*http.Request, string) string {
			return "HTTP/1.1 101 Switching Protocols\r\n" + lines + "\r\nraw bytes"
		}))
		tr := direct(t, u.config())
		if a, err := ask(tr, u.request(t, "GET", nil)); !errors.Is(err, errSwitch) || tr.idleCount() != 0 {
			t.Errorf("got %v (%v)", a, err)
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

// Connections that were idle for long are closed, and no more are kept than the bound says.
func TestIdleConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, answering(ok))
	now := time.Now()
	cfg := u.config()
	cfg.Now = func() time.Time { return now }
	tr := direct(t, cfg)
	mustBeOK(t, tr, u.request(t, "GET", nil))
	first := tr.idle[0]
	if tr.timer == nil {
		t.Error("nobody comes to close it")
	}
	now = now.Add(keepIdle - time.Second)
	second, err := tr.cfg.dial(t.Context(), "tcp", tr.addr)
	if err != nil {
		t.Fatal(err)
	}
	tr.putIdle(&link{Conn: second.(*Conn), reader: bufio.NewReader(second)})
	for _, want := range []int{2, 1, 0} {
		tr.closeOld()
		if n := tr.idleCount(); n != want {
			t.Errorf("%d idle connections, want %d", n, want)
		}
		now = now.Add(time.Second + time.Millisecond + time.Duration(2-want)*keepIdle)
	}
	for _, c := range []net.Conn{first, second} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("still open: %v", err)
		}
	}
	for range maxIdle {
		tr.idle = append(tr.idle, first)
	}
	mustBeOK(t, tr, u.request(t, "GET", nil)) // takes all that are closed
	if n := tr.idleCount(); n != 1 {
		t.Errorf("%d idle connections", n)
	}
	for range maxIdle {
		tr.idle = append(tr.idle, first)
	}
	tr.putIdle(first)
	if n := tr.idleCount(); n != maxIdle+1 {
		t.Errorf("%d idle connections", n)
	}
}

// TestNothingIsLeft runs beside no other test: the goroutines are everybody's.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	open := make(chan struct{}, 100)
	u := newUpstream(t, func(n int, c net.Conn, br *bufio.Reader) {
		open <- struct{}{}
		defer func() { <-open }()
		switch n % 4 {
		case 0:
			answering(ok)(n, c, br)
		case 1:
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, okAnswer[:len(okAnswer)-1])
		case 2:
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, "garbage\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		case 3:
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, okAnswer) // and hangs up
		}
	})
	tr := direct(t, u.config())
	for i := range 80 {
		ctx, cancel := context.WithCancel(t.Context())
		r, gate := u.slowPost(t)
		if i%2 == 0 {
			r = u.request(t, "GET", nil)
		}
		if i%5 == 0 {
			go cancel()
		}
		if i%3 == 0 {
			close(gate)
		} else {
			time.AfterFunc(time.Millisecond, func() { close(gate) })
		}
		_, _ = ask(tr, r.WithContext(ctx))
		cancel()
	}
	tr.closeAll()
	until(t, "the website's connections are closed", func() bool { tr.closeAll(); return len(open) == 0 })
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 }) // who accepts, who waits
}
