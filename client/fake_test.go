package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/client"
)

// testPair is one small key pair for all tests: making one takes long.
var testPair = sync.OnceValue(func() *client.KeyPair {
	k, err := client.NewKeyPair(2048)
	if err != nil {
		panic(err)
	}
	return k
})

const testKey = userkeys.Key("0123456789abcdef0123456789abcdef")

// fakeSite is a site whose person always approves.
type fakeSite struct {
	*httptest.Server
	mu      sync.Mutex
	asked   url.Values   // of the last authorization
	headers http.Header  // of the last call to the API
	nonce   string       // put into the answer instead of the right one, if set
	padding string       // used instead of the one asked for, if set
	key     userkeys.Key // handed out
}

func newFakeSite(t testing.TB) *fakeSite {
	s := &fakeSite{key: testKey}
	mux := http.NewServeMux()
	mux.HandleFunc("HEAD /user-api-key/new", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Auth-Api-Version", "4")
		w.Header().Set("Auth-Api-Device-Code", "true")
	})
	mux.HandleFunc("GET /user-api-key/new", s.approve)
	mux.HandleFunc("GET /user-api-key/new.json", s.askFirst)
	mux.HandleFunc("POST /user-api-key/revoke", s.api(`{"success":"OK"}`))
	mux.HandleFunc("GET /session/current.json", s.api(`{"current_user":{"id":1,"username":"alice"}}`))
	s.Server = httptest.NewServer(mux)
	if t != nil {
		t.Cleanup(s.Close)
	}
	return s
}

func (s *fakeSite) approve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	s.asked = q
	s.mu.Unlock()
	sealed := s.seal(q)
	if to := q.Get("auth_redirect"); to != "" {
		http.Redirect(w, r, to+"?payload="+url.QueryEscape(sealed), http.StatusFound)
		return
	}
	_, _ = w.Write([]byte(sealed))
}

// askFirst answers a program that looks whether its request would be put to a person.
func (s *fakeSite) askFirst(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, ".json") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(userkeys.Errorf(userkeys.NotLoggedIn, "sign in").JSON())
}

func (s *fakeSite) seal(q url.Values) string {
	public, err := userkeys.ParsePublicKey(q.Get("public_key"))
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := userkeys.Payload{Key: s.key, Nonce: q.Get("nonce"), API: 4}
	if s.nonce != "" {
		p.Nonce = s.nonce
	}
	padding := q.Get("padding")
	if s.padding != "" {
		padding = s.padding
	}
	if padding == "" {
		padding = string(userkeys.PaddingPKCS1)
	}
	text, err := p.Seal(public, userkeys.Padding(padding))
	if err != nil {
		panic(err)
	}
	return text
}

func (s *fakeSite) api(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.headers = r.Header.Clone()
		key := s.key
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get(userkeys.KeyHeader) != key.Reveal() {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(userkeys.ErrInvalidKey.JSON())
			return
		}
		_, _ = w.Write([]byte(body))
	}
}

func (s *fakeSite) lastHeaders() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers
}

func (s *fakeSite) request() client.Request {
	return client.Request{
		Site: s.URL, ApplicationName: "Test app", ClientID: "installation 1",
		Scopes: userkeys.Scopes{"read"}, KeyPair: testPair(),
	}
}

// begin starts an authorization and returns it with the site's sealed answer.
func (s *fakeSite) begin(t *testing.T, r client.Request) (*client.Authorization, string) {
	t.Helper()
	a, err := client.Begin(r)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	return a, s.seal(u.Query())
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
