package userkeys

import (
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
)

// A Padding is how a payload is padded before it is sealed.
type Padding string

// The paddings of the wire.
const (
	PaddingPKCS1 Padding = "pkcs1" // PKCS#1 v1.5: what apps get that do not ask
	PaddingOAEP  Padding = "oaep"  // OAEP with SHA-1 for hash and mask, as the wire has it; safe here, since OAEP needs no collision resistance
)

// ParsePadding reads the padding parameter; blank means [PaddingPKCS1]. A
// misspelt one is refused and never falls back to the weaker.
func ParsePadding(s string) (Padding, error) {
	switch p := Padding(s); {
	case isSpaces(s):
		return PaddingPKCS1, nil
	case p == PaddingPKCS1 || p == PaddingOAEP:
		return p, nil
	}
	return "", Errorf(InvalidPadding, "padding must be pkcs1 or oaep, in lower case, or be left out")
}

// name is what people call p.
func (p Padding) name() string {
	if p == PaddingOAEP {
		return "OAEP"
	}
	return "PKCS#1"
}

// room is how many bytes fit a block of size bytes.
func (p Padding) room(size int) int {
	if p == PaddingOAEP {
		return size - 2*sha1.Size - 2
	}
	return size - 11
}

// usable refuses a padding that nobody can seal or open with in this process.
func (p Padding) usable() error {
	if p != PaddingPKCS1 && p != PaddingOAEP {
		return Errorf(InvalidPadding, "%s is no padding", shown(string(p)))
	}
	if fips140.Enforced() { // else SHA-1 would panic
		return Errorf(InvalidPadding, "this program runs in FIPS 140-only mode, which has neither PKCS#1 v1.5 nor OAEP with SHA-1")
	}
	return nil
}

// encrypt pads and encrypts. p must be usable.
func (p Padding) encrypt(key *rsa.PublicKey, text []byte) ([]byte, error) {
	if p == PaddingOAEP {
		return rsa.EncryptOAEP(sha1.New(), rand.Reader, key, text, nil)
	}
	return encryptPKCS1(key, text)
}

// decrypt undoes encrypt. p must be usable.
func (p Padding) decrypt(key *rsa.PrivateKey, sealed []byte) ([]byte, error) {
	if p == PaddingOAEP {
		return rsa.DecryptOAEP(sha1.New(), nil, key, sealed, nil)
	}
	return decryptPKCS1(key, sealed)
}
