package userkeys

import (
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
)

// A Padding is how a payload is padded before it is sealed.
type Padding string

// The paddings of the wire.
const (
	PaddingPKCS1   Padding = "pkcs1"    // PKCS#1 v1.5: what apps get that do not ask
	PaddingOAEP    Padding = "oaep"     // OAEP with SHA-1, as the wire has it: OAEP needs no collision resistance
	PaddingOAEP256 Padding = "oaep-256" // OAEP with SHA-256: our addition, for libraries without SHA-1
)

// ParsePadding reads the padding parameter; blank means [PaddingPKCS1]. A
// misspelt one is refused and never falls back to the weaker.
func ParsePadding(s string) (Padding, error) {
	switch p := Padding(s); {
	case isSpaces(s):
		return PaddingPKCS1, nil
	case p.known():
		return p, nil
	}
	return "", Errorf(InvalidPadding,
		"padding must be pkcs1 or oaep, in lower case, or be left out; oaep-256 where the site has it")
}

func (p Padding) known() bool {
	return p == PaddingPKCS1 || p == PaddingOAEP || p == PaddingOAEP256
}

// name is what people call p.
func (p Padding) name() string {
	switch p {
	case PaddingOAEP:
		return "OAEP"
	case PaddingOAEP256:
		return "OAEP with SHA-256"
	}
	return "PKCS#1"
}

// digest is OAEP's hash function.
func (p Padding) digest() hash.Hash {
	if p == PaddingOAEP256 {
		return sha256.New()
	}
	return sha1.New()
}

// room is how many bytes fit a block of size bytes.
func (p Padding) room(size int) int {
	if p == PaddingPKCS1 {
		return size - 11
	}
	return size - 2*p.digest().Size() - 2
}

// usable refuses a padding that nobody can seal or open with in this process.
func (p Padding) usable() error {
	if !p.known() {
		return Errorf(InvalidPadding, "%s is no padding", Quoted(string(p)))
	}
	if p != PaddingOAEP256 && fips140.Enforced() { // else SHA-1 would panic
		return Errorf(InvalidPadding,
			"this program runs in FIPS 140-only mode, which has neither PKCS#1 v1.5 nor OAEP with SHA-1")
	}
	return nil
}

// encrypt pads and encrypts. p must be usable.
func (p Padding) encrypt(key *rsa.PublicKey, text []byte) ([]byte, error) {
	if p == PaddingPKCS1 {
		return encryptPKCS1(key, text)
	}
	return rsa.EncryptOAEP(p.digest(), rand.Reader, key, text, nil)
}

// decrypt undoes encrypt. p must be usable.
func (p Padding) decrypt(key *rsa.PrivateKey, sealed []byte) ([]byte, error) {
	if p == PaddingPKCS1 {
		return decryptPKCS1(key, sealed)
	}
	return rsa.DecryptOAEP(p.digest(), nil, key, sealed, nil)
}
