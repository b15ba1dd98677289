package userkeys

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// APIVersion is the version of the wire that this package speaks: the number
// "api" in a payload, and of the header Auth-Api-Version.
const APIVersion = 4

const (
	payloadTime    = "2006-01-02T15:04:05Z"
	payloadColumns = 60 // of base64, as Ruby writes it
)

// A Payload is the answer to an authorization request: the key and what the
// app needs to trust it. It travels sealed to the app's public key.
type Payload struct {
	Key       Key
	Nonce     string    // as the app sent it: by this it knows that the answer is its own
	Push      bool      // notifications will be pushed
	API       int       // [APIVersion]; 0 means that too
	ExpiresAt time.Time // zero: the key has no end of its own
}

// JSON is the payload before sealing: key, nonce, push and api, in this order,
// and expires_at only if the key ends. Apps are known to break on any other member. HTML
// characters are not escaped: every byte counts in one RSA block.
func (p Payload) JSON() []byte {
	body := struct {
		Key       string `json:"key"`
		Nonce     string `json:"nonce"`
		Push      bool   `json:"push"`
		API       int    `json:"api"`
		ExpiresAt string `json:"expires_at,omitempty"`
	}{Key: p.Key.Reveal(), Nonce: p.Nonce, Push: p.Push, API: p.API}
	if body.API == 0 {
		body.API = APIVersion
	}
	if !p.ExpiresAt.IsZero() {
		body.ExpiresAt = p.ExpiresAt.UTC().Format(payloadTime)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil { // cannot happen: strings and numbers only
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Fits reports whether [Payload.Seal] would succeed, without the cost: so that a
// request whose answer cannot be sealed is refused before anybody is asked.
// Only lengths count, not what the key is.
func (p Payload) Fits(k PublicKey, padding Padding) error {
	return k.Fits(padding, len(p.JSON()))
}

// Fits refuses to seal size bytes to k if they are too many; only lengths count.
func (k PublicKey) Fits(padding Padding, size int) error {
	if k.rsa == nil {
		return Errorf(InvalidPublicKey, "there is no public key")
	}
	if err := padding.usable(); err != nil {
		return err
	}
	if room := padding.room(k.rsa.Size()); size > room {
		return Errorf(PayloadTooLarge,
			"Payload too large for %s: it has %d bytes, and a key of %d bits takes at most %d; use a shorter nonce or "+
				"a larger key",
			padding.name(), size, k.Bits(), room)
	}
	return nil
}

// Seal encrypts the payload to k and writes it in base64, in lines of 60 with
// a newline after each. Sealing twice gives two different texts.
func (p Payload) Seal(k PublicKey, padding Padding) (string, error) {
	return k.seal(padding, p.JSON())
}

// seal encrypts text to k, in lines of base64.
func (k PublicKey) seal(padding Padding, text []byte) (string, error) {
	if err := k.Fits(padding, len(text)); err != nil {
		return "", err
	}
	sealed, err := padding.encrypt(k.rsa, text)
	if err != nil {
		return "", &Error{Code: InvalidPublicKey, Public: "nothing can be encrypted to public_key", Err: err}
	}
	return base64Lines(sealed), nil
}

func base64Lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > payloadColumns {
		out.WriteString(text[:payloadColumns] + "\n")
		text = text[payloadColumns:]
	}
	out.WriteString(text + "\n")
	return out.String()
}
