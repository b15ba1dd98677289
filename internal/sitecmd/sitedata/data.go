package sitedata

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/accounts"
	"userkeys/internal/sso"
	"userkeys/internal/wiring"
	"userkeys/outbox"
	"userkeys/site"
	"userkeys/store"
)

// Data is the data of a site, which may be running at the same time and learns of
// every change within a second.
type Data struct {
	Authority *authority.Authority
	Identity  *accounts.Accounts
	Store     *store.Store
	Pushes    *outbox.Pushes
	Logins    []sso.Login // of the configuration file
	HasConfig bool        // whether a configuration file was read

	db *sql.DB
}

// Operator is the caller of what is done at the command line.
var Operator = site.Caller{As: site.CallerCommand, User: site.User{Admin: true}}

// With returns the body of a command that works on the data of the site that the options name.
func (o *Options) With(
	body func(cmd *cobra.Command, d *Data, args []string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		sc, err := o.Resolve(cmd.Flags())
		if err != nil {
			return err
		}
		d, err := o.open(cmd.Context(), sc)
		if err != nil {
			return err
		}
		err = body(cmd, d, args)
		if closeErr := d.db.Close(); err == nil {
			err = closeErr
		}
		return err
	}
}

const howToMakeASite = "; userkeys serve, userkeys migrate, and user add or settings with --init make a new one"

// open opens the data. The error is [userkeys.NotFound] where no site was made, but
// with --init one is made there.
func (o *Options) open(ctx context.Context, sc Config) (*Data, error) {
	if !o.init {
		if err := o.siteThere(); err != nil {
			return nil, err
		}
	}
	db, dialect, err := o.OpenDatabase(ctx)
	if err != nil {
		return nil, err
	}
	d := &Data{db: db, Logins: sc.Logins, HasConfig: o.config != ""}
	if d.Store, err = o.openStore(ctx, db, dialect); err == nil {
		err = d.Store.KeepReserve(0) // a server's, for revocations on a full disk
	}
	if err == nil {
		err = d.open(ctx, sc)
	}
	if err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

// siteThere refuses a folder that has no database: a mistyped one must not become an empty site.
func (o *Options) siteThere() error {
	if o.Database != "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(o.Data, databaseName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return userkeys.Errorf(userkeys.NotFound,
		"there is no site in %s; name its folder with --data (or USERKEYS_DATA)%s", o.Data, howToMakeASite)
}

// openStore opens the store in db. It never upgrades the schema: a newer program that only lists something must not
// make the data unusable for the server that is running. With --init an empty database gets its schema.
func (o *Options) openStore(ctx context.Context, db *sql.DB, dialect store.Dialect) (*store.Store, error) {
	st, err := store.Open(ctx, db, dialect)
	if err != nil {
		return nil, err
	}
	have, _, err := st.SchemaVersion(ctx)
	switch {
	case err != nil:
		return nil, err
	case have == 0 && !o.init:
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no site in this database; name its folder with "+
			"--data (or USERKEYS_DATA), or its database with --database"+howToMakeASite)
	case have == 0:
		if _, err := st.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	return st, st.Check(ctx)
}

func (d *Data) open(ctx context.Context, sc Config) error {
	catalog, err := userkeys.NewCatalog(sc.Scopes...)
	if err != nil {
		return err
	}
	decides := authority.Config{Store: d.Store}
	decides.Catalog, decides.Pinned = catalog, sc.Pinned
	d.Authority, err = authority.New(ctx, decides)
	if err != nil {
		return err
	}
	d.Pushes, err = outbox.Open(outbox.Config{Actions: d.Store, Settings: d.Authority.Settings})
	if err != nil {
		return err
	}
	d.Identity, err = wiring.NewIdentity(d.Store, accounts.Config{})
	return err
}

// Every returns the records of all pages. page returns the page after the record
// with an id, which is 0 for the first page.
func Every[T any](page func(id int64) ([]T, error), id func(T) int64) ([]T, error) {
	var all []T
	for last := int64(0); ; last = id(all[len(all)-1]) {
		found, err := page(last)
		if err != nil || len(found) == 0 {
			return all, err
		}
		all = append(all, found...)
	}
}
