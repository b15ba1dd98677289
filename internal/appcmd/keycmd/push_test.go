package keycmd

import (
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli"
	"userkeys/internal/cli/clitest"
)

func TestKeyPrintsThePushSecret(t *testing.T) {
	pair, err := client.NewKeyPair(2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := userkeys.NewPushSecret([]byte(strings.Repeat("m", 32)), 1, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		status int
		push   bool // the key was asked for with a push URL
		args   []string
		code   int
		says   string
	}{
		{"the secret", 200, true, nil, 0, secret.Reveal() + "\n"},
		{"as JSON", 200, true, []string{"--json"}, 0, `"push_secret":"` + secret.Reveal() + `"`},
		{"not as a header", 200, true, []string{"--header"}, cli.ExitUsage, "choose --header or --push-secret"},
		{"a site that signs nothing", 404, true, nil, cli.ExitRefused, "it is a Discourse, which does not sign its pushes"},
		{"a key without push", 403, true, nil, cli.ExitForbidden, "an administrator adds the push URL to allowed_user_api_push_urls, then log in again: userkeys login "},
		{"a site that is out", 500, true, nil, cli.ExitServer, "the trouble is the site's"},
		{"a key whose key pair is not kept", 200, false, nil, cli.ExitFailure, "log in again: userkeys login "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := clitest.NewPushSite(t, pair, secret, tt.status)
			store := clitest.StoreKeys(t)
			cred := &client.Credential{Site: site.URL, ClientID: "c1", Key: clitest.Key, Scopes: userkeys.Scopes{"read"}, Push: tt.push, KeyPair: pair, Padding: userkeys.PaddingOAEP}
			if _, err := store.Add(cred); err != nil {
				t.Fatal(err)
			}
			o := clitest.Execute(t, newKeyCommand(), "", append([]string{site.URL, "--push-secret"}, tt.args...)...)
			if o.Code != tt.code || !strings.Contains(o.Out+o.Err, tt.says) {
				t.Errorf("%+v; want %d, %q", o, tt.code, tt.says)
			}
		})
	}
}

func TestLoginWithAPushURL(t *testing.T) {
	keys := clitest.StoreKeys(t)
	site := newAppSite(t)
	var page string
	o := clitest.Execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--scopes", "push,session_info", "--push-url", "https://push.example/p")
	if o.Code != 0 || !strings.Contains(o.Out, "push_url=https%3A%2F%2Fpush.example%2Fp") || !strings.Contains(o.Err, "will push nothing: an administrator has to add https://push.example/p") {
		t.Fatalf("%+v", o)
	}
	if _, err := keys.Add(&client.Credential{Site: site.URL, Username: "alice", ClientID: "c1", Key: clitest.Key, Scopes: userkeys.Scopes{"push"}, Push: true}); err != nil {
		t.Fatal(err)
	}
	if o = clitest.Execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL); !strings.Contains(o.Err, "the new one will have none; --push-url asks for it") {
		t.Errorf("%+v", o)
	}
}
