package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"userkeys/gateway/internal/transport"
)

// ailing is a connection to an upstream that a test breaks after its first answer.
type ailing struct {
	net.Conn
	broken chan struct{} // closed when it breaks
	closed chan struct{}
	ails   func(a *ailing, p []byte) (int, error) // writes when it is broken
	mute   bool                                   // its end cannot be read

	standard bool // the transport is that of net/http
}

// Write writes, or fails as the test says.
func (a *ailing) Write(p []byte) (int, error) {
	select {
	case <-a.broken:
		return a.ails(a, p)
	default:
		return a.Conn.Write(p)
	}
}

// Read reads; the end of a mute connection does not show, as if it were still on its way.
func (a *ailing) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if err != nil && a.mute {
		<-a.closed
	}
	return n, err
}

// Close closes.
func (a *ailing) Close() error {
	select {
	case <-a.closed:
	default:
		close(a.closed)
	}
	return a.Conn.Close()
}

// ailingOnce is a proxy before up whose first connection is first, which breaks after its first answer.
func ailingOnce(t *testing.T, up *upstream, first *ailing) (addr string) {
	t.Helper()
	first.broken, first.closed = make(chan struct{}), make(chan struct{})
	var dials atomic.Int64
	cfg := transport.Config{Upstream: up.url(), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || dials.Add(1) > 1 {
			return c, err
		}
		first.Conn = c
		return first, nil
	}}
	tr := transport.New(cfg)
	if first.standard {
		tr = transport.Standard(cfg)
	}
	addr = listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Transport: tr}))
	if got := send(t, addr, get("/first")); got.body != "ok" {
		t.Fatalf("the first answer is %+v", got)
	}
	close(first.broken)
	return addr
}

// requestLines are the first lines of what an upstream got.
func requestLines(up *upstream) string {
	var lines []string
	for _, head := range up.got() {
		lines = append(lines, strings.TrimSuffix(requestLine(head), " HTTP/1.1"))
	}
	return strings.Join(lines, ", ")
}

func TestRequestOfWhichNothingWasWrittenIsSentAgain(t *testing.T) {
	t.Parallel()
	fails := func(*ailing, []byte) (int, error) { return 0, errors.New("broken pipe") }
	for name, first := range map[string]ailing{
		"writing fails":             {ails: fails},
		"writing fails in net/http": {ails: fails, standard: true},
		// The transport meets the end first, and takes it for an answer that never came.
		"the end is read before": {standard: true, ails: func(a *ailing, _ []byte) (int, error) {
			_ = a.Conn.(*net.TCPConn).CloseRead()
			<-a.closed
			return 0, net.ErrClosed
		}},
	} {
		for _, request := range []string{post("/x", "body"), post("/x", ""), post("/x", "body", withKey()...), "PATCH" + post("/x", "body")[4:], get("/x")} {
			method, _, _ := strings.Cut(request, " ")
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				first := first
				up := newUpstream(t, nil)
				addr := ailingOnce(t, up, &first)
				got := send(t, addr, request)
				if lines := requestLines(up); got.body != "ok" || lines != "GET /first, "+method+" /x" {
					t.Errorf("got %+v, the upstream %q", got, lines)
				}
				if body := up.body[len(up.body)-1]; strings.HasSuffix(request, "body") && body != "body" {
					t.Errorf("the upstream got the body %q", body)
				}
			})
		}
	}
}

// A website may have done what it was asked to before the connection ended.
func TestRequestThatWasWrittenIsSentAgainOnlyIfItIsIdempotent(t *testing.T) {
	t.Parallel()
	breaks := func(a *ailing, p []byte) (int, error) {
		_, _ = a.Conn.Write(p[:1])
		_ = a.Close()
		return 1, errors.New("broken pipe")
	}
	for _, tt := range []struct {
		name, request string
		again         bool
	}{
		{"GET", get("/x"), true},
		{"HEAD", "HEAD" + get("/x")[3:], true},
		{"PUT", "PUT" + post("/x", "body")[4:], true},
		{"DELETE", "DELETE" + get("/x")[3:], true},
		{"GET with a body", "GET" + post("/x", "body")[4:], true},
		{"POST", post("/x", "body"), false},
		{"POST without a body", post("/x", ""), false},
		{"POST with a key for idempotency", post("/x", "", "Idempotency-Key: 1"), false},
		{"POST with another", post("/x", "", "X-Idempotency-Key: 1"), false},
		{"PATCH", "PATCH" + post("/x", "body")[4:], false},
	} {
		for _, standard := range []bool{false, true} {
			t.Run(tt.name+", net/http "+strconv.FormatBool(standard), func(t *testing.T) {
				t.Parallel()
				up := newUpstream(t, nil)
				addr := ailingOnce(t, up, &ailing{ails: breaks, standard: standard})
				got := send(t, addr, tt.request)
				lines := requestLines(up)
				if tt.again && (got.status != 200 || strings.Count(lines, "/x") != 1) || !tt.again && (got.status != 502 || strings.Contains(lines, "/x")) {
					t.Errorf("got %+v, the upstream %q", got, lines)
				}
				if tt.again && strings.HasSuffix(tt.request, "body") && up.body[len(up.body)-1] != "body" {
					t.Errorf("the upstream got the body %q", up.body[len(up.body)-1])
				}
			})
		}
	}
}

// Once a byte of an answer came, nothing is sent again.
func TestRequestWhoseAnswerBeganIsNotSentAgain(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(head string, c net.Conn) {
		if strings.Contains(head, "/first") {
			_, _ = io.WriteString(c, okReply)
			return
		}
		_, _ = io.WriteString(c, "H")
		c.Close()
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
	send(t, addr, get("/first"))
	got := send(t, addr, "PUT"+post("/x", "body")[4:])
	if lines := requestLines(up); got.status != 502 || lines != "GET /first, PUT /x" {
		t.Errorf("got %+v, the upstream %q", got, lines)
	}
}

// An upstream that takes a request and is silent was asked once.
func TestRequestThatTookTooLongIsNotSentAgain(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(head string, c net.Conn) {
		if strings.Contains(head, "/first") {
			_, _ = io.WriteString(c, okReply)
			return
		}
		_, _ = io.Copy(io.Discard, c)
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), ResponseHeaderTimeout: 1e8}))
	send(t, addr, get("/first"))
	got := send(t, addr, "PUT"+post("/x", "body")[4:])
	if lines := requestLines(up); got.status != 504 || lines != "GET /first, PUT /x" {
		t.Errorf("got %+v, the upstream %q", got, lines)
	}
}
