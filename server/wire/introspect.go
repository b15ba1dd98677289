package wire

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// introspection is what a website learns of a key (RFC 7662), and of a request with it. Of a key that is not good it
// learns just that.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"` // separated by spaces
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Ends      int64  `json:"exp,omitempty"`
	UserID    string `json:"sub,omitempty"`
	Site      string `json:"iss,omitempty"`

	// What the provider calls a user who signs in through one, and the name of that login. Users cannot choose these.
	ExternalID string `json:"external_id,omitempty"`
	Login      string `json:"login,omitempty"`

	// Of a request: whether it may be served, and if not, why and when it could be.
	Allowed    *bool  `json:"allowed,omitempty"`
	Reason     string `json:"reason,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
}

const introspectPattern = "POST " + gateway.IntrospectionPath

// introspectWithin is how long an answer may take, as long as one to a web server.
const introspectWithin = 900 * time.Millisecond

// introspectRules let in the site's own programs.
var introspectRules = door.Rules{
	Who: door.AdminKey, Permission: site.AdminIntrospect, Body: input.Form, Authorization: true, JSON: true,
	Within: introspectWithin,
}

// Introspection answers websites that ask about keys, on a server that only the site's own programs reach. Who
// connects to its Unix socket needs no admin API key.
func (h *Handlers) Introspection() http.Handler {
	rules := door.Rules{Body: input.Form, JSON: true, Within: introspectWithin}
	open := door.HandlerOf(h.door, introspectPattern, rules, h.introspect)
	byKey := door.HandlerOf(h.door, introspectPattern, introspectRules, h.introspectByKey)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			gateway.WriteError(w, userkeys.Errorf(userkeys.MethodNotAllowed, "this address answers POST only"))
		case gateway.IsUnixPeer(r) && r.Header[site.AdminKeyHeader] == nil && r.Header["Authorization"] == nil:
			open.ServeHTTP(w, r)
		default:
			byKey.ServeHTTP(w, r)
		}
	})
}

// introspectByKey answers a caller with an admin API key, and asks all others for one.
func (h *Handlers) introspectByKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if c.AdminKey != 0 {
		return h.introspect(w, r, c)
	}
	e := userkeys.Errorf(userkeys.NotLoggedIn,
		"send an admin API key with the permission introspect, in Api-Key or in Authorization")
	door.Note(r, e)
	w.Header().Set("WWW-Authenticate", `Basic realm="admin API key"`)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, err := w.Write(e.JSON())
	return err
}

// introspect tells about a key, and charges nothing; or has a whole request checked and charged, as if it had come
// through the proxy.
func (h *Handlers) introspect(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	fields := r.PostForm
	if err := input.OnlyFields(fields, "token", "token_type_hint", "method", "uri"); err != nil {
		return err
	}
	token, err := input.Required(fields, "token")
	if err != nil {
		return err
	}
	if fields.Has("uri") != fields.Has("method") { // a request that is not checked must not look like one that was
		return userkeys.Errorf(userkeys.InvalidParameters, "method and uri belong together: send both or neither")
	}
	access, ends, err := h.cfg.Authority.Look(r.Context(), token)
	var answer introspection
	if err == nil {
		answer = h.introspectionOf(access)
		if !ends.IsZero() {
			answer.Ends = ends.Unix()
		}
		if fields.Has("uri") {
			err = h.introspectRequest(r, &answer)
		}
	}
	switch {
	case errors.Is(err, userkeys.ErrInvalidKey), errors.Is(err, userkeys.ErrOwnerGone):
		answer = introspection{}
	case err != nil:
		return err
	}
	return door.WriteJSON(w, answer)
}

func (h *Handlers) introspectionOf(a userkeys.Access) introspection {
	answer := introspection{
		Active: true, ClientID: a.ClientID, Username: a.Username, TokenType: userkeys.KeyHeader,
		UserID: strconv.FormatInt(a.UserID, 10), Site: h.door.BaseURL(),
		ExternalID: a.ExternalID,
	}
	if a.Standing != nil {
		if a.ExternalID != "" {
			answer.Login = a.Login
		}
		answer.Scope = strings.Join(a.Scopes, " ")
	}
	return answer
}

// introspectRequest has the request that r tells of checked. It returns the error of a key that is not good any more,
// and of a check that cannot be made.
func (h *Handlers) introspectRequest(r *http.Request, answer *introspection) error {
	fields := r.PostForm
	_, err := gateway.CheckReported(r.Context(), h.cfg.Authority, gateway.ReportedRequest{
		Key: fields.Get("token"), Method: fields.Get("method"), Target: fields.Get("uri"),
	})
	allowed := err == nil
	answer.Allowed = &allowed
	if allowed {
		return nil
	}
	e := userkeys.AsError(err)
	switch {
	case e == userkeys.ErrInvalidKey, e == userkeys.ErrOwnerGone,
		e.Code == userkeys.Unavailable, e.Code == userkeys.Internal:
		return err
	}
	answer.Reason, answer.RetryAfter = door.Reason(e), e.RetryAfterSeconds()
	return nil
}
