package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/doctor"
	"userkeys/internal/keystore"
)

// scriptStoreKey has a user give this program a key, and keeps it in the key store of the script.
func scriptStoreKey(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 2, "storekey USER SCOPES")
	s := scriptSite(ts)
	scopes, err := userkeys.ParseScopes(args[1])
	ts.Check(err)
	store := keystore.Open(keystore.Config{Dir: ts.Getenv(appkeys.ConfigDirEnv), Keeping: keystore.Plain})
	id, err := store.ClientID()
	ts.Check(err)
	key := s.App(id, args[1]).Connect(s.Person(args[0])).Key
	_, err = store.Add(&client.Credential{Site: s.URL, Key: key, ClientID: id, Scopes: scopes, Username: args[0], API: 4})
	ts.Check(err)
	ts.Setenv("KEY", key.Reveal())
}

func TestDoctorJSON(t *testing.T) {
	t.Setenv(appkeys.ConfigDirEnv, t.TempDir())
	wall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "\u202ered<&>")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(wall.Close)
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"doctor", wall.URL, "--json"}, streams{strings.NewReader(""), &out, &errs}); code != cli.ExitFailure {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	var got struct {
		Findings []doctor.Finding `json:"findings"`
		Requests int              `json:"requests"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if got.Requests != 1 {
		t.Errorf("%d requests", got.Requests)
	}
	if strings.Contains(out.String(), "\u202e") {
		t.Errorf("the site steers the terminal: %q", out.String())
	}
	for _, f := range got.Findings {
		if f.Check == doctor.CheckProtocol && f.State == doctor.Problem && strings.Contains(f.Says, "red<&>") {
			return
		}
	}
	t.Errorf("no finding about the firewall in %s", out.String())
}
