package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
	"userkeys/site"

	"userkeys"
)

// The keys that a fakeChecker knows.
const (
	aliceKey = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	bobKey   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var (
	alice = userkeys.Access{KeyID: 7, ClientID: "phone", UserID: 1, Username: "alice", Standing: &userkeys.Standing{
		Scopes: userkeys.Scopes{"read", "push"}, TrustLevel: 2, Groups: []string{"staff", "night shift, Berlin"},
	}}
	bob = userkeys.Access{KeyID: 8, ClientID: "b\u00fcro 1", UserID: 2, Username: "bob", Standing: &userkeys.Standing{Admin: true, Moderator: true, TrustLevel: 4}}
)

// fakeChecker plays the authority: two good keys, and answers that a test scripts.
type fakeChecker struct {
	script func(site.Call) error // nil: none
	ended  atomic.Bool           // Holds refuses from now on
	asked  atomic.Int64          // calls of Holds

	mu    sync.Mutex
	calls []site.Call
}

func (f *fakeChecker) Check(_ context.Context, c site.Call) (userkeys.Access, error) {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	if f.script != nil {
		if err := f.script(c); err != nil {
			return userkeys.Access{}, err
		}
	}
	switch c.Key {
	case aliceKey:
		return alice, nil
	case bobKey:
		return bob, nil
	}
	return userkeys.Access{}, userkeys.ErrInvalidKey
}

func (f *fakeChecker) Holds(context.Context, userkeys.Access) error {
	f.asked.Add(1)
	if f.ended.Load() {
		return userkeys.ErrInvalidKey
	}
	return nil
}

func (*fakeChecker) Rebind(_ context.Context, a userkeys.Access, _ string) userkeys.Access { return a }

func (*fakeChecker) IsAdminKey(context.Context, string) bool { return false }

var noEdge site.Edge

func (*fakeChecker) Edge() *site.Edge { return &noEdge }

func (f *fakeChecker) seen() []site.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]site.Call(nil), f.calls...)
}

// listen serves h with the limits of production and returns host:port.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	Limits(s.Config)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// upstream is a server that writes down what it gets, byte for byte.
type upstream struct {
	addr  string
	reply func(head string, c net.Conn) // writes one answer
	early bool                          // answers before it reads a body
	mu    sync.Mutex
	heads []string
	body  []string
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newUpstream starts one; a nil reply answers 200 "ok".
func newUpstream(t testing.TB, reply func(head string, c net.Conn)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newUpstreamOn(t, l, reply)
}

func newUpstreamOn(t testing.TB, l net.Listener, reply func(head string, c net.Conn)) *upstream {
	t.Helper()
	if reply == nil {
		reply = func(head string, c net.Conn) {
			if strings.HasPrefix(head, "HEAD ") {
				_, _ = io.WriteString(c, strings.TrimSuffix(okReply, "ok"))
				return
			}
			_, _ = io.WriteString(c, okReply)
		}
	}
	u := &upstream{addr: l.Addr().String(), reply: reply}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			conns.Go(func() { u.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return u
}

func (u *upstream) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		var raw bytes.Buffer
		for !bytes.HasSuffix(raw.Bytes(), []byte("\r\n\r\n")) {
			line, err := br.ReadBytes('\n')
			if err != nil {
				return
			}
			raw.Write(line)
		}
		head := raw.String()
		var body []byte
		if u.early {
			u.reply(head, c)
		}
		if r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), br))); err == nil && headerLine(head, "Upgrade") == "" {
			body, _ = io.ReadAll(r.Body)
		}
		u.mu.Lock()
		u.heads = append(u.heads, head)
		u.body = append(u.body, string(body))
		u.mu.Unlock()
		if !u.early {
			u.reply(head, c)
		}
	}
}

func (u *upstream) got() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.heads...)
}

func (u *upstream) url() *url.URL { return &url.URL{Scheme: "http", Host: u.addr} }

// headerLine finds the one line of a header in a head as it was sent; "" if there is none.
func headerLine(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func newProxy(t testing.TB, cfg ProxyConfig) *Proxy {
	t.Helper()
	if cfg.Checker == nil {
		cfg.Checker = &fakeChecker{}
	}
	p, err := NewProxy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if tr, ok := p.cfg.Transport.(*http.Transport); ok {
		t.Cleanup(tr.CloseIdleConnections)
	}
	return p
}

// proxyTo serves a proxy to a recording upstream.
func proxyTo(t testing.TB, cfg ProxyConfig) (addr string, up *upstream, c *fakeChecker) {
	t.Helper()
	up, c = newUpstream(t, nil), &fakeChecker{}
	cfg.Upstream, cfg.Checker = up.url(), c
	return listen(t, newProxy(t, cfg)), up, c
}

// reply is an answer read off the wire.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// send writes request bytes to addr and reads one answer. A connection that
// closes without one is status 0.
func send(t testing.TB, addr, request string) reply {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return reply{err: err}
	}
	return receive(c, request)
}

func receive(c net.Conn, request string) reply {
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), err}
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(nettest.Patience))
	return c
}

// get is the text of a GET with these header lines.
func get(target string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: site.example\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

func withKey(lines ...string) []string {
	return append([]string{"User-Api-Key: " + aliceKey}, lines...)
}

// identities is a handler that says who it thinks calls.
var identities = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if a, ok := userkeys.FromContext(r.Context()); ok {
		_, _ = io.WriteString(w, "user "+a.Username)
		return
	}
	_, _ = io.WriteString(w, "stranger")
})
