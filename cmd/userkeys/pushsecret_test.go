package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/store"
)

// TestTwoServersWithTwoSecrets: the second server of a site on one Postgres must have the first one's machine secret, else apps
// would be told one push secret and find another's signatures. It says so and does not serve; the first goes on.
func TestTwoServersWithTwoSecrets(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresDB(t)
	dbtest.Open(t, db, store.Postgres)
	dsn := postgresDSN(t, db)
	first, second := t.TempDir(), t.TempDir()
	p := testkit.Serve(t, "--data", first, "--database", dsn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out []byte
	refused := func(says string) {
		t.Helper()
		var err error
		out, err = exec.CommandContext(ctx, testkit.Binary(t), "serve", "--listen", "127.0.0.1:0", "--data", second, "--database", dsn).CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), says) || !strings.Contains(string(out), "give --secret-file the one that its other servers have") {
			t.Fatalf("%v, it said: %s", err, out)
		}
	}
	refused("is missing") // nothing is made that would be wrong
	if err := os.WriteFile(filepath.Join(second, "userkeys.secret"), []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("another machine secret")
	testkit.At(t, p.URL).Visitor().Get("/readyz").Must(t, 200)
	secret, err := os.ReadFile(filepath.Join(first, "userkeys.secret"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), strings.TrimSpace(string(secret))) {
		t.Error("it tells the secret")
	}
	if err := os.WriteFile(filepath.Join(second, "userkeys.secret"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Serve(t, "--data", second, "--database", dsn).Stop(t)
	p.Stop(t)
}
