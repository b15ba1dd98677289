package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"userkeys"
)

// ProxyConfig is what a [Proxy] is made of.
type ProxyConfig struct {
	Upstream *url.URL // http or https and a host; no path, for what was judged is what is sent
	Checker  Checker
	// ClientIPs tells whose request it is, and whose forwarding headers are believed and passed on; nil: nobody's.
	ClientIPs *ClientIPs
	// Scheme is the public one, http or https, if it is known: what the upstream is told in
	// X-Forwarded-Proto, unless a trusted proxy says otherwise. Empty: that of the connection.
	Scheme string
	// SessionCookies are the names of our own cookies: the upstream neither sees nor sets them.
	SessionCookies []string
	// VaryByKey adds Vary: User-Api-Key also to answers to requests without a key, so that a cache between
	// the proxy and its clients asks here about every request with a key. The price: some CDNs store no answer that varies.
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
	Transport     http.RoundTripper // nil: one made for this upstream, HTTP/1.1 with keep-alive
	Now           func() time.Time  // nil: the system's clock
}

// Proxy is the door before a website. A request with a key is checked,
// stripped of the key, and passed on with the identity in headers that no
// client can forge; a request without one is passed on as it came.
type Proxy struct {
	cfg     ProxyConfig
	log     *slog.Logger
	keys    keyCheck
	reverse *httputil.ReverseProxy
	monitor monitor
	streams streams
	broken  *errorLog // answers that broke off
}

// NewProxy makes a proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.ClientIPs == nil {
		cfg.ClientIPs = forwardedFor(nil)
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
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.ResponseHeaderTimeout)
	}
	p := &Proxy{
		cfg: cfg, log: cfg.Logger, monitor: monitor{checker: cfg.Checker}, broken: newErrorLog(cfg.Logger, cfg.Now),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.keys = keyCheck{cfg.Checker, newRefusalLog(cfg.Logger, cfg.ClientIPs.Of, cfg.Now)}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite, // never Director: there a client's Connection header removes what we set
		Transport:      repeater{cfg.Transport},
		BufferPool:     &buffers{},
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   p.failed,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

func (c ProxyConfig) validate() error {
	bad := func(why string) error {
		return userkeys.Errorf(userkeys.InvalidParameters, "upstream: %s", why)
	}
	u := c.Upstream
	switch {
	case c.Checker == nil:
		return userkeys.Errorf(userkeys.InvalidParameters, "a proxy needs a checker")
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad("must be an address such as http://127.0.0.1:3000")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return bad("must have no path, query, fragment or user: requests are passed on as they were judged")
	}
	if c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https" {
		return userkeys.Errorf(userkeys.InvalidParameters, "the public scheme %q is neither http nor https", c.Scheme)
	}
	return nil
}

// proxied is one request on its way through the proxy, and the context of its
// copy for the upstream: nearly everything in one piece of memory.
type proxied struct {
	context.Context
	in        *http.Request // as it came
	target    string        // what is sent; see setTarget
	presented presented     // the key as it came
	websocket bool
	answer    answer
	stall     stall
	body      body
	received  received
	attempt   attempt
	monitored *monitored   // if keyed
	fallback  http.Handler // if keyed; answers where the upstream says 404; nil: nobody does
}

// nothing spares the reverse proxy a copy of headers that are built anew.
var nothing = http.Header{}

type proxiedKey struct{}

// Value finds x itself.
func (x *proxied) Value(key any) any {
	if key == (proxiedKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func proxiedOf(r *http.Request) *proxied {
	x, _ := r.Context().Value(proxiedKey{}).(*proxied)
	return x
}

// ServeHTTP checks a request if it has a key, and passes it on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, presentedBy(r, p.cfg.Checker.Edge()), nil)
}

// serve passes on a request whose key, if it has one, was found already. If the upstream answers
// a request with a key with 404, fallback answers in its place, unless it is nil.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, k presented, fallback http.Handler) {
	if f := acceptable(r); f != nil {
		f.write(w)
		return
	}
	t := k.target
	x := &proxied{Context: r.Context(), in: r, target: t.raw, presented: k}
	x.answer = answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1), awaited: true, cookies: p.cfg.SessionCookies}
	x.websocket = len(r.Header["Upgrade"]) > 0 && hasToken(r.Header["Connection"], "Upgrade") // no other is acceptable
	if k.given {
		a, admitted := p.keys.admit(w, r, k, upstreamRequest)
		if !admitted {
			return
		}
		x.target = t.withoutKeyParameter()
		x.fallback = fallback
		x.monitored = p.monitor.follow(r.Context(), a, &x.answer)
		x.Context = x.monitored.ctx
		defer x.monitored.stop()
	} else {
		if carriesOurKey(t.query) {
			x.target = t.withoutKeyParameter() // where it says nothing; no upstream shall log it
		}
		if !sayable(r.URL, x.target) {
			refuseUnsayable.write(w)
			return
		}
	}
	r = r.WithContext(x)
	r.Header = nothing // rewrite takes the headers from x
	p.watchProgress(x, r)
	p.pass(x, r)
}

// watchProgress puts deadlines on the pieces of both bodies. r is a copy of ours.
func (p *Proxy) watchProgress(x *proxied, r *http.Request) {
	control := http.NewResponseController(x.answer.ResponseWriter)
	x.stall = stall{after: p.cfg.StallTimeout, now: p.cfg.Now, control: *control}
	if r.ProtoMajor == 1 {
		x.answer.stall = &x.stall
	}
	if r.ContentLength != 0 && r.Body != nil {
		x.body.ReadCloser, x.body.stall, x.body.keeps = r.Body, &x.stall, isIdempotent(r.Method)
		x.body.least = max(p.cfg.MinUploadRate, 0) * int(rateTime/time.Second)
		r.Body = &x.body
	}
}

// buffers lends the memory in which answers are copied.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (b *buffers) Put(p []byte) {
	if len(p) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(p))
	}
}
