package userkeys

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// A Code says what kind of refusal an [Error] is. It is itself an error, so
// that errors.Is(err, userkeys.NotFound) works on any wrapped error.
type Code string

// The codes. The wire knows fewer kinds than we tell apart: see [Code.Status]
// and [Code.Type] for what each becomes in an answer.
const (
	MissingParameter   Code = "missing parameter"    // a required parameter is absent or blank
	InvalidParameters  Code = "invalid parameters"   // malformed: duplicate, too long, not text
	InvalidPadding     Code = "invalid padding"      // padding names no padding of this site
	InvalidPublicKey   Code = "invalid public key"   // public_key is no RSA key that may be used
	InvalidExpiry      Code = "invalid expiry"       // expires_in_seconds is no lifetime of this site
	PayloadTooLarge    Code = "payload too large"    // the payload does not fit one RSA block
	ScopeNotAllowed    Code = "scope not allowed"    // the site or the client does not allow a scope
	RedirectNotAllowed Code = "redirect not allowed" // auth_redirect is not one of the site's
	UserNotAllowed     Code = "user not allowed"     // trust level or groups do not suffice
	KeysNotAllowed     Code = "keys not allowed"     // the site gives no new keys
	ConsentGone        Code = "consent gone"         // consent record used, expired or somebody else's
	NotLoggedIn        Code = "not logged in"
	InvalidCredentials Code = "invalid credentials" // wrong user name or password
	InvalidAccess      Code = "invalid access"      // not permitted: bad key, scope, other's property
	InvalidCSRF        Code = "invalid csrf token"
	NotFound           Code = "not found"
	Conflict           Code = "conflict"      // a name that is taken
	Unprocessable      Code = "unprocessable" // well-formed, but names what does not exist
	MethodNotAllowed   Code = "method not allowed"
	BodyTooLarge       Code = "body too large"
	UnsupportedMedia   Code = "unsupported media type"
	Misdirected        Code = "misdirected" // a host that is not this site
	RateLimited        Code = "rate limited"
	Unavailable        Code = "unavailable" // cannot tell now; ask again
	Internal           Code = "internal"
)

func (c Code) Error() string { return string(c) }

// codes has the HTTP status of each code, and the error_type where the wire has one.
var codes = map[Code]struct {
	status int
	kind   string
}{
	MissingParameter:   {400, ""},
	InvalidParameters:  {400, "invalid_parameters"},
	InvalidPadding:     {400, "invalid_parameters"},
	InvalidPublicKey:   {400, "invalid_parameters"},
	InvalidExpiry:      {400, "invalid_parameters"},
	PayloadTooLarge:    {400, "invalid_parameters"},
	ScopeNotAllowed:    {403, "invalid_access"},
	RedirectNotAllowed: {403, "invalid_access"},
	UserNotAllowed:     {403, "invalid_access"},
	KeysNotAllowed:     {403, "invalid_access"},
	ConsentGone:        {403, "invalid_access"},
	NotLoggedIn:        {403, "not_logged_in"},
	InvalidCredentials: {403, "invalid_access"},
	InvalidAccess:      {403, "invalid_access"},
	InvalidCSRF:        {403, ""},
	NotFound:           {404, "not_found"},
	MethodNotAllowed:   {405, "invalid_parameters"},
	Conflict:           {409, ""},
	BodyTooLarge:       {413, "invalid_parameters"},
	UnsupportedMedia:   {415, "invalid_parameters"},
	Misdirected:        {421, ""},
	Unprocessable:      {422, "invalid_parameters"},
	RateLimited:        {429, "rate_limit"},
	Internal:           {500, ""},
	Unavailable:        {503, "read_only"},
}

// Status is the HTTP status of an answer with this code (Discourse, era N).
func (c Code) Status() int {
	return cmp.Or(codes[c].status, http.StatusInternalServerError)
}

// Type is the error_type of the wire's JSON body; empty where the wire has
// none (a missing parameter, for one).
func (c Code) Type() string { return codes[c].kind }

// Error is the one error type of userkeys. Only Public ever reaches a person
// or an app; Err is for the log. A nil or foreign error is [Internal].
type Error struct {
	Code   Code
	Public string // for people: what is wrong and what would help; how long to wait is RetryAfter's to say
	Reason string // for programs: "invalid key", "missing scope: write", "limit: 20 per 60 s"; may be empty
	Err    error  // the private cause; may be nil

	// RetryAfter is when asking again makes sense ([RateLimited], [Unavailable]); zero says nothing.
	RetryAfter time.Duration
	// LimitCode is the wire's name of the limit that was hit, for the header
	// Discourse-Rate-Limit-Error-Code; empty for limits without one.
	LimitCode string
}

// Errorf makes an [Error] whose Public text is formatted as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Public: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Public != "" {
		s += ": " + e.Public
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the code and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// AsError finds the [Error] in err's chain; anything else becomes [Internal]
// with a public text that tells nothing of the cause.
func AsError(err error) *Error {
	if e, ok := err.(*Error); ok && e != nil { // the usual case, without the search
		return e
	}
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	return &Error{Code: Internal, Public: "something went wrong on this server", Err: err}
}

// RetryAfterSeconds is RetryAfter as the header of that name wants it: whole
// seconds, rounded up, so that a retry at that moment is not too early.
func (e *Error) RetryAfterSeconds() int {
	return int(math.Ceil(e.RetryAfter.Seconds()))
}

// JSON is the body of an answer with this error in Discourse's shape:
// {"errors":["..."],"error_type":"...","reason":"...","extras":{"wait_seconds":3,"time_left":"3 seconds"}}.
// reason is our addition; error_type, reason and extras are left out where they say nothing.
func (e *Error) JSON() []byte {
	b := make([]byte, 0, 256)
	b = appendJSON(append(b, `{"errors":[`...), e.Public)
	b = append(b, ']')
	if t := e.Code.Type(); t != "" {
		b = appendJSON(append(b, `,"error_type":`...), t)
	}
	if e.Reason != "" {
		b = appendJSON(append(b, `,"reason":`...), e.Reason)
	}
	if e.Code == RateLimited && e.RetryAfter > 0 { // a lock that waiting does not lift has no wait
		b = strconv.AppendInt(append(b, `,"extras":{"wait_seconds":`...), int64(e.RetryAfterSeconds()), 10)
		b = appendJSON(append(b, `,"time_left":`...), e.TimeLeft())
		b = append(b, '}')
	}
	return append(b, '}')
}

// appendJSON appends s as a JSON string. Refusals must not be dearer than
// answers, so what needs no escaping does without the encoder.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, err := json.Marshal(s)
			if err != nil { // cannot happen: it is a string
				panic(err)
			}
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// TimeLeft says RetryAfter to a person: "12 seconds" (W13.2); empty if it says nothing.
func (e *Error) TimeLeft() string {
	n := e.RetryAfterSeconds()
	plural := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.Itoa(n) + " " + unit + "s"
	}
	switch {
	case n <= 0:
		return ""
	case n <= 3:
		return "a few seconds"
	case n < 60:
		return plural(n, "second")
	case n < 3600:
		return plural(n/60, "minute")
	default:
		return plural(n/3600, "hour")
	}
}

// ErrOwnerGone refuses a live key whose owner signs in elsewhere and has not done so for longer than the site's
// configuration allows. The key works again as soon as its owner has signed in.
var ErrOwnerGone = &Error{Code: InvalidAccess, Public: NotPermitted, Reason: "owner must sign in again"}

// ErrInvalidKey is the one refusal of a key that is unknown, revoked, expired
// or whose owner may not act: the same bytes for all, so that a stranger
// learns nothing. It is shared; do not change it.
var ErrInvalidKey = &Error{Code: InvalidAccess, Public: NotPermitted, Reason: "invalid key"}

// NotPermitted is the sentence of every [InvalidAccess]; apps look for its words.
const NotPermitted = "You are not permitted to view the requested resource."
