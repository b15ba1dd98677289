package userkeys_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/server"
)

// TestEmbeddedPagesNameTheirOwnAddress asks an embedder's server by another name: whoever makes somebody send such a
// request would else lead apps, and the people who type a code, to a site of theirs.
func TestEmbeddedPagesNameTheirOwnAddress(t *testing.T) {
	t.Parallel()
	st := dbtest.SQLite(t)
	auth, err := authority.New(t.Context(), authority.Config{
		Store: st,
	})
	must(t, err)
	if _, err := server.New(server.Config{Authority: auth, Identity: sessions{}}); err == nil || !strings.Contains(err.Error(), "BaseURL") {
		t.Errorf("a server without an address: %v", err)
	}
	base, err := url.Parse("https://www.example")
	must(t, err)
	pages, err := server.New(server.Config{Authority: auth, Identity: sessions{}, BaseURL: base, Endpoints: true, Users: st})
	must(t, err)
	mux := http.NewServeMux()
	pages.Mount(mux)
	device, err := json.Marshal(map[string]string{
		"application_name": "Notifier", "client_id": "installation 1", "scopes": "read", "nonce": "7f9d", "public_key": testPublicKey, "padding": "oaep",
	})
	must(t, err)
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/user-api-key/device.json", string(device), `"verification_uri":"https://www.example/user-api-key/activate"`},
		{"GET", "/.well-known/user-api-key", "", `"https://www.example/user-api-key/new"`},
		{"GET", "/site/basic-info.json", "", `"https://www.example/user-api-key/assets/`},
		{"GET", "/my/apps", "", ""},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Host = "evil.example"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if answer := w.Body.String(); w.Code >= 400 || !strings.Contains(answer, tt.want) {
			t.Errorf("%s: %d %s", tt.path, w.Code, answer)
		}
		var head strings.Builder
		must(t, w.Header().Write(&head))
		if strings.Contains(head.String()+w.Body.String(), "evil.example") {
			t.Errorf("%s makes an address of the header Host:\n%s%s", tt.path, &head, w.Body)
		}
	}
}
