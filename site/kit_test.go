package site_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"userkeys"
)

var (
	testPublicKey  = publicKeyOf("app2048.pem")
	otherPublicKey = publicKeyOf("app1024.pem")
)

// publicKeyOf is the public half, in PEM, of a key pair that was made for the tests.
func publicKeyOf(name string) string {
	text, err := os.ReadFile("../testdata/appkeys/" + name)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.(interface{ Public() crypto.PublicKey }).Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func parsedKey(t testing.TB, text string) userkeys.PublicKey {
	t.Helper()
	k, err := userkeys.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// discourse is the catalog of Discourse's scopes.
func discourse(t testing.TB) *userkeys.Catalog {
	t.Helper()
	c, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mustRefuse fails unless err has the code and its public text the words.
func mustRefuse(t testing.TB, err error, code userkeys.Code, words string) {
	t.Helper()
	e := userkeys.AsError(err)
	if err == nil || e.Code != code || !strings.Contains(e.Public, words) {
		t.Errorf("refused with %q: %v; want %q with %q", e.Code, err, code, words)
	}
}
