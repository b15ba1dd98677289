package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
		{"within, with a long body", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("a", 300_000), true, true},
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
				t.Errorf("traced: %.200s (%v)", fmt.Sprint(a), err)
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
