package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// startOnSocket starts a website and a site before it, both on Unix sockets, and returns what the website answers with:
// what it was told of its client.
func startOnSocket(t *testing.T, socket string, args ...string) (*testkit.Process, *testkit.Person) {
	t.Helper()
	website := filepath.Join(t.TempDir(), "website.sock")
	l, err := net.Listen("unix", website)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Host+" for "+r.Header.Get("X-Forwarded-For")+" by "+r.Header.Get("X-Userkeys-Username"))
		}),
	}}
	server.Start()
	t.Cleanup(server.Close)
	p := testkit.ServeUnix(t, socket, "http://site.example", append([]string{"--upstream", "unix:" + website}, args...)...)
	visitor := testkit.At(t, p.URL).Visitor()
	visitor.HTTP.Transport = testkit.OverUnix(socket)
	return p, visitor
}

func TestServeOnAUnixSocket(t *testing.T) {
	t.Parallel()
	data, socket := t.TempDir(), filepath.Join(t.TempDir(), "site.sock")
	p, visitor := startOnSocket(t, socket, "--data", data)
	told := visitor.Request("GET", "/", "")
	told.Header.Set("X-Forwarded-For", "6.6.6.6")
	if a := visitor.Do(told); a.Body != "site.example for  by " {
		t.Errorf("nobody is trusted, and the website is told %q", a.Body)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	second := exec.CommandContext(t.Context(), testkit.Binary(t), "serve", "--data", t.TempDir(), "--listen", "unix:"+socket, "--url", p.URL)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "--listen: another program listens on "+socket) {
		t.Errorf("a second server on the socket: %v, %s", err, out)
	}
	visitor.Get("/readyz").Must(t, 200)

	p.Kill()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("a killed server has removed its socket, and this test shows nothing: %v", err)
	}
	p, visitor = startOnSocket(t, socket, "--data", data)
	visitor.Get("/readyz").Must(t, 200)
	if log := p.Stop(t); !strings.Contains(log, "--trusted-proxy unix") {
		t.Errorf("nobody is told that limits by address count all as one: %s", log)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("a server that ended has left its socket: %v", err)
	}
}

// A proxy that connects to the Unix socket may say who its client is, and who signs in.
func TestProxyAtAUnixSocketSignsIn(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "userkeys.toml")
	err := os.WriteFile(config, []byte(`
[[login]]
name       = "proxy"
kind       = "header"
header     = "Remote-User"
from       = ["unix"]
owner-gone = "30d"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "site.sock")
	p, visitor := startOnSocket(t, socket, "--data", t.TempDir(), "--config", config, "--password-login=false", "--trusted-proxy", "unix")
	jar := visitor.HTTP.Jar
	visitor.HTTP = &http.Client{Jar: jar, CheckRedirect: visitor.HTTP.CheckRedirect, Transport: proxyOf(socket, "carol")}
	if a := visitor.Get("/"); a.Body != "site.example for 6.6.6.6 by " {
		t.Errorf("the website is told %q", a.Body)
	}
	app := testkit.At(t, p.URL).App("laptop", "read")
	away := visitor.Get(app.Path())
	for range 4 {
		if to := away.Header.Get("Location"); away.StatusCode/100 == 3 {
			away = visitor.Get(to)
		}
	}
	away.Must(t, 200, "carol")
	if log := p.Stop(t); strings.Contains(log, "--trusted-proxy unix") || !strings.Contains(log, "ip=6.6.6.6") {
		t.Errorf("the log: %s", log)
	}
}

// proxyOf sends requests to a socket as a proxy does that has signed somebody in.
func proxyOf(socket, user string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Forwarded-For", "6.6.6.6")
		r.Header.Set("Remote-User", user)
		return testkit.OverUnix(socket).RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
