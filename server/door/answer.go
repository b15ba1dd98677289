package door

import (
	"encoding/json"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
)

// WriteJSON answers with v.
func WriteJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Success answers that what was asked for is done.
func Success(w http.ResponseWriter) error { return WriteJSON(w, map[string]string{"success": "OK"}) }

// Redirect sends the browser to location, byte for byte.
func Redirect(w http.ResponseWriter, status int, location string) error {
	w.Header()["Location"] = []string{location}
	w.WriteHeader(status)
	return nil
}

// RefuseJSON answers with an error in the wire's shape, whatever was asked for.
func RefuseJSON(w http.ResponseWriter, r *http.Request, err error) error {
	e := userkeys.AsError(err)
	Note(r, e)
	gateway.WriteError(w, e)
	return nil
}

// Optional is nil, null in JSON, for a value that is zero.
func Optional[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// SetUsername tells who was recognised, as the wire does on every such answer.
func SetUsername(w http.ResponseWriter, name string) {
	if name != "" && strings.IndexFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) < 0 {
		w.Header().Set("X-Discourse-Username", name)
	}
}

// KeepSecret marks an answer that carries a payload: not even this site's
// other pages learn its address, and the next one gets no referrer.
func KeepSecret(w http.ResponseWriter) { w.Header().Set("Referrer-Policy", "no-referrer") }

// Reason is a refusal for programs: the reason that it names, or else its code.
func Reason(e *userkeys.Error) string {
	if e.Reason != "" {
		return e.Reason
	}
	return string(e.Code)
}

// WithReason gives the refusal of a request with a key a reason for programs,
// where nothing said a closer one: the kind of refusal.
func WithReason(r *http.Request, e *userkeys.Error) *userkeys.Error {
	if _, keyed := userkeys.FromContext(r.Context()); !keyed || e.Reason != "" {
		return e
	}
	with := *e
	with.Reason = Reason(e)
	return &with
}

// Next is the cursor to the page after a list; nil at its end.
func Next[T any](list []T, limit int, id func(T) int64) *int64 {
	if len(list) < limit {
		return nil
	}
	last := id(list[len(list)-1])
	return &last
}
