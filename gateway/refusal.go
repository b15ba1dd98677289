package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/site"
)

// allowed is the Allow header of an answer about methods.
var allowed = strings.Join(userkeys.Methods, ", ") + ", OPTIONS"

// A refusal is an answer that is always the same; its bytes are made once, so
// that refusing costs no more than serving.
type refusal struct {
	status int
	reason string // for the log
	body   []byte
	allow  bool
}

func newRefusal(status int, e *userkeys.Error) *refusal {
	return &refusal{status: status, reason: reasonOf(e), body: e.JSON(), allow: e.Code == userkeys.MethodNotAllowed}
}

// malformed makes the refusal of a request that is wrong in itself.
func malformed(reason, public string) *refusal {
	e := &userkeys.Error{Code: userkeys.InvalidParameters, Public: public, Reason: reason}
	return newRefusal(http.StatusBadRequest, e)
}

var (
	refuseInvalidKey = newRefusal(userkeys.ErrInvalidKey.Code.Status(), userkeys.ErrInvalidKey)
	refuseNoKey      = newRefusal(http.StatusForbidden, &userkeys.Error{
		Code: userkeys.NotLoggedIn, Reason: "no key",
		Public: "You need to be logged in to do that: send a key in the header User-Api-Key.",
	})
	refuseMethod = newRefusal(http.StatusMethodNotAllowed, &userkeys.Error{
		Code: userkeys.MethodNotAllowed, Reason: "method not allowed",
		Public: "this request method is not allowed here",
	})
	refuseVersion = newRefusal(http.StatusHTTPVersionNotSupported, &userkeys.Error{
		Code: userkeys.InvalidParameters, Reason: "HTTP version",
		Public: "only HTTP/1.0, HTTP/1.1 and HTTP/2 over TLS are spoken here",
	})
	refuseHeaderCount = newRefusal(http.StatusRequestHeaderFieldsTooLarge, &userkeys.Error{
		Code: userkeys.InvalidParameters, Reason: "too many headers",
		Public: "this request has more than 100 header lines",
	})
	refuseTwoKeys       = malformed("two keys", "the header User-Api-Key must be sent once")
	refuseTwoParameters = malformed("two keys", "the parameter user_api_key must be sent once")
	refuseQuery         = malformed("ambiguous query",
		"this query is ambiguous: it has a broken percent-encoding, a ; or #, or too many parameters")
	refuseNoHost    = malformed("no host", "this request names no host")
	refuseAbsolute  = malformed("absolute target", "the request target must be a path")
	refuseUpgrade   = malformed("upgrade", "the only protocol to switch to here is websocket")
	refuseUnsayable = malformed("invalid path",
		"a path that begins with // must have its special characters percent-encoded")
)

func (f *refusal) write(w http.ResponseWriter) {
	if f.allow {
		w.Header().Set("Allow", allowed)
	}
	writeJSON(w, f.status, f.body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// WriteError answers with err in the shape that every app of the wire knows: a
// JSON body, and Retry-After and the limit's name where there are some. It
// shows only what [userkeys.Error] calls public.
func WriteError(w http.ResponseWriter, err error) {
	e := userkeys.AsError(err)
	if e == userkeys.ErrInvalidKey { // by far the most frequent one
		refuseInvalidKey.write(w)
		return
	}
	h := w.Header()
	SetRetry(h, e)
	if e.Code == userkeys.MethodNotAllowed && h.Get("Allow") == "" {
		h.Set("Allow", allowed)
	}
	writeJSON(w, e.Code.Status(), e.JSON())
}

// SetRetry says in an answer's headers when asking again makes sense, and
// which limit was hit. [WriteError] does so; it is for pages that show an error in their own way.
func SetRetry(h http.Header, e *userkeys.Error) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfterSeconds()))
	}
	if e.LimitCode != "" {
		h.Set("Discourse-Rate-Limit-Error-Code", e.LimitCode)
	}
}

// WantsJSON tells programs from people as Rails does: by the path's ending,
// by XMLHttpRequest, or by an Accept that asks for JSON first and is not a
// browser's list with a wildcard in it. Whoever carries a key is a program.
func WantsJSON(r *http.Request) bool {
	_, checked := userkeys.FromContext(r.Context())
	if checked || r.Header[userkeys.KeyHeader] != nil || r.Header[site.AdminKeyHeader] != nil {
		return true
	}
	if strings.HasSuffix(r.URL.Path, ".json") || strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") {
		return true
	}
	accept := r.Header.Get("Accept")
	first, _, several := strings.Cut(accept, ",")
	if several && strings.Contains(accept, "*/*") {
		return false
	}
	kind, _, _ := strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}
