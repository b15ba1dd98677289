package gateway

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/gateway/internal/clientip"
	"userkeys/gateway/internal/forward"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/monitor"
	"userkeys/gateway/internal/request"
)

// ProxyConfig is what a [Proxy] is made of.
type ProxyConfig struct {
	// Upstream is http or https and a host, without a path, for what was judged is what is sent; or unix:/path, the Unix
	// socket where the website speaks HTTP.
	Upstream *url.URL
	Checker  Checker
	// ClientIPs tells whose request it is, and whose forwarding headers are believed and passed on; nil: nobody's.
	ClientIPs *ClientIPs
	// Scheme is the public one, http or https, if it is known: what the upstream is told in
	// X-Forwarded-Proto, unless a trusted proxy says otherwise. Empty: that of the connection.
	Scheme string
	// SessionCookies are the names of our own cookies: the upstream neither sees nor sets them.
	SessionCookies []string
	// LoginHeaders are headers in which a proxy before this one tells who calls; they do not go on beside a key.
	LoginHeaders []string
	// IdentityHeaders tell who calls with a key in the website's own words.
	IdentityHeaders []IdentityHeader
	// VaryByKey adds Vary: User-Api-Key also to answers to requests without a key, so that a cache between
	// the proxy and its clients asks here about every request with a key. The price: some CDNs store no answer that
	// varies.
	VaryByKey bool
	// ResponseHeaderTimeout is how long the upstream may think before it
	// answers, 0: 30 seconds. Long polls must be shorter.
	ResponseHeaderTimeout time.Duration
	// StallTimeout is how long a client may take for one piece of a body, either way, 0: 60 seconds.
	StallTimeout time.Duration
	// MinUploadRate is how many bytes a second of a request's body must come while it is waited
	// for, measured over a minute, 0: 64. A slower client gets 408; negative: none is too slow.
	MinUploadRate int
	Logger        *slog.Logger      // nil: none
	Transport     http.RoundTripper // nil: one made for this upstream, HTTP/1.1 with keep-alive; never with a Unix socket
	// StandardTransport makes it one of net/http also for the usual requests to an upstream without TLS, which take less
	// time over a transport of our own.
	StandardTransport bool
	Now               func() time.Time // nil: the system's clock
}

// Proxy is the door before a website. A request with a key is checked,
// stripped of the key, and passed on with the identity in headers that no
// client can forge; a request without one is passed on as it came.
type Proxy struct {
	cfg     ProxyConfig
	keys    keyCheck
	headers headers.Table
	forward *forward.Proxy
	monitor *monitor.Monitor
}

// NewProxy makes a proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.ClientIPs == nil {
		cfg.ClientIPs = clientip.ForwardedFor(nil)
	}
	if cfg.ResponseHeaderTimeout == 0 {
		cfg.ResponseHeaderTimeout = 30 * time.Second
	}
	if cfg.StallTimeout == 0 {
		cfg.StallTimeout = time.Minute
	}
	if cfg.MinUploadRate == 0 {
		cfg.MinUploadRate = 64
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.IdentityHeaders = headers.Canonical(cfg.IdentityHeaders)
	keys := keyCheck{cfg.Checker, newRefusalLog(cfg.Logger, cfg.ClientIPs.Of, cfg.Now)}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Proxy{
		cfg: cfg, keys: keys, monitor: monitor.New(cfg.Checker),
		headers: headers.NewTable(headers.NamesOf(cfg.IdentityHeaders), cfg.LoginHeaders),
		forward: forward.New(forward.Config{
			Upstream: cfg.Upstream, Cookies: cfg.SessionCookies,
			HeaderTimeout: cfg.ResponseHeaderTimeout, StallTimeout: cfg.StallTimeout, MinUploadRate: cfg.MinUploadRate,
			Standard: cfg.StandardTransport, Transport: cfg.Transport, Logger: cfg.Logger, Now: cfg.Now,
		}),
	}, nil
}

// unixScheme is of an upstream that listens on a Unix socket.
const unixScheme = "unix"

func (c ProxyConfig) validate() error {
	bad := func(why string) error {
		return userkeys.Errorf(userkeys.InvalidParameters, "upstream: %s", why)
	}
	u := c.Upstream
	switch {
	case c.Checker == nil:
		return userkeys.Errorf(userkeys.InvalidParameters, "a proxy needs a checker")
	case u != nil && u.Scheme == unixScheme:
		if u.Path == "" || u.Host != "" || u.RawQuery != "" || u.Fragment != "" || c.Transport != nil {
			return bad("a Unix socket is unix: and a path from the root, and is dialled by no other transport")
		}
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad("must be an address such as http://127.0.0.1:3000")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return bad("must have no path, query, fragment or user: requests are passed on as they were judged")
	}
	if c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https" {
		return userkeys.Errorf(userkeys.InvalidParameters, "the public scheme %q is neither http nor https", c.Scheme)
	}
	return CheckIdentityHeaders(c.IdentityHeaders)
}

// proxied is one request on its way through the proxy. It decides what the upstream gets and, as [forward.Rules],
// what the client gets of the answer.
type proxied struct {
	forward.Request
	proxy     *Proxy
	presented request.Presented // the key as it came
	monitored *monitor.Followed // if keyed
	fallback  http.Handler      // if keyed; answers where the upstream says 404; nil: nobody does
}

// ServeHTTP checks a request if it has a key, and passes it on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, request.PresentedBy(r, p.cfg.Checker.Edge()), nil)
}

// Drain ends the event streams (text/event-stream) of the upstream, those that
// are open and those that begin later, for a server that is about to stop. Their clients
// connect again by themselves; other answers come to their end.
func (p *Proxy) Drain() { p.forward.Drain() }

// serve passes on a request whose key, if it has one, was found already. If the upstream answers
// a request with a key with 404, fallback answers in its place, unless it is nil.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, k request.Presented, fallback http.Handler) {
	if f := request.Acceptable(r); f != nil {
		writeRefusal(w, r, f)
		return
	}
	x := &proxied{proxy: p, presented: k}
	x.Begin(w, r)
	x.Target, x.Rules = k.Target.Raw, x
	if k.Given {
		a, admitted := p.keys.admit(w, r, k, upstreamRequest)
		if !admitted {
			return
		}
		x.Target = k.Target.WithoutKey()
		x.fallback = fallback
		x.monitored = p.monitor.Follow(r.Context(), a, x.Answer())
		x.Context = x.monitored.Context()
		defer x.monitored.Stop()
	} else {
		if f := k.AskForPassword(r.Method, p.cfg.Checker.Edge(), false); f != nil {
			f.Write(w)
			return
		}
		if k.Target.NamesOurKey() {
			x.Target = k.Target.WithoutKey() // where it says nothing; no upstream shall log it
		}
		if !forward.Sayable(r.URL, x.Target) {
			writeRefusal(w, r, refuseUnsayable)
			return
		}
	}
	x.Header = x.upstreamHeader()
	p.forward.Pass(&x.Request)
}
