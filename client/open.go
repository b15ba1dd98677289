package client

import (
	"crypto/subtle"
	"errors"
	"strings"

	"userkeys"
)

// ErrWrongNonce is an answer to another request: an old one, or one that
// somebody else started and slipped into this browser. It is shared; do not change it.
var ErrWrongNonce = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "wrong nonce",
	Public: "this answers another request; start again and use the answer of the newest page",
}

// Open opens the site's answer: the payload as it came, in lines or in one,
// percent-encoded or not, or the whole address that the browser was sent to.
// It refuses what does not answer this request: see [ErrWrongNonce], and
// [userkeys.OpenPayload] for texts that cannot be opened.
func (a *Authorization) Open(text string) (*Credential, error) {
	p, err := a.open(text)
	if err != nil {
		return nil, err
	}
	// The nonce protects the person from an answer that somebody else asked
	// for: without this check the app would act as the attacker's account.
	if subtle.ConstantTimeCompare([]byte(p.Nonce), []byte(a.Nonce)) != 1 {
		return nil, ErrWrongNonce
	}
	return &Credential{
		Site: a.Request.Site, Key: p.Key, ClientID: a.Request.ClientID, Scopes: a.Request.Scopes,
		Push: p.Push, API: p.API, ExpiresAt: p.ExpiresAt, KeyPair: a.KeyPair, Padding: a.Request.Padding,
	}, nil
}

// open decrypts. Sites from before the padding parameter seal with PKCS#1
// whatever was asked for; so that is tried second.
func (a *Authorization) open(text string) (userkeys.Payload, error) {
	return openWith(a.KeyPair, a.Request.Padding, text)
}

func openWith(pair *KeyPair, padding userkeys.Padding, text string) (userkeys.Payload, error) {
	p, err := userkeys.OpenPayload(pair.private, padding, text)
	if padding == userkeys.PaddingOAEP && reason(err) == userkeys.ReasonNotOurs {
		if older, err := userkeys.OpenPayload(pair.private, userkeys.PaddingPKCS1, text); err == nil {
			return older, nil
		}
	}
	return p, err
}

// Complete tells whether text, read so far from somebody who pastes it in
// lines, is a payload for this request, or something that will never become
// one. It is how to know when to stop reading.
func (a *Authorization) Complete(text string) bool {
	_, err := a.open(text)
	switch reason(err) {
	case userkeys.ReasonNoPayload, userkeys.ReasonCutOff:
		return false
	}
	return true
}

// reason is the reason of a refusal, for programs; empty if there is none.
func reason(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// ParseKey reads the text of a key that a person or a configuration gives. It takes keys of every site (16 to
// 256 letters, digits, "_" and "-"), and says what it was given where that is no key: a payload, most often.
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
