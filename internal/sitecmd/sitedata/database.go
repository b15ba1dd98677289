package sitedata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"userkeys"
	"userkeys/store"
)

// OpenDatabase opens the database that --database or --data names.
func (o *Options) OpenDatabase(ctx context.Context) (*sql.DB, store.Dialect, error) {
	if o.Database != "" {
		db, err := openPostgres(o.Database)
		return db, store.Postgres, err
	}
	db, err := OpenSQLite(o.Data)
	if err != nil {
		return nil, store.SQLite, err
	}
	if err := notLost(ctx, db, o.Data); err != nil {
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

// notLost refuses an empty database beside the machine secret of a site. The database of that site is lost, and a new
// site in its place would belong to whoever opens its setup link. The error is [userkeys.Conflict].
func notLost(ctx context.Context, db *sql.DB, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, secretName)); err != nil {
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
			"restore %s from its backup, or move %s away to begin a new site", dir, secretName, databaseName, secretName)
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

// looksLikeSQLite refuses a file that is not a database. The error of SQLite would not name the file.
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

// private creates the file if it is missing, and makes it readable for its owner only, also if others may read the
// folder. SQLite creates the files beside it with the same mode.
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
