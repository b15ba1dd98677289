package userkeys

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"strings"
)

// OneTimePasswordLen is the length of a one-time password's text in bytes.
const OneTimePasswordLen = 32

// NewOneTimePassword makes the text of a one-time password: 128 random bits in lower-case hex.
func NewOneTimePassword() string {
	var b [OneTimePasswordLen / 2]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}

// IsOneTimePassword reports whether s looks like one; nothing else need be looked up.
func IsOneTimePassword(s string) bool {
	return len(s) == OneTimePasswordLen && strings.Trim(s, hexDigits) == ""
}

// SealOneTimePassword encrypts a one-time password to an app, as the wire has
// it: the bare text, in the lines of [Payload.Seal].
func SealOneTimePassword(k PublicKey, padding Padding, password string) (string, error) {
	return k.seal(padding, []byte(password))
}

// OpenOneTimePassword opens what [SealOneTimePassword] sealed, however the way here bent it.
func OpenOneTimePassword(key *rsa.PrivateKey, padding Padding, text string) (string, error) {
	opened, err := openSealed(key, padding, text)
	if err != nil {
		return "", err
	}
	if !IsOneTimePassword(string(opened)) {
		return "", Errorf(InvalidParameters, "what was sealed is no one-time password")
	}
	return string(opened), nil
}
