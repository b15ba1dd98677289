package sitedata

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/internal/cli/clitest"
	"userkeys/store"
)

// TestManagingCommandsKeepOffAnotherVersionsSchema: a server of another version
// may be running on it.
func TestManagingCommandsKeepOffAnotherVersionsSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := new(Options).openStore(t.Context(), db, store.SQLite); !errors.Is(err, userkeys.NotFound) {
		t.Fatalf("an empty database is no site: %v", err)
	}
	st, err := (&Options{init: true}).openStore(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatalf("an empty database gets its schema: %v", err)
	}
	if _, err := new(Options).openStore(t.Context(), db, store.SQLite); err != nil {
		t.Fatalf("again: %v", err)
	}
	_, ours, err := st.SchemaVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO userkeys_migrations (version_id, is_applied) VALUES ($1, 1)", ours+1); err != nil {
		t.Fatal(err)
	}
	before, _, err := st.SchemaVersion(t.Context())
	if err != nil || before != ours+1 {
		t.Fatalf("the test's own database has version %d, %v", before, err)
	}
	var o Options
	cmd := &cobra.Command{RunE: o.With(func(*cobra.Command, *Data, []string) error { return nil })}
	o.AddFlags(cmd.Flags())
	got := clitest.Execute(t, cmd, "", "--data", dir)
	if got.Code == 0 || !strings.Contains(got.Err, fmt.Sprint("schema version ", ours+1)) || !strings.Contains(got.Err, fmt.Sprint("this program's ", ours)) {
		t.Errorf("code %d, said %q; want a refusal with both versions", got.Code, got.Err)
	}
	if after, _, err := st.SchemaVersion(t.Context()); err != nil || after != before {
		t.Errorf("the schema went from version %d to %d, %v", before, after, err)
	}
}
