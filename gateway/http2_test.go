package gateway

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"

	"userkeys"
)

// overHTTP2 serves h over TLS and returns a client that speaks HTTP/2.
func overHTTP2(t *testing.T, h http.Handler) (*http.Client, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	Limits(s.Config)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Client(), s.URL
}

func TestProxyOverHTTP2(t *testing.T) {
	t.Parallel()
	up, c := newUpstream(t, nil), &fakeChecker{}
	client, base := overHTTP2(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c, SessionCookies: []string{"ours"}}))
	r, err := http.NewRequest("POST", base+"/x?a=b", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{userkeys.KeyHeader: {aliceKey}, "x_userkeys_admin": {"FORGED"}, "Cookie": {"ours=secret", "a=1"}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	head := up.got()[0]
	if res.ProtoMajor != 2 || string(b) != "ok" || requestLine(head) != "POST /x?a=b HTTP/1.1" || up.body[0] != "body" {
		t.Errorf("%s %q, upstream got\n%s", res.Proto, b, head)
	}
	if headerLine(head, UsernameHeader) != "alice" || headerLine(head, "X-Forwarded-Proto") != "https" || strings.Contains(head, "FORGED") || strings.Contains(head, "secret") {
		t.Errorf("upstream got\n%s", head)
	}
}

func TestEventStreamOverHTTP2EndsWithItsKey(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	client, base := overHTTP2(t, Guard(c)(CutStreams(c)(ticker())))
	r, err := http.NewRequest("GET", base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(userkeys.KeyHeader, aliceKey)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.ReadFull(res.Body, make([]byte, 10))
	c.ended.Store(true)
	time.AfterFunc(2*nettest.Patience, func() { res.Body.Close() })
	if d := readUntilCut(t, res.Body); d > nettest.Bound(time.Second) {
		t.Errorf("KU16 cut after %v", d)
	}
}

func TestClientThatLeavesIsNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	reached, status := make(chan struct{}), make(chan int, 1)
	up := newUpstream(t, func(string, net.Conn) { close(reached) })
	p := newProxy(t, ProxyConfig{Upstream: up.url()})
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, r)
		status <- rec.Code
	}))
	c := dial(t, addr)
	_, _ = io.WriteString(c, get("/x"))
	<-reached
	c.Close()
	if got := <-status; got != statusClientGone {
		t.Errorf("logged as %d, want %d", got, statusClientGone)
	}
}

func TestBodyBeyondAHandlersLimitIs413(t *testing.T) {
	t.Parallel()
	p := newProxy(t, ProxyConfig{Upstream: newUpstream(t, nil).url()})
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 3)
		p.ServeHTTP(w, r)
	}))
	if got := send(t, addr, post("/x", "four")); got.status != 413 || !strings.HasPrefix(got.body, `{"errors":["the body of this request is too large"]`) {
		t.Errorf("got %+v", got)
	}
	if got := send(t, addr, post("/x", "four", "Accept: text/html")); got.status != 413 || !strings.Contains(got.body, "<h1>That is too large</h1>") {
		t.Errorf("a browser got %+v", got)
	}
}

// An answer's headers join what a handler around the proxy has set.
func TestUpstreamsHeadersJoinOurs(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nSet-Cookie: ours=1\r\nSet-Cookie: Ours=2\r\nX-Request-Id: theirs\r\n\r\nok")
	})
	p := newProxy(t, ProxyConfig{Upstream: up.url(), SessionCookies: []string{"ours"}})
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "ours")
		p.ServeHTTP(w, r)
	}))
	got := send(t, addr, get("/x", withKey()...)).header
	if id, vary := got["X-Request-Id"], got["Vary"]; len(id) != 2 || len(vary) != 2 || vary[1] != userkeys.KeyHeader || got["Set-Cookie"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestAccessWithoutStandingHasNoRights(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	setIdentity(h, userkeys.Access{Username: "alice"}, []IdentityHeader{{Name: "Remote-Email", Value: "email"}})
	if h.Get(UsernameHeader) != "alice" || h.Get(AdminHeader) != "" || h.Get(ScopesHeader) != "" || h["Remote-Email"] != nil {
		t.Errorf("got %v", h)
	}
}
