package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// ConnectSecret is the secret that the site shares with the provider of DiscourseConnect.
const ConnectSecret = "d836444a9e4084d5b224a60c208dce14"

// Connect is a provider of DiscourseConnect.
type Connect struct {
	URL string

	mu  sync.Mutex
	who url.Values
	lie func(callback *string, payload url.Values)
}

// NewConnect starts a provider that ends with the test.
func NewConnect(t testing.TB) *Connect {
	t.Helper()
	p := &Connect{lie: func(*string, url.Values) {}}
	server := httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(server.Close)
	p.URL = server.URL + "/sso"
	return p
}

// SignsIn has the provider name somebody from now on, with fields as name and value.
func (p *Connect) SignsIn(externalID string, nameValues ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.who = url.Values{"external_id": {externalID}}
	for i := 0; i+1 < len(nameValues); i += 2 {
		p.who.Set(nameValues[i], nameValues[i+1])
	}
}

// Lies has a test change what the provider says before it signs; nil ends that.
func (p *Connect) Lies(lie func(callback *string, payload url.Values)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lie = lie; lie == nil {
		p.lie = func(*string, url.Values) {}
	}
}

func (p *Connect) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	asked, err := base64.StdEncoding.DecodeString(q.Get("sso"))
	request, err2 := url.ParseQuery(string(asked))
	if err != nil || err2 != nil || SignConnect(q.Get("sso")) != q.Get("sig") || request.Get("nonce") == "" {
		http.Error(w, "the request is not signed", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	payload := maps.Clone(p.who)
	payload.Set("nonce", request.Get("nonce"))
	payload.Set("return_sso_url", request.Get("return_sso_url"))
	callback := request.Get("return_sso_url")
	p.lie(&callback, payload)
	text := base64.StdEncoding.EncodeToString([]byte(payload.Encode()))
	http.Redirect(w, r, callback+"?"+url.Values{"sso": {text}, "sig": {SignConnect(text)}}.Encode(), http.StatusFound)
}

// SignConnect signs a payload of DiscourseConnect.
func SignConnect(payload string) string {
	mac := hmac.New(sha256.New, []byte(ConnectSecret))
	_, _ = mac.Write([]byte(payload)) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}
