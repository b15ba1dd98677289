package wire_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
)

// An app learns what to ask for before it asks, without being anybody.
func TestDescriptionSaysWhatTheSiteAllows(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: "/.well-known/user-api-key"})
	var d userkeys.Description
	if err := json.Unmarshal([]byte(a.Text), &d); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", a.StatusCode, err, a.Text)
	}
	settings := f.Authority.Settings()
	if len(d.Scopes) != len(settings.AllowUserAPIKeyScopes) || d.Scopes[0].Name != settings.AllowUserAPIKeyScopes[0] {
		t.Errorf("scopes %+v, want those of the site", d.Scopes)
	}
	if d.Limits.PerMinute != 20 || d.Limits.PerDay != 2880 || !d.Open || d.APIVersion != 4 {
		t.Errorf("%+v", d)
	}
	slices.Sort(d.Redirects.Schemes)
	if !d.Redirects.Loopback || strings.Join(d.Redirects.Schemes, " ") != "discourse https" {
		t.Errorf("redirects %+v", d.Redirects)
	}
	if d.Endpoints["authorization"] != "https://site.example/user-api-key/new" || d.Endpoints["device_authorization"] == "" {
		t.Errorf("endpoints %+v", d.Endpoints)
	}
	for _, secret := range []string{"auth_redirect\":\"", "api.discourse.org"} {
		if strings.Contains(a.Text, secret) {
			t.Errorf("the description tells strangers %q", secret)
		}
	}
}

// What is switched off is not offered.
func TestDescriptionFollowsTheSettings(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for name, value := range map[string]string{
		"allow_user_api_key_device_auth": "false", "allow_user_api_keys": "false", "max_user_api_reqs_per_user_per_minute": "0",
		"allow_user_api_key_loopback_redirects": "false", "allow_user_api_key_oaep_256": "false",
	} {
		f.Set(name, value)
	}
	a := f.Do(fakesite.Call{Path: "/.well-known/user-api-key"})
	for _, must := range []string{`"device_flow":false`, `"open":false`, `"loopback":false`} {
		if !strings.Contains(a.Text, must) {
			t.Errorf("the description lacks %s: %s", must, a.Text)
		}
	}
	for _, mustNot := range []string{"device.json", "user_per_minute", "oaep-256"} {
		if strings.Contains(a.Text, mustNot) {
			t.Errorf("the description offers %s: %s", mustNot, a.Text)
		}
	}
}
