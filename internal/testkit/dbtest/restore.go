package dbtest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"userkeys/store"
)

// Restorable is a database that can come back as an older copy under a running program.
type Restorable struct {
	*store.Store // of the running program
	open         func() *store.Store
	backUp       func() func()
}

// Other is the store of another process on the same database.
func (r *Restorable) Other() *store.Store { return r.open() }

// BackUp copies the database. The function that it returns puts the copy in the
// database's place; it must be called at most once.
func (r *Restorable) BackUp() (restore func()) { return r.backUp() }

// EachRestorable runs test on each database, in parallel.
func EachRestorable(t *testing.T, test func(t *testing.T, r *Restorable)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *Restorable{
		"SQLite": restorableSQLite, "Postgres": restorablePostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// restorableSQLite is copied and brought back by SQLite's backup interface, as
// the commands .backup and .restore of its shell do.
func restorableSQLite(t testing.TB) *Restorable {
	dir := t.TempDir()
	path := filepath.Join(dir, "userkeys.db")
	open := func() *store.Store {
		db, err := sql.Open("sqlite", store.SQLiteDSN(path))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return Open(t, db, store.SQLite)
	}
	first := open()
	run := func(begin func(c backupConn) (*sqlite.Backup, error)) {
		t.Helper()
		if err := backup(path, begin); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(dir, "copy.db")
	return &Restorable{first, open, func() func() {
		run(func(c backupConn) (*sqlite.Backup, error) { return c.NewBackup(copied) })
		return func() { run(func(c backupConn) (*sqlite.Backup, error) { return c.NewRestore(copied) }) }
	}}
}

type backupConn interface {
	NewBackup(to string) (*sqlite.Backup, error)
	NewRestore(from string) (*sqlite.Backup, error)
}

func backup(path string, begin func(c backupConn) (*sqlite.Backup, error)) error {
	db, err := sql.Open("sqlite", store.SQLiteDSN(path))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	c, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.Raw(func(driver any) error {
		b, err := begin(driver.(backupConn))
		if err != nil {
			return err
		}
		if _, err := b.Step(-1); err != nil {
			return err
		}
		return b.Finish()
	})
}

// restorablePostgres is a database of its own, which is copied as a template.
// Its stores keep no idle connections: a database in use can be neither copied nor dropped.
func restorablePostgres(t testing.TB) *Restorable {
	config := postgresConfig(t)
	admin := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = admin.Close() })
	exec := func(query string) {
		t.Helper()
		if _, err := admin.ExecContext(context.Background(), query); err != nil {
			t.Fatal(err)
		}
	}
	name := "test_" + randomHex()
	exec("CREATE DATABASE " + name)
	t.Cleanup(func() { exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") })
	t.Cleanup(func() { exec("DROP DATABASE IF EXISTS " + name + "_copy") })
	open := func() *store.Store {
		own := config.Copy()
		own.Database = name
		return Open(t, unpooled(t, *own), store.Postgres)
	}
	first := open()
	return &Restorable{first, open, func() func() {
		exec("CREATE DATABASE " + name + "_copy TEMPLATE " + name)
		return func() {
			exec("DROP DATABASE " + name + " WITH (FORCE)")
			exec("ALTER DATABASE " + name + "_copy RENAME TO " + name)
		}
	}}
}

func unpooled(t testing.TB, config pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(config)
	db.SetMaxOpenConns(4) // many tests share the server
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
