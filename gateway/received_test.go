package gateway

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hinting is an upstream that says more before and after its answer than it may.
func hinting(t *testing.T) *upstream {
	t.Helper()
	return newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nSet-Cookie: ours=evil; Path=/\r\nSet-Cookie: theirs=1\r\n"+
			"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie, X-Sum\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: ours=evil\r\nX-Sum: 2\r\n\r\n")
	})
}

// golang/go 81207 and 81319: an informational answer took our headers with it, and what the
// upstream may not say went out in it. The same for what comes after an answer.
func TestInformationalAnswersAreCleanedAndLeaveOurHeadersAlone(t *testing.T) {
	t.Parallel()
	c := newEdged(t, "cors_origins", listed)
	p := newProxy(t, ProxyConfig{Upstream: hinting(t).url(), Checker: c, SessionCookies: []string{"ours"}})
	front := newFront(t, FrontConfig{Own: identities, Checker: c, Upstream: p})
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "7")
		front.ServeHTTP(w, r)
	}))
	conn := dial(t, addr)
	defer conn.Close()
	_, _ = io.WriteString(conn, get("/x", withKey("Origin: "+listed, "Connection: close")...))
	b, _ := io.ReadAll(conn)
	hints, rest, _ := strings.Cut(string(b), "\r\n\r\n")
	final, body, _ := strings.Cut(rest, "\r\n\r\n")
	if !strings.HasPrefix(hints, "HTTP/1.1 103 ") || headerLine(hints, "Link") == "" || !strings.Contains(hints, "Set-Cookie: theirs=1") {
		t.Errorf("the hints did not come:\n%s", hints)
	}
	for _, not := range []string{"ours=", "X-Hop", "Connection", "Keep-Alive", "Upgrade", "Access-Control", "X-Request-Id"} {
		if strings.Contains(hints, not) {
			t.Errorf("the hints have %s:\n%s", not, hints)
		}
	}
	if headerLine(final, "Access-Control-Allow-Origin") != listed || headerLine(final, "X-Request-Id") != "7" ||
		!strings.Contains(final, "Vary: Origin\r\n") || strings.Contains(final, "theirs") || strings.Contains(final, "Link") {
		t.Errorf("the final answer is not as it should be:\n%s", final)
	}
	if strings.Contains(body, "ours=") || !strings.Contains(body, "X-Sum: 2\r\n") {
		t.Errorf("trailers:\n%s", body)
	}
}

// breaking is an upstream whose answers break off after a few bytes.
func breaking(headers string) func(string, net.Conn) {
	return func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+headers)
		c.Close()
	}
}

func TestAnswerThatBreaksOffIsLoggedAndReachesTheClientAsFarAsItCame(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]string{
		"length": "Content-Length: 100\r\n\r\nhalf", "chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
		"event stream": "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged syncBuffer
			second := time.Now()
			var later atomic.Int64 // seconds
			p := newProxy(t, ProxyConfig{
				Upstream: newUpstream(t, breaking(headers)).url(), Logger: slog.New(slog.NewTextHandler(&logged, nil)),
				Now: func() time.Time { return second.Add(time.Duration(later.Load()) * time.Second) },
			})
			addr := listen(t, p)
			for range 3 {
				got := send(t, addr, get("/x?secret=1", withKey()...))
				if got.status != 200 || got.body != "half" || !errors.Is(got.err, io.ErrUnexpectedEOF) {
					t.Errorf("got %+v (%v)", got, got.err)
				}
			}
			log := logged.String()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "broke off") ||
				!strings.Contains(log, "path=/x") || strings.Contains(log, "secret") {
				t.Errorf("logged\n%s", log)
			}
			later.Store(1)
			_ = send(t, addr, get("/x", withKey()...))
			if log := logged.String(); !strings.Contains(log, "left_out=2") {
				t.Errorf("2 lines were left out, logged\n%s", log)
			}
		})
	}
}

// A client that leaves in the middle is no fault of the upstream's.
func TestClientThatLeavesInTheMiddleLeavesNoLine(t *testing.T) {
	t.Parallel()
	var logged syncBuffer
	left, over := make(chan struct{}), make(chan struct{})
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		<-left
	})
	p := newProxy(t, ProxyConfig{Upstream: up.url(), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		p.ServeHTTP(w, r)
	}))
	c := dial(t, addr)
	_, _ = io.WriteString(c, get("/x"))
	c.Close()
	<-over
	close(left)
	if log := logged.String(); log != "" {
		t.Errorf("logged\n%s", log)
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPanicIsLogged(t *testing.T) {
	t.Parallel()
	var logged syncBuffer
	now := time.Now()
	p := newProxy(t, ProxyConfig{
		Upstream: hinting(t).url(), Transport: roundTrip(func(*http.Request) (*http.Response, error) { panic("boom") }),
	})
	addr := listen(t, newFront(t, FrontConfig{
		Own: identities, Checker: &fakeChecker{}, Upstream: p, Logger: slog.New(slog.NewTextHandler(&logged, nil)), Now: func() time.Time { return now },
	}))
	for range 2 {
		if got := send(t, addr, get("/x?secret=1")); got.status != 0 {
			t.Errorf("got %+v (%v)", got, got.err)
		}
	}
	log := logged.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "panic=boom") || !strings.Contains(log, "received_test.go") ||
		strings.Contains(log, "secret") {
		t.Errorf("logged\n%s", log)
	}
}

// streaming is an upstream whose answers begin and come to no end.
func streaming(headers ...string) func(string, net.Conn) {
	return func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Join(headers, "\r\n")+"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestDrainEndsEventStreams(t *testing.T) {
	t.Parallel()
	for kind, ends := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; charset=utf-8": true, "application/json": false, "text/event-streams": false,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, ProxyConfig{Upstream: newUpstream(t, streaming("Content-Type: "+kind)).url()})
			addr := listen(t, p)
			c := dial(t, addr)
			defer c.Close()
			_, _ = io.WriteString(c, get("/events", withKey()...))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			first := make([]byte, 5)
			if _, err := io.ReadFull(res.Body, first); err != nil {
				t.Fatal(err)
			}
			p.Drain()
			if !ends {
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if _, err := io.ReadAll(res.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("an answer that is no event stream is ended: %v", err)
				}
				return
			}
			if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
				t.Errorf("the stream does not end as it should: %q, %v", rest, err)
			}
			if got := send(t, addr, get("/events")); got.status != 200 || got.err != nil {
				t.Errorf("a stream that begins later: %+v", got)
			}
		})
	}
}
