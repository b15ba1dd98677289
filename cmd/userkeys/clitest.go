package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"github.com/spf13/cobra"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
)

const appTestKey = "0123456789abcdef0123456789abcdef"

type outcome struct {
	code     int
	out, err string
}

// execute runs a command as main does.
func execute(t *testing.T, cmd *cobra.Command, in string, args ...string) outcome {
	t.Helper()
	understandAll(cmd)
	var out, errs bytes.Buffer
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	o := outcome{out: out.String(), err: errs.String()}
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		o.code = coded.ExitCode()
	case err != nil:
		o.code = 1
	}
	if err != nil {
		o.err += err.Error()
	}
	if strings.Contains(o.out+o.err, appTestKey) {
		t.Errorf("the key was printed:\n%s\n%s", o.out, o.err)
	}
	return o
}

// storeKeys writes keys for sites into a folder of the test's own. Tests that use it set the
// environment, so they do not run in parallel.
func storeKeys(t *testing.T, sites ...string) *keystore.Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	t.Setenv("USERKEYS_CONFIG_DIR", dir)
	t.Setenv("USERKEYS_KEYSTORE", "plain")
	store := keystore.Open(keystore.Config{Dir: dir, Keeping: keystore.Plain})
	for _, site := range sites {
		if _, err := store.Add(&client.Credential{Site: site, ClientID: "c1", Key: appTestKey, Scopes: userkeys.Scopes{"read"}}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// stored are the accounts that are stored.
func stored(t *testing.T, store *keystore.Store) keystore.Accounts {
	t.Helper()
	all, err := store.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	return all
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
