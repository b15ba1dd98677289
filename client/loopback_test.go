package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys/client"
	"userkeys/internal/testkit/nettest"
)

func listen(t *testing.T) *client.Loopback {
	t.Helper()
	l, err := client.ListenLoopback(t.Context(), "Test <app>")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func send(t *testing.T, method, address, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestLoopbackTakesTheOneAnswer(t *testing.T) {
	t.Parallel()
	l := listen(t)
	to := l.RedirectURL()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	if u.Hostname() != "127.0.0.1" || u.Scheme != "http" || len(u.Path) < 32 {
		t.Fatalf("waits at %s", to)
	}
	root := "http://" + u.Host
	_, port, _ := net.SplitHostPort(u.Host)
	strays := []struct {
		name, method, address, host string
		want                        int
	}{
		{"favicon", "GET", root + "/favicon.ico", "", 404},
		{"root", "GET", root + "/?payload=x", "", 404},
		{"path guessed", "GET", root + "/answer/00000000000000000000000000000000?payload=x", "", 404},
		{"no payload", "GET", to, "", 400},
		{"empty payload", "GET", to + "?payload=", "", 400},
		{"two payloads", "GET", to + "?payload=x&payload=y", "", 400},
		{"huge payload", "GET", to + "?payload=" + strings.Repeat("x", 20_000), "", 400},
		{"more than headers may have", "GET", to + "?payload=" + strings.Repeat("x", 100_000), "", 431},
		{"HEAD", "HEAD", to + "?payload=x", "", 405},
		{"POST", "POST", to + "?payload=x", "", 405},
		{"PUT", "PUT", to + "?payload=x", "", 405},
		{"a name pointed here", "GET", to + "?payload=x", "evil.example:" + port, 421},
		{"localhost", "GET", to + "?payload=x", "localhost:" + port, 421},
		{"another port", "GET", to + "?payload=x", "127.0.0.1:1", 421},
	}
	for _, s := range strays {
		if got, _ := send(t, s.method, s.address, s.host); got != s.want {
			t.Errorf("%s: answered %d, want %d", s.name, got, s.want)
		}
	}
	status, page := send(t, "GET", to+"?payload="+url.QueryEscape("a+b/c=\n"), "")
	if status != 200 || !strings.Contains(page, "You can close this window") || !strings.Contains(page, "Test &lt;app&gt;") {
		t.Errorf("the browser is told %d %s", status, page)
	}
	if status, _ := send(t, "GET", to+"?payload=second", ""); status != http.StatusGone {
		t.Errorf("a second answer gets %d, want 410", status)
	}
	if got, err := l.Wait(t.Context()); err != nil || got != "a+b/c=\n" {
		t.Errorf("Wait = %q, %v", got, err)
	}
}

func TestLoopbackPageIsHarmless(t *testing.T) {
	t.Parallel()
	l := listen(t)
	resp, err := http.Get(l.RedirectURL() + "?payload=x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy is %q", csp)
	}
}

func TestLoopbackWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := listen(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v, want the context's error", err)
	}
}

func TestLoopbackCloseFreesThePort(t *testing.T) {
	t.Parallel()
	l := listen(t)
	u, err := url.Parse(l.RedirectURL())
	if err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", u.Host) // browsers open connections that they never use
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	start := time.Now()
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if took := time.Since(start); took > nettest.Bound(4*time.Second) {
		t.Errorf("Close took %v: an unused connection holds the app up", took)
	}
	if c, err := net.Dial("tcp", u.Host); err == nil {
		_ = c.Close()
		t.Error("the port still answers")
	}
}

func TestLoopbackHearsANo(t *testing.T) {
	t.Parallel()
	l := listen(t)
	if status, page := send(t, "GET", l.RedirectURL()+"?error=access_denied", ""); status != 200 || !strings.Contains(page, "You said no") {
		t.Errorf("%d %s", status, page)
	}
	if _, err := l.Wait(t.Context()); !errors.Is(err, client.ErrDenied) {
		t.Errorf("Wait = %v", err)
	}
}
