package appcmd

import (
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli/clitest"
)

// TestT31ReceiverBelievesALoginForItsSite: the secret of a login speaks for its own site and client alone; one of --secret for all.
func TestT31ReceiverBelievesALoginForItsSite(t *testing.T) {
	pair, err := client.NewKeyPair(2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := userkeys.NewPushSecret([]byte(strings.Repeat("m", 32)), 1, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	site := clitest.NewPushSite(t, pair, secret, 200)
	store := clitest.StoreKeys(t)
	if _, err := store.Add(&client.Credential{Site: site.URL, ClientID: "c1", Key: clitest.Key, Scopes: userkeys.Scopes{"read"}, Push: true, KeyPair: pair}); err != nil {
		t.Fatal(err)
	}
	c := &receive{sites: []string{site.URL}}
	cmd := newReceiveCommand()
	cmd.SetContext(t.Context())
	find, err := c.findSecrets(cmd)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, site, client string
		found              int
	}{
		{"its own", site.URL, "c1", 1},
		{"another client", site.URL, "c2", 0},
		{"another site", "https://other.example", "c1", 0},
	} {
		if got, err := find(tt.site, tt.client); err != nil || len(got) != tt.found {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
	c.secrets = []string{secret.Reveal()}
	if find, err = c.findSecrets(cmd); err != nil {
		t.Fatal(err)
	}
	if got, err := find("https://other.example", "c2"); err != nil || len(got) != 1 {
		t.Errorf("--secret: %v, %v", got, err)
	}
}
