package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/cli/clitest"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
)

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
		o := clitest.Execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--data", dir)...)
		if o.Code != 1 || !strings.Contains(o.Err, "there is no site in "+dir+"; name its folder with --data") {
			t.Errorf("%q ends with %d: %s", args, o.Code, o.Err)
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
		if o := clitest.Execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--data", dir)...); o.Code != 0 {
			t.Errorf("%q makes no site: %s", args, o.Err)
		}
		if o := clitest.Execute(t, newRootCommand(), "", "user", "list", "--data", dir); o.Code != 0 {
			t.Errorf("after %q: %s", args, o.Err)
		}
	}
}

// An empty PostgreSQL database is as good as a mistyped folder.
func TestCommandsRefuseAnEmptyPostgres(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresDB(t)
	dsn := postgresDSN(t, db)
	for _, args := range commandsOnASite {
		o := clitest.Execute(t, newRootCommand(), testkit.Password+"\n", append(args, "--database", dsn)...)
		if o.Code != 1 || !strings.Contains(o.Err, "there is no site in this database") {
			t.Errorf("%q ends with %d: %s", args, o.Code, o.Err)
		}
	}
	var tables int
	if err := db.QueryRow("SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables were made, %v", tables, err)
	}
	if o := clitest.Execute(t, newRootCommand(), testkit.Password+"\n", "user", "add", "alice", "--password-stdin", "--init", "--database", dsn); o.Code != 0 {
		t.Errorf("--init makes no site: %s", o.Err)
	}
	if o := clitest.Execute(t, newRootCommand(), "", "user", "list", "--database", dsn); o.Code != 0 {
		t.Errorf("after --init: %s", o.Err)
	}
}
