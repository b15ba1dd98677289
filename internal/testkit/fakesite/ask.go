package fakesite

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
	"sync"
)

// AppKey is an app's key pair; its parameter is the PEM.
var AppKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// Ask is the query of an ordinary request, with changes: "name=value"; "-name" leaves it out.
func Ask(changes ...string) string {
	_, public := AppKey()
	q := url.Values{
		"nonce": {"n-0123456789"}, "scopes": {"read"}, "client_id": {"client-1"}, "application_name": {"Notifier"},
		"public_key": {public}, "auth_redirect": {"https://app.example/cb"}, "padding": {"oaep"},
	}
	for _, c := range changes {
		if name, ok := strings.CutPrefix(c, "-"); ok {
			q.Del(name)
			continue
		}
		name, value, _ := strings.Cut(c, "=")
		q.Set(name, value)
	}
	return "/user-api-key/new?" + q.Encode()
}
