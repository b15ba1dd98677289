// Package dbtest opens fresh databases for tests: SQLite always, Postgres where a server is named.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver of [SQLite]

	"userkeys/store"
)

// PostgresEnv names the environment variable with the data source name of a
// Postgres server on which tests may make schemas; see scripts/with-postgres.
const PostgresEnv = "USERKEYS_TEST_POSTGRES"

// SQLite is a migrated store on a new file that goes away with the test.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return migrated.Open(t).Store
}

// migrated has no rows.
var migrated = Template{Fill: func(context.Context, *store.Store) error { return nil }}

// SQLiteDB is a new, empty SQLite database that goes away with the test.
func SQLiteDB(t testing.TB) *sql.DB {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "userkeys.db"))
}

// Postgres is a migrated store in a schema of its own, dropped with the test,
// on the server that [PostgresEnv] names. Without one the test is skipped, or
// fails where CI=true promises to skip nothing.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, PostgresDB(t), store.Postgres)
}

// PostgresDB is an empty schema that goes away with the test; see [Postgres].
func PostgresDB(t testing.TB) *sql.DB {
	t.Helper()
	config := postgresConfig(t)
	schema := "test_" + randomHex()
	admin := stdlib.OpenDB(*config)
	exec := func(query string) {
		t.Helper()
		if _, err := admin.ExecContext(context.Background(), query); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA " + schema)
	config.RuntimeParams["search_path"] = schema
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(10) // many tests share the server
	t.Cleanup(func() {
		_ = db.Close()
		exec("DROP SCHEMA " + schema + " CASCADE")
		_ = admin.Close()
	})
	return db
}

// postgresConfig is how to reach the server that [PostgresEnv] names.
func postgresConfig(t testing.TB) *pgx.ConnConfig {
	t.Helper()
	dsn := os.Getenv(PostgresEnv)
	if dsn == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set: no Postgres to test on (run under scripts/with-postgres)", PostgresEnv)
		}
		t.Skipf("%s is not set: skipping the tests on Postgres (run under scripts/with-postgres)", PostgresEnv)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("%s: %v", PostgresEnv, err)
	}
	return config
}

func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Open takes db into use and migrates it.
func Open(t testing.TB, db *sql.DB, d store.Dialect) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), db, d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Each runs test on a fresh store of each database, in parallel.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *store.Store{"SQLite": SQLite, "Postgres": Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}
