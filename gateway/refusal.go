package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/apology"
	"userkeys/gateway/internal/request"
	"userkeys/site"
)

var (
	refuseInvalidKey = request.NewRefusal(userkeys.ErrInvalidKey.Code.Status(), userkeys.ErrInvalidKey)
	refuseNoKey      = request.NewRefusal(http.StatusForbidden, &userkeys.Error{
		Code: userkeys.NotLoggedIn, Reason: "no key",
		Public: "You need to be logged in to do that: send a key in the header User-Api-Key.",
	})
	// refuseOptions is the refusal of OPTIONS with a key, by those who cannot answer it in the website's place.
	refuseOptions = request.NewRefusal(http.StatusMethodNotAllowed, &userkeys.Error{
		Code: userkeys.MethodNotAllowed, Reason: "method not allowed",
		Public: "OPTIONS with a key is not allowed here",
	})
	refuseHeaderCount = request.NewRefusal(http.StatusRequestHeaderFieldsTooLarge, &userkeys.Error{
		Code: userkeys.InvalidParameters, Reason: "too many headers",
		Public: "this request has more than 100 header lines",
	})
	refuseUnsayable = request.Malformed("invalid path",
		"a path that begins with // must have its special characters percent-encoded")
)

// WriteError answers with err in the shape that every app of the wire knows: a
// JSON body, and Retry-After and the limit's name where there are some. It
// shows only what [userkeys.Error] calls public.
func WriteError(w http.ResponseWriter, err error) {
	e := userkeys.AsError(err)
	if e == userkeys.ErrInvalidKey { // by far the most frequent one
		refuseInvalidKey.Write(w)
		return
	}
	h := w.Header()
	SetRetry(h, e)
	if e.Code == userkeys.MethodNotAllowed && h.Get("Allow") == "" {
		h.Set("Allow", request.AllowedMethods)
	}
	request.WriteJSON(w, e.Code.Status(), e.JSON())
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

// writeRefusal answers with f, a browser with a page.
func writeRefusal(w http.ResponseWriter, r *http.Request, f *request.Refusal) {
	if !WantsPage(r) {
		f.Write(w)
		return
	}
	f.SetHeaders(w.Header())
	apology.Refused(f.Status).Write(w, r)
}

// WantsPage reports whether a browser asks for a page: its Accept names HTML, and nothing shows a program (see
// [WantsJSON]). An answer that programs get as JSON or plain text whatever they ask for is a page for it.
func WantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !WantsJSON(r)
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
