package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"userkeys"
)

// ProxyConfig is what a [Proxy] is made of.
type ProxyConfig struct {
	Upstream *url.URL // http or https and a host; no path, for what was judged is what is sent
	Checker  Checker
	// TrustedProxies are the networks whose forwarding headers are believed
	// and passed on; see [ParseTrustedProxies]. Empty: nobody's.
	TrustedProxies []netip.Prefix
	// ClientIPs is in place of TrustedProxies, for proxies that do not send X-Forwarded-For.
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
	desk    desk
	reverse *httputil.ReverseProxy
	watcher watcher
	streams streams
	broken  *errorLog // answers that broke off

	adminKeys AdminKeys // nil: the checker knows of none
}

// NewProxy makes a proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.ClientIPs == nil {
		cfg.ClientIPs = forwardedFor(cfg.TrustedProxies)
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
	p := &Proxy{cfg: cfg, log: cfg.Logger, watcher: watcher{checker: cfg.Checker}, broken: newErrorLog(cfg.Logger, cfg.Now)}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.adminKeys, _ = cfg.Checker.(AdminKeys)
	p.desk = newDesk(cfg.Checker, newRefusalLog(cfg.Logger, cfg.ClientIPs.Of, cfg.Now))
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
	return checkTrusted(c.TrustedProxies)
}

// exchange is one request on its way through the proxy, and the context of its
// copy for the upstream: nearly everything in one piece of memory.
type exchange struct {
	context.Context
	in        *http.Request // as it came
	target    string        // what is sent; see setTarget
	keyed     bool
	inQuery   bool // the key stood in the address
	websocket bool
	answer    answer
	stall     stall
	body      body
	received  received
	attempt   attempt
	watched   *watched     // if keyed
	fallback  http.Handler // if keyed; answers where the upstream says 404; nil: nobody does
}

// nothing spares the reverse proxy a copy of headers that are built anew.
var nothing = http.Header{}

type exchangeKey struct{}

// Value finds the exchange itself.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// ServeHTTP checks a request if it has a key, and passes it on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, p.desk.presentedBy(r), nil)
}

// serve passes on a request whose key, if it has one, was found already. If the upstream answers
// a request with a key with 404, fallback answers in its place, unless it is nil.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, k presented, fallback http.Handler) {
	if f := acceptable(r); f != nil {
		f.write(w)
		return
	}
	t := targetOf(r)
	x := &exchange{Context: r.Context(), in: r, target: t.raw}
	x.answer = answer{ResponseWriter: w, http10: !r.ProtoAtLeast(1, 1), awaited: true, cookies: p.cfg.SessionCookies}
	x.websocket = len(r.Header["Upgrade"]) > 0 && hasToken(r.Header["Connection"], "Upgrade") // no other is acceptable
	if k.given {
		a, admitted := p.desk.admit(w, r, k, upstreamRequest)
		if !admitted {
			return
		}
		x.keyed, x.inQuery, x.target = true, k.inQuery, t.withoutKeyParameter()
		x.fallback = fallback
		x.watched = p.watcher.watch(r.Context(), a, &x.answer)
		x.Context = x.watched.ctx
		defer x.watched.stop()
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
func (p *Proxy) watchProgress(x *exchange, r *http.Request) {
	x.stall = stall{after: p.cfg.StallTimeout, now: p.cfg.Now, control: *http.NewResponseController(x.answer.ResponseWriter)}
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
