// Package recipe writes configurations of web servers that ask userkeys about each request before they pass it on to
// a website, and says what a configuration that somebody has lacks.
package recipe

import (
	"embed"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/template"
)

//go:embed templates
var files embed.FS

// Config is what a recipe is written for.
type Config struct {
	Command  string   // the command line that writes the recipe, for its first line
	URL      *url.URL // of the website, as browsers see it
	Ask      Address  // where serve listens for questions
	Listen   Address  // where serve listens for browsers and apps
	App      Address  // where the website listens
	Strict   bool     // a request without a key is refused
	Carriers bool     // a key may stand in Authorization
	Beside   SignInProxy
	Identity []string // the headers in which the website learns who calls
	// Forged are headers in which other programs tell who calls: no client may send them. One that ends in a hyphen
	// stands for all that begin so.
	Forged []string
	// Overrides are headers that change what a request asks for, or hold API keys: the website gets none of a client.
	Overrides []string
	// SharedCaches are headers that outrank Cache-Control for caches that many clients share: an answer to a key has none.
	SharedCaches []string
	Own          []string // paths that serve answers; one that ends in / or * stands for every path that begins so
	Fallback     []string // paths that serve answers for requests with a key
}

// SignInProxy is a program that decides about requests without a key. The zero value is none.
type SignInProxy struct {
	Name    string
	Address Address  // where it listens
	Headers []string // in which it tells a website who calls
}

// signInProxies are the programs that there are recipes for, with their addresses as they are shipped.
var signInProxies = []SignInProxy{
	{"authelia", "127.0.0.1:9091", []string{"Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email"}},
	{"oauth2-proxy", "127.0.0.1:4180", []string{
		"X-Auth-Request-User", "X-Auth-Request-Groups", "X-Auth-Request-Email", "X-Auth-Request-Preferred-Username",
	}},
}

// ParseSignInProxy reads the name of a program, or NAME=ADDRESS where it listens elsewhere than it is shipped to.
func ParseSignInProxy(s string) (SignInProxy, error) {
	name, at, elsewhere := strings.Cut(s, "=")
	i := slices.IndexFunc(signInProxies, func(p SignInProxy) bool { return p.Name == name })
	if i < 0 {
		return SignInProxy{}, fmt.Errorf("%q is neither authelia nor oauth2-proxy", name)
	}
	p := signInProxies[i]
	var err error
	if elsewhere {
		p.Address, err = ParseAddress(at)
	}
	return p, err
}

// server is a web server that there is a recipe for.
type server struct {
	name, file  string
	comment     string   // what begins a comment
	signInProxy bool     // it can ask another program about requests without a key
	unix        bool     // it can ask over a Unix socket
	unsafe      []string // what lets requests reach the website that nobody was asked about
	ways        []string // expressions of what leads to the website, beside its address
}

const luaComment = "--"

// turnedOn returns what begins the lines of YAML in which a key is true: true, yes, on, 1.
func turnedOn(key string) []string {
	return []string{key + ": t", key + ": y", key + ": on", key + ": 1"}
}

var servers = []server{
	{
		name: "nginx", file: "nginx.conf", comment: "#", signInProxy: true, unix: true,
		unsafe: []string{"satisfy any", "underscores_in_headers on"},
		ways:   []string{"userkeys_website"},
	},
	{name: "caddy", file: "Caddyfile", comment: "#", signInProxy: true, unix: true},
	{
		name: "traefik", file: "traefik.yml", comment: "#", signInProxy: true,
		unsafe: append(turnedOn("trustForwardHeader"), "aliasHeadersStrategy: keep"),
		ways:   []string{`service\s*:\s*website`},
	},
	{
		name: "haproxy", file: "haproxy.cfg", comment: "#", signInProxy: true, unix: true,
		unsafe: []string{"http-restrict-req-hdr-names preserve"},
		ways:   []string{`(use_backend|default_backend)\s+website`},
	},
	{
		name: "haproxy-lua", file: "userkeys.lua", comment: luaComment, signInProxy: true, unix: true,
		unsafe: []string{"[[", "[="}, // begins a comment or a text of several lines
	},
	{
		name: "envoy", file: "envoy.yaml", comment: "#", unix: true, unsafe: turnedOn("failure_mode_allow"),
		ways: []string{`cluster\s*:\s*website`, `\S*ExtAuthzPerRoute`},
	},
	{name: "gateway-api", file: "gateway-api.yaml", comment: "#", ways: []string{`name\s*:\s*website`}},
}

// Names returns the web servers that there are recipes for.
func Names() []string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.name
	}
	return names
}

func serverOf(name string) (server, error) {
	i := slices.IndexFunc(servers, func(s server) bool { return s.name == name })
	if i < 0 {
		return server{}, fmt.Errorf("there is no recipe for %q, but for %s", name, strings.Join(Names(), ", "))
	}
	return servers[i], nil
}

// checkAsk refuses to ask a program that answers something else: each of its answers would let a request through.
func (c Config) checkAsk() error {
	for _, other := range []struct {
		flag string
		at   Address
	}{{"--listen", c.Listen}, {"--app", c.App}, {"--beside", c.Beside.Address}} {
		if other.at == c.Ask {
			return fmt.Errorf("--ask and %s are both %s: --ask is where userkeys listens for questions, its --ask-listen",
				other.flag, other.at)
		}
	}
	return nil
}

// Write writes the recipe for a web server. It refuses what the web server cannot do.
func Write(w io.Writer, name string, cfg Config) error {
	s, err := serverOf(name)
	if err != nil {
		return err
	}
	if cfg.Beside.Name != "" && !s.signInProxy {
		return fmt.Errorf("there is no recipe for %s beside %s", s.name, cfg.Beside.Name)
	}
	if cfg.Beside.Name != "" && cfg.Strict {
		return fmt.Errorf("with %s beside userkeys, a request without a key is decided by %[1]s", cfg.Beside.Name)
	}
	for _, a := range []Address{cfg.Ask, cfg.Listen, cfg.App, cfg.Beside.Address} {
		if a.IsUnix() && !s.unix {
			return fmt.Errorf("%s reaches no Unix socket such as %s: use an address with a port", s.name, a)
		}
	}
	if err := cfg.checkAsk(); err != nil {
		return err
	}
	t, err := template.New(s.file).Funcs(functions).ParseFS(files, "templates/"+s.file)
	if err != nil {
		return err
	}
	return t.Execute(w, values{cfg})
}
