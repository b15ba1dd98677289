package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"userkeys/internal/bench"
	"userkeys/internal/bench/programs"
	"userkeys/internal/bench/table"
	"userkeys/internal/sitecmd"
)

func (f *fleet) starter() programs.Starter { return programs.Starter{Core: serverCore, Dir: f.dir} }

func targetOf(name string, p *bench.Process, r request) bench.Target {
	return bench.Target{Name: name, Addr: p.Addr, CPU: p.CPU, Request: r, Status: http.StatusOK}
}

// page is what nginx is asked for: nothing that userkeys serves itself.
const page = "/a"

// nginxProxy starts nginx as a proxy.
func (f *fleet) nginxProxy() (bench.Target, error) {
	website, err := f.website()
	if err != nil {
		return bench.Target{}, err
	}
	p, err := f.keep(f.starter().NginxProxy(f.ctx, website.Addr))
	if err != nil {
		return bench.Target{}, err
	}
	return targetOf("nginx", p, get(f.keys)), nil
}

// asking starts nginx by its recipe. It asks a server of a variant, and is charged with what that uses, too.
func (f *fleet) asking(variant string, known int) (bench.Target, error) {
	website, err := f.website()
	if err != nil {
		return bench.Target{}, err
	}
	asked, err := f.start(variant, known)
	if err != nil {
		return bench.Target{}, err
	}
	conf, err := recipe(f.ctx, website.Addr, asked.Addr)
	if err != nil {
		return bench.Target{}, err
	}
	p, err := f.keep(f.starter().Nginx(f.ctx, conf))
	if err != nil {
		return bench.Target{}, err
	}
	return together(targetOf("nginx + "+variant, p, getWith(page, withKey(f.keys))), asked), nil
}

// together charges t with what asked uses, too.
func together(t bench.Target, asked *bench.Process) bench.Target {
	own := t.CPU
	t.CPU = func() (time.Duration, error) {
		a, err := own()
		b, err2 := asked.CPU()
		return a + b, errors.Join(err, err2)
	}
	return t
}

// recipe returns what the command recipe writes for nginx.
func recipe(ctx context.Context, website, asked string) (string, error) {
	var out strings.Builder
	for _, c := range sitecmd.Commands() {
		if c.Name() != "recipe" {
			continue
		}
		c.SetOut(&out)
		c.SetArgs([]string{
			"nginx", "--url", "http://bench.example", "--app", website, "--ask", asked, "--listen", "127.0.0.1:1",
		})
		if err := c.ExecuteContext(ctx); err != nil {
			return "", err
		}
	}
	return strings.Replace(out.String(), "listen 80; # yours", "listen 80;", 1), nil
}

// missing is the line about a program that is not installed.
func missing(name string) table.Line {
	return table.Line{What: name + " is not installed here", Got: "-", Goal: table.NoGoal}
}

// compareNginx compares nginx that asks userkeys with nginx that asks a handler that checks nothing, and with nginx
// that asks oauth2-proxy, if there is one. Each is charged with what nginx and who is asked use.
func compareNginx(ctx context.Context, p plan) ([]table.Line, error) {
	if programs.Find("nginx") == "" {
		return []table.Line{missing("nginx")}, nil
	}
	return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		bare, err := f.asking("bare-asked", 0)
		if err != nil {
			return nil, err
		}
		asked, err := f.asking("asked", p.few)
		if err != nil {
			return nil, err
		}
		targets := []bench.Target{bare, asked}
		if p.oauth2Proxy != "" {
			t, err := f.askingOAuth2Proxy(p.oauth2Proxy)
			if err != nil {
				return nil, err
			}
			targets = append(targets, t)
		}
		r, err := bench.Compare(ctx, targets, p.Options)
		if err != nil {
			return nil, err
		}
		lines := []table.Line{table.Ratio("nginx + asked / nginx + bare handler", r[1], r[0], 1.08)}
		if len(targets) > 2 {
			lines = append(lines, table.Ratio("nginx + asked / nginx + oauth2-proxy", r[1], r[2], 0.55))
		}
		return lines, nil
	})
}

// askingOAuth2Proxy starts oauth2-proxy, and nginx, which asks it about requests with a session.
func (f *fleet) askingOAuth2Proxy(program string) (bench.Target, error) {
	p, session, err := f.oauth2Proxy(program, "static://202")
	if err != nil {
		return bench.Target{}, err
	}
	website, err := f.website()
	if err != nil {
		return bench.Target{}, err
	}
	nginx, err := f.keep(f.starter().NginxAskingOAuth2Proxy(f.ctx, p.Addr, website.Addr))
	if err != nil {
		return bench.Target{}, err
	}
	return together(targetOf("nginx + oauth2-proxy", nginx, session), p), nil
}

// oauth2Proxy starts oauth2-proxy, and returns requests with a session.
func (f *fleet) oauth2Proxy(program, upstream string) (*bench.Process, request, error) {
	p, cookie, err := f.starter().OAuth2Proxy(f.ctx, program, upstream)
	_, err = f.keep(p, err)
	return p, getWith(page, func(buf []byte, _ *rand.Rand) []byte {
		return append(append(append(buf, "Cookie: "...), cookie...), "\r\n"...)
	}), err
}

// A peer is a proxy that others wrote, if it is there.
type peer struct {
	name  string
	there bool
	start func(website string) (bench.Target, error)
}

func (f *fleet) peers(p plan) []peer {
	return []peer{
		{"nginx", programs.Find("nginx") != "", func(string) (bench.Target, error) { return f.nginxProxy() }},
		{"Caddy", programs.Find("caddy") != "", func(website string) (bench.Target, error) {
			s, err := f.keep(f.starter().CaddyProxy(f.ctx, website))
			if err != nil {
				return bench.Target{}, err
			}
			return targetOf("Caddy", s, get(f.keys)), nil
		}},
		{"oauth2-proxy", p.oauth2Proxy != "", func(website string) (bench.Target, error) {
			s, session, err := f.oauth2Proxy(p.oauth2Proxy, "http://"+website)
			if err != nil {
				return bench.Target{}, err
			}
			return targetOf("oauth2-proxy", s, session), nil
		}},
	}
}

// comparePeers compares our proxy with those of others. They check no keys: nginx and Caddy check nothing,
// oauth2-proxy checks a session.
func comparePeers(ctx context.Context, p plan) ([]table.Line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		website, err := f.website()
		if err != nil {
			return nil, err
		}
		var lines []table.Line
		var peers []bench.Target
		for _, peer := range f.peers(p) {
			if !peer.there {
				lines = append(lines, missing(peer.name))
				continue
			}
			t, err := peer.start(website.Addr)
			if err != nil {
				return nil, err
			}
			peers = append(peers, t)
		}
		if len(peers) == 0 {
			return lines, nil
		}
		r, err := f.compare(p, []rival{{"proxy", p.few, get(f.keys), 0}}, peers...)
		if err != nil {
			return nil, err
		}
		for i, t := range peers {
			lines = append(lines, table.Ratio("our proxy, with a key / "+t.Name+" as a proxy", r[0], r[i+1], table.NoGoal))
		}
		return lines, nil
	})
}
