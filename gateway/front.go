package gateway

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"userkeys"
)

// Front is the door of the whole server. It decides which paths are ours and
// which the upstream's, on the bytes that came and before any router cleans
// them: a router's redirect to a cleaned path would be a second reading.
//
// It also holds what comes before any check of a key: the limits by address
// and the answers to browsers about other origins (CORS), on our own paths and for requests
// with a key, as [Checker.Edge] tells them at each request.
type Front struct {
	cfg       FrontConfig
	keys      keyCheck
	addresses *addressLimiter
	panics    *errorLog
}

// FrontConfig is what a [Front] is made of.
type FrontConfig struct {
	Own     http.Handler
	Checker Checker
	// Owns reports whether a path (still escaped, without the query) is ours; nil: [OwnPath]().
	Owns     func(path string) bool
	Upstream *Proxy // nil: there is none, every path is ours
	// Fallback reports whether Own answers a path (like that of Owns) where the upstream answers GET or HEAD with a
	// key with 404; nil: never.
	Fallback func(path string) bool
	// Bounce may answer a request without a key for any path, and reports whether it did; nil: never.
	Bounce func(w http.ResponseWriter, r *http.Request) bool
	// ClientIPs tells whose request it is; nil: no forwarding header is believed. Without trusted proxies private
	// addresses have no limit of their own: a proxy would be limited for everybody.
	ClientIPs *ClientIPs
	Logger    *slog.Logger     // of refusals, at most ten a second, and of panics, at most one; nil: none
	Now       func() time.Time // nil: the system's clock
}

// NewFront makes a front.
func NewFront(cfg FrontConfig) (*Front, error) {
	if cfg.Own == nil || cfg.Checker == nil {
		return nil, userkeys.Errorf(userkeys.InvalidParameters,
			"a front needs a handler of its own paths and a checker")
	}
	if cfg.Owns == nil {
		cfg.Owns = OwnPath()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientIPs == nil {
		cfg.ClientIPs = forwardedFor(nil)
	}
	log := newRefusalLog(cfg.Logger, cfg.ClientIPs.Of, cfg.Now)
	return &Front{
		cfg: cfg, keys: keyCheck{cfg.Checker, log},
		addresses: &addressLimiter{clients: cfg.ClientIPs, now: cfg.Now, log: log},
		panics:    newErrorLog(cfg.Logger, cfg.Now),
	}, nil
}

// OwnPath tells our paths before an upstream: the protocol's endpoints, the
// apps page, the description and the health checks. extra adds paths; one that
// ends in / or * stands for everything that begins so.
func OwnPath(extra ...string) func(path string) bool {
	exact := map[string]bool{
		"/api_key/generate": true, "/my/apps": true, "/.well-known/user-api-key": true,
		"/healthz": true, "/readyz": true,
	}
	prefixes := []string{"/user-api-key", "/my/apps/"}
	for _, e := range extra {
		prefix, star := strings.CutSuffix(e, "*")
		if star || strings.HasSuffix(e, "/") {
			prefixes = append(prefixes, prefix)
		} else {
			exact[e] = true
		}
	}
	return func(path string) bool {
		if exact[path] {
			return true
		}
		for _, p := range prefixes {
			if strings.HasPrefix(path, p) {
				return true
			}
		}
		return false
	}
}

// ServeHTTP sends a request to the handler whose it is. For our own paths a
// key is checked first, also where nothing answers.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer f.logPanic(r)
	e := f.cfg.Checker.Edge()
	k := presentedBy(r, e)
	t := k.target
	own := f.cfg.Upstream == nil || f.cfg.Owns(t.path)
	if f.mayBounce(k) && acceptable(r) == nil {
		// It reads a public key, which is work: counted before it is done.
		if !f.addresses.admits(w, r, k, e) || f.cfg.Bounce(w, r) {
			return
		}
	}
	asks := len(e.Origins) > 0 && isPreflight(r) && (own || asksForKey(r))
	if !own && !k.given && !asks {
		f.cfg.Upstream.serve(w, r, k, nil) // which refuses by itself what is not acceptable
		return
	}
	if no := acceptable(r); no != nil {
		no.write(w)
		return
	}
	if len(e.Origins) > 0 && !asks {
		allowOrigin(w.Header(), r, e, k.given)
	}
	switch {
	case !f.addresses.admits(w, r, k, e):
	case asks:
		answerPreflight(w, r, e)
	case !own:
		f.cfg.Upstream.serve(w, r, k, f.fallback(r, k))
	case k.given:
		if a, ok := f.keys.admit(w, r, k, ownRequest); ok {
			serveAdmitted(f.cfg.Own, w, admitted(r, k, a))
		}
	default:
		f.serveStranger(w, r, k)
	}
}

// mayBounce reports whether a request without a key is one that Bounce looks at.
func (f *Front) mayBounce(k presented) bool {
	return f.cfg.Bounce != nil && !k.given && strings.Contains(k.target.query, "user_api_public_key=")
}

// fallback is who answers in the upstream's place if that says 404; nil: nobody.
func (f *Front) fallback(r *http.Request, k presented) http.Handler {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if f.cfg.Fallback == nil || !k.given || !reads || !f.cfg.Fallback(k.target.path) {
		return nil
	}
	return f.cfg.Own
}

// logPanic writes a panic down and lets it go on: the server then closes the connection.
func (f *Front) logPanic(r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause != http.ErrAbortHandler { // which is how the proxy breaks an answer off
		f.panics.write(r, "panic", slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
	}
	panic(cause)
}

// serveStranger serves a request without a key, if it can be read in one way only.
func (f *Front) serveStranger(w http.ResponseWriter, r *http.Request, k presented) {
	if r.Method != http.MethodOptions && !mayUseMethod(r.Method) {
		refuseMethod.write(w)
		return
	}
	if _, err := userkeys.CanonicalPath(k.target.path); err != nil {
		f.keys.refuse(w, r, k, err)
		return
	}
	f.cfg.Own.ServeHTTP(w, r)
}
