package gateway

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway/internal/apology"
	"userkeys/gateway/internal/clientip"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/request"
	"userkeys/internal/logs"
	"userkeys/site"
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
	log       *refusalLog
	addresses *clientip.Limiter
	panics    *logs.Errors
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
		cfg.ClientIPs = clientip.ForwardedFor(nil)
	}
	log := newRefusalLog(cfg.Logger, cfg.ClientIPs.Of, cfg.Now)
	return &Front{
		cfg: cfg, keys: keyCheck{cfg.Checker, log}, log: log,
		addresses: clientip.NewLimiter(cfg.ClientIPs, cfg.Now, cfg.Logger),
		panics:    logs.NewErrors(cfg.Logger, cfg.Now),
	}, nil
}

// OwnPaths returns our paths before an upstream: the protocol's endpoints, the pages of apps and of the account, the
// description and the health checks. One that ends in / or * stands for every path that begins so.
func OwnPaths() []string {
	return []string{
		"/user-api-key*", "/api_key/generate", "/.well-known/user-api-key",
		"/my/apps", "/my/apps/", "/my/account", "/my/account.json", "/my/account/", "/healthz", "/readyz",
	}
}

// OwnPath returns a function that reports whether a path is one of [OwnPaths], or of extra, which is written in the
// same way.
func OwnPath(extra ...string) func(path string) bool {
	exact := map[string]bool{}
	var prefixes []string
	for _, e := range append(OwnPaths(), extra...) {
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
	k := request.PresentedBy(r, e)
	t := k.Target
	own := f.cfg.Upstream == nil || f.cfg.Owns(t.Path)
	if f.mayBounce(k) && request.Acceptable(r) == nil {
		// It reads a public key, which is work: counted before it is done.
		if !f.admitsAddress(w, r, k, e) || f.cfg.Bounce(w, r) {
			return
		}
	}
	asks := len(e.Origins) > 0 && headers.IsPreflight(r) && (own || headers.AsksForKey(r))
	if !own && !k.Given && !asks {
		f.cfg.Upstream.serve(w, r, k, nil) // which refuses by itself what is not acceptable
		return
	}
	if no := request.Acceptable(r); no != nil {
		writeRefusal(w, r, no)
		return
	}
	if len(e.Origins) > 0 && !asks {
		headers.AllowOrigin(w.Header(), r, e, k.Given)
	}
	switch {
	case !f.admitsAddress(w, r, k, e):
	case asks:
		headers.AnswerPreflight(w, r, e)
	case !own:
		f.cfg.Upstream.serve(w, r, k, f.fallback(r, k))
	case k.Given:
		if a, ok := f.keys.admit(w, r, k, ownRequest); ok {
			headers.ServePrivate(f.cfg.Own, w, k.Admitted(r, a), k.CarriedIn())
		}
	default:
		f.serveStranger(w, r, k)
	}
}

// admitsAddress counts a request and answers it if its address has asked too often.
func (f *Front) admitsAddress(w http.ResponseWriter, r *http.Request, k request.Presented, e *site.Edge) bool {
	if !e.LimitsAddresses() {
		return true
	}
	x, over := f.addresses.Count(r, e)
	if !over {
		return true
	}
	if e.WarnsOfAddresses {
		attrs := append(keyAttr(k), slog.String("limit", x.Code))
		f.log.write(w, r, logLine{slog.LevelWarn, "an address asks too often", attrs})
	}
	if !e.BlocksAddresses {
		return true
	}
	if !e.WarnsOfAddresses {
		f.log.refused(w, r, k, &request.Refusal{Status: http.StatusTooManyRequests, Reason: x.Code})
	}
	if x.SetHeaders(w.Header()); WantsPage(r) {
		apology.TooMany(x.Wait, x.Code).Write(w, r)
	} else {
		x.Write(w)
	}
	return false
}

// mayBounce reports whether a request without a key is one that Bounce looks at.
func (f *Front) mayBounce(k request.Presented) bool {
	return f.cfg.Bounce != nil && !k.Given && strings.Contains(k.Target.Query, "user_api_public_key=")
}

// fallback is who answers in the upstream's place if that says 404; nil: nobody.
func (f *Front) fallback(r *http.Request, k request.Presented) http.Handler {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if f.cfg.Fallback == nil || !k.Given || !reads || !f.cfg.Fallback(k.Target.Path) {
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
		logPanic(f.panics, r, cause)
	}
	panic(cause)
}

// logPanic writes down what a panic was about.
func logPanic(log *logs.Errors, r *http.Request, cause any) {
	attrs := []slog.Attr{slog.Any("panic", cause), slog.String("stack", string(debug.Stack()))}
	log.Write(r.Context(), "panic", append(attrs, request.LogAttrs(r)...)...)
}

// serveStranger serves a request without a key, if it can be read in one way only.
func (f *Front) serveStranger(w http.ResponseWriter, r *http.Request, k request.Presented) {
	if r.Method != http.MethodOptions && !request.MayUseMethod(r.Method) {
		writeRefusal(w, r, request.RefuseMethod)
		return
	}
	if _, err := userkeys.CanonicalPath(k.Target.Path); err != nil {
		f.keys.refuse(w, r, k, err)
		return
	}
	f.cfg.Own.ServeHTTP(w, r)
}
