package userkeys

import (
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
)

// Problems of a key's content.
const (
	notRSA     = "has content that is no RSA key with an exponent such as 65537, or was cut off"
	derTrailer = "has bytes after the key"
)

var rsaEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

// parseRSAKey reads the DER of a SubjectPublicKeyInfo or of an RSAPublicKey (RFC 8017, A.1.1), whichever it is: the
// first begins with a sequence, the second with a number.
func parseRSAKey(der []byte) (key *rsa.PublicKey, problem string) {
	parts, problem := derSequence(der)
	if problem != "" {
		return nil, problem
	}
	if len(parts) == 2 && isDER(parts[0], asn1.TagSequence) && isDER(parts[1], asn1.TagBitString) {
		bits := parts[1].Bytes
		if problem := algorithmProblem(parts[0].FullBytes); problem != "" {
			return nil, problem
		}
		if len(bits) == 0 || bits[0] != 0 { // the number of bits that do not count
			return nil, notRSA
		}
		if parts, problem = derSequence(bits[1:]); problem != "" {
			return nil, problem
		}
	}
	if len(parts) < 2 || !isDER(parts[0], asn1.TagInteger) || !isDER(parts[1], asn1.TagInteger) {
		return nil, notRSA
	}
	if len(parts) > 2 {
		return nil, derTrailer
	}
	n, ok := modulusNumber(parts[0].Bytes)
	exponent := parts[1].Bytes
	if !ok || len(exponent) == 0 || exponent[0] >= 0x80 {
		return nil, notRSA
	}
	e := new(big.Int).SetBytes(exponent)
	if e.Sign() == 0 || e.BitLen() > 31 {
		return nil, notRSA
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, ""
}

// algorithmProblem refuses an AlgorithmIdentifier other than rsaEncryption with the parameters NULL, or without any.
func algorithmProblem(der []byte) string {
	parts, problem := derSequence(der)
	if problem != "" || len(parts) == 0 {
		return notRSA
	}
	var id asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(parts[0].FullBytes, &id); err != nil {
		return notRSA
	}
	switch {
	case !id.Equal(rsaEncryption):
		return "is no RSA key"
	case len(parts) > 2, len(parts) == 2 && (!isDER(parts[1], asn1.TagNull) || len(parts[1].Bytes) > 0):
		return notRSA
	}
	return ""
}

// modulusNumber reads the content of an INTEGER as OpenSSL does, without a sign.
// Without the zero byte in front of a set first bit it is a negative number to
// others, which is no key. Moduli have whole 128 bits; a number that was meant to be
// negative has a byte more and is no modulus here either.
func modulusNumber(b []byte) (n *big.Int, ok bool) {
	if len(b) == 0 || b[0] >= 0x80 && len(b)%16 != 0 {
		return nil, false
	}
	n = new(big.Int).SetBytes(b)
	return n, n.Sign() > 0
}

// derSequence returns the elements of a SEQUENCE that is all of der.
func derSequence(der []byte) (parts []asn1.RawValue, problem string) {
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil || !isDER(outer, asn1.TagSequence) {
		return nil, notRSA
	}
	if len(rest) > 0 {
		return nil, derTrailer
	}
	for rest = outer.Bytes; len(rest) > 0; {
		var part asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &part); err != nil || len(parts) == 3 { // none that is read here has more
			return nil, notRSA
		}
		parts = append(parts, part)
	}
	return parts, ""
}

func isDER(v asn1.RawValue, tag int) bool {
	return v.Class == asn1.ClassUniversal && v.Tag == tag && v.IsCompound == (tag == asn1.TagSequence)
}
