package admin

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"userkeys/server/input"
)

func TestRD35_PublicSuffixWarnings(t *testing.T) {
	t.Parallel()
	for rule, warned := range map[string]bool{
		"https://*.github.io/*": true, "https://*.co.uk/cb": true, "https://*.GitHub.io": true,
		"https://*.example.com/*": false, "https://me.github.io/*": false, "https://*.me.github.io/*": false,
		"https://*.chromiumapp.org/x": false, "https://*.internal/*": false, "discourse://auth_redirect": false,
	} {
		if got := len(publicSuffixWarnings([]string{rule})) > 0; got != warned {
			t.Errorf("%s: warned %v, want %v", rule, got, warned)
		}
	}
}

// FuzzNotify: whatever is sent is read or refused.
func FuzzNotify(f *testing.F) {
	for _, s := range []string{`{}`, `{"username":"a","title":"t"}`, `{"usernames":["a"],"notification_type":1,"data":{}}`, `{"push":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		if o, err := input.ReadObject(httptest.NewRecorder(), r, maxNotifyBody); err == nil {
			_, _ = parseNotify(o) // must not panic
		}
	})
}
