package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
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
		db, err := openPostgres(dsn)
		return db, store.Postgres, err
	}
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return nil, store.SQLite, err
	}
	db, err := openSQLite(dir)
	return db, store.SQLite, err
}

// openPostgres opens the server that dsn names, and of several hosts the
// primary: nothing is ever read from a standby, which may not know yet what was revoked.
func openPostgres(dsn string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("--database: %w", err)
	}
	if config.ValidateConnect == nil { // dsn does not choose by target_session_attrs
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	return stdlib.OpenDB(*config), nil
}

const databaseName = "userkeys.db" // in the folder --data

// openSQLite opens the database in dir, which only its owner may read.
func openSQLite(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, databaseName)
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

// openOffice opens the data that cmd's options name. [userkeys.NotFound] where no site was made.
func openOffice(cmd *cobra.Command) (*office, error) {
	sc, err := resolve(cmd)
	if err != nil {
		return nil, err
	}
	if err := siteThere(cmd); err != nil {
		return nil, err
	}
	return officeIn(cmd, sc, openStore)
}

// newOffice does so, and makes a site where there is none.
func newOffice(cmd *cobra.Command) (*office, error) {
	sc, err := resolve(cmd)
	if err != nil {
		return nil, err
	}
	return officeIn(cmd, sc, makeStore)
}

// officeIn opens the database, and the store in it by open.
func officeIn(cmd *cobra.Command, sc siteConfig, open func(context.Context, *sql.DB, store.Dialect) (*store.Store, error)) (*office, error) {
	db, dialect, err := openDatabase(cmd)
	if err != nil {
		return nil, err
	}
	d := &office{db: db}
	if d.store, err = open(cmd.Context(), db, dialect); err == nil {
		err = d.open(cmd.Context(), sc)
	}
	if err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

// siteThere refuses a folder that has no database: a mistyped one must not become an empty site.
func siteThere(cmd *cobra.Command) error {
	dsn, err := cmd.Flags().GetString("database")
	if err != nil || dsn != "" {
		return err
	}
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return userkeys.Errorf(userkeys.NotFound, "there is no site in %s; name its folder with --data (userkeys serve, user add and settings set make a new site)", dir)
}

func (d *office) open(ctx context.Context, sc siteConfig) error {
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

// openStore opens the store in db for a managing command, which never changes a schema: to look
// at a listing with a newer program must not take it away from under the server that is running.
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
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no site in this database; name its folder with --data, or its database with --database")
	}
	return st, st.Check(ctx)
}

// makeStore does so for a command that may be a site's first: an empty database gets its schema.
func makeStore(ctx context.Context, db *sql.DB, dialect store.Dialect) (*store.Store, error) {
	st, err := store.Open(ctx, db, dialect)
	if err != nil {
		return nil, err
	}
	have, _, err := st.SchemaVersion(ctx)
	if err == nil && have == 0 {
		_, err = st.Migrate(ctx)
	}
	if err != nil {
		return nil, err
	}
	return st, st.Check(ctx)
}

// withOffice makes a command's body of one that works on a site's data.
func withOffice(body func(cmd *cobra.Command, d *office, args []string) error) func(*cobra.Command, []string) error {
	return inOffice(openOffice, body)
}

// withNewOffice does so for a command that may be a site's first.
func withNewOffice(body func(cmd *cobra.Command, d *office, args []string) error) func(*cobra.Command, []string) error {
	return inOffice(newOffice, body)
}

func inOffice(open func(*cobra.Command) (*office, error), body func(cmd *cobra.Command, d *office, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		d, err := open(cmd)
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
