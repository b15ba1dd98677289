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

// OpenPayload opens what a site sealed to key, as the app received it: from
// the query of the way back, or pasted by the user from the site's page. White space
// anywhere, lost line ends and percent-encoding do no harm; everything else is
// an error that says what probably happened.
//
// The caller must compare the nonce with the one it sent, before it trusts the key.
func OpenPayload(key *rsa.PrivateKey, padding Padding, text string) (Payload, error) {
	if key == nil {
		return Payload{}, Errorf(InvalidParameters, "there is no private key to open the payload with")
	}
	if err := padding.usable(); err != nil {
		return Payload{}, err
	}
	sealed, err := decodePayload(text, key.Size())
	if err != nil {
		return Payload{}, err
	}
	opened, err := padding.decrypt(key, sealed)
	if err != nil {
		return Payload{}, notOurs(err)
	}
	return parsePayload(opened)
}

// notOurs is the refusal of a payload that the key does not open.
func notOurs(err error) error {
	return &Error{Code: InvalidParameters, Public: "this payload was not made for this key, or with another padding", Err: err}
}

// decodePayload undoes what the way here did to the base64 of size bytes.
func decodePayload(text string, size int) ([]byte, error) {
	refuse := func(format string, args ...any) ([]byte, error) {
		return nil, Errorf(InvalidParameters, "this is no payload: "+format, args...)
	}
	text = strings.TrimSpace(text)
	if _, err := ParseKey(text); err == nil || isHexKey(text) {
		return refuse("it looks like a key; the payload is the long text that the key is sealed in")
	}
	if strings.Contains(text, "payload=") {
		return refuse("it is a whole address; paste only what follows payload=")
	}
	if strings.Contains(text, "%") {
		unescaped, err := url.PathUnescape(text) // not QueryUnescape: a + is a +
		if err != nil {
			return refuse("its percent-encoding is broken")
		}
		text = unescaped
	}
	spaced := strings.Contains(text, " ")
	text = strings.Map(dropSpace, text)
	if text == "" {
		return refuse("it is empty")
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && len(sealed) == size {
		return sealed, nil
	}
	switch {
	case strings.ContainsAny(text, "-_"):
		return refuse("it has - or _, the url-safe alphabet, where + and / should be")
	case spaced:
		return refuse("it does not have the length of a text sealed to this key; perhaps + became a space on the way")
	case err != nil:
		return refuse("it is not base64, or was cut off")
	}
	return refuse("it has %d bytes, and one sealed to this key has %d: it was cut off or made for another key", len(sealed), size)
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' {
		return -1
	}
	return r
}

// isHexKey recognises the key of a site that has no checksum in it.
func isHexKey(s string) bool {
	return len(s) == keyHexLen && strings.Trim(strings.ToLower(s), hexDigits) == ""
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
	d := json.NewDecoder(bytes.NewReader(opened))
	if err := d.Decode(&body); err != nil {
		return Payload{}, notOurs(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Payload{}, notOurs(errors.New("something follows the JSON"))
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

// isHeaderValue tells whether a key may be sent in [KeyHeader]; other sites'
// keys need not have our shape.
func isHeaderValue(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
