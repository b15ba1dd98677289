package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

func TestUpstreamFailuresAreSaidPlainly(t *testing.T) {
	t.Parallel()
	write := func(s string) func(string, net.Conn) {
		return func(_ string, c net.Conn) { _, _ = io.WriteString(c, s); c.Close() }
	}
	for _, tt := range []struct {
		name  string
		reply func(string, net.Conn)
		want  int
		words string
	}{
		{"gone", nil, 502, "cannot be reached"},
		{"RP17 slow", func(_ string, c net.Conn) { _, _ = io.Copy(io.Discard, c) }, 504, "took too long"},
		{"hangs up", write(""), 502, "cannot be passed on"},
		{"garbage", write("\x00\x01garbage\r\n\r\n"), 502, "cannot be passed on"},
		{"no HTTP", write("SSH-2.0-x\r\n"), 502, "cannot be passed on"},
		{"RP14 switches unasked", write("HTTP/1.1 101 Switching Protocols\r\n\r\nraw bytes"), 502, "cannot be passed on"},
		{"RP14 switches to websocket unasked", write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw"), 502, "cannot be passed on"},
		{"RP14 huge headers", write("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 1000) + "\r\n"), 502, "cannot be passed on"},
		{"RP14 endless header line", write("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<20)), 502, "cannot be passed on"},
		{"status below 100", write("HTTP/1.1 099 x\r\nContent-Length: 2\r\n\r\nok"), 502, "cannot be passed on"},
		{"status zero", write("HTTP/1.1 000 x\r\n\r\n"), 502, "cannot be passed on"},
		{"bad length", write("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), 502, "cannot be passed on"},
		{"two lengths", write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, "cannot be passed on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, tt.reply)
			u := up.url()
			if tt.reply == nil {
				u.Host = "127.0.0.1:1"
			}
			wait := nettest.Patience
			if tt.want == 504 {
				wait = 300 * time.Millisecond
			}
			var logged syncBuffer
			addr := listen(t, newProxy(t, ProxyConfig{
				Upstream: u, ResponseHeaderTimeout: wait, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
			}))
			program := []string{
				get("/x?secret=1", withKey("Accept: text/html")...), get("/x?secret=1", "Accept: application/json"),
				get("/x.json?secret=1"), get("/x?secret=1", "X-Requested-With: XMLHttpRequest"),
			}
			for _, request := range program {
				checkApology(t, send(t, addr, request), tt.want, tt.words, "application/json; charset=utf-8", `{"errors":["`)
			}
			for _, request := range []string{get("/x?secret=1", "Accept: text/html, application/json"), get("/x?secret=1")} {
				checkApology(t, send(t, addr, request), tt.want, tt.words, "text/html; charset=utf-8", "<!DOCTYPE html>")
			}
			if log := logged.String(); !strings.Contains(log, "path=/x") || strings.Contains(log, "secret") || strings.Contains(log, aliceKey) {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func checkApology(t *testing.T, got reply, status int, words, contentType, start string) {
	t.Helper()
	if got.status != status || !strings.Contains(got.body, words) || !strings.HasPrefix(got.body, start) ||
		got.header.Get("Content-Type") != contentType || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Location") != "" {
		t.Errorf("got %d %v %s (%v)", got.status, got.header, got.body, got.err)
	}
	if strings.Contains(got.body, "127.0.0.1") || strings.Contains(fmt.Sprint(got.header), "127.0.0.1") {
		t.Errorf("an internal address is shown: %s", got.body)
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestUpstreamThatBreaksOffInTheMiddleBreaksTheAnswer(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		c.Close()
	})
	got := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url()})), get("/x"))
	if got.err == nil {
		t.Errorf("half an answer looks whole: %+v", got)
	}
}

func TestFloodOfInformationalAnswersIsHeldBack(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 5000)+okReply)
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
	for proto, most := range map[string]int{"1.1": 8, "1.0": 0} {
		c := dial(t, addr)
		_, _ = io.WriteString(c, strings.Replace(get("/x", "Connection: close"), "HTTP/1.1", "HTTP/"+proto, 1))
		b, _ := io.ReadAll(c)
		c.Close()
		if n := strings.Count(string(b), "103 Early Hints"); n != most || !strings.HasSuffix(string(b), "ok") {
			t.Errorf("RP14 HTTP/%s: %d informational answers reached the client, want %d; the end is %.20q", proto, n, most, b[max(0, len(b)-20):])
		}
	}
}

// TestSecondReplyIsNotTheNextRequestsAnswer tests RP14: bytes after an upstream's answer are not the answer to
// another request.
func TestSecondReplyIsNotTheNextRequestsAnswer(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(head string, c net.Conn) {
		_, _ = io.WriteString(c, okReply)
		if strings.Contains(head, "/first") {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
		}
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
	for _, path := range []string{"/first", "/second", "/third"} {
		if got := send(t, addr, get(path)); got.body != "ok" {
			t.Errorf("%s got %q", path, got.body)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestClientsBrokenBodyIsItsOwnFault(t *testing.T) {
	t.Parallel()
	to := func(d time.Duration) string {
		return listen(t, newProxy(t, ProxyConfig{Upstream: newUpstream(t, nil).url(), StallTimeout: d}))
	}
	chunked := "POST" + get("/x", "Transfer-Encoding: chunked")[3:]
	if got := send(t, to(nettest.Patience), chunked+"zz\r\nnot a chunk"); got.status != 400 || !strings.Contains(got.body, "broken body") {
		t.Errorf("malformed chunk: %+v", got)
	}
	start := time.Now()
	if got := send(t, to(300*time.Millisecond), "POST"+get("/x", "Content-Length: 10")[3:]+"half"); got.status != 408 {
		t.Errorf("body that stops: %+v", got)
	}
	if d := time.Since(start); d > nettest.Patience/2 {
		t.Errorf("a body that stops is waited for %v", d)
	}
}

// TestClientThatDoesNotReadIsCut tests HT9: a client that reads nothing is cut; a slow one is not.
func TestClientThatDoesNotReadIsCut(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	up := newUpstream(t, func(_ string, conn net.Conn) {
		defer close(left)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for piece := make([]byte, 1<<20); ; {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	})
	conn := dial(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), StallTimeout: 300 * time.Millisecond})))
	defer conn.Close()
	_, _ = io.WriteString(conn, get("/big"))
	select {
	case <-left:
	case <-time.After(nettest.Patience):
		t.Error("still served")
	}
}

func TestStallTimeoutSparesASlowStream(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 2 {
			time.Sleep(700 * time.Millisecond)
			_, _ = io.WriteString(c, "1\r\nx\r\n")
		}
		_, _ = io.WriteString(c, "0\r\n\r\n")
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), StallTimeout: 500 * time.Millisecond}))
	if got := send(t, addr, post("/x", "body")); got.body != "xx" || got.err != nil {
		t.Errorf("got %+v: %v", got, got.err)
	}
}

// A website may answer while a body is still on its way, and get all of it.
func TestAnswerThatBeginsBeforeTheBodyEnds(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		_, err := io.Copy(w, r.Body)
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(up.Close)
	upstream, _ := url.Parse(up.URL)
	c := dial(t, listen(t, newProxy(t, ProxyConfig{Upstream: upstream})))
	defer c.Close()
	head, first, second := post("/x", "firstsecond"), "first", "second"
	_, _ = io.WriteString(c, strings.TrimSuffix(head, second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.WriteString(c, second)
	if got, err := io.ReadAll(res.Body); string(got) != first+second || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}
