package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
)

// Bounds of what is read from a site.
const (
	maxErrorBytes    = 64 << 10
	maxAnswerBytes   = 1 << 20 // of what this package asks for itself
	maxBodyBytes     = 16 << 20
	maxMessages      = 10
	maxMessageRunes  = 500
	maxRetrySeconds  = 7 * 24 * 3600
	limitCodeHeader  = "Discourse-Rate-Limit-Error-Code"
	retryAfterHeader = "Retry-After"
)

// An APIError is an answer of a site with another status than success, in the form that Discourse and userkeys
// use. errors.Is finds its [userkeys.Code], such as [userkeys.RateLimited].
type APIError struct {
	Status     int
	Type       string        // "invalid_access", "rate_limit", ...; may be empty
	Reason     string        // for programs, of userkeys only: "invalid key", "missing scope: write"
	Messages   []string      // for people, without control characters; may be empty
	RetryAfter time.Duration // when to try again; 0 if the site does not say
	LimitCode  string        // the limit that was hit: "user_api_key_limiter_60_secs"
	// AsksPassword reports that a web server before the site, or the website, asks for a password of its own (401 with
	// a challenge that browsers answer). It says nothing about the key.
	AsksPassword bool

	// Method and Path are those of the request, for [Credential.Diagnose]; empty if the error does not come from [Do].
	Method, Path string
}

func (e *APIError) Error() string {
	s := fmt.Sprintf("the site answered %d", e.Status)
	if text := http.StatusText(e.Status); text != "" {
		s += " " + text
	}
	// The reason is for programs; a message that is more than Discourse's general refusal says more, such as which
	// scope is not allowed.
	switch {
	case len(e.Messages) > 0 && (e.Reason == "" || !strings.HasPrefix(e.Messages[0], userkeys.NotPermitted)):
		s += ": " + strings.Join(e.Messages, "; ")
	case e.Reason != "":
		s += ": " + e.Reason
	case e.AsksPassword:
		s += ": its web server asks for a password of its own"
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf("; try again in %v", e.RetryAfter)
	}
	return s
}

// Worthless reports whether the site itself, and not a firewall before it, refuses the key. If [Credential.Revoke]
// returns such an error there is nothing left to revoke, because every valid key may revoke itself.
func (e *APIError) Worthless() bool {
	return e.Status == http.StatusForbidden && e.Type == userkeys.InvalidAccess.Type()
}

// KeyIsDead reports whether the site says that the key is revoked, expired or unknown. A Discourse says the same
// of a missing scope; [Credential.Diagnose] tells the two apart.
func (e *APIError) KeyIsDead() bool {
	return e.Status == http.StatusForbidden && e.Reason == userkeys.ErrInvalidKey.Reason
}

// MissingScope returns the scope that the key lacks for the call; empty if the site does not say that one is
// missing.
func (e *APIError) MissingScope() string {
	scope, ok := strings.CutPrefix(e.Reason, "missing scope: ")
	if !ok || e.Status != http.StatusForbidden {
		return ""
	}
	return scope
}

// DayLimit reports whether the rate limit that was hit is one of a day, so that it may take hours until it allows
// another call.
func (e *APIError) DayLimit() bool { return strings.HasSuffix(e.LimitCode, "_1_day") }

// Unwrap returns the [userkeys.Code] of the refusal.
func (e *APIError) Unwrap() error { return e.code() }

var statusCodes = map[int]userkeys.Code{
	401: userkeys.NotLoggedIn, 403: userkeys.InvalidAccess, 404: userkeys.NotFound, 405: userkeys.MethodNotAllowed,
	409: userkeys.Conflict, 413: userkeys.BodyTooLarge, 415: userkeys.UnsupportedMedia, 421: userkeys.Misdirected,
	429: userkeys.RateLimited, 502: userkeys.Unavailable, 503: userkeys.Unavailable, 504: userkeys.Unavailable,
}

func (e *APIError) code() userkeys.Code {
	if c := reasonCode(e.Reason); c != "" {
		return c
	}
	if e.Type == userkeys.NotLoggedIn.Type() {
		return userkeys.NotLoggedIn
	}
	if c, ok := statusCodes[e.Status]; ok {
		return c
	}
	if e.Status >= 500 {
		return userkeys.Internal
	}
	return userkeys.InvalidParameters
}

// ParseError reads an answer whose status is not a success: its status, its headers and its body. It never fails:
// a body of another form leaves fields empty.
func ParseError(status int, h http.Header, body []byte) *APIError {
	e := &APIError{Status: status, LimitCode: printable(h.Get(limitCodeHeader)), RetryAfter: retryAfter(h)}
	var shape struct {
		Errors []string `json:"errors"`
		Type   string   `json:"error_type"`
		Reason string   `json:"reason"`
		Extras struct {
			WaitSeconds float64 `json:"wait_seconds"`
		} `json:"extras"`
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case json.Unmarshal(body, &shape) == nil:
		e.Type, e.Reason = printable(shape.Type), printable(shape.Reason)
		e.Messages = messages(shape.Errors)
		if wait := shape.Extras.WaitSeconds; e.RetryAfter == 0 && wait > 0 && wait <= maxRetrySeconds {
			e.RetryAfter = time.Duration(wait * float64(time.Second)).Round(time.Second)
		}
	case json.Unmarshal(body, &shape.Errors) == nil: // ["BAD CSRF"]
		e.Messages = messages(shape.Errors)
	case kind == "text/plain": // the limits per address answer so
		e.Messages = messages([]string{string(body)})
	}
	e.AsksPassword = status == http.StatusUnauthorized && e.Type == "" && e.Reason == "" && challenges(h)
	return e
}

// challenges reports whether an answer has a challenge for which browsers ask for a password.
func challenges(h http.Header) bool {
	return slices.ContainsFunc(h.Values("WWW-Authenticate"), func(c string) bool {
		scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(c)), " ")
		return slices.Contains([]string{"basic", "digest", "negotiate", "ntlm"}, scheme)
	})
}

func messages(in []string) []string {
	var out []string
	for _, m := range in[:min(len(in), maxMessages)] {
		if m = printable(m); m != "" {
			out = append(out, m)
		}
	}
	return out
}

// printable returns text of a site as one bounded line that is safe to show.
func printable(s string) string { return printableWithin(maxMessageRunes, s) }

func printableWithin(most int, s string) string {
	runes := []rune(userkeys.Printable(strings.Join(strings.Fields(s), " ")))
	if len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return string(runes)
}

// retryAfter reads the header Retry-After: seconds, or a date, which it compares with the header Date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get(retryAfterHeader)
	if n, err := strconv.Atoi(v); err == nil && n > 0 && n <= maxRetrySeconds {
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	now, err2 := http.ParseTime(h.Get("Date"))
	if d := at.Sub(now); err == nil && err2 == nil && d > 0 && d <= maxRetrySeconds*time.Second {
		return d
	}
	return 0
}

// ErrNotJSON is the error of an answer with a success status that is not the JSON that was asked for. Most often
// it is the page of a website or of a proxy that does not know the route. The value is shared; do not change it.
var ErrNotJSON = &userkeys.Error{Code: userkeys.Internal, Public: "the site's answer is not the JSON that was expected"}

// Do sends req by hc and decodes the JSON of the answer into the value that into points to; with a nil into it
// drops the answer.
//
// Errors: an [*APIError] if the status is not a success, [userkeys.Unavailable] if there is no answer,
// [ErrNotJSON].
func Do(hc *http.Client, req *http.Request, into any) error {
	return doWithin(maxBodyBytes, hc, req, into)
}

// doWithin is [Do] for answers of at most limit bytes.
func doWithin(limit int64, hc *http.Client, req *http.Request, into any) error {
	if req.Header.Get("Accept") == "" || req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		setMissing(req.Header, "Accept", "application/json")
		setMissing(req.Header, "User-Agent", userAgent)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return unreachable(req, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes)) // what came is enough
		e := ParseError(resp.StatusCode, resp.Header, said)
		e.Method, e.Path = req.Method, req.URL.Path
		return e
	}
	if into == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return unreachable(req, err)
	}
	if int64(len(body)) > limit {
		return userkeys.Errorf(userkeys.BodyTooLarge, "the site's answer is larger than %d bytes", limit)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %v", ErrNotJSON, err)
	}
	return nil
}

// userAgent is sent if the app sets no User-Agent: some sites refuse the one of package net/http.
const userAgent = "userkeys-client"

func setMissing(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}

// unreachable returns the error of a request without an answer: that of the context if it has ended, else
// [userkeys.Unavailable] with the address.
func unreachable(req *http.Request, err error) error {
	if cause := req.Context().Err(); cause != nil {
		return cause
	}
	return &userkeys.Error{
		Code: userkeys.Unavailable, Public: "cannot reach " + req.URL.Scheme + "://" + req.URL.Host,
		Err: err,
	}
}

// Explain returns an error of this package as one line to show to the user. It leaves out causes that belong in a
// log only.
func Explain(err error) string {
	var api *APIError
	own, isOwn := err.(*userkeys.Error)
	switch {
	case errors.As(err, &api) && isOwn: // this package has said what the answer means
		return own.Public
	case api != nil && api.KeyIsDead():
		return "the site no longer takes the key: it was revoked or has ended; ask for a new one"
	case api != nil:
		return api.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "there was no answer in time"
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	}
	return userkeys.AsError(err).Public
}

// reasonCode returns the code that a userkeys site names as the reason; empty for any other reason.
func reasonCode(reason string) userkeys.Code {
	for _, c := range []userkeys.Code{
		userkeys.ScopeNotAllowed, userkeys.RedirectNotAllowed, userkeys.KeysNotAllowed, userkeys.UserNotAllowed,
		userkeys.InvalidExpiry, userkeys.InvalidPublicKey, userkeys.PayloadTooLarge,
	} {
		if reason == string(c) {
			return c
		}
	}
	return ""
}

// statusOf returns the status of an [APIError]; 0 for any other error.
func statusOf(err error) int {
	var e *APIError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
