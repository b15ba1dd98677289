package client

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"userkeys"
)

// Sizes of the modulus. Below the least, today's machines may break the
// sealed answer; above the most, sites refuse the key.
const (
	DefaultBits = 3072
	minBits     = 2048
	maxBits     = 8192
)

// maxPEMBytes bounds what [ParseKeyPair] looks at: an 8192-bit key needs about 6500.
const maxPEMBytes = 16 << 10

// A KeyPair opens the answer: the site seals it to the public half, and only the holder of the
// private half can open it. One may serve several requests, for nonces tell those apart. It does not print itself.
type KeyPair struct{ private *rsa.PrivateKey }

// NewKeyPair makes a key pair with a modulus of that many bits; 0 means [DefaultBits].
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

// ParseKeyPair reads a private key that [KeyPair.PrivatePEM] wrote, or any RSA private key as PKCS#8 or PKCS#1
// PEM. Apps need it if the person may answer after a restart, or the key is to be renewed.
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

// PublicPEM is the public half as sites read it: SubjectPublicKeyInfo in PEM.
func (k *KeyPair) PublicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil { // cannot happen: an RSA key always marshals
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// PrivatePEM is the private half as PKCS#8 PEM: a secret until the answer is
// opened, and of use after only to renew.
func (k *KeyPair) PrivatePEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil { // cannot happen: an RSA key always marshals
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Bits is the size of the modulus.
func (k *KeyPair) Bits() int { return k.private.N.BitLen() }

// String hides the key pair, so that no log shows it by accident.
func (k *KeyPair) String() string { return "[key pair]" }

// GoString hides the key pair from %#v.
func (k *KeyPair) GoString() string { return "[key pair]" }
