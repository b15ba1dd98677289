package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
)

// TestDiagnose tells the reasons of a 403 apart that a Discourse does not tell, also on a site in a folder.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	const refusal = `{"errors":["You are not permitted to view the requested resource."],"error_type":"invalid_access"}`
	for _, tt := range []struct {
		name, folder, path string
		alive              bool
		want               string
	}{
		{"a missing scope", "", "/posts.json", true, "missing scope: write"},
		{"a missing scope, in a folder", "/forum", "/posts.json", true, "missing scope: write"},
		{"a key that has ended", "/forum", "/posts.json", false, "invalid key"},
		{"a user who may not do it", "", "/notifications.json", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.alive && strings.HasPrefix(r.URL.Path, tt.folder+"/session/current") {
					_, _ = io.WriteString(w, `{"current_user":{"username":"alice"}}`)
					return
				}
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, refusal)
			}))
			defer site.Close()
			c := &client.Credential{Site: site.URL + tt.folder, Key: testKey, Scopes: userkeys.Scopes{"read"}}
			method := http.MethodGet
			if tt.path == "/posts.json" {
				method = http.MethodPost
			}
			req, err := http.NewRequestWithContext(t.Context(), method, c.Site+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			refused := client.Do(c.Client(nil), req, nil)
			var api *client.APIError
			if got := c.Diagnose(t.Context(), nil, refused); !errors.As(got, &api) || api.Reason != tt.want {
				t.Errorf("Diagnose = %v, want the reason %q", got, tt.want)
			}
		})
	}
	c := &client.Credential{Site: "https://forum.example", Key: testKey, Scopes: userkeys.Scopes{"read"}}
	other := errors.New("another error")
	if c.Diagnose(t.Context(), nil, nil) != nil || c.Diagnose(t.Context(), nil, other) != other {
		t.Error("Diagnose changes what is not a 403")
	}
}
