// Package forward sends a request to the upstream as it is told to, byte for byte, and hands the answer back: over
// connections that are looked at before they are used, with a deadline for each piece of a body, and again where
// that is safe. It knows nothing of keys: who calls it says what is sent, and what becomes of the answer.
package forward

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/transport"
	"userkeys/internal/logs"
)

// Config is what a [Proxy] is made of.
type Config struct {
	Upstream      *url.URL          // http, https, or unix and the path of a socket
	Cookies       []string          // names of the cookies that no upstream may set
	HeaderTimeout time.Duration     // how long the upstream may think before it answers
	StallTimeout  time.Duration     // how long a client may take for one piece of a body
	MinUploadRate int               // bytes a second, measured over a minute; at most 0: any
	Standard      bool              // all requests go by a transport of net/http
	Transport     http.RoundTripper // nil: one of the package transport
	Logger        *slog.Logger
	Now           func() time.Time
}

// Proxy sends requests to one upstream.
type Proxy struct {
	cfg     Config
	reverse *httputil.ReverseProxy
	streams streams
	broken  *logs.Errors // answers that broke off
}

// newTransport returns a transport to the upstream, and makes a Unix socket an address that requests can name.
func (c *Config) newTransport() http.RoundTripper {
	way := transport.Config{HeaderTimeout: c.HeaderTimeout, Now: c.Now}
	if c.Upstream.Scheme == "unix" {
		way.Dial = transport.Socket(c.Upstream.Path)
		c.Upstream = &url.URL{Scheme: "http", Host: "localhost"}
	}
	way.Upstream = c.Upstream
	if c.Standard {
		return transport.Standard(way)
	}
	return transport.New(way)
}

// New returns a proxy. Every field of cfg but Cookies and Transport must be set.
func New(cfg Config) *Proxy {
	if cfg.Transport == nil {
		cfg.Transport = cfg.newTransport()
	}
	p := &Proxy{cfg: cfg, broken: logs.NewErrors(cfg.Logger, cfg.Now)}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite, // never Director: there a client's Connection header removes what we set
		Transport:      repeater{cfg.Transport},
		BufferPool:     &buffers{},
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   failed,
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return p
}

// Rules say what becomes of the answer to one request.
type Rules interface {
	// Receive changes the upstream's answer before the client gets it; ours are the headers that the client's answer
	// has already. If it returns an error, the client does not get the answer, and Fail is called with that error.
	Receive(ours http.Header, res *http.Response) error
	// Fail answers r where the upstream has not.
	Fail(w http.ResponseWriter, r *http.Request, err error)
}

// Request is one request on its way to the upstream, and the context of its copy: nearly everything in one piece of
// memory. Its caller embeds it in what it knows of the request, calls Begin, and sets the fields.
type Request struct {
	context.Context               // when it ends, the request does
	In              *http.Request // as it came
	Target          string        // what is sent on the request line; see [Sayable]
	Header          http.Header   // what is sent, but for what concerns the connection
	Rules           Rules

	websocket bool // the client asked to switch to it
	answer    Answer
	stall     stall
	body      body
	received  received
	attempt   attempt
}

// Begin readies x for in, whose answer is written to w.
func (x *Request) Begin(w http.ResponseWriter, in *http.Request) {
	x.Context, x.In = in.Context(), in
	// No other protocol is acceptable: see request.Acceptable.
	x.websocket = len(in.Header["Upgrade"]) > 0 && headers.HasToken(in.Header["Connection"], "Upgrade")
	x.answer.ResponseWriter, x.answer.http10, x.answer.awaited = w, !in.ProtoAtLeast(1, 1), true
}

// Answer returns what the client's answer is written to.
func (x *Request) Answer() *Answer { return &x.answer }

// BodyFailure is why the client's body could not be read; nil if it could.
func (x *Request) BodyFailure() error { return x.body.failure() }

type requestKey struct{}

// Value finds x itself.
func (x *Request) Value(key any) any {
	if key == (requestKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func requestOf(r *http.Request) *Request {
	x, _ := r.Context().Value(requestKey{}).(*Request)
	return x
}

// nothing spares the reverse proxy a copy of headers that are built anew.
var nothing = http.Header{}

// Pass sends x to the upstream and answers it. It panics with http.ErrAbortHandler when an answer breaks off.
func (p *Proxy) Pass(x *Request) {
	r := x.In.WithContext(x)
	r.Header = nothing // rewrite takes the headers from x
	x.answer.cookies = p.cfg.Cookies
	p.watchProgress(x, r)
	whole := false
	defer func() {
		x.body.over.Store(true)
		if !whole && x.received.broke {
			x.answer.Flush() // the client gets as much of the answer as there was, and sees that it broke off
		}
	}()
	p.reverse.ServeHTTP(&x.answer, r)
	x.answer.end()
	whole = true
}

// watchProgress puts deadlines on the pieces of both bodies. r is a copy of ours.
func (p *Proxy) watchProgress(x *Request, r *http.Request) {
	control := http.NewResponseController(x.answer.ResponseWriter)
	x.stall = stall{after: p.cfg.StallTimeout, now: p.cfg.Now, control: *control}
	if r.ProtoMajor == 1 {
		x.answer.stall = &x.stall
	}
	if r.ContentLength != 0 && r.Body != nil {
		// An upstream may begin to answer before it has read all. The server would first drain the body itself, and so
		// take from the upstream what it waits for.
		_ = control.EnableFullDuplex()
		x.body.ReadCloser, x.body.stall, x.body.keeps = r.Body, &x.stall, isIdempotent(r.Method)
		x.body.least = max(p.cfg.MinUploadRate, 0) * int(rateTime/time.Second)
		r.Body = &x.body
	}
}

// Lines that are always the same. The transport only reads them.
var (
	teTrailers        = []string{"trailers"}
	connectionUpgrade = []string{"Upgrade"}
	upgradeWebsocket  = []string{"websocket"}
)

// rewrite makes the upstream's request. What its headers say of the connection is ours.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x := requestOf(pr.In)
	if headers.HasToken(x.In.Header["Te"], "trailers") {
		x.Header["Te"] = teTrailers
	}
	if x.websocket {
		x.Header["Connection"], x.Header["Upgrade"] = connectionUpgrade, upgradeWebsocket
	}
	pr.Out.Header = x.Header
	pr.Out.Trailer = nil // a header in disguise
	setTarget(pr.Out.URL, p.cfg.Upstream, x.Target)
}

// setTarget makes u say target byte for byte on the request line.
func setTarget(u, upstream *url.URL, target string) {
	if strings.HasPrefix(target, "//") {
		// As opaque it would become an absolute address. The path and query that
		// the server read say the same bytes again: see Sayable.
		u.Scheme, u.Host = upstream.Scheme, upstream.Host
		u.RawPath, u.RawQuery, _ = strings.Cut(target, "?")
		return
	}
	*u = url.URL{Scheme: upstream.Scheme, Host: upstream.Host, Opaque: target}
}

// Sayable reports whether target can be sent for a request with the address u. The exceptions begin with
// two slashes and have bytes that no request target may have.
func Sayable(u *url.URL, target string) bool {
	if !strings.HasPrefix(target, "//") {
		return true
	}
	path, query, _ := strings.Cut(target, "?")
	try := *u
	try.RawPath, try.RawQuery = path, query
	return try.RequestURI() == target
}

var (
	errUnaskedSwitch = errors.New("upstream switched protocols unasked")
	errStatus        = errors.New("upstream answered with a status below 100")
)

// modifyResponse keeps from the client what an upstream may not say.
func (p *Proxy) modifyResponse(res *http.Response) error {
	x := requestOf(res.Request)
	x.answer.awaited = false
	switch {
	case res.StatusCode < http.StatusContinue:
		return errStatus // net/http panics when it is told to write one
	case res.StatusCode == http.StatusSwitchingProtocols && !x.websocket:
		return errUnaskedSwitch // would give the client a raw connection to the upstream
	}
	headers.StripSetCookies(res.Header, p.cfg.Cookies)
	if err := x.Rules.Receive(x.answer.Header(), res); err != nil {
		return err
	}
	p.asReceived(x, res)
	if res.StatusCode != http.StatusSwitchingProtocols && !isEventStream(res.Header) {
		handOver(x.answer.Header(), res)
	}
	return nil
}

// handOver moves an answer's headers to the client's. The reverse proxy would copy
// them one by one; it needs them itself only for protocol switches and event streams.
func handOver(to http.Header, res *http.Response) {
	for name, lines := range res.Header {
		if prior, ok := to[name]; ok {
			lines = slices.Concat(prior, lines)
		}
		to[name] = lines
	}
	res.Header = nil
}

// failed answers when the upstream did not.
func failed(w http.ResponseWriter, r *http.Request, err error) {
	x := requestOf(r)
	x.answer.awaited = false
	x.Rules.Fail(w, r, err)
}

// IsTimeout reports whether err says that something took too long.
func IsTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
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
