package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"userkeys"
)

// firstGoodSQLite has the fix of a bug by which two connections that write and
// checkpoint at once could corrupt a WAL database (3.7.0 to 3.51.2).
var firstGoodSQLite = [3]int{3, 51, 3}

const minBusyTimeout = 2000 // milliseconds

// verifying lets one caller at a time hold a connection while it waits for another: more of them could hold all that a
// pool has, and wait for each other without end.
var verifying sync.Mutex

// verifySQLite checks two connections, if db may have two: a pragma that was set by hand holds on one connection
// only.
func verifySQLite(ctx context.Context, db *sql.DB) error {
	verifying.Lock()
	defer verifying.Unlock()
	ctx, cancel := withEnd(ctx, readTimeout)
	defer cancel()
	n := 2
	if db.Stats().MaxOpenConnections == 1 {
		n = 1
	}
	for range n {
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := verifySQLiteConn(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func verifySQLiteConn(ctx context.Context, c *sql.Conn) error {
	var version, journal, file string
	var synchronous, foreignKeys, busyTimeout int
	for query, dest := range map[string]any{
		"SELECT sqlite_version()": &version,
		mainFile:                  &file,
		"PRAGMA journal_mode":     &journal,
		"PRAGMA synchronous":      &synchronous,
		"PRAGMA foreign_keys":     &foreignKeys,
		"PRAGMA busy_timeout":     &busyTimeout,
	} {
		if err := c.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return err
		}
	}
	if olderVersion(version, firstGoodSQLite) {
		return userkeys.Errorf(userkeys.InvalidParameters, "SQLite %s can corrupt a database in WAL mode; 3.51.3 or "+
			"newer is needed", version)
	}
	var wrong []string
	if journal != "wal" {
		wrong = append(wrong, "journal_mode is "+journal+", not wal")
	}
	if synchronous < 2 {
		wrong = append(wrong, fmt.Sprintf("synchronous is %d, not 2 (FULL)", synchronous))
	}
	if foreignKeys != 1 {
		wrong = append(wrong, "foreign_keys is off")
	}
	if busyTimeout < minBusyTimeout {
		wrong = append(wrong, fmt.Sprintf("busy_timeout is %d ms, less than %d", busyTimeout, minBusyTimeout))
	}
	if len(wrong) == 0 {
		return nil
	}
	if file == "" {
		file = "userkeys.db"
	}
	return userkeys.Errorf(userkeys.InvalidParameters, "this SQLite database could lose what it acknowledged: %s; "+
		"open it as %s",
		strings.Join(wrong, ", "), SQLiteDSN(file))
}

func olderVersion(version string, than [3]int) bool {
	parts := strings.SplitN(version, ".", 3)
	for i, want := range than {
		have := 0
		if i < len(parts) {
			have, _ = strconv.Atoi(parts[i])
		}
		if have != want {
			return have < want
		}
	}
	return false
}

// onStandby is also the error of a node whose address leads to a standby later.
const onStandby = "this Postgres is a replica: keys checked there could be revoked already"

const minPostgres = 130000 // server_version_num

func verifyPostgres(ctx context.Context, db *sql.DB) error {
	var commit, encoding, version string
	var replica bool
	err := db.QueryRowContext(ctx, `SELECT current_setting('synchronous_commit'), current_setting('server_encoding'),
		current_setting('server_version_num'), pg_is_in_recovery()`).Scan(&commit, &encoding, &version, &replica)
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return userkeys.Errorf(userkeys.InvalidParameters, format, args...)
	}
	if n, _ := strconv.Atoi(version); n < minPostgres {
		return refuse("Postgres is too old (server_version_num %s); 13 or newer is needed", version)
	}
	if commit == "off" {
		return refuse("this Postgres could lose what it acknowledged: synchronous_commit is off; set it to on for this " +
			"role or database")
	}
	if encoding != "UTF8" {
		return refuse("the database's encoding is %s; UTF8 is needed", encoding)
	}
	if replica {
		return refuse(onStandby)
	}
	return nil
}
