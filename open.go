package userkeys

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Reasons of [OpenPayload]'s refusals, for programs.
const (
	ReasonNoPayload = "no payload"       // nothing, or an address without one
	ReasonIsKey     = "is a key"         // a key where the sealed answer belongs
	ReasonCutOff    = "cut off"          // good as far as it goes: more of it may follow
	ReasonGarbled   = "garbled"          // not what a site writes
	ReasonNotOurs   = "not for this key" // sealed to another key, or with another padding
)

// maxAnswer bounds what is looked at; the longest real address with a payload stays below 5000 bytes.
const maxAnswer = 16 << 10

// OpenPayload opens what a site sealed to key, as the app received it: from
// the query of the way back, the whole address of it, or pasted by the user from
// the site's page. White space anywhere, quotes around it, lost line ends and percent-encoding
// do no harm; everything else is an error that says what probably happened, with a reason for programs.
//
// The caller must compare the nonce with the one it sent, before it trusts the key.
func OpenPayload(key *rsa.PrivateKey, padding Padding, text string) (Payload, error) {
	opened, err := openSealed(key, padding, text)
	if err != nil {
		return Payload{}, err
	}
	return parsePayload(opened)
}

// openSealed undoes [PublicKey.seal], and what the way here did to it.
func openSealed(key *rsa.PrivateKey, padding Padding, text string) ([]byte, error) {
	if key == nil {
		return nil, Errorf(InvalidParameters, "there is no private key to open the payload with")
	}
	if err := padding.usable(); err != nil {
		return nil, err
	}
	sealed, err := decodePayload(text, key.Size())
	if err != nil {
		return nil, err
	}
	opened, err := padding.decrypt(key, sealed)
	if err != nil {
		return nil, notOurs(err)
	}
	return opened, nil
}

// notOurs is the refusal of a payload that the key does not open.
func notOurs(err error) error {
	return &Error{
		Code: InvalidParameters, Reason: ReasonNotOurs, Err: err,
		Public: "this payload was not made for this key, or with another padding; it may answer an older request",
	}
}

func noPayload(reason, format string, args ...any) error {
	err := Errorf(InvalidParameters, "this is no payload: "+format, args...)
	err.Reason = reason
	return err
}

// decodePayload undoes what the way here did to the base64 of size bytes.
func decodePayload(text string, size int) ([]byte, error) {
	if len(text) > maxAnswer {
		return nil, noPayload(ReasonGarbled, "it is far too long")
	}
	text = strings.Trim(text, "\"'`<> \t\r\n")
	spaced := strings.Contains(text, " ")
	text, err := answerIn(strings.Map(dropSpace, text))
	if err != nil {
		return nil, err
	}
	if strings.Contains(text, "%") {
		unescaped, err := url.PathUnescape(text) // not QueryUnescape: a + is a +
		if err != nil {
			return nil, noPayload(brokenReason(text), "its percent-encoding is broken")
		}
		spaced = spaced || strings.Contains(unescaped, " ")
		text = strings.Map(dropSpace, unescaped)
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && len(sealed) == size {
		return sealed, nil
	}
	return nil, base64Problem(text, spaced, size)
}

// answerIn takes the payload out of the address that the browser was sent to,
// or of what a person copied of it.
func answerIn(text string) (string, error) {
	if i := strings.Index(text, "payload="); i == 0 || i > 0 && (text[i-1] == '?' || text[i-1] == '&') {
		text = text[i+len("payload="):]
		if end := strings.IndexAny(text, "&#"); end >= 0 {
			text = text[:end]
		}
	}
	switch {
	case text == "":
		return "", noPayload(ReasonNoPayload,
			"it is empty; the payload is the long text on the page that follows the approval")
	case strings.Contains(text, "://"):
		return "", noPayload(ReasonNoPayload,
			"it is an address without payload=; the right one is where the approval leads to")
	case looksLikeKey(text):
		return "", noPayload(ReasonIsKey, "it looks like a key; the payload is the longer text that the key is sealed in")
	}
	return text, nil
}

// base64Problem says why text is not the base64 of size bytes.
func base64Problem(text string, spaced bool, size int) error {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	want := base64.StdEncoding.EncodedLen(size)
	switch foreign := strings.Trim(text, alphabet); {
	case foreign != "" && strings.Trim(text, alphabet+"-_") == "":
		return noPayload(ReasonGarbled, "it has - or _, the url-safe alphabet, where + and / should be")
	case foreign != "":
		return noPayload(ReasonGarbled, "it has characters that are not base64")
	case len(text) < want && spaced:
		return noPayload(ReasonCutOff,
			"it does not have the length of a text sealed to this key; perhaps + became a space on the way")
	case len(text) < want:
		return noPayload(ReasonCutOff,
			"it was cut off, or made for another key: it has %d characters, and one sealed to this key has %d",
			len(text), want)
	case len(text) > want:
		return noPayload(ReasonGarbled,
			"it was made for another key, or pasted twice: it has %d characters, and one sealed to this key has %d",
			len(text), want)
	}
	return noPayload(ReasonGarbled, "it is not base64")
}

// brokenReason tells a percent-encoding that the end of the text cut in two.
func brokenReason(text string) string {
	last := strings.LastIndexByte(text, '%')
	if _, err := url.PathUnescape(text[:last]); err == nil && last+2 >= len(text) {
		return ReasonCutOff
	}
	return ReasonGarbled
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' {
		return -1
	}
	return r
}

// looksLikeKey recognises a key, ours or another site's, which needs no checksum in
// it. The shortest payload is 172 characters of base64.
func looksLikeKey(s string) bool {
	if i := strings.IndexByte(s, '_'); i > 0 && ValidKeyPrefix(s[:i]) {
		s = s[i+1:]
	}
	return keyHexLen <= len(s) && len(s) <= 4*keyHexLen && strings.Trim(strings.ToLower(s), hexDigits) == ""
}

// parsePayload reads the opened JSON. Members that it does not know are
// skipped, so that a site may learn new ones.
func parsePayload(opened []byte) (Payload, error) {
	var body struct {
		Key       *string `json:"key"`
		Nonce     *string `json:"nonce"`
		Push      bool    `json:"push"`
		API       int     `json:"api"`
		ExpiresAt string  `json:"expires_at"`
	}
	if err := decodeOpened(opened, &body); err != nil {
		return Payload{}, err
	}
	if body.Key == nil || body.Nonce == nil || !isHeaderValue(*body.Key) {
		return Payload{}, Errorf(InvalidParameters, "the payload opened, but has no usable key or no nonce")
	}
	p := Payload{Key: Key(*body.Key), Nonce: *body.Nonce, Push: body.Push, API: body.API}
	if body.ExpiresAt != "" {
		t, err := time.Parse(time.RFC3339, body.ExpiresAt)
		if err != nil {
			return Payload{}, Errorf(InvalidParameters, "the payload opened, but its expires_at is no time")
		}
		p.ExpiresAt = t.UTC()
	}
	return p, nil
}

// decodeOpened reads one JSON value, with nothing after it.
func decodeOpened(opened []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(opened))
	if err := d.Decode(into); err != nil {
		return notOurs(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return notOurs(errors.New("something follows the JSON"))
	}
	return nil
}

// isHeaderValue reports whether a key may be sent in [KeyHeader]; other sites'
// keys need not have our shape. No site may write headers of the app's, and
// fewer than 16 characters are no secret.
func isHeaderValue(s string) bool {
	foreign := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	return 16 <= len(s) && len(s) <= 256 && !strings.ContainsFunc(s, foreign)
}
