package client

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"userkeys"
)

const (
	// DefaultBits is the size of the modulus of a [KeyPair] if the app does not choose one.
	DefaultBits = 3072

	minBits = 2048 // smaller keys may be broken today
	maxBits = 8192 // sites refuse larger keys
)

// maxPEMBytes bounds what [ParseKeyPair] looks at: an 8192-bit key needs about 6500.
const maxPEMBytes = 16 << 10

// A KeyPair is the RSA key pair of a request: the site encrypts the payload to the public key, and only the holder
// of the private key can open it. One pair may serve several requests, because each has a nonce of its own. A
// KeyPair does not print its private key.
type KeyPair struct{ private *rsa.PrivateKey }

// NewKeyPair generates a key pair with a modulus of bits bits; 0 means [DefaultBits].
//
// Errors: [userkeys.InvalidPublicKey] for fewer than 2048 or more than 8192 bits.
func NewKeyPair(bits int) (*KeyPair, error) {
	if bits == 0 {
		bits = DefaultBits
	}
	if err := checkBits(bits); err != nil {
		return nil, err
	}
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, &userkeys.Error{Code: userkeys.Internal, Public: "this machine cannot make a key pair", Err: err}
	}
	return &KeyPair{private}, nil
}

func checkBits(bits int) error {
	if bits < minBits || bits > maxBits {
		return userkeys.Errorf(userkeys.InvalidPublicKey, "a key pair has %d to %d bits, not %d", minBits, maxBits, bits)
	}
	return nil
}

// ParseKeyPair reads an RSA private key in PEM: one of [KeyPair.PrivatePEM], or any other in PKCS#8 or PKCS#1. An
// app stores its key pair if the user may approve after a restart, or if it renews its key.
//
// Errors: [userkeys.InvalidPublicKey].
func ParseKeyPair(text []byte) (*KeyPair, error) {
	bad := func(why string, err error) (*KeyPair, error) {
		return nil, &userkeys.Error{
			Code: userkeys.InvalidPublicKey, Public: "not an RSA private key in PEM: " + why,
			Err: err,
		}
	}
	if len(text) > maxPEMBytes {
		return bad("too long", nil)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return bad("no PEM block", nil)
	}
	var private *rsa.PrivateKey
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return bad("broken PKCS#8", err)
		}
		var ok bool
		if private, ok = key.(*rsa.PrivateKey); !ok {
			return bad("another kind of key", nil)
		}
	case "RSA PRIVATE KEY":
		var err error
		if private, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return bad("broken PKCS#1", err)
		}
	default:
		return bad("the block is a "+block.Type, nil)
	}
	if err := checkBits(private.N.BitLen()); err != nil {
		return nil, err
	}
	return &KeyPair{private}, nil
}

// PublicPEM returns the public key in PEM, as SubjectPublicKeyInfo, which is what sites read.
func (k *KeyPair) PublicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil { // cannot happen: an RSA key always marshals
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// PrivatePEM returns the private key in PEM, as PKCS#8. It is a secret.
func (k *KeyPair) PrivatePEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil { // cannot happen: an RSA key always marshals
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Bits returns the size of the modulus.
func (k *KeyPair) Bits() int { return k.private.N.BitLen() }

// String does not show the private key.
func (k *KeyPair) String() string { return "[key pair]" }

// GoString does not show the private key in %#v.
func (k *KeyPair) GoString() string { return "[key pair]" }
