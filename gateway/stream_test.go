package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// echo is an upstream that switches to websocket and sends every byte back.
func echo(t *testing.T) *upstream {
	t.Helper()
	return newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
		_, _ = io.Copy(c, c)
	})
}

func websocket(lines ...string) string {
	return get("/ws", append(lines, "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")...)
}

func TestWebsocketWorksWithAndWithoutAKey(t *testing.T) {
	t.Parallel()
	up := echo(t)
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
	for _, lines := range [][]string{nil, withKey()} {
		c, br := openWebsocket(t, addr, lines)
		for _, word := range []string{"hello", "again"} {
			_, _ = io.WriteString(c, word)
			back := make([]byte, len(word))
			if _, err := io.ReadFull(br, back); err != nil || string(back) != word {
				t.Errorf("sent %q, got %q (%v)", word, back, err)
			}
		}
		c.Close()
	}
	heads := up.got()
	if headerLine(heads[0], "Upgrade") != "websocket" || headerLine(heads[0], "Sec-WebSocket-Key") != "x" || headerLine(heads[1], UsernameHeader) != "alice" {
		t.Errorf("upstream got\n%s", heads)
	}
}

func openWebsocket(t *testing.T, addr string, lines []string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := dial(t, addr)
	t.Cleanup(func() { c.Close() })
	_, _ = io.WriteString(c, websocket(lines...))
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("no switch: %+v (%v)", res, err)
	}
	return c, br
}

// readUntilCut returns how long it takes until the connection ends.
func readUntilCut(t *testing.T, r io.Reader) time.Duration {
	t.Helper()
	start := time.Now()
	_, err := io.Copy(io.Discard, r)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("still open")
	}
	return time.Since(start)
}

// TestCVE_2024_25619_WebsocketEndsWithItsKey tests T34 (Mastodon CVE-2024-25619): a stream went on after its token
// was revoked.
func TestCVE_2024_25619_WebsocketEndsWithItsKey(t *testing.T) {
	t.Parallel()
	up, c := echo(t), &fakeChecker{}
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}))
	_, keyed := openWebsocket(t, addr, withKey())
	stranger, strangerReads := openWebsocket(t, addr, nil)
	c.ended.Store(true)
	if d := readUntilCut(t, keyed); d > nettest.Bound(time.Second) {
		t.Errorf("KU16 RP11 cut after %v", d)
	}
	_, _ = io.WriteString(stranger, "x")
	if b, err := strangerReads.ReadByte(); err != nil || b != 'x' {
		t.Errorf("a websocket without a key was cut: %v", err)
	}
}

// ticker is an upstream with an endless event stream.
func ticker() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			if _, err := io.WriteString(w, "data: tick\n\n"); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

func TestCVE_2024_25619_EventStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	s := httptest.NewServer(ticker())
	t.Cleanup(s.Close)
	up := &upstream{addr: s.Listener.Addr().String()}
	for name, h := range map[string]http.Handler{
		"proxy": newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}),
		"guard": Guard(c)(CutStreams(c)(ticker())),
	} {
		conn := dial(t, listen(t, h))
		t.Cleanup(func() { conn.Close() })
		// An answer that ends in good order must end the connection too, or its end would not be seen here.
		_, _ = io.WriteString(conn, get("/events", withKey("Connection: close")...))
		br := bufio.NewReader(conn)
		for line := ""; line != "data: tick\n"; {
			var err error
			if line, err = br.ReadString('\n'); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		c.ended.Store(true)
		if d := readUntilCut(t, br); d > nettest.Bound(time.Second) {
			t.Errorf("KU16 %s: cut after %v", name, d)
		}
		c.ended.Store(false)
	}
}

// A client that does not read keeps the proxy in a write; that write must end too.
func TestStreamToASlowReaderEndsWithItsKey(t *testing.T) {
	t.Parallel()
	c, left := &fakeChecker{}, make(chan struct{})
	up := newUpstream(t, func(_ string, conn net.Conn) {
		defer close(left)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for piece := make([]byte, 1<<20); ; {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	})
	conn := dial(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})))
	defer conn.Close()
	_, _ = io.WriteString(conn, get("/big", withKey()...))
	time.Sleep(300 * time.Millisecond) // until every buffer on the way is full
	c.ended.Store(true)
	select {
	case <-left:
	case <-time.After(nettest.Bound(1500 * time.Millisecond)):
		t.Error("the upstream's connection is still held")
	}
}

func TestKeyThatEndsBeforeTheAnswerGets403(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	up := newUpstream(t, func(_ string, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}))
	c.ended.Store(true)
	if got := send(t, addr, get("/x", withKey()...)); got.status != 403 || !strings.Contains(got.body, "invalid key") {
		t.Errorf("got %+v, want 403", got)
	}
}

func TestServerSentEventsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"event stream":   "Content-Type: text/event-stream\r\n",
		"unknown length": "Content-Type: application/json\r\n",
	} {
		gone := make(chan struct{})
		up := newUpstream(t, func(_ string, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+header+"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
			<-gone // the second piece comes only after the first was seen
			_, _ = io.WriteString(c, "6\r\nsecond\r\n0\r\n\r\n")
		})
		res, err := http.Get("http://" + listen(t, newProxy(t, ProxyConfig{Upstream: up.url()})) + "/events")
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 5)
		_, err = io.ReadFull(res.Body, first)
		close(gone)
		rest, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(first) != "first" || string(rest) != "second" {
			t.Errorf("%s: got %q %q (%v)", name, first, rest, err)
		}
	}
}

func TestCutStreamsLeavesStrangersAlone(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	if got := send(t, listen(t, Guard(c)(CutStreams(c)(identities))), get("/x")); got.body != "stranger" {
		t.Errorf("got %+v", got)
	}
}
