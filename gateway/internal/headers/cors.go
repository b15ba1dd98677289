package headers

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/site"
)

// What browsers are told about requests from other origins (W18), and what
// code in a page may read of the answers, which the wire leaves out.
const (
	corsHeaders = "Content-Type, Cache-Control, X-Requested-With, X-CSRF-Token, Discourse-Present, " +
		"User-Api-Key, User-Api-Client-Id, Authorization"
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	corsExposed = "Retry-After, Discourse-Rate-Limit-Error-Code, X-Discourse-Username, X-Request-Id"
	corsMaxAge  = "7200"
	corsPrefix  = "Access-Control-"
)

// Lines that are always the same.
var (
	varyOrigin    = []string{"Origin"}
	varyPreflight = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	corsTrue      = []string{"true"}
	corsExposes   = []string{corsExposed}
)

// AllowOrigin lets code of a listed origin read the answer. Every answer
// says that it depends on the origin, so that no cache gives one origin's to another.
//
// Cookies are let along with a key only: beside one they count for nothing. So no
// page elsewhere, not even of a listed origin, can look at this site with its visitor's session.
func AllowOrigin(h http.Header, r *http.Request, e *site.Edge, keyed bool) {
	h["Vary"] = append(h["Vary"], varyOrigin...)
	origin, ok := listedOrigin(r, e)
	if !ok {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{origin}
	h["Access-Control-Expose-Headers"] = corsExposes
	if keyed {
		h["Access-Control-Allow-Credentials"] = corsTrue
	}
}

func listedOrigin(r *http.Request, e *site.Edge) (string, bool) {
	lines := r.Header["Origin"]
	if len(lines) != 1 || !e.AllowsOrigin(lines[0]) {
		return "", false
	}
	return lines[0], true
}

// IsPreflight reports whether a browser asks what a page may ask.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
}

// AsksForKey reports whether a preflight announces a key.
func AsksForKey(r *http.Request) bool {
	return HasToken(r.Header["Access-Control-Request-Headers"], userkeys.KeyHeader)
}

// AnswerPreflight answers before anybody is asked for a key: a browser sends none along.
func AnswerPreflight(w http.ResponseWriter, r *http.Request, e *site.Edge) {
	h := w.Header()
	AllowOrigin(h, r, e, AsksForKey(r))
	h["Vary"] = varyPreflight
	delete(h, "Access-Control-Expose-Headers")
	if _, ok := listedOrigin(r, e); ok {
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Max-Age", corsMaxAge)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// YieldCORS removes from ours what AllowOrigin said if the upstream says it itself.
func YieldCORS(ours, upstreams http.Header) {
	if _, ok := ours["Access-Control-Allow-Origin"]; !ok {
		return
	}
	for name := range upstreams {
		if strings.HasPrefix(name, corsPrefix) {
			for _, n := range []string{"Allow-Origin", "Allow-Credentials", "Expose-Headers"} {
				delete(ours, corsPrefix+n)
			}
			return
		}
	}
}
