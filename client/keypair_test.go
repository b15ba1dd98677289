package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
)

func TestKeyPairSurvivesPEM(t *testing.T) {
	t.Parallel()
	k := testPair()
	again, err := client.ParseKeyPair(k.PrivatePEM())
	if err != nil {
		t.Fatal(err)
	}
	if again.PublicPEM() != k.PublicPEM() {
		t.Error("the pair that was read back has another public half")
	}
	if !strings.HasPrefix(k.PublicPEM(), "-----BEGIN PUBLIC KEY-----\n") {
		t.Errorf("public half is not SubjectPublicKeyInfo: %.40q", k.PublicPEM())
	}
}

func TestKeyPairReadsPKCS1(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	k, err := client.ParseKeyPair(text)
	if err != nil {
		t.Fatal(err)
	}
	if k.Bits() != 2048 {
		t.Errorf("Bits() = %d, want 2048", k.Bits())
	}
}

func TestDefaultKeyPairHas3072Bits(t *testing.T) {
	t.Parallel()
	k, err := client.NewKeyPair(0)
	if err != nil {
		t.Fatal(err)
	}
	if k.Bits() != 3072 {
		t.Errorf("Bits() = %d, want 3072", k.Bits())
	}
}

func TestKeyPairRefusals(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{1, 1024, 2047, 8193} {
		if _, err := client.NewKeyPair(bits); !errors.Is(err, userkeys.InvalidPublicKey) {
			t.Errorf("NewKeyPair(%d) = %v, want a refusal", bits, err)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	tests := []struct {
		name string
		text []byte
	}{
		{"empty", nil},
		{"not PEM", []byte("hello")},
		{"public half", []byte(testPair().PublicPEM())},
		{"elliptic curve", block("PRIVATE KEY", ecDER)},
		{"too small", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small))},
		{"broken PKCS#8", block("PRIVATE KEY", []byte{1, 2, 3})},
		{"broken PKCS#1", block("RSA PRIVATE KEY", []byte{1, 2, 3})},
		{"too long", []byte(strings.Repeat("-----BEGIN X", 10_000))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := client.ParseKeyPair(tt.text); !errors.Is(err, userkeys.InvalidPublicKey) {
				t.Errorf("ParseKeyPair = %v, want a refusal", err)
			}
		})
	}
}

func TestKeyPairDoesNotPrintItself(t *testing.T) {
	t.Parallel()
	a := client.Authorization{KeyPair: testPair()}
	for _, s := range []string{
		fmt.Sprintf("%v %+v %#v %s", testPair(), testPair(), testPair(), testPair()), fmt.Sprintf("%v %+v", a, a), mustJSON(a),
	} {
		if strings.Contains(s, "PRIVATE") || len(s) > 600 {
			t.Errorf("a key pair shows in %q", s)
		}
	}
}
