package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// A request that is given up while its connection is opened says why, as net/http does.
func TestCancelWhileDialling(t *testing.T) {
	t.Parallel()
	why := errors.New("the client has left")
	dialling := make(chan struct{})
	u := &upstream{url: &url.URL{Scheme: "http", Host: "up.example"}}
	cfg := u.config()
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("operation was canceled")}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-dialling
		cancel(why)
	}()
	if _, err := direct(t, cfg).RoundTrip(u.request(t, "GET", nil).WithContext(ctx)); !errors.Is(err, why) {
		t.Errorf("got %v", err)
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

// An answer that cannot be read ends its connection, also if nobody closes its body.
func TestMalformedChunk(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n")
		_, _ = io.Copy(io.Discard, br)
		close(ended)
	})
	res, err := direct(t, u.config()).RoundTrip(u.request(t, "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); string(b) != "ok" || err == nil {
		t.Errorf("got %q (%v)", b, err)
	}
	<-ended
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

// crowd is a website that does to each request what its X-Kind says. Its answers name the request.
type crowd struct{ open atomic.Int32 }

// text is the body of the answer to the request id.
func (*crowd) text(id string) string { return strings.Repeat(id+" ", 3000)[:3000] }

func (c *crowd) serve(_ int, conn net.Conn, br *bufio.Reader) {
	c.open.Add(1)
	defer c.open.Add(-1)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		id, kind := r.Header.Get("X-Id"), r.Header.Get("X-Kind")
		whole := "HTTP/1.1 200 OK\r\nX-Id: " + id + "\r\nContent-Length: 3000\r\n\r\n" + c.text(id)
		say := func(s string) { _, _ = io.WriteString(conn, s) }
		if kind == "early" {
			say(whole)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		switch kind {
		case "early":
		case "twice":
			say(whole + whole)
		case "in pieces":
			say("HTTP/1.1 103 Early Hints\r\n\r\n" + whole[:500])
			runtime.Gosched()
			say(whole[500:])
		case "cut off":
			say(whole[:500])
			return
		case "garbage":
			say("garbage\r\n\r\n")
		case "silent":
			_, _ = io.Copy(io.Discard, br)
		case "hangs up":
			say(whole)
			return
		default:
			say(whole)
		}
	}
}

var kinds = []string{"", "", "", "early", "twice", "in pieces", "cut off", "garbage", "silent", "hangs up"}

// crowdRequest returns a random request with a name.
func (u *upstream) crowdRequest(t *testing.T, rng *rand.Rand, id string) *http.Request {
	r := u.request(t, methods[rng.IntN(len(methods))], nil)
	if r.Method == "HEAD" {
		r.Method = "PUT"
	}
	if r.Method == "PUT" || r.Method == "POST" {
		n := 1 + rng.IntN(maxBody)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("b", n))), int64(n)
	}
	r.Header.Set("X-Id", id)
	r.Header.Set("X-Kind", kinds[rng.IntN(len(kinds))])
	return r
}

// ask sends r and reads its answer, all of it or less. What comes must be of its own answer.
func (c *crowd) ask(t *testing.T, tr http.RoundTripper, r *http.Request, rng *rand.Rand) {
	id := r.Header.Get("X-Id")
	res, err := tr.RoundTrip(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	least := 0
	switch rng.IntN(4) {
	case 0:
		go res.Body.Close()
	case 1:
		res.Body = io.NopCloser(io.LimitReader(res.Body, 100)) // and not closed: its context ends
	default:
		least = 3000
	}
	b, err := io.ReadAll(res.Body)
	if res.Header.Get("X-Id") != id || !strings.HasPrefix(c.text(id), string(b)) || err == nil && len(b) < least {
		t.Errorf("%s got that of %s: %.20q, %d bytes (%v)", id, res.Header.Get("X-Id"), b, len(b), err)
	}
}

// Whatever websites and callers do, each answer belongs to its request, and neither connections nor goroutines are
// left. It runs beside no other test: the goroutines are everybody's.
func TestCrowd(t *testing.T) {
	rounds := 40
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 5000
	}
	before := runtime.NumGoroutine()
	var c crowd
	u := newUpstream(t, c.serve)
	tr := direct(t, u.config())
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 17))
			for i := range rounds {
				r := u.crowdRequest(t, rng, fmt.Sprint(n, "-", i))
				ctx, cancel := context.WithCancel(r.Context())
				if r.Header.Get("X-Kind") == "silent" || rng.IntN(3) == 0 {
					time.AfterFunc(time.Duration(rng.IntN(2000))*time.Microsecond, cancel)
				}
				c.ask(t, tr, r.WithContext(ctx), rng)
				cancel()
			}
		})
	}
	callers.Wait()
	until(t, "the website's connections are closed", func() bool { tr.closeAll(); return c.open.Load() == 0 })
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 }) // who accepts, who waits
}
