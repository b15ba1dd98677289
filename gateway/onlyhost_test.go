package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestOnlyHost(t *testing.T) {
	t.Parallel()
	h := OnlyHost(&url.URL{Scheme: "https", Host: "Site.example"}, identities)
	for host, want := range map[string]int{
		"site.example": 200, "SITE.example.:8080": 200, "localhost:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200,
		"attacker.example": http.StatusMisdirectedRequest, "site.example.attacker.example": http.StatusMisdirectedRequest,
		"127.0.0.1.attacker.example": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/x", "/healthz"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != want && path == "/x" || path == "/healthz" && w.Code != 200 {
				t.Errorf("%s at %q: %d, want %d", path, host, w.Code, want)
			}
		}
	}
}
