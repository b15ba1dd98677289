package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"userkeys"
	"userkeys/gateway/internal/clientip"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/question"
	"userkeys/gateway/internal/request"
	"userkeys/internal/logs"
)

// AskedConfig is what an [Asked] is made of.
type AskedConfig struct {
	Checker Checker
	// From are the networks of the web servers that may ask; others get 404. Clients of a Unix socket may always ask.
	// Empty: whoever reaches the server may ask, so it must listen where only programs of this machine can.
	From []netip.Prefix
	// TrustedProxies are proxies before these web servers; see [ClientIPConfig].
	TrustedProxies []netip.Prefix
	// IdentityHeaders tell who calls with a key in the website's own words; see [ProxyConfig].
	IdentityHeaders []IdentityHeader
	Introspection   http.Handler     // answers at [IntrospectionPath]; nil: nobody does
	Logger          *slog.Logger     // of refusals, at most ten a second, and of panics, at most one; nil: none
	Now             func() time.Time // nil: the system's clock
}

// IntrospectionPath is where websites ask about keys.
const IntrospectionPath = "/user-api-key/introspect"

// Asked answers web servers that ask about each request before they pass it on. It decides as [Proxy] does, and
// the web server passes the identity on in the headers of the answer.
//
// The path says how the web server asks: /forwarded (Caddy, Traefik, HAProxy), /nginx, and /envoy followed by the
// target; each also below /require, where a request without a key is refused instead of passed as a stranger's.
// The answer is 200 if the request may pass, and always has all [IdentityHeaderNames] then, Authorization as the
// website may get it (empty if it held a key), and X-Userkeys-Status: 200, which no other program says. It comes within
// a second: if the check takes longer, it is 503. Nothing reads the body of a question. A key in the query is refused
// with 400, because no web server can take it out of the target before the website gets it.
//
// Asked stands on a listener of its own, which nobody but web servers reaches: who can ask it learns which keys are
// good.
type Asked struct {
	cfg       AskedConfig
	keys      keyCheck
	clientIPs *ClientIPs
	panics    *logs.Errors
	names     []string // of all identity headers
}

// NewAsked makes one. Errors: [userkeys.InvalidParameters] without a checker, with identity headers that
// cannot be, and if everybody would be trusted.
func NewAsked(cfg AskedConfig) (*Asked, error) {
	if cfg.Checker == nil {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "answers to web servers need a checker")
	}
	if err := CheckIdentityHeaders(cfg.IdentityHeaders); err != nil {
		return nil, err
	}
	cfg.IdentityHeaders = headers.Canonical(cfg.IdentityHeaders)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Introspection == nil {
		cfg.Introspection = http.NotFoundHandler()
	}
	web := cfg.From
	if len(web) == 0 {
		web = loopback
	}
	clients, err := clientip.New(clientip.Config{
		TrustedProxies: append(web[:len(web):len(web)], cfg.TrustedProxies...), TrustUnix: true, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Asked{
		cfg: cfg, keys: keyCheck{cfg.Checker, newRefusalLog(cfg.Logger, clients.Of, cfg.Now)}, clientIPs: clients,
		panics: logs.NewErrors(cfg.Logger, cfg.Now),
		names:  append(IdentityHeaderNames(cfg.IdentityHeaders...), request.AuthorizationHeader),
	}, nil
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// ServeHTTP answers a question, or somebody who asks about a key.
func (a *Asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.mayAsk(r) {
		http.NotFound(w, r)
		return
	}
	q, asks := question.Of(r)
	switch {
	case asks:
		a.answer(w, r, q)
	case r.URL.Path == IntrospectionPath:
		a.cfg.Introspection.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// answer answers a question.
func (a *Asked) answer(w http.ResponseWriter, r *http.Request, q question.Question) {
	if r.ContentLength != 0 {
		// nginx can announce the client's body and not send it: the server must not wait for it.
		w.Header().Set("Connection", "close")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	client, f := q.Client(r.WithContext(ctx))
	if f != nil {
		q.Refuse(w, f.Write)
		return
	}
	e := a.cfg.Checker.Edge()
	k := request.PresentedBy(client, e)
	refuse := func(err error) { q.Refuse(w, func(w http.ResponseWriter) { a.keys.refuse(w, client, k, err) }) }
	if f := k.StaysInQuery(); f != nil {
		refuse(f)
		return
	}
	switch {
	case k.Given:
		late := question.AfterFunc(answerWithin, func() {
			cancel()
			q.RefuseNow(w, func(w http.ResponseWriter) { a.keys.refuse(w, client, k, errUndecided) })
		})
		access, err := a.decide(client, k)
		if !late.Stop() {
			return
		}
		if err != nil {
			refuse(err)
			return
		}
		setIdentity(w.Header(), access, a.cfg.IdentityHeaders)
	case q.NeedsKey:
		q.Refuse(w, noKey(client, k, e).Write)
		return
	default:
		if f := k.AskForPassword(client.Method, e, false); f != nil {
			q.Refuse(w, f.Write)
			return
		}
	}
	if lines := client.Header[request.AuthorizationHeader]; !k.InAuthorization && len(lines) == 1 {
		w.Header()[request.AuthorizationHeader] = lines
	}
	q.Allow(w, a.names)
}

// mayAsk reports whether r comes from a web server that may ask.
func (a *Asked) mayAsk(r *http.Request) bool {
	if len(a.cfg.From) == 0 {
		return true
	}
	peer, trusted := a.clientIPs.Peer(r)
	if !peer.IsValid() {
		return trusted // a Unix socket
	}
	for _, p := range a.cfg.From {
		if p.Contains(peer.WithZone("")) {
			return true
		}
	}
	return false
}

// answerWithin is how long a check may take. Web servers wait for an answer between 200 milliseconds (Envoy) and a
// minute (nginx), as they are shipped, and each says something else when the time is over.
const answerWithin = 900 * time.Millisecond

// decide decides about the client's request, within its context.
func (a *Asked) decide(client *http.Request, k request.Presented) (access userkeys.Access, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			logPanic(a.panics, client, cause)
			err = errUndecided
		}
	}()
	access, err = a.keys.decide(client, k, upstreamRequest)
	if _, refused := errors.AsType[*request.Refusal](err); err == nil || refused {
		return access, err
	}
	if userkeys.AsError(err).Code == userkeys.Internal || client.Context().Err() != nil {
		return userkeys.Access{}, errUndecided
	}
	return userkeys.Access{}, err
}

// errUndecided refuses a request when nobody could say within time whether its key is good.
var errUndecided = &userkeys.Error{
	Code: userkeys.Unavailable, Public: "the site cannot check keys right now", Reason: "unavailable",
	RetryAfter: time.Second,
}
