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
	"userkeys/internal/doctor"
	"userkeys/internal/keystore"
)

// scriptStoreKey has a user give this program a key, and keeps it in the key store of the script.
func scriptStoreKey(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 2, "storekey USER SCOPES")
	s := scriptSite(ts)
	scopes, err := userkeys.ParseScopes(args[1])
	ts.Check(err)
	store := keystore.Open(keystore.Config{Dir: ts.Getenv(configDirEnv), Keeping: keystore.Plain})
	id, err := store.ClientID()
	ts.Check(err)
	key := s.App(id, args[1]).Connect(s.Person(args[0])).Key
	_, err = store.Add(&client.Credential{Site: s.URL, Key: key, ClientID: id, Scopes: scopes, Username: args[0], API: 4})
	ts.Check(err)
	ts.Setenv("KEY", key.Reveal())
}

func TestDoctorJSON(t *testing.T) {
	t.Setenv(configDirEnv, t.TempDir())
	wall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "\u202ered<&>")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(wall.Close)
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"doctor", wall.URL, "--json"}, strings.NewReader(""), &out, &errs); code != exitFailure {
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

func TestDoctorMarks(t *testing.T) {
	t.Parallel()
	findings := []doctor.Finding{
		{Check: doctor.CheckAddress, State: doctor.OK, Says: "a"},
		{Check: doctor.CheckClock, State: doctor.Warning, Says: "b", Advice: "c"},
		{Check: doctor.CheckTLS, State: doctor.Problem, Says: "d"},
		{Check: doctor.CheckScope, State: doctor.Skipped, Says: "e"},
		{Check: doctor.CheckTrust, State: doctor.Skipped, Says: "e"},
	}
	tests := []struct {
		name  string
		color bool
		want  string
	}{
		{"plain", false, "ok address     a\n!  clock       b\n                -> c\nx  tls         d\n-  ...         scope, trust: e\n\nproblems: 1, warnings: 1 (requests sent: 3)\n"},
		{"colored", true, "\x1b[31mx \x1b[0m tls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			d := &examining{out: &out, color: tt.color}
			if err := d.print(findings, 3); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %q, want %q in it", out.String(), tt.want)
			}
		})
	}
}
