// Package provider has providers that sign people in, for tests: an OpenID provider and one of DiscourseConnect. Each
// signs in whomever the test says, asks nobody anything, and can be told to lie.
package provider

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientID and ClientSecret are what the OpenID provider knows the site by.
const (
	ClientID     = "the site"
	ClientSecret = "the secret of the site"
)

// OIDC is an OpenID provider.
type OIDC struct {
	Issuer string
	Key    *rsa.PrivateKey

	mu      sync.Mutex
	claims  map[string]any
	lie     func(*Answer)
	codes   map[string]url.Values // the requests that codes were given for
	fetched int                   // how often its keys were fetched
	now     func() time.Time
}

// Answer is what the provider is about to say; a test may change it.
type Answer struct {
	Callback url.Values // of the redirect
	Claims   map[string]any
	Key      any // that signs; *rsa.PrivateKey or bytes
	KeyID    string
	Alg      jose.SignatureAlgorithm
	Token    string // set: sent in place of what is signed
}

// NewOIDC starts a provider that ends with the test.
func NewOIDC(t testing.TB, now func() time.Time) *OIDC {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &OIDC{Key: key, codes: map[string]url.Values{}, now: now, claims: map[string]any{}, lie: func(*Answer) {}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.describe)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /keys", p.keys)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

// SignsIn has the provider name somebody from now on, with claims as name and value.
func (p *OIDC) SignsIn(subject string, nameValues ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = map[string]any{"sub": subject}
	for i := 0; i+1 < len(nameValues); i += 2 {
		p.claims[nameValues[i].(string)] = nameValues[i+1]
	}
}

// Lies has a test change what the provider says; nil ends that.
func (p *OIDC) Lies(lie func(*Answer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lie = lie; lie == nil {
		p.lie = func(*Answer) {}
	}
}

// KeysFetched is how often the provider's keys were asked for.
func (p *OIDC) KeysFetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

func (p *OIDC) describe(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (p *OIDC) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.fetched++
	p.mu.Unlock()
	key := jose.JSONWebKey{Key: &p.Key.PublicKey, KeyID: "one", Algorithm: "RS256", Use: "sig"}
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
}

// authorize gives a code at once.
func (p *OIDC) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" ||
		q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "not a request of the code flow with PKCE, state and nonce", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = q
	a := Answer{Callback: url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer}}}
	p.lie(&a)
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+a.Callback.Encode(), http.StatusSeeOther)
}

func (p *OIDC) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, basic := r.BasicAuth()
	asked, known := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	secret, _ = url.QueryUnescape(secret)
	id, _ = url.QueryUnescape(id)
	if !basic || id != ClientID || secret != ClientSecret || !known ||
		asked.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]string{"error": "invalid_grant"})
		return
	}
	a := Answer{Key: p.Key, KeyID: "one", Alg: jose.RS256, Claims: map[string]any{
		"iss": p.Issuer, "aud": ClientID, "iat": p.now().Unix(), "exp": p.now().Add(5 * time.Minute).Unix(),
		"nonce": asked.Get("nonce"),
	}}
	for name, value := range p.claims {
		a.Claims[name] = value
	}
	p.lie(&a)
	if a.Token == "" {
		a.Token = a.sign()
	}
	writeJSON(w, map[string]any{"access_token": "not used", "token_type": "Bearer", "id_token": a.Token})
}

func (a Answer) sign() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: a.Alg, Key: a.Key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", a.KeyID))
	if err != nil {
		return err.Error()
	}
	claims, err := json.Marshal(a.Claims)
	if err != nil {
		return err.Error()
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return err.Error()
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return err.Error()
	}
	return text
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone reads nothing
}
