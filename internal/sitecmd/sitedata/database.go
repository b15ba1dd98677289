package sitedata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/identity"
	"userkeys/internal/wiring"
	"userkeys/outbox"
	"userkeys/site"
	"userkeys/store"
)

// OpenDatabase opens what --database or --data name.
func OpenDatabase(cmd *cobra.Command) (*sql.DB, store.Dialect, error) {
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
	db, err := OpenSQLite(dir)
	if err != nil {
		return nil, store.SQLite, err
	}
	if err := notLost(cmd.Context(), db, dir); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, store.SQLite, err
	}
	return db, store.SQLite, nil
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

// Files in the folder --data.
const (
	databaseName = "userkeys.db"
	SecretName   = "userkeys.secret"
)

// notLost refuses an empty database beside a site's machine secret: its database is gone, and a new site in its place
// would belong to whoever opens its setup link. [userkeys.Conflict].
func notLost(ctx context.Context, db *sql.DB, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, SecretName)); err != nil {
		return nil // a folder where no site was
	}
	st, err := store.Open(ctx, db, store.SQLite)
	if err != nil {
		return err
	}
	if have, _, err := st.SchemaVersion(ctx); err != nil || have != 0 {
		return err
	}
	return userkeys.Errorf(userkeys.Conflict,
		"%s: there was a site here, since its machine secret %s is there, but the database is empty: "+
			"restore %s from its backup, or move %s away to begin a new site", dir, SecretName, databaseName, SecretName)
}

// OpenSQLite opens the database in dir, which only its owner may read.
func OpenSQLite(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, databaseName)
	if err := private(path); err != nil {
		return nil, err
	}
	if err := looksLikeSQLite(path); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", store.SQLiteDSN(path))
}

// looksLikeSQLite refuses a file that is something else: SQLite's own words would not name it.
func looksLikeSQLite(path string) error {
	const magic = "SQLite format 3\x00" // what every such file begins with
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if n == 0 && errors.Is(err, io.EOF) {
		return nil // a new one
	}
	if string(head[:n]) != magic {
		return fmt.Errorf("%s is no SQLite database", path)
	}
	return nil
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

// Data is what the managing commands work with: the data of a site, which may
// be running at the same time and learns of every change within a second.
type Data struct {
	db        *sql.DB
	Authority *authority.Authority
	Identity  *identity.Accounts
	Store     *store.Store
	Pushes    *outbox.Pushes
}

func (d *Data) Close() error { return d.db.Close() }

// Actor signs what is done at the command line.
var Actor = site.Caller{As: site.CallerCommand, User: site.User{Admin: true}}

// openOffice opens the data that cmd's options name. [userkeys.NotFound] where no
// site was made: with --init one is made there.
func open(cmd *cobra.Command) (*Data, error) {
	sc, err := Resolve(cmd)
	if err != nil {
		return nil, err
	}
	if f := cmd.Flags().Lookup(initFlag); f != nil && f.Value.String() == "true" {
		return openIn(cmd, sc, makeStore)
	}
	if err := siteThere(cmd); err != nil {
		return nil, err
	}
	return openIn(cmd, sc, openStore)
}

const initFlag = "init"

// AddInitFlag is for a command that may come before a site's first start.
func AddInitFlag(f *pflag.FlagSet) {
	f.Bool(initFlag, false, "make the site, where there is none yet")
}

// officeIn opens the database, and the store in it by open.
func openIn(cmd *cobra.Command, sc Config,
	open func(context.Context, *sql.DB, store.Dialect) (*store.Store, error),
) (*Data, error) {
	db, dialect, err := OpenDatabase(cmd)
	if err != nil {
		return nil, err
	}
	d := &Data{db: db}
	if d.Store, err = open(cmd.Context(), db, dialect); err == nil {
		err = d.Store.KeepReserve(0) // a server's, for revocations on a full disk
	}
	if err == nil {
		err = d.open(cmd.Context(), sc)
	}
	if err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

const howToMakeASite = "; userkeys serve, userkeys migrate, and user add or settings with --init make a new one"

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
	return userkeys.Errorf(userkeys.NotFound,
		"there is no site in %s; name its folder with --data (or USERKEYS_DATA)%s", dir, howToMakeASite)
}

func (d *Data) open(ctx context.Context, sc Config) error {
	catalog, err := userkeys.NewCatalog(sc.Scopes...)
	if err != nil {
		return err
	}
	d.Authority, err = authority.New(ctx, authority.Config{Store: d.Store, Catalog: catalog, Pinned: sc.Pinned})
	if err != nil {
		return err
	}
	d.Pushes = outbox.NewPushes(outbox.PushesConfig{Store: d.Store, Settings: d.Authority.Settings})
	d.Identity, err = wiring.NewIdentity(d.Store, identity.Config{})
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
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no site in this database; name its folder with "+
			"--data (or USERKEYS_DATA), or its database with --database"+howToMakeASite)
	}
	return st, st.Check(ctx)
}

// makeStore opens the store in db as [openStore] does, and gives an empty database its schema.
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

// With makes a command's body of one that works on a site's data.
func With(body func(cmd *cobra.Command, d *Data, args []string) error) func(*cobra.Command, []string) error {
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
