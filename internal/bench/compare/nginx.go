package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"userkeys"
	"userkeys/internal/bench"
	"userkeys/internal/sitecmd"
)

// nginxConf is what nginx needs besides what stands in its http block, to run in a folder as one process.
//
//go:embed nginx.conf
var nginxConf string

// oauth2ProxyConf has nginx ask oauth2-proxy as the documentation of that says, over connections that stay.
//
//go:embed oauth2-proxy.conf
var oauth2ProxyConf string

// nginxFleet is a fleet of which some servers are nginx.
type nginxFleet struct {
	*fleet
	program, dir string
	website      *bench.Process
}

// freeAddress returns an address where nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// run starts a program that others wrote, on the core of the servers.
func (f *nginxFleet) run(addr string, command ...string) (*bench.Process, error) {
	p, err := bench.StartProgram(f.ctx, serverCore, addr, command...)
	if err == nil {
		f.servers = append(f.servers, p)
	}
	return p, err
}

// nginx starts nginx with conf in its http block, for port 80, and returns a target of requests that have the header
// line of line. The target is charged with what asked uses, too.
func (f *nginxFleet) nginx(
	name, conf string, asked *bench.Process, line headerLine,
) (bench.Target, error) {
	const head = "GET /a HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
	addr, err := freeAddress()
	if err != nil {
		return bench.Target{}, err
	}
	dir, err := os.MkdirTemp(f.dir, "nginx-*")
	if err != nil {
		return bench.Target{}, err
	}
	conf = strings.Replace(conf, "listen 80;", "listen "+addr+";", 1)
	text := strings.ReplaceAll(strings.Replace(nginxConf, "CONF", conf, 1), "DIR", dir)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return bench.Target{}, err
	}
	p, err := f.run(addr, f.program, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
	if err != nil {
		return bench.Target{}, err
	}
	return bench.Target{
		Name: name, Addr: addr, Status: http.StatusOK,
		Request: func(buf []byte, rng *rand.Rand) []byte {
			buf = append(buf, head...)
			return append(line(buf, f.keys.Text(rng.IntN(f.keys.Len()))), "\r\n\r\n"...)
		},
		CPU: func() (time.Duration, error) {
			a, err := p.CPU()
			b, err2 := asked.CPU()
			return a + b, errors.Join(err, err2)
		},
	}, nil
}

// asking starts nginx by its recipe. It asks asked.
func (f *nginxFleet) asking(name string, asked *bench.Process) (bench.Target, error) {
	var recipe strings.Builder
	for _, c := range sitecmd.Commands() {
		if c.Name() != "recipe" {
			continue
		}
		c.SetOut(&recipe)
		c.SetArgs([]string{
			"nginx", "--url", "http://bench.example",
			"--app", f.website.Addr, "--ask", asked.Addr, "--listen", "127.0.0.1:1",
		})
		if err := c.ExecuteContext(f.ctx); err != nil {
			return bench.Target{}, err
		}
	}
	conf := strings.Replace(recipe.String(), "listen 80; # yours", "listen 80;", 1)
	return f.nginx(name, conf, asked, func(buf []byte, key string) []byte {
		return append(append(buf, userkeys.KeyHeader+": "...), key...)
	})
}

// startOAuth2Proxy starts oauth2-proxy, and returns the cookie of somebody who has signed in there.
func (f *nginxFleet) startOAuth2Proxy(program string) (*bench.Process, string, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	people := filepath.Join(f.dir, "people")
	if err := os.WriteFile(people, []byte("ann:{SHA}9Fcowiv5wx+UF09WpVhlGWw4P90=\n"), 0o600); err != nil { // bees
		return nil, "", err
	}
	p, err := f.run(addr, program, "--http-address", addr, "--provider", "github", "--client-id", "bench",
		"--client-secret", "bench", "--htpasswd-file", people, "--email-domain", "*", "--upstream", "static://202",
		"--cookie-secure=false", "--cookie-secret", strings.Repeat("x", 32), "--reverse-proxy",
		"--trusted-proxy-ip", "127.0.0.1", "--set-xauthrequest",
		"--request-logging=false", "--auth-logging=false", "--standard-logging=false")
	if err != nil {
		return nil, "", err
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	form := url.Values{"username": {"ann"}, "password": {"bees"}, "rd": {"/"}}
	res, err := client.PostForm("http://"+addr+"/oauth2/sign_in", form)
	if err != nil {
		return nil, "", err
	}
	_ = res.Body.Close() // nothing of it is needed
	for _, c := range res.Cookies() {
		if c.Value != "" {
			return p, c.Name + "=" + c.Value, nil
		}
	}
	return nil, "", fmt.Errorf("oauth2-proxy signs nobody in: %s", res.Status)
}

// besideOAuth2Proxy starts oauth2-proxy, and nginx, which asks it about requests with a session.
func (f *nginxFleet) besideOAuth2Proxy(program string) (bench.Target, error) {
	p, session, err := f.startOAuth2Proxy(program)
	if err != nil {
		return bench.Target{}, err
	}
	conf := strings.NewReplacer("PEOPLE", p.Addr, "WEBSITE", f.website.Addr).Replace(oauth2ProxyConf)
	return f.nginx("nginx + oauth2-proxy", conf, p, func(buf []byte, _ string) []byte {
		return append(append(buf, "Cookie: "...), session...)
	})
}

// compareNginx compares nginx that asks userkeys with nginx that asks a handler that checks nothing, and with nginx
// that asks oauth2-proxy, if there is one. Each is charged with what nginx and who is asked use.
func compareNginx(ctx context.Context, p plan) ([]line, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return []line{{what: "there is no nginx here (scripts/setup installs it)", got: "-", goal: -1}}, nil
		}
	}
	dir, err := os.MkdirTemp("", "userkeys-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return onFleet(ctx, p.few, func(f *fleet) ([]line, error) {
		website, err := f.start(loadCore, "bare", 0, "")
		if err != nil {
			return nil, err
		}
		n := &nginxFleet{f, program, dir, website}
		bare, asked, err := n.asked(p)
		if err != nil {
			return nil, err
		}
		r, err := bench.Compare(ctx, []bench.Target{bare, asked}, p.Options)
		if err != nil {
			return nil, err
		}
		lines := []line{ratio("nginx + asked / nginx + bare handler", r, 1, 1.08)}
		if p.oauth2Proxy == "" {
			return lines, nil
		}
		other, err := n.besideOAuth2Proxy(p.oauth2Proxy)
		if err != nil {
			return lines, err
		}
		r, err = bench.Compare(ctx, []bench.Target{other, asked}, p.Options)
		return append(lines, ratio("nginx + asked / nginx + oauth2-proxy", r, 1, 0.55)), err
	})
}

// asked starts nginx twice: one asks a handler that checks nothing, one userkeys.
func (f *nginxFleet) asked(p plan) (bare, asked bench.Target, err error) {
	for _, t := range []struct {
		variant string
		keys    int
		target  *bench.Target
	}{{"bare-asked", 0, &bare}, {"asked", p.few, &asked}} {
		server, err := f.start(serverCore, t.variant, t.keys, "")
		if err != nil {
			return bare, asked, err
		}
		if *t.target, err = f.asking("nginx + "+t.variant, server); err != nil {
			return bare, asked, err
		}
	}
	return bare, asked, nil
}
