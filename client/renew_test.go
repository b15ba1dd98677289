package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
)

func TestRenew(t *testing.T) {
	t.Parallel()
	public, err := userkeys.ParsePublicKey(testPair().PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	const fresh = userkeys.Key("fedcba9876543210fedcba9876543210")
	end := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		padding userkeys.Padding // of the site
		nonce   string           // instead of the right one
		status  int
		says    string // the error; empty: none
	}{
		{"with OAEP", userkeys.PaddingOAEP, "", 200, ""},
		{"from a site that seals with PKCS#1", userkeys.PaddingPKCS1, "", 200, ""},
		{"an answer to another request", userkeys.PaddingOAEP, "other", 200, "answers another request"},
		{"a site that does not renew", "", "", 404, "404"},
		{"a key at its maximum", "", "", 409, "approve the app again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if tt.status != 200 {
					w.WriteHeader(tt.status)
					_, _ = w.Write(userkeys.Errorf(userkeys.Conflict, "approve the app again").JSON())
					return
				}
				if r.Method+r.URL.Path != "POST/user-api-key/renew.json" || r.Header.Get(userkeys.KeyHeader) != testKey.Reveal() {
					t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
				}
				p := userkeys.Payload{Key: fresh, Nonce: r.FormValue("nonce"), API: 4, ExpiresAt: end}
				if tt.nonce != "" {
					p.Nonce = tt.nonce
				}
				sealed, err := p.Seal(public, tt.padding)
				if err != nil {
					t.Error(err)
				}
				_, _ = w.Write([]byte(mustJSON(map[string]string{"payload": sealed})))
			}))
			t.Cleanup(s.Close)
			old := &client.Credential{Site: s.URL, Key: testKey, ClientID: "c", Scopes: userkeys.Scopes{"read"}, Username: "alice", API: 4, KeyPair: testPair()}
			renewed, err := old.Renew(t.Context(), nil)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if renewed.Key != fresh || !renewed.ExpiresAt.Equal(end) || renewed.ClientID != "c" || renewed.Username != "alice" || old.Key != testKey {
				t.Errorf("renewed %+v from %+v", renewed, old)
			}
		})
	}
	if _, err := (&client.Credential{Site: "https://a.example"}).Renew(t.Context(), nil); err == nil {
		t.Error("renewed without a key pair")
	}
}

func TestRenewalDue(t *testing.T) {
	t.Parallel()
	issued := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &client.Credential{ExpiresAt: issued.Add(90 * time.Hour), KeyPair: testPair()}
	for hours, want := range map[int]bool{0: false, 59: false, 60: true, 89: true, 90: false, 200: false} {
		if got := c.RenewalDue(issued, issued.Add(time.Duration(hours)*time.Hour)); got != want {
			t.Errorf("after %d of 90 hours: %v, want %v", hours, got, want)
		}
	}
	if (&client.Credential{KeyPair: testPair()}).RenewalDue(issued, issued.Add(time.Hour)) {
		t.Error("a key without an end is to be renewed")
	}
	c.KeyPair = nil
	if c.RenewalDue(issued, issued.Add(60*time.Hour)) {
		t.Error("a key that cannot be renewed is to be renewed")
	}
}
