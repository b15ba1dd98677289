package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

func TestLimitsOnHeaders(t *testing.T) {
	t.Parallel()
	addr := listen(t, identities)
	lines := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("X-%d: a", i)
		}
		return out
	}
	same := func(n int) []string { return strings.Split(strings.TrimSuffix(strings.Repeat("X-A: a|", n), "|"), "|") }
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"HT6 33 KB", get("/x", "X-A: "+strings.Repeat("a", 33<<10)), 431},
		{"HT6 1 MB", get("/x", "X-A: "+strings.Repeat("a", 1<<20)), 431},
		{"31 KB", get("/x", "X-A: "+strings.Repeat("a", 31<<10)), 200},
		{"100 lines with Host", get("/x", lines(99)...), 200},
		{"HT6 101 lines", get("/x", lines(100)...), 431},
		{"HT6 101 lines of one name", get("/x", same(100)...), 431},
		{"long target", get("/" + strings.Repeat("a", 40<<10)), 431},
		{"HT3 odd transfer encoding", "POST" + get("/x", "Transfer-Encoding: xchunked")[3:], 501},
		{"HT3 two codings", "POST" + get("/x", "Transfer-Encoding: chunked, identity")[3:], 501},
		{"HT3 two headers", "POST" + get("/x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")[3:], 501},
		{"HT3 vertical tab", "POST" + get("/x", "Transfer-Encoding: \x0bchunked")[3:], 400},
		{"HT5 space before colon", get("/x", "X-A : b"), 400},
		{"HT5 no colon", get("/x", "X-A b"), 400},
		{"HT5 empty name", get("/x", ": b"), 400},
		{"HT5 bare CR", get("/x", "X-A: b\rX-B: c"), 400},
		{"HT5 NUL", get("/x", "X-A: b\x00"), 400},
		{"two hosts", get("/x", "Host: other.example"), 400},
		{"two lengths", "POST" + get("/x", "Content-Length: 1", "Content-Length: 2")[3:], 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := send(t, addr, tt.request); got.status != tt.want {
				t.Errorf("got %d (%v), want %d", got.status, got.err, tt.want)
			}
		})
	}
}

// TestF35_FloodsOfHeadersLeaveNothing: a thousand requests with endless headers and addresses, a hundred at a time, are all refused, and
// the heap is afterwards as it was. It runs beside no other test: the heap is everybody's.
func TestF35_FloodsOfHeadersLeaveNothing(t *testing.T) {
	addr := listen(t, identities)
	kinds := []string{
		get("/x", "X-A: "+strings.Repeat("a", 1<<20)), get("/" + strings.Repeat("a", 1<<20)), get("/x", strings.Split(strings.Repeat("a: b|", 20000)+"a: b", "|")...),
	}
	flood := func(n int) {
		var all sync.WaitGroup
		var refused atomic.Int64
		for i := range 100 {
			all.Go(func() {
				for j := range n / 100 {
					got := send(t, addr, kinds[(i+j)%len(kinds)])
					// The server closes half a second after its answer, which a client that sends for longer does not read.
					cut := errors.Is(got.err, syscall.ECONNRESET) || errors.Is(got.err, syscall.EPIPE)
					switch {
					case got.status == 431:
						refused.Add(1)
					case !cut:
						t.Errorf("got %d (%v), want 431", got.status, got.err)
					}
				}
			})
		}
		all.Wait()
		if refused.Load() == 0 {
			t.Error("nobody got 431")
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood(100) // what is made once
	before := heap()
	flood(1000)
	var after uint64
	for end := time.Now().Add(nettest.Patience); ; time.Sleep(50 * time.Millisecond) { // the last connections end by themselves
		if after = heap(); after < before+2<<20 || time.Now().After(end) {
			break
		}
	}
	if after >= before+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// TestSmuggledRequestIsCheckedByItself tests HT1: with a length and chunks at once the chunks count, and what comes
// after them is a request of its own, checked like every other.
func TestSmuggledRequestIsCheckedByItself(t *testing.T) {
	t.Parallel()
	up, c := newUpstream(t, nil), &fakeChecker{}
	addr := listen(t, newFront(t, FrontConfig{Own: identities, Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}), Checker: c}))
	conn := dial(t, addr)
	defer conn.Close()
	hidden := get("/admin", "User-Api-Key: x", "X-Userkeys-Admin: true", "Connection: close")
	_, _ = io.WriteString(conn, "POST"+get("/x", withKey("Content-Length: 4", "Transfer-Encoding: chunked")...)[3:]+"0\r\n\r\n"+hidden)
	answers, _ := io.ReadAll(conn)
	if got := up.got(); len(got) != 1 || headerLine(got[0], "Content-Length") != "" && headerLine(got[0], "Transfer-Encoding") != "" {
		t.Errorf("upstream got %q", got)
	}
	if calls := c.seen(); len(calls) > 2 || strings.Count(string(answers), "HTTP/1.1 200") != 1 {
		t.Errorf("checked %+v, answered %q", calls, answers)
	}
}

func TestLimitsAgainstSlowClients(t *testing.T) {
	t.Parallel()
	s := &http.Server{Handler: identities}
	Limits(s)
	if s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != time.Minute || s.ReadTimeout != 0 || s.WriteTimeout != 0 ||
		s.MaxHeaderBytes+4096 != 32<<10 || s.Handler == nil || s.HTTP2.WriteByteTimeout == 0 {
		t.Errorf("limits are %+v", s)
	}
}

func TestDeadlinesEndWhatIsSlow(t *testing.T) {
	t.Parallel()
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	d := Deadlines{Read: 200 * time.Millisecond, Write: 2 * time.Second}
	if got := send(t, listen(t, d.Handler(read)), "POST"+get("/x", "Content-Length: 5")[3:]+"ab"); got.status != 408 {
		t.Errorf("a body that stops: %+v", got)
	}
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		select {
		case <-time.After(500 * time.Millisecond):
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		}
	})
	for _, request := range []string{get("/x"), post("/x", "abc")} {
		if got := send(t, listen(t, d.Handler(slow)), request); got.status != 200 {
			t.Errorf("the deadline of the body ended the work on it: %.20q %+v", request, got)
		}
	}
	failed := make(chan bool, 1)
	big := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 1<<20); ; {
			if _, err := w.Write(piece); err != nil {
				failed <- true
				return
			}
		}
	})
	conn := dial(t, listen(t, Deadlines{Write: 200 * time.Millisecond}.Handler(big)))
	defer conn.Close()
	_, _ = io.WriteString(conn, get("/x"))
	select {
	case <-failed:
	case <-time.After(nettest.Patience):
		t.Error("HT9 a client that does not read is written to without end")
	}
}

// Without a handler net/http would serve http.DefaultServeMux, where any
// imported package may have put a page (net/http/pprof does).
func TestLimitsNeedAHandler(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("limits on a server without a handler")
		}
	}()
	Limits(&http.Server{})
}

// RFC 9112, 6.3: a request with two lengths may be an attempt to hide another one in it. Whatever a
// proxy before us took for its end, what follows on the connection is not read.
func TestConnectionEndsAfterARequestWithTwoLengths(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	hidden := get("/hidden")
	for _, lines := range [][]string{nil, withKey()} {
		c := dial(t, addr)
		request := "POST" + get("/x", append(lines, "Content-Length: 5", "Transfer-Encoding: chunked")...)[3:] + "0\r\n\r\n"
		_, _ = io.WriteString(c, request+hidden)
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil || strings.Count(string(b), "HTTP/1.1 200 OK") != 1 || headerLine(string(b), "Connection") != "close" {
			t.Errorf("got %q (%v)", b, err)
		}
	}
	if lines := requestLines(up); lines != "POST /x, POST /x" {
		t.Errorf("the upstream got %s", lines)
	}
}
