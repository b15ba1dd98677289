package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

func openSQLite(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestOpenRefusesSQLiteThatCouldLoseWrites(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, replace, with, want string }{
		{"no pragma at all", "", "", "journal_mode is delete"},
		{"rollback journal", "journal_mode(WAL)", "journal_mode(DELETE)", "journal_mode is delete"},
		{"synchronous normal", "synchronous(FULL)", "synchronous(NORMAL)", "synchronous is 1"},
		{"synchronous off", "synchronous(FULL)", "synchronous(OFF)", "synchronous is 0"},
		{"no foreign keys", "foreign_keys(1)", "foreign_keys(0)", "foreign_keys is off"},
		{"no waiting", "busy_timeout(5000)", "busy_timeout(1999)", "busy_timeout is 1999"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			dsn := strings.Replace(store.SQLiteDSN(path), test.replace, test.with, 1)
			if test.replace == "" {
				dsn = "file:" + path
			}
			_, err := store.Open(t.Context(), openSQLite(t, dsn), store.SQLite)
			if !errors.Is(err, userkeys.InvalidParameters) {
				t.Fatalf("error %v", err)
			}
			public := userkeys.AsError(err).Public
			for _, want := range []string{test.want, store.SQLiteDSN(path)} {
				if !strings.Contains(public, want) {
					t.Errorf("%q does not say %q", public, want)
				}
			}
		})
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		_, err := store.Open(t.Context(), openSQLite(t, strings.Replace(store.SQLiteDSN("x"), "file:x", "file::memory:", 1)), store.SQLite)
		if !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a pragma set by hand on one connection", func(t *testing.T) {
		t.Parallel()
		db := openSQLite(t, strings.Replace(store.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")), "foreign_keys(1)", "foreign_keys(0)", 1))
		if _, err := db.Exec("PRAGMA foreign_keys = 1"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), db, store.SQLite); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("error %v", err)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("a path with odd characters", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a b%41?c#d&e=f \u00e9.db")
		dbtest.Open(t, openSQLite(t, store.SQLiteDSN(path)), store.SQLite)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("one connection is enough", func(t *testing.T) {
		t.Parallel()
		db := dbtest.SQLiteDB(t)
		db.SetMaxOpenConns(1)
		s := dbtest.Open(t, db, store.SQLite)
		if n := db.Stats().MaxOpenConnections; n != 1 {
			t.Errorf("the caller's bound became %d", n)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a database without a bound gets one", func(t *testing.T) {
		t.Parallel()
		db := dbtest.SQLiteDB(t)
		dbtest.Open(t, db, store.SQLite)
		if db.Stats().MaxOpenConnections == 0 {
			t.Error("connections are without bound")
		}
	})
	t.Run("no such dialect", func(t *testing.T) {
		t.Parallel()
		if _, err := store.Open(t.Context(), dbtest.SQLiteDB(t), 0); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a closed database", func(t *testing.T) {
		t.Parallel()
		db := dbtest.SQLiteDB(t)
		_ = db.Close()
		if _, err := store.Open(t.Context(), db, store.SQLite); !errors.Is(err, userkeys.Unavailable) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("Postgres that could lose writes", func(t *testing.T) {
		t.Parallel()
		db := dbtest.PostgresDB(t)
		db.SetMaxOpenConns(1)
		if _, err := db.Exec("SET synchronous_commit = off"); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), db, store.Postgres)
		if !errors.Is(err, userkeys.InvalidParameters) || !strings.Contains(err.Error(), "synchronous_commit") {
			t.Errorf("error %v", err)
		}
	})
}

// A connection whose role turned synchronous_commit off later still commits to the disk.
func TestPostgresCommitsToDiskWhateverTheSession(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresDB(t)
	db.SetMaxOpenConns(1)
	s := dbtest.Open(t, db, store.Postgres)
	for _, q := range []string{
		"SET synchronous_commit = off",
		"CREATE TABLE seen (value TEXT)",
		`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$`,
		"CREATE TRIGGER see AFTER INSERT ON userkeys_audit_events FOR EACH ROW EXECUTE FUNCTION see()",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetSetting(t.Context(), "title", "x", site.Caller{}.At(at)); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := db.QueryRow("SELECT value FROM seen").Scan(&got); err != nil || got != "on" {
		t.Errorf("synchronous_commit in a write is %q, error %v", got, err)
	}
}
