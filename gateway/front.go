package gateway

import (
	"net/http"
	"strings"

	"userkeys"
)

// Front is the door of the whole server. It decides which paths are ours and
// which the upstream's, on the bytes that came and before any router cleans
// them: a router's redirect to a cleaned path would be a second reading.
type Front struct{ cfg FrontConfig }

// FrontConfig is what a [Front] is made of.
type FrontConfig struct {
	Own     http.Handler
	Checker Checker
	// Owns tells whether a path (still escaped, without the query) is ours; nil: [OwnPath]().
	Owns     func(path string) bool
	Upstream *Proxy // nil: there is none, every path is ours
	// Bounce may answer a request without a key for any path, and tells whether it did; nil: never.
	Bounce func(w http.ResponseWriter, r *http.Request) bool
}

// NewFront makes a front.
func NewFront(cfg FrontConfig) (*Front, error) {
	if cfg.Own == nil || cfg.Checker == nil {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "a front needs a handler of its own paths and a checker")
	}
	if cfg.Owns == nil {
		cfg.Owns = OwnPath()
	}
	return &Front{cfg}, nil
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
	t := targetOf(r)
	if f.cfg.Bounce != nil && t.hasQuery && r.Header[userkeys.KeyHeader] == nil && acceptable(r) == nil && f.cfg.Bounce(w, r) {
		return
	}
	if f.cfg.Upstream != nil && !f.cfg.Owns(t.path) {
		f.cfg.Upstream.ServeHTTP(w, r) // which refuses by itself what is not acceptable
		return
	}
	if no := acceptable(r); no != nil {
		no.write(w)
		return
	}
	keys, keyed := r.Header[userkeys.KeyHeader]
	if !keyed {
		f.serveStranger(w, r, t)
		return
	}
	if a, ok := admit(f.cfg.Checker, w, r, keys, ownRequest); ok {
		f.cfg.Own.ServeHTTP(w, r.WithContext(userkeys.NewContext(r.Context(), a)))
	}
}

// serveStranger serves a request without a key, if it can be read in one way only.
func (f *Front) serveStranger(w http.ResponseWriter, r *http.Request, t target) {
	if r.Method != http.MethodOptions && !mayUseMethod(r.Method) {
		refuseMethod.write(w)
		return
	}
	if _, err := userkeys.CanonicalPath(t.path); err != nil {
		WriteError(w, err)
		return
	}
	f.cfg.Own.ServeHTTP(w, r)
}
