package testkit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"userkeys"
)

// App is an app that nobody registered: it has a key pair, and after a grant a key.
type App struct {
	Site    *Site
	Private *rsa.PrivateKey
	Params  url.Values // of its authorization request; tests change them
	Key     userkeys.Key
	t       testing.TB
}

// appKey is made once: key pairs are dear, and which app has it does not matter here.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// KeyOf is a key pair of that many bits. Each size is made once.
func KeyOf(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	pairs.mu.Lock()
	defer pairs.mu.Unlock()
	if pairs.of[bits] == nil {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		pairs.of[bits] = k
	}
	return pairs.of[bits]
}

var pairs = struct {
	mu sync.Mutex
	of map[int]*rsa.PrivateKey
}{of: map[int]*rsa.PrivateKey{}}

// App makes an app that asks for scopes (comma separated) without a redirect.
func (s *Site) App(clientID, scopes string) *App {
	return &App{Site: s, Private: appKey(), t: s.t, Params: url.Values{
		"application_name": {"App " + clientID}, "client_id": {clientID}, "nonce": {"nonce-of-" + clientID},
		"scopes": {scopes}, "public_key": {PublicPEM(&appKey().PublicKey)},
	}}
}

// PublicPEM is the SPKI PEM of a key.
func PublicPEM(k *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// With changes parameters of the request; a name without "" value pairs up.
func (a *App) With(nameValues ...string) *App {
	for i := 0; i+1 < len(nameValues); i += 2 {
		a.Params.Set(nameValues[i], nameValues[i+1])
	}
	return a
}

// Path is where the app sends the browser.
func (a *App) Path() string { return "/user-api-key/new?" + a.Params.Encode() }

// Ask opens the consent page in p's browser.
func (a *App) Ask(p *Person) Answer { return p.Get(a.Path()) }

// Approve opens the consent page in p's browser and approves.
func (a *App) Approve(p *Person) Answer {
	a.t.Helper()
	page := a.Ask(p).Must(a.t, http.StatusOK)
	return p.Submit(page, "/user-api-key")
}

// Connect has p approve and opens the answer, wherever it came.
func (a *App) Connect(p *Person) *App {
	a.t.Helper()
	answer := a.Approve(p)
	var sealed string
	if to := answer.Header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil {
			a.t.Fatal(err)
		}
		sealed = u.Query().Get("payload")
	} else {
		var ok bool
		if sealed, ok = answer.Text("user-api-key-payload"); !ok {
			a.t.Fatalf("no payload: %d %.1000s", answer.StatusCode, answer.Body)
		}
	}
	padding, err := userkeys.ParsePadding(a.Params.Get("padding"))
	if err != nil {
		a.t.Fatal(err)
	}
	payload, err := userkeys.OpenPayload(a.Private, padding, sealed)
	if err != nil {
		a.t.Fatal(err)
	}
	if payload.Nonce != a.Params.Get("nonce") {
		a.t.Fatalf("nonce %q came back as %q", a.Params.Get("nonce"), payload.Nonce)
	}
	a.Key = payload.Key
	return a
}

// Call calls the API with the app's key.
func (a *App) Call(method, path string, header ...string) Answer {
	a.t.Helper()
	stranger := a.Site.Visitor()
	r := stranger.Request(method, path, "")
	r.Header.Set(userkeys.KeyHeader, a.Key.Reveal())
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return stranger.Do(r)
}

// Try is [App.Call] for a server that may be gone.
func (a *App) Try(method, path string) (Answer, error) {
	stranger := a.Site.Visitor()
	r := stranger.Request(method, path, "")
	r.Header.Set(userkeys.KeyHeader, a.Key.Reveal())
	return stranger.Try(r)
}

// TryConnect is [App.Connect], without a redirect, for a server that may be
// gone. asked tells whether the approval was sent, so that it may have counted.
func (a *App) TryConnect(p *Person) (key userkeys.Key, asked bool, err error) {
	page, err := p.Try(p.Request("GET", a.Path(), ""))
	if err != nil {
		return "", false, err
	}
	form, ok := formOf(page.Body, "/user-api-key")
	if !ok {
		return "", false, fmt.Errorf("no consent page: %d %.300s", page.StatusCode, page.Body)
	}
	answer, err := p.Try(p.form("/user-api-key", form))
	if err != nil {
		return "", true, err
	}
	sealed, ok := answer.Text("user-api-key-payload")
	if !ok {
		return "", true, fmt.Errorf("no payload: %d %.300s", answer.StatusCode, answer.Body)
	}
	payload, err := userkeys.OpenPayload(a.Private, userkeys.PaddingPKCS1, sealed)
	return payload.Key, true, err
}

// IsRefused tells whether the answer is the one of a dead key.
func (a Answer) IsRefused() bool {
	return a.StatusCode == http.StatusForbidden && strings.Contains(a.Body, `"reason":"invalid key"`)
}
