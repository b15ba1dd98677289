package userkeys

import (
	"crypto/rsa"
	"encoding/json"
)

// PushSecretPath is where an app fetches the secret of its key, with the key.
const PushSecretPath = "/user-api-key/push-secret.json"

// sealedPushSecret is the plain text: 68 bytes, which fit a key of 1024 bits with PKCS#1 and with OAEP.
type sealedPushSecret struct {
	PushSecret string `json:"push_secret"`
}

// SealPushSecret encrypts a push secret to the public key that its key was asked for with, as JSON
// {"push_secret":"whsec_..."}, in the lines of [Payload.Seal]. Whoever stole the key alone cannot read it.
func SealPushSecret(k PublicKey, padding Padding, secret PushSecret) (string, error) {
	if secret.IsZero() {
		return "", errNoPushSecret()
	}
	text, err := json.Marshal(sealedPushSecret{secret.Reveal()})
	if err != nil { // cannot happen: it is a string
		panic(err)
	}
	return k.seal(padding, text)
}

// OpenPushSecret opens what [SealPushSecret] sealed, however the way here bent it.
func OpenPushSecret(key *rsa.PrivateKey, padding Padding, text string) (PushSecret, error) {
	opened, err := openSealed(key, padding, text)
	if err != nil {
		return PushSecret{}, err
	}
	var body sealedPushSecret
	if err := decodeOpened(opened, &body); err != nil {
		return PushSecret{}, err
	}
	if body.PushSecret == "" {
		return PushSecret{}, Errorf(InvalidParameters, "what was sealed is no push secret")
	}
	return ParsePushSecret(body.PushSecret)
}
