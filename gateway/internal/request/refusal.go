package request

import (
	"net/http"
	"strings"

	"userkeys"
)

// AllowedMethods is the Allow header of an answer about methods.
var AllowedMethods = strings.Join(userkeys.Methods, ", ") + ", OPTIONS"

// A Refusal is an answer that is always the same; its bytes are made once, so
// that refusing costs no more than serving.
type Refusal struct {
	Status int
	Reason string // for the log
	body   []byte
	allow  string // the Allow header; empty: none
	// challenge is the WWW-Authenticate of the answer; empty: none.
	challenge string
}

// NewRefusal makes the refusal that says e.
func NewRefusal(status int, e *userkeys.Error) *Refusal {
	f := &Refusal{Status: status, Reason: ReasonOf(e), body: e.JSON()}
	if e.Code == userkeys.MethodNotAllowed {
		f.allow = AllowedMethods
	}
	return f
}

// Malformed makes the refusal of a request that is wrong in itself.
func Malformed(reason, public string) *Refusal {
	e := &userkeys.Error{Code: userkeys.InvalidParameters, Public: public, Reason: reason}
	return NewRefusal(http.StatusBadRequest, e)
}

// challenge makes the refusal with 401 of credentials that are missing or not good.
func challenge(e *userkeys.Error, text string) *Refusal {
	f := NewRefusal(http.StatusUnauthorized, e)
	f.challenge = text
	return f
}

// askPassword has browsers and programs ask for a user name and a password.
const askPassword = `Basic realm="user API key", charset="UTF-8"`

// RefuseMethod is the answer to a method that may not be used.
var RefuseMethod = NewRefusal(http.StatusMethodNotAllowed, &userkeys.Error{
	Code: userkeys.MethodNotAllowed, Reason: "method not allowed",
	Public: "this request method is not allowed here",
})

var (
	refuseVersion = NewRefusal(http.StatusHTTPVersionNotSupported, &userkeys.Error{
		Code: userkeys.InvalidParameters, Reason: "HTTP version",
		Public: "only HTTP/1.0, HTTP/1.1 and HTTP/2 over TLS are spoken here",
	})
	refuseTwoKeys       = Malformed("two keys", "the header User-Api-Key must be sent once")
	refuseTwoParameters = Malformed("two keys", "the parameter user_api_key must be sent once")
	refuseTwoCarriers   = Malformed("two keys",
		"a key must be sent once: in User-Api-Key, in Authorization or in the address")
	refuseKeyAsUser = Malformed("key as user name",
		"the key is the password; the user name is empty or that of the key's owner")
	refuseOdd = Malformed("odd Authorization",
		"this Authorization cannot be read by every program: it must be Bearer or Basic, one space, and the token or base64")
	refuseElsewhere = NewRefusal(http.StatusForbidden, &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: "page of another origin",
		Public: "pages of other sites may not send a key in Authorization; they send it in the header User-Api-Key",
	})
	refuseBasic      = challenge(userkeys.ErrInvalidKey, askPassword)
	refuseBearer     = challenge(userkeys.ErrInvalidKey, `Bearer error="invalid_token"`)
	refuseNoPassword = challenge(&userkeys.Error{
		Code: userkeys.NotLoggedIn, Reason: "no key",
		Public: "You need to be logged in to do that: send a key in the header User-Api-Key or as the password.",
	}, askPassword)
	refuseQuery = Malformed("ambiguous query",
		"this query is ambiguous: it has a broken percent-encoding, a ; or #, or too many parameters")
	refuseStays = Malformed("key in the query",
		"the web server of this site cannot take a key out of the address: send it in the header User-Api-Key")
	refuseNoHost   = Malformed("no host", "this request names no host")
	refuseAbsolute = Malformed("absolute target", "the request target must be a path")
	refuseUpgrade  = Malformed("upgrade", "the only protocol to switch to here is websocket")
)

// Error returns the reason, so that a refusal can be returned as an error.
func (f *Refusal) Error() string { return f.Reason }

// AsError returns the refusal as an error of the project.
func (f *Refusal) AsError() *userkeys.Error {
	code := userkeys.InvalidParameters
	if f.Status == http.StatusMethodNotAllowed {
		code = userkeys.MethodNotAllowed
	}
	return &userkeys.Error{Code: code, Public: "this request would be refused: " + f.Reason, Reason: f.Reason}
}

// Write answers with the refusal.
func (f *Refusal) Write(w http.ResponseWriter) {
	f.SetHeaders(w.Header())
	WriteJSON(w, f.Status, f.body)
}

// SetHeaders sets the headers that the refusal has besides those of its body.
func (f *Refusal) SetHeaders(h http.Header) {
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	if f.challenge != "" {
		h.Set("WWW-Authenticate", f.challenge)
	}
}

// WriteJSON answers with a body of JSON that nobody stores.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// ReasonOf is what a log calls an error.
func ReasonOf(e *userkeys.Error) string {
	if e.Reason != "" {
		return e.Reason
	}
	return string(e.Code)
}
