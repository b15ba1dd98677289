package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
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

// A website that hangs up on a body without an answer has failed; it was not slow.
func TestWebsiteThatHangsUpOnTheBody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	hungUp := make(chan struct{})
	u := newUpstreamOn(t, l, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_ = c.(*net.UnixConn).CloseRead()
		close(hungUp)
		<-t.Context().Done()
	})
	u.url.Host = "localhost"
	cfg := u.config()
	cfg.Dial = Socket(l.Addr().String())
	r := u.request(t, "POST", &gated{strings.NewReader("body"), hungUp})
	r.ContentLength = 4
	if _, err := direct(t, cfg).RoundTrip(r); !errors.Is(err, syscall.EPIPE) || isTimeout(err) {
		t.Errorf("got %v", err)
	}
}

// A connection over which a part of a body was sent is for no other request, which would be read as the rest of it.
func TestBodyThatIsNotTakenInTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	u := newUpstreamOn(t, l, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(c, okAnswer)
		<-t.Context().Done()
	})
	u.url.Host = "localhost"
	cfg := u.config()
	cfg.HeaderTimeout = 50 * time.Millisecond
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := Socket(l.Addr().String())(ctx, "", "")
		if err == nil {
			err = c.(*net.UnixConn).SetWriteBuffer(1) // as little as the system can do with
		}
		return c, err
	}
	tr := direct(t, cfg)
	res, err := tr.RoundTrip(u.request(t, "POST", strings.NewReader(strings.Repeat("x", maxBody))))
	if err != nil {
		t.Fatal(err)
	}
	x := res.Body.(*roundTrip)
	if b, err := io.ReadAll(x); string(b) != "ok" {
		t.Errorf("got %q (%v)", b, err)
	}
	<-x.sent
	until(t, "the connection is closed", func() bool {
		if tr.idleCount() > 0 {
			t.Fatal("the connection is idle")
		}
		_, err := x.link.Conn.Read(make([]byte, 1))
		return errors.Is(err, net.ErrClosed)
	})
}

// A body that the website does not take is not sent for ever when the answer is over, also where nothing else has a
// deadline.
func TestBodyThatNobodyTakes(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"a piece on its way": false, "a later piece": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := nettest.ListenPipe()
			ended := make(chan struct{})
			u := newUpstreamOn(t, l, func(_ int, c net.Conn, _ *bufio.Reader) {
				defer close(ended)
				r, err := http.ReadRequest(bufio.NewReaderSize(c, 16))
				if err != nil {
					return
				}
				if !late {
					_, _ = io.ReadFull(r.Body, make([]byte, 16))
				}
				_, _ = io.WriteString(c, okAnswer)
				_, _ = io.WriteString(c, "x") // nobody reads it
			})
			defer l.Close()
			cfg := u.config()
			cfg.Dial, cfg.HeaderTimeout = l.Dial, 0
			open := make(chan struct{})
			r := u.request(t, "POST", &gated{strings.NewReader(strings.Repeat("x", maxBody)), open})
			r.ContentLength = maxBody
			if !late {
				close(open)
			}
			mustBeOK(t, direct(t, cfg), r)
			if late {
				close(open)
			}
			select {
			case <-ended:
			case <-time.After(nettest.Patience):
				t.Fatal("the connection is still held")
			}
		})
	}
}

// A body that fails ends its request with its own error; the website does not take what came for all.
func TestBodyThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken body")
	for _, tt := range []struct {
		name string
		body io.Reader
		want error
	}{
		{"fails", io.MultiReader(strings.NewReader("ab"), &failing{broken}), broken},
		{"too short", strings.NewReader("ab"), errLength},
		{"too long", strings.NewReader("abcde"), errLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
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
			r := u.request(t, "POST", tt.body)
			r.ContentLength = 4
			if _, err := direct(t, u.config()).RoundTrip(r); !errors.Is(err, tt.want) {
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

// The connection of a small POST is used again, whoever is done first: the goroutine that sent it or its handler, which
// has then ended the request's context.
func TestSmallPostsShareAConnection(t *testing.T) {
	t.Parallel()
	const posts = 500
	u := newUpstream(t, answering(ok))
	tr := direct(t, u.config())
	for range posts {
		ctx, cancel := context.WithCancel(t.Context())
		mustBeOK(t, tr, u.request(t, "POST", strings.NewReader("body")).WithContext(ctx))
		cancel()
	}
	if n := u.came(); n > posts/100 {
		t.Errorf("%d connections for %d requests", n, posts)
	}
}
