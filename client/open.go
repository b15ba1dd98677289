package client

import (
	"crypto/subtle"
	"errors"
	"strings"

	"userkeys"
)

// ErrWrongNonce says that a payload belongs to another request: to an older one of the same app, or to one that an
// attacker has begun. The value is shared; do not change it.
var ErrWrongNonce = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "wrong nonce",
	Public: "this answers another request; start again and use the answer of the newest page",
}

// Open opens the payload that the site sent: in several lines or in one, percent-encoded or not, or in the whole
// address that the browser was redirected to.
//
// Errors: [ErrWrongNonce] if it belongs to another request, and those of [userkeys.OpenPayload].
func (a *Authorization) Open(text string) (*Credential, error) {
	p, err := a.open(text)
	if err != nil {
		return nil, err
	}
	// The nonce protects the user from a payload that an attacker has asked for: without this check the app would
	// act as the attacker's account.
	if subtle.ConstantTimeCompare([]byte(p.Nonce), []byte(a.Nonce)) != 1 {
		return nil, ErrWrongNonce
	}
	return &Credential{
		Site: a.Request.Site, Key: p.Key, ClientID: a.Request.ClientID, Scopes: a.Request.Scopes,
		Push: p.Push, API: p.API, ExpiresAt: p.ExpiresAt, KeyPair: a.KeyPair, Padding: a.Request.Padding,
	}, nil
}

// open decrypts the payload.
func (a *Authorization) open(text string) (userkeys.Payload, error) {
	return openWith(a.KeyPair, a.Request.Padding, text)
}

// openWith decrypts a payload with the padding that was asked for; if that fails, with PKCS#1, which sites from
// before the parameter padding use.
func openWith(pair *KeyPair, padding userkeys.Padding, text string) (userkeys.Payload, error) {
	p, err := userkeys.OpenPayload(pair.private, padding, text)
	if padding == userkeys.PaddingOAEP && reason(err) == userkeys.ReasonNotOurs {
		if older, err := userkeys.OpenPayload(pair.private, userkeys.PaddingPKCS1, text); err == nil {
			return older, nil
		}
	}
	return p, err
}

// Complete reports whether text, which a user pastes line by line, is a whole payload for this request or cannot
// become one, so that a program knows when to stop reading.
func (a *Authorization) Complete(text string) bool {
	_, err := a.open(text)
	switch reason(err) {
	case userkeys.ReasonNoPayload, userkeys.ReasonCutOff:
		return false
	}
	return true
}

// reason returns the reason of an error, for programs; empty if there is none.
func reason(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// ParseKey reads a key that a user or a configuration gives as text. It accepts keys of every site: 16 to 256
// letters, digits, "_" and "-".
//
// Errors: [userkeys.InvalidParameters], with a text that says what was given instead, such as a payload.
func ParseKey(text string) (userkeys.Key, error) {
	text = strings.Trim(text, "\"'` \t\r\n")
	bad := func(format string, args ...any) (userkeys.Key, error) {
		err := userkeys.Errorf(userkeys.InvalidParameters, format, args...)
		err.Reason = "not a key"
		return "", err
	}
	switch {
	case text == "":
		return bad("there is no key; it is a text such as 32 hex digits")
	case strings.HasPrefix(text, "-----BEGIN"):
		return bad("this is a PEM text, one half of a key pair, and not the API key")
	case strings.Contains(text, "payload=") || strings.ContainsAny(text, "+/=%\r\n") && len(text) > 100:
		return bad("this is a payload: the key is sealed in it; open it with the private key that the request was made with")
	case len(text) < 16 || len(text) > 256 || strings.Trim(text, keyCharacters) != "":
		return bad("this does not look like a key: that has 16 to 256 letters and digits, mostly 32 hex digits")
	}
	return userkeys.Key(text), nil
}

const keyCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
