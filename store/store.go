// Package store remembers users, clients, keys, consents, sessions, settings
// and the audit log, on SQLite or Postgres over database/sql. There is one SQL
// text for both; dialect.go names what differs.
//
// The caller brings the driver and the *sql.DB. [Open] refuses a database that
// could lose an acknowledged grant or revocation.
package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/site"
)

// Store remembers. It serves every room by shape: authority.Store and
// identity.Store. Its methods may be called at once from many goroutines.
//
// Errors are *userkeys.Error. [userkeys.Unavailable] means that nothing could
// be told: the database is away, busy, full or slow. [userkeys.InvalidParameters]
// is text that the two databases would not keep alike (no UTF-8, NUL, too long).
type Store struct {
	db   *sql.DB
	d    Dialect
	diff differences

	// writer lets one write transaction of this process in at a time, on
	// SQLite: its writers would else spin on each other. nil on Postgres.
	writer chan struct{}

	file       databaseFile
	reserve    reserve
	statements atomic.Int64
	kept       keptEvents

	watchersMu sync.Mutex
	watchers   []func(site.Changes)
}

// Every operation has an end, also where the caller's context has none: a
// database that stopped in its tracks must not pile up requests. A caller who
// sets a deadline knows better, also if it is later.
const (
	readTimeout  = 2 * time.Second
	writeTimeout = 5 * time.Second
)

// Open checks that db keeps what it acknowledges and takes it into use. It
// does not migrate: see [Store.Migrate]. A schema that is newer than this
// program, or broken, is refused. If db has no bound on its connections, Open sets one.
func Open(ctx context.Context, db *sql.DB, d Dialect) (*Store, error) {
	diff, ok := dialects[d]
	if !ok {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "no such dialect: %d", int(d))
	}
	s := &Store{db: db, d: d, diff: diff}
	if d == SQLite {
		s.writer = make(chan struct{}, 1)
	}
	if err := s.diff.verify(ctx, db); err != nil {
		return nil, fail(err)
	}
	if db.Stats().MaxOpenConnections == 0 {
		n := diff.connections()
		db.SetMaxOpenConns(n)
		db.SetMaxIdleConns(n)
	}
	if _, err := s.inspect(ctx); err != nil {
		return nil, err
	}
	if err := s.rememberFile(ctx); err != nil {
		return nil, fail(err)
	}
	return s, nil
}

// Dialect tells which database this is.
func (s *Store) Dialect() Dialect { return s.d }

// Statements counts the SQL statements that were sent so far; a test of what a
// request costs compares two readings.
func (s *Store) Statements() int64 { return s.statements.Load() }
