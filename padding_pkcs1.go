package userkeys

import (
	"crypto/rand"
	"crypto/rsa"
)

// This file alone uses the functions of PKCS#1 v1.5, which Go 1.26 deprecates.
// Apps that do not ask for a padding can open nothing else, and that is most
// of them. What makes the padding dangerous is a program that tells strangers
// whether decryption worked; a site only encrypts, and the app decrypts one
// text that its own user brought.

func encryptPKCS1(key *rsa.PublicKey, text []byte) ([]byte, error) {
	//lint:ignore SA1019 the wire's default padding; see above
	return rsa.EncryptPKCS1v15(rand.Reader, key, text)
}

func decryptPKCS1(key *rsa.PrivateKey, sealed []byte) ([]byte, error) {
	//lint:ignore SA1019 the wire's default padding; see above
	return rsa.DecryptPKCS1v15(nil, key, sealed)
}
