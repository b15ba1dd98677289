package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"userkeys"
)

func TestWantsJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, accept, with string
		want               bool
	}{
		{"/x", "", "", false},
		{"/x", "*/*", "", false},
		{"/x", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", false},
		{"/x", "application/json", "", true},
		{"/x", "application/json; charset=utf-8", "", true},
		{"/x", "Application/JSON", "", true},
		{"/x", "application/json, text/javascript", "", true},
		{"/x", "application/json, text/javascript, */*; q=0.01", "", false},
		{"/x", "application/json, text/javascript, */*; q=0.01", "XMLHttpRequest", true},
		{"/x", "text/html, application/json", "", false},
		{"/x.json", "text/html", "", true},
		{"/x", "application/json, text/plain, */*", "", false},
		{"/x", "application/problem+json", "", false},
		{"/x", "text/html", "xmlhttprequest", true},
		{"/x", "text/html", "key", true},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Header.Set("Accept", tt.accept)
		r.Header.Set("X-Requested-With", tt.with)
		if tt.with == "key" {
			r.Header.Set(userkeys.KeyHeader, "x")
		}
		if got := WantsJSON(r); got != tt.want {
			t.Errorf("%s %q %q: %v, want %v", tt.path, tt.accept, tt.with, got, tt.want)
		}
	}
}
