package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/spf13/cobra"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/identity"
	"userkeys/internal/site"
	"userkeys/notify"
	"userkeys/store"
)

// openDatabase opens what --database or --data name.
func openDatabase(cmd *cobra.Command) (*sql.DB, store.Dialect, error) {
	dsn, err := cmd.Flags().GetString("database")
	if err != nil {
		return nil, store.SQLite, err
	}
	if dsn != "" {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return nil, store.Postgres, fmt.Errorf("--database: %w", err)
		}
		return db, store.Postgres, nil
	}
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return nil, store.SQLite, err
	}
	db, err := openSQLite(dir)
	return db, store.SQLite, err
}

// openSQLite opens the database in dir, which only its owner may read.
func openSQLite(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "userkeys.db")
	if err := private(path); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", store.SQLiteDSN(path))
}

// private makes the file if it is missing and keeps everybody but its owner
// out, also where the folder was made by somebody else and lets others in.
// SQLite makes the files beside it with the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = f.Close()
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, statErr := os.Stat(name)
		if statErr == nil && info.Mode().Perm()&0o077 != 0 {
			err = errors.Join(err, os.Chmod(name, 0o600))
		}
	}
	return err
}

func passwordIn(dsn string) bool {
	u, err := url.Parse(dsn)
	if err != nil {
		return false
	}
	_, ok := u.User.Password()
	return ok
}

// office is what the managing commands work with: the data of a site, which may
// be running at the same time and learns of every change within a second.
type office struct {
	db        *sql.DB
	authority *authority.Authority
	identity  *identity.Accounts
	store     *store.Store
	pushes    pushDesk
}

func (d *office) Close() error { return d.db.Close() }

// commandActor signs what is done at the command line.
var commandActor = userkeys.Actor{Kind: userkeys.ActorCommand, Admin: true}

// openOffice opens the data that cmd's options name.
func openOffice(cmd *cobra.Command) (*office, error) {
	sc, err := resolve(cmd)
	if err != nil {
		return nil, err
	}
	db, dialect, err := openDatabase(cmd)
	if err != nil {
		return nil, err
	}
	d := &office{db: db}
	if err := d.open(cmd.Context(), dialect, sc); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

func (d *office) open(ctx context.Context, dialect store.Dialect, sc siteConfig) error {
	var err error
	if d.store, err = openStore(ctx, d.db, dialect); err != nil {
		return err
	}
	catalog, err := userkeys.NewCatalog(sc.scopes...)
	if err != nil {
		return err
	}
	d.authority, err = authority.New(ctx, authority.Config{Store: d.store, Catalog: catalog, Pinned: sc.pinned})
	if err != nil {
		return err
	}
	d.pushes = notify.NewDesk(notify.DeskConfig{Store: d.store, Settings: d.authority.Settings})
	d.identity, err = site.NewIdentity(d.store, identity.Config{})
	return err
}

// openStore opens the store in db for a managing command. Only an empty
// database gets its schema here: to look at a listing with a newer program must
// not take the schema away from under the server that is running.
func openStore(ctx context.Context, db *sql.DB, dialect store.Dialect) (*store.Store, error) {
	st, err := store.Open(ctx, db, dialect)
	if err != nil {
		return nil, err
	}
	have, _, err := st.SchemaVersion(ctx)
	if err != nil {
		return nil, err
	}
	if have == 0 {
		if _, err := st.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	return st, st.Check(ctx)
}

// withOffice makes a command's body of one that works on a site's data.
func withOffice(body func(cmd *cobra.Command, d *office, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		d, err := openOffice(cmd)
		if err != nil {
			return err
		}
		err = body(cmd, d, args)
		if closeErr := d.Close(); err == nil {
			err = closeErr
		}
		return err
	}
}
