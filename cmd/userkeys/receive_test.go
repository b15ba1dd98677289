package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/testkit/nettest"
)

// pushRequest is a push as a site sends it now; without a secret it is not signed.
func pushRequest(address, id string, body []byte, secrets ...userkeys.PushSecret) (*http.Request, error) {
	r, err := http.NewRequest("POST", address, strings.NewReader(string(body)))
	if err != nil || len(secrets) == 0 {
		return r, err
	}
	h, err := userkeys.SignPush(id, time.Now(), body, secrets...)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(userkeys.PushIDHeader, h.ID)
	r.Header.Set(userkeys.PushTimestampHeader, h.Timestamp)
	r.Header.Set(userkeys.PushSignatureHeader, h.Signature)
	return r, nil
}

// scriptPush sends a file as a push, and wants a status. SECRET is a file, or - for a push that is not signed. The
// receiver has a while to start.
func scriptPush(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 5 || len(args) == 6, "push STATUS ADDRESS SECRET ID FILE [RETRY-AFTER]")
	var secrets []userkeys.PushSecret
	if args[2] != "-" {
		s, err := userkeys.ParsePushSecret(ts.ReadFile(args[2]))
		ts.Check(err)
		secrets = append(secrets, s)
	}
	body := []byte(ts.ReadFile(args[4]))
	var resp *http.Response
	for deadline := time.Now().Add(nettest.Patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := pushRequest("http://"+args[1], args[3], body, secrets...)
		ts.Check(err)
		if resp, err = http.DefaultTransport.RoundTrip(r); err == nil {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.HasPrefix(resp.Status, args[0]) {
		ts.Fatalf("answered %s: %s", resp.Status, said)
	}
	if len(args) == 6 && resp.Header.Get("Retry-After") != args[5] {
		ts.Fatalf("Retry-After is %q", resp.Header.Get("Retry-After"))
	}
}

// newPushSite is a site that gives the holder of appTestKey the secret of its pushes, sealed to pair.
func newPushSite(t *testing.T, pair *client.KeyPair, secret userkeys.PushSecret, status int) *httptest.Server {
	t.Helper()
	public, err := userkeys.ParsePublicKey(pair.PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method+r.URL.Path != "GET"+userkeys.PushSecretPath || r.Header.Get(userkeys.KeyHeader) != appTestKey:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(userkeys.ErrInvalidKey.JSON())
		case status != 200:
			w.WriteHeader(status)
			_, _ = w.Write(userkeys.Errorf(userkeys.InvalidAccess, "%s", userkeys.NotPermitted).JSON())
		default:
			sealed, err := userkeys.SealPushSecret(public, userkeys.PaddingOAEP, secret)
			if err != nil {
				t.Error(err)
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"payload": sealed}) // to a recorder of the test
		}
	}))
	t.Cleanup(s.Close)
	return s
}

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
		{"not as a header", 200, true, []string{"--header"}, exitUsage, "choose --header or --push-secret"},
		{"a site that signs nothing", 404, true, nil, exitRefused, "it is a Discourse, which does not sign its pushes"},
		{"a key without push", 403, true, nil, exitForbidden, "an administrator adds the push URL to allowed_user_api_push_urls, then log in again: userkeys login "},
		{"a site that is out", 500, true, nil, exitServer, "the trouble is the site's"},
		{"a key whose key pair is not kept", 200, false, nil, exitFailure, "log in again: userkeys login "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := newPushSite(t, pair, secret, tt.status)
			store := storeKeys(t)
			cred := &client.Credential{Site: site.URL, ClientID: "c1", Key: appTestKey, Scopes: userkeys.Scopes{"read"}, Push: tt.push, KeyPair: pair, Padding: userkeys.PaddingOAEP}
			if _, err := store.Add(cred); err != nil {
				t.Fatal(err)
			}
			o := execute(t, newKeyCommand(), "", append([]string{site.URL, "--push-secret"}, tt.args...)...)
			if o.code != tt.code || !strings.Contains(o.out+o.err, tt.says) {
				t.Errorf("%+v; want %d, %q", o, tt.code, tt.says)
			}
		})
	}
}

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
	site := newPushSite(t, pair, secret, 200)
	store := storeKeys(t)
	if _, err := store.Add(&client.Credential{Site: site.URL, ClientID: "c1", Key: appTestKey, Scopes: userkeys.Scopes{"read"}, Push: true, KeyPair: pair}); err != nil {
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

func TestLoginWithAPushURL(t *testing.T) {
	keys := storeKeys(t)
	site := newAppSite(t)
	var page string
	o := execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--scopes", "push,session_info", "--push-url", "https://push.example/p")
	if o.code != 0 || !strings.Contains(o.out, "push_url=https%3A%2F%2Fpush.example%2Fp") || !strings.Contains(o.err, "will push nothing: an administrator has to add https://push.example/p") {
		t.Fatalf("%+v", o)
	}
	if _, err := keys.Add(&client.Credential{Site: site.URL, Username: "alice", ClientID: "c1", Key: appTestKey, Scopes: userkeys.Scopes{"push"}, Push: true}); err != nil {
		t.Fatal(err)
	}
	if o = execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL); !strings.Contains(o.err, "the new one will have none; --push-url asks for it") {
		t.Errorf("%+v", o)
	}
}
