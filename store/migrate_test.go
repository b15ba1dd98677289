package store_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// eachDB runs test on an empty database of each kind.
func eachDB(t *testing.T, test func(t *testing.T, db *sql.DB, d store.Dialect)) {
	t.Helper()
	t.Parallel()
	for d, open := range map[store.Dialect]func(testing.TB) *sql.DB{
		store.SQLite: dbtest.SQLiteDB, store.Postgres: dbtest.PostgresDB,
	} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			test(t, open(t), d)
		})
	}
}

func mustExec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestMigrate(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx := t.Context()
		s, err := store.Open(ctx, db, d)
		if err != nil {
			t.Fatal(err)
		}
		have, want, err := s.SchemaVersion(ctx)
		if have != 0 || want < 1 || err != nil {
			t.Fatalf("fresh: version %d of %d, error %v", have, want, err)
		}
		if err := s.Check(ctx); !errors.Is(err, userkeys.Unavailable) || !strings.Contains(err.Error(), "migrate") {
			t.Errorf("Check before Migrate: %v", err)
		}
		if err := s.SetSetting(ctx, "title", "x", site.Caller{}.At(at)); err == nil {
			t.Error("a write without a schema succeeded")
		}
		if n, err := s.Migrate(ctx); int64(n) != want || err != nil {
			t.Errorf("applied %d of %d, error %v", n, want, err)
		}
		if err := s.Check(ctx); err != nil {
			t.Error(err)
		}
		if n, err := s.Migrate(ctx); n != 0 || err != nil {
			t.Errorf("again: applied %d, error %v", n, err)
		}
		if have, _, _ := s.SchemaVersion(ctx); have != want {
			t.Errorf("version %d of %d", have, want)
		}
	})
}

// onItsOwn returns what opens the database of db as another process would: on SQLite with a pool of its own.
func onItsOwn(t *testing.T, db *sql.DB, d store.Dialect) func() *sql.DB {
	t.Helper()
	if d == store.Postgres {
		return func() *sql.DB { return db }
	}
	var file string
	row := db.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list WHERE seq = 0")
	if err := row.Scan(&file); err != nil {
		t.Fatal(err)
	}
	return func() *sql.DB {
		own, err := sql.Open("sqlite", store.SQLiteDSN(file))
		if err != nil {
			t.Error(err)
			return db
		}
		t.Cleanup(func() { _ = own.Close() })
		return own
	}
}

// Whoever is slower at every step waits, and does not give up.
func TestMigrateFromManySidesAtOnce(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		open := onItsOwn(t, db, d)
		var mu sync.Mutex
		total := 0
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				s, err := store.Open(t.Context(), open(), d)
				if err != nil {
					t.Error(err)
					return
				}
				n, err := s.Migrate(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
			})
		}
		wg.Wait()
		s, err := store.Open(t.Context(), db, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if have, _, _ := s.SchemaVersion(t.Context()); int64(total) != have {
			t.Errorf("%d steps were applied for version %d", total, have)
		}
	})
}

// Each of them holds a connection while it waits for its second.
func TestOpenFromManySidesOfOnePool(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		db.SetMaxOpenConns(2)
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if _, err := store.Open(t.Context(), db, d); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// The database's owner may have tables of their own, also with our plain names.
func TestMigrateBesideTheHostsTables(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		for _, name := range []string{"users", "sessions", "settings", "goose_db_version"} {
			mustExec(t, db, "CREATE TABLE "+name+" (x TEXT)")
		}
		if err := dbtest.Open(t, db, d).Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDB10SchemaThatMustNotBeTouched(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage []string
		want   string
	}{
		{"newer", []string{insertVersion("99")}, "schema version 99, newer than"},
		{"half-run: a table is missing", []string{"DROP TABLE userkeys_changes"}, "has no userkeys_changes"},
		{"half-run: tables without a version", []string{"DROP TABLE userkeys_migrations"}, "it says version 0"},
		{"half-run: a step is missing", []string{"UPDATE userkeys_migrations SET version_id = 2 WHERE version_id = 1"}, "step 1 was never taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
				s := dbtest.Open(t, db, d)
				for _, q := range test.damage {
					mustExec(t, db, q)
				}
				_, openErr := store.Open(t.Context(), db, d)
				_, migrateErr := s.Migrate(t.Context())
				for what, err := range map[string]error{"Open": openErr, "Migrate": migrateErr, "Check": s.Check(t.Context())} {
					if !errors.Is(err, userkeys.Unavailable) || !strings.Contains(userkeys.AsError(err).Public, test.want) {
						t.Errorf("%s: %v, want %q", what, err, test.want)
					}
				}
			})
		})
	}
}

func insertVersion(v string) string {
	return "INSERT INTO userkeys_migrations (version_id, is_applied) VALUES (" + v + ", " + "'1')"
}

// A step that fails half-way leaves nothing of itself.
func TestMigrationIsOneTransaction(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		s, err := store.Open(t.Context(), db, d)
		if err != nil {
			t.Fatal(err)
		}
		// An index's name is taken, so the step fails after some tables were made.
		mustExec(t, db, "CREATE TABLE host (x TEXT)")
		mustExec(t, db, "CREATE INDEX userkeys_audit_user ON host (x)")
		if n, err := s.Migrate(t.Context()); n != 0 || err == nil {
			t.Fatalf("applied %d, error %v", n, err)
		}
		if have, _, err := s.SchemaVersion(t.Context()); have != 0 || err != nil {
			t.Errorf("version %d, error %v", have, err)
		}
		mustExec(t, db, "DROP TABLE host")
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
