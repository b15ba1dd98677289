// Package clitest runs commands in tests, with keys of the test's own.
package clitest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

// Key is the key of the sites of tests.
const Key = "0123456789abcdef0123456789abcdef"

// An Outcome is what a command ended with.
type Outcome struct {
	Code     int
	Out, Err string
}

// Execute runs a command as main does.
func Execute(t *testing.T, cmd *cobra.Command, in string, args ...string) Outcome {
	t.Helper()
	cli.Understand(cmd)
	var out, errs bytes.Buffer
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	o := Outcome{Code: cli.ExitCode(err), Out: out.String(), Err: errs.String()}
	if err != nil {
		o.Err += err.Error()
	}
	if strings.Contains(o.Out+o.Err, Key) {
		t.Errorf("the key was printed:\n%s\n%s", o.Out, o.Err)
	}
	return o
}

// StoreKeys writes keys for sites into a folder of the test's own. Tests that use it set the
// environment, so they do not run in parallel.
func StoreKeys(t *testing.T, sites ...string) *keystore.Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	t.Setenv("USERKEYS_CONFIG_DIR", dir)
	t.Setenv("USERKEYS_KEYSTORE", "plain")
	store := keystore.Open(keystore.Config{Dir: dir, Keeping: keystore.Plain})
	for _, site := range sites {
		if _, err := store.Add(&client.Credential{
			Site: site, ClientID: "c1", Key: Key,
			Scopes: userkeys.Scopes{"read"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// Stored are the accounts that are stored.
func Stored(t *testing.T, store *keystore.Store) keystore.Accounts {
	t.Helper()
	all, err := store.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// NewPushSite is a site that gives the holder of appTestKey the secret of its pushes, sealed to pair.
func NewPushSite(t *testing.T, pair *client.KeyPair, secret userkeys.PushSecret, status int) *httptest.Server {
	t.Helper()
	public, err := userkeys.ParsePublicKey(pair.PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method+r.URL.Path != "GET"+userkeys.PushSecretPath || r.Header.Get(userkeys.KeyHeader) != Key:
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
