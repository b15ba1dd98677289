package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

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
