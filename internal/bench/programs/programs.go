// Package programs starts servers that others wrote, as the peers of a bench: nginx, Caddy, oauth2-proxy.
package programs

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"userkeys/internal/bench"
)

// nginxConf is what nginx needs besides what stands in its http block, to run in a folder as one process.
//
//go:embed nginx.conf
var nginxConf string

// proxyConf has nginx pass requests on, over connections that stay.
//
//go:embed nginx-proxy.conf
var proxyConf string

// caddyConf has Caddy pass requests on, without TLS and without writing anything but into DIR.
//
//go:embed caddy.json
var caddyConf string

// oauth2ProxyConf has nginx ask oauth2-proxy as the documentation of that says, over connections that stay.
//
//go:embed oauth2-proxy.conf
var oauth2ProxyConf string

// Find returns the path of a program; empty if it is not installed.
func Find(name string) string {
	for _, p := range []string{name, "/usr/sbin/" + name} { // which is not on everybody's PATH
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	return ""
}

// A Starter starts programs on a core, with what they write in a folder.
type Starter struct {
	Core int
	Dir  string
}

func (s Starter) start(ctx context.Context, addr string, command ...string) (*bench.Process, error) {
	return bench.StartProgram(ctx, s.Core, addr, command...)
}

// freeAddress returns an address where nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Nginx starts nginx with conf, which is for port 80, in its http block.
func (s Starter) Nginx(ctx context.Context, conf string) (*bench.Process, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.Dir, "nginx-*")
	if err != nil {
		return nil, err
	}
	conf = strings.Replace(conf, "listen 80;", "listen "+addr+";", 1)
	text := strings.ReplaceAll(strings.Replace(nginxConf, "CONF", conf, 1), "DIR", dir)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return s.start(ctx, addr, Find("nginx"), "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
}

// NginxProxy starts nginx as a proxy before an upstream.
func (s Starter) NginxProxy(ctx context.Context, upstream string) (*bench.Process, error) {
	return s.Nginx(ctx, strings.ReplaceAll(proxyConf, "UPSTREAM", upstream))
}

// NginxAskingOAuth2Proxy starts nginx before a website. It asks oauth2-proxy, which listens on asked.
func (s Starter) NginxAskingOAuth2Proxy(ctx context.Context, asked, website string) (*bench.Process, error) {
	return s.Nginx(ctx, strings.NewReplacer("PEOPLE", asked, "WEBSITE", website).Replace(oauth2ProxyConf))
}

// CaddyProxy starts Caddy as a proxy before an upstream.
func (s Starter) CaddyProxy(ctx context.Context, upstream string) (*bench.Process, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.Dir, "caddy.json")
	conf := strings.NewReplacer("ADDRESS", addr, "UPSTREAM", upstream, "DIR", s.Dir).Replace(caddyConf)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return s.start(ctx, addr, Find("caddy"), "run", "--config", file)
}

// OAuth2Proxy starts oauth2-proxy before an upstream, and returns the cookie of somebody who has signed in there.
func (s Starter) OAuth2Proxy(ctx context.Context, program, upstream string) (*bench.Process, string, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	people := filepath.Join(s.Dir, "people")
	if err := os.WriteFile(people, []byte("ann:{SHA}9Fcowiv5wx+UF09WpVhlGWw4P90=\n"), 0o600); err != nil { // bees
		return nil, "", err
	}
	p, err := s.start(ctx, addr, program, "--http-address", addr, "--provider", "github", "--client-id", "bench",
		"--client-secret", "bench", "--htpasswd-file", people, "--email-domain", "*", "--upstream", upstream,
		"--cookie-secure=false", "--cookie-secret", strings.Repeat("x", 32), "--reverse-proxy",
		"--trusted-proxy-ip", "127.0.0.1", "--set-xauthrequest",
		"--request-logging=false", "--auth-logging=false", "--standard-logging=false")
	if err != nil {
		return nil, "", err
	}
	session, err := signIn(addr)
	if err != nil {
		_ = p.Stop() // what is wrong is that nobody can sign in
		return nil, "", err
	}
	return p, session, nil
}

// signIn signs somebody in at oauth2-proxy and returns the cookie of their session.
func signIn(addr string) (string, error) {
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	form := url.Values{"username": {"ann"}, "password": {"bees"}, "rd": {"/"}}
	res, err := client.PostForm("http://"+addr+"/oauth2/sign_in", form)
	if err != nil {
		return "", err
	}
	_ = res.Body.Close() // nothing of it is needed
	for _, c := range res.Cookies() {
		if c.Value != "" {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", fmt.Errorf("oauth2-proxy signs nobody in: %s", res.Status)
}
