package client

import (
	"crypto/subtle"
	"net/url"
	"regexp"
	"strings"

	"userkeys"
)

// The refusals of [Authorization.Open]. They are shared; do not change them.
var (
	// ErrWrongNonce is an answer to another request: an old one, or one that
	// somebody else started and slipped into this browser.
	ErrWrongNonce = &userkeys.Error{Code: userkeys.InvalidAccess, Reason: "wrong nonce",
		Public: "this answers another request; start again and use the answer of the newest page"}
	// ErrCannotOpen is an answer sealed to another key, or one that lost a part.
	ErrCannotOpen = &userkeys.Error{Code: userkeys.InvalidParameters, Reason: "cannot open",
		Public: "this payload cannot be opened: it belongs to another request, or a part of it is missing; copy all of it from the newest page"}
	// ErrIsKey is a key where the sealed answer belongs.
	ErrIsKey = &userkeys.Error{Code: userkeys.InvalidParameters, Reason: "is a key",
		Public: "this is a key, not the payload; the payload is the longer text on the page that follows the approval"}
	// ErrNoPayload is nothing at all.
	ErrNoPayload = &userkeys.Error{Code: userkeys.MissingParameter, Reason: "no payload",
		Public: "no payload was given; it is the long text on the page that follows the approval"}
)

// maxPayloadBytes bounds what is looked at; the longest real one, percent-encoded, stays below 3000.
const maxPayloadBytes = 16 << 10

// Open opens the site's answer: the payload as it came, in lines or in one,
// percent-encoded or not, or the whole address that the browser was sent to.
// It refuses what does not answer this request: see [ErrWrongNonce],
// [ErrCannotOpen], [ErrIsKey], [ErrNoPayload].
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
	if !headerSafe(p.Key.Reveal()) {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the site's answer holds no usable key")
	}
	return &Credential{
		Site: a.Request.Site, Key: p.Key, ClientID: a.Request.ClientID, Scopes: a.Request.Scopes,
		Push: p.Push, API: p.API, ExpiresAt: p.ExpiresAt,
	}, nil
}

// open decrypts. Sites from before the padding parameter seal with PKCS#1
// whatever was asked for; so that is tried second.
func (a *Authorization) open(text string) (userkeys.Payload, error) {
	if len(text) > maxPayloadBytes {
		return userkeys.Payload{}, ErrCannotOpen
	}
	sealed := sealedText(text)
	if sealed == "" {
		return userkeys.Payload{}, ErrNoPayload
	}
	if looksLikeKey(sealed) {
		return userkeys.Payload{}, ErrIsKey
	}
	paddings := []userkeys.Padding{a.Request.Padding}
	if a.Request.Padding == userkeys.PaddingOAEP {
		paddings = append(paddings, userkeys.PaddingPKCS1)
	}
	for _, padding := range paddings {
		if p, err := userkeys.OpenPayload(a.KeyPair.private, padding, sealed); err == nil {
			return p, nil
		}
	}
	return userkeys.Payload{}, ErrCannotOpen
}

// Complete tells whether text, read so far from somebody who pastes it in
// lines, is as long as a payload for this request, or something that will
// never become one. It is how to know when to stop reading.
func (a *Authorization) Complete(text string) bool {
	sealed := sealedText(text)
	if looksLikeKey(sealed) || len(text) > maxPayloadBytes {
		return true
	}
	block := (a.KeyPair.Bits() + 7) / 8
	return len(base64Only(sealed)) >= (block+2)/3*4
}

// sealedText takes the payload out of what a person may paste: quotes around
// it, or the address that the browser was sent to.
func sealedText(text string) string {
	text = strings.Trim(strings.TrimSpace(text), "\"'`<> \t\r\n")
	if strings.Contains(text, "://") {
		if u, err := url.Parse(strings.Join(strings.Fields(text), "")); err == nil && u.Query().Get("payload") != "" {
			return u.Query().Get("payload")
		}
	}
	return strings.TrimPrefix(text, "payload=")
}

// base64Only drops what is no part of the base64 text, after percent-decoding.
func base64Only(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil {
		text = decoded
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '+', r == '/', r == '=', r == '-', r == '_':
			return r
		}
		return -1
	}, text)
}

var keyShape = regexp.MustCompile(`\A(?:[a-z]{1,3}_)?[0-9a-fA-F]{32,128}\z`)

// looksLikeKey recognises a key, ours or another site's. A payload is at
// least 344 characters long and not only hex digits.
func looksLikeKey(text string) bool { return keyShape.MatchString(text) }

// headerSafe tells whether a key can travel in a header: 16 to 256 visible
// ASCII characters. A site must not be able to write headers of ours.
func headerSafe(key string) bool {
	if len(key) < 16 || len(key) > 256 {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f {
			return false
		}
	}
	return true
}
