// Package store stores users, clients, keys, consents, sessions, settings, notifications, pushes and the audit
// log, in SQLite or Postgres over database/sql. There is one SQL text for both; dialect.go names what differs.
//
// The caller brings the driver and the *sql.DB. [Open] refuses a database that could lose an acknowledged grant or
// revocation.
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

// Store is a database of a site. It has the methods of the interfaces that the other packages declare, such as
// authority.Store. Its methods may be called by many goroutines at once.
//
// Errors are *userkeys.Error. [userkeys.Unavailable] means that the question could not be answered: the database
// is away, busy, full or slow. [userkeys.InvalidParameters] is the error for text that the two databases would
// store differently: text that is no UTF-8, contains a NUL, or is too long.
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

// Every operation has a time limit, also where the caller's context has none, so that requests do not pile up
// before a database that does not answer. A deadline of the caller's counts instead, even if it is later.
const (
	readTimeout  = 2 * time.Second
	writeTimeout = 5 * time.Second
)

// Open checks that db keeps what it acknowledges, and that its schema is not broken or newer than this program. It
// does not migrate the schema; see [Store.Migrate]. If db has no limit on its connections, Open sets one.
func Open(ctx context.Context, db *sql.DB, d Dialect) (*Store, error) {
	diff, ok := dialects[d]
	if !ok {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "no such dialect: %d", int(d))
	}
	s := &Store{db: db, d: d, diff: diff}
	if d == SQLite {
		s.writer = make(chan struct{}, 1)
	}
	waits, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for i := 1; ; i++ {
		err := s.inspectAll(ctx)
		if err == nil {
			return s, nil
		}
		// While another connection turns a new database to WAL, SQLite is busy at once: busy_timeout does not count.
		if sqliteCode(err) != sqliteBusy || waits.Err() != nil {
			return nil, fail(err)
		}
		pause(waits, i)
	}
}

// inspectAll makes the checks of [Open].
func (s *Store) inspectAll(ctx context.Context) error {
	if err := s.diff.verify(ctx, s.db); err != nil {
		return err
	}
	if s.db.Stats().MaxOpenConnections == 0 {
		n := s.diff.connections()
		s.db.SetMaxOpenConns(n)
		s.db.SetMaxIdleConns(n)
	}
	if _, err := s.inspect(ctx); err != nil {
		return err
	}
	return s.rememberFile(ctx)
}

// Dialect returns which database this is.
func (s *Store) Dialect() Dialect { return s.d }

// Statements counts the SQL statements that were sent so far; a test of what a
// request costs compares two readings.
func (s *Store) Statements() int64 { return s.statements.Load() }
