package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/store"
)

// TestManagingCommandsKeepOffAnotherVersionsSchema: a server of another version
// may be running on it.
func TestManagingCommandsKeepOffAnotherVersionsSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := openSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := openStore(t.Context(), db, store.SQLite); !errors.Is(err, userkeys.NotFound) {
		t.Fatalf("an empty database is no site: %v", err)
	}
	st, err := makeStore(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatalf("an empty database gets its schema: %v", err)
	}
	if _, err := openStore(t.Context(), db, store.SQLite); err != nil {
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
	o := execute(t, newSettingsCommand(), "", "list", "--data", dir)
	if o.code == 0 || !strings.Contains(o.err, fmt.Sprint("schema version ", ours+1)) || !strings.Contains(o.err, fmt.Sprint("this program's ", ours)) {
		t.Errorf("code %d, said %q; want a refusal with both versions", o.code, o.err)
	}
	if after, _, err := st.SchemaVersion(t.Context()); err != nil || after != before {
		t.Errorf("the schema went from version %d to %d, %v", before, after, err)
	}
}

// commandsOnASite are commands that work on a site's data, and make none.
var commandsOnASite = [][]string{
	{"user", "add", "alice", "--password-stdin"},
	{"user", "list"},
	{"user", "set", "alice", "--admin"},
	{"user", "suspend", "alice"},
	{"settings", "list"},
	{"settings", "get", "title"},
	{"settings", "set", "title", "Forum"},
	{"settings", "reset", "title"},
	{"settings", "preset", "discourse"},
	{"keys", "list"},
	{"keys", "revoke", "1"},
	{"admin-keys", "list"},
	{"admin-keys", "add", "--description", "x"},
	{"notify", "alice", "--title", "x"},
	{"deliveries", "list"},
	{"deliveries", "hosts"},
	{"deliveries", "discard", "--all"},
}

// A mistyped --data must not become an empty site: what is written there would be in force nowhere.
func TestCommandsRefuseAFolderWithoutASite(t *testing.T) {
	t.Parallel()
	for _, args := range commandsOnASite {
		dir := filepath.Join(t.TempDir(), "typo")
		o := execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--data", dir)...)
		if o.code != 1 || !strings.Contains(o.err, "there is no site in "+dir+"; name its folder with --data") {
			t.Errorf("%q ends with %d: %s", args, o.code, o.err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q made the folder", args)
		}
	}
	for _, args := range [][]string{
		{"user", "add", "alice", "--password-stdin", "--init"},
		{"settings", "set", "title", "Forum", "--init"},
		{"settings", "preset", "discourse", "--init"},
		{"migrate"},
	} {
		dir := filepath.Join(t.TempDir(), "new")
		if o := execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--data", dir)...); o.code != 0 {
			t.Errorf("%q makes no site: %s", args, o.err)
		}
		if o := execute(t, newRootCommand(), "", "user", "list", "--data", dir); o.code != 0 {
			t.Errorf("after %q: %s", args, o.err)
		}
	}
}

// An empty PostgreSQL database is as good as a mistyped folder.
func TestCommandsRefuseAnEmptyPostgres(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresDB(t)
	dsn := postgresDSN(t, db)
	for _, args := range commandsOnASite {
		o := execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--database", dsn)...)
		if o.code != 1 || !strings.Contains(o.err, "there is no site in this database") {
			t.Errorf("%q ends with %d: %s", args, o.code, o.err)
		}
	}
	var tables int
	if err := db.QueryRow("SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables were made, %v", tables, err)
	}
	if o := execute(t, newRootCommand(), testkit.Password+"\n", "user", "add", "alice", "--password-stdin", "--init", "--database", dsn); o.code != 0 {
		t.Errorf("--init makes no site: %s", o.err)
	}
	if o := execute(t, newRootCommand(), "", "user", "list", "--database", dsn); o.code != 0 {
		t.Errorf("after --init: %s", o.err)
	}
}
