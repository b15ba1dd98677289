package site

import (
	"net/url"
	"slices"
	"unicode/utf8"

	"userkeys"
)

// Bounds of the parameters, in bytes where nothing else is said. A nonce must
// leave room in one RSA block anyway: 427 bytes for a key of 4096 bits.
const (
	maxNonce           = 500
	maxClientID        = 200
	maxApplicationName = 800
	maxNameCharacters  = 200
)

// RequestKind says what an [AuthorizationRequest] asks for and how the answer gets to the app.
type RequestKind string

// The kinds of requests.
const (
	KindKey     RequestKind = ""         // a key; the answer goes to auth_redirect or is shown to the user
	KindDevice  RequestKind = "device"   // a key; the answer is fetched by the app on a machine without a browser
	KindOneTime RequestKind = "one_time" // a one-time password alone; the answer goes to auth_redirect
)

// AuthorizationRequest is what an app asks for: parsed, and not yet checked against the settings of a site.
type AuthorizationRequest struct {
	ApplicationName  string          `json:"application_name,omitempty"`
	ClientID         string          `json:"client_id"`
	Nonce            string          `json:"nonce"`
	Scopes           userkeys.Scopes `json:"scopes"`
	PublicKey        string          `json:"public_key,omitempty"`
	AuthRedirect     string          `json:"auth_redirect,omitempty"`
	HasAuthRedirect  bool            `json:"has_auth_redirect,omitempty"` // the parameter was there, perhaps empty
	PushURL          string          `json:"push_url,omitempty"`
	Padding          string          `json:"padding,omitempty"`
	ExpiresInSeconds string          `json:"expires_in_seconds,omitempty"`
	Kind             RequestKind     `json:"kind,omitempty"`
	// Draft marks a request for a key in the words of the draft of 2016, see [ParseDraftRequest].
	Draft bool `json:"draft,omitempty"`
}

// ParseAuthorizationRequest reads the parameters of a request, as [userkeys.ParseParameters] gives them. It
// refuses a request without nonce, scopes or client_id, in this order, and then parameters that are malformed.
// What a registered client may leave out is required by [AuthorizationRequest.Check], which knows the client.
func ParseAuthorizationRequest(p url.Values) (AuthorizationRequest, error) {
	if err := userkeys.CheckDuplicates(p); err != nil {
		return AuthorizationRequest{}, err
	}
	if err := checkPresence(p.Get("nonce"), p.Get("scopes"), p.Get("client_id")); err != nil {
		return AuthorizationRequest{}, err
	}
	if problem := textProblem("scopes", p.Get("scopes"), userkeys.MaxScopesBytes); problem != nil {
		return AuthorizationRequest{}, problem
	}
	scopes, err := userkeys.ParseScopes(p.Get("scopes"))
	if err != nil {
		return AuthorizationRequest{}, err
	}
	r := AuthorizationRequest{
		ApplicationName:  p.Get("application_name"),
		ClientID:         p.Get("client_id"),
		Nonce:            p.Get("nonce"),
		Scopes:           scopes,
		PublicKey:        p.Get("public_key"),
		AuthRedirect:     p.Get("auth_redirect"),
		HasAuthRedirect:  p.Has("auth_redirect"),
		PushURL:          p.Get("push_url"),
		Padding:          p.Get("padding"),
		ExpiresInSeconds: p.Get("expires_in_seconds"),
	}
	if err := r.checkForm(); err != nil {
		return AuthorizationRequest{}, err
	}
	return r, nil
}

// checkPresence refuses a request without what every request has, in the order of the wire.
func checkPresence(nonce, scopes, clientID string) error {
	switch {
	case userkeys.IsBlank(nonce):
		return missingParameter("nonce")
	case userkeys.IsBlank(scopes):
		return missingParameter("scopes")
	case userkeys.IsBlank(clientID):
		return missingParameter("client_id")
	}
	return nil
}

func missingParameter(name string) error {
	return userkeys.Errorf(userkeys.MissingParameter, "param is missing or the value is empty: %s", name)
}

// checkForm refuses a text that is too long or not text.
func (r AuthorizationRequest) checkForm() error {
	problems := []error{
		textProblem("nonce", r.Nonce, maxNonce),
		textProblem("scopes", r.Scopes.String(), userkeys.MaxScopesBytes),
		clientIDProblem(r.ClientID),
		userkeys.CheckPublicKeyText(r.PublicKey),
		nameProblem(r.ApplicationName),
		textProblem("auth_redirect", r.AuthRedirect, userkeys.MaxAddress),
		textProblem("push_url", r.PushURL, userkeys.MaxAddress),
	}
	if i := slices.IndexFunc(problems, func(err error) bool { return err != nil }); i >= 0 {
		return problems[i]
	}
	return nil
}

// invalid returns an error for input that is malformed.
func invalid(format string, args ...any) *userkeys.Error {
	return userkeys.Errorf(userkeys.InvalidParameters, format, args...)
}

// textProblem refuses a value that is too long, or that logs, pages and databases could show in different ways.
func textProblem(name, value string, most int) error {
	if len(value) > most {
		return invalid("%s is longer than %d bytes", name, most)
	}
	if !userkeys.IsText(value) {
		return invalid("%s is not text: it has control characters or is no UTF-8", name)
	}
	return nil
}

func nameProblem(name string) error {
	if utf8.RuneCountInString(name) > maxNameCharacters {
		return invalid("application_name is longer than %d characters", maxNameCharacters)
	}
	return textProblem("application_name", name, maxApplicationName)
}

// withoutLineEnd returns s without one final line end. A published script sends the output of hostname as its
// client_id, with the line end.
func withoutLineEnd(s string) string {
	for _, end := range []string{"\r\n", "\n", "\r"} {
		if n := len(s) - len(end); n >= 0 && s[n:] == end {
			return s[:n]
		}
	}
	return s
}

// DeniedLocation returns where the browser goes when the user denies the request: for a program on the user's
// own machine its redirect with error=access_denied (RFC 6749 4.1.2.1), else nowhere, as in Discourse.
func (r AuthorizationRequest) DeniedLocation() string {
	to, err := userkeys.ParseRedirect(r.AuthRedirect)
	if err != nil || !to.Loopback() {
		return ""
	}
	return to.With("error", "access_denied")
}
