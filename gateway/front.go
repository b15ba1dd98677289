package gateway

import (
	"net/http"
	"strings"

	"userkeys"
)

// Front is the door of the whole server. It decides which paths are ours and
// which the upstream's, on the bytes that came and before any router cleans
// them: a router's redirect to a cleaned path would be a second reading.
type Front struct {
	Own http.Handler
	// Owns tells whether a path (still escaped, without the query) is ours; nil: [OwnPath]().
	Owns     func(path string) bool
	Upstream http.Handler // nil: there is none, every path is ours
	Checker  Checker
}

var ownPath = OwnPath()

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
func (f Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if no := acceptable(r); no != nil {
		no.write(w)
		return
	}
	owns := f.Owns
	if owns == nil {
		owns = ownPath
	}
	t := targetOf(r)
	if f.Upstream != nil && !owns(t.path) {
		f.Upstream.ServeHTTP(w, r)
		return
	}
	keys, keyed := r.Header[userkeys.KeyHeader]
	if !keyed {
		f.serveStranger(w, r, t)
		return
	}
	if a, ok := admit(f.Checker, w, r, keys, ownRequest); ok {
		f.Own.ServeHTTP(w, r.WithContext(userkeys.NewContext(r.Context(), a)))
	}
}

// serveStranger serves a request without a key, if it can be read in one way only.
func (f Front) serveStranger(w http.ResponseWriter, r *http.Request, t target) {
	if r.Method != http.MethodOptions && !mayUseMethod(r.Method) {
		refuseMethod.write(w)
		return
	}
	if _, err := userkeys.CanonicalPath(t.path); err != nil {
		WriteError(w, err)
		return
	}
	f.Own.ServeHTTP(w, r)
}
