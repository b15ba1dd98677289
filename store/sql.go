package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"userkeys"

	"userkeys/site"
)

// conn runs the statements of one operation, in a transaction or outside one, and counts them. It lives no longer
// than the operation, and so it carries the operation's context.
type conn struct {
	ctx context.Context
	run interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	statements *atomic.Int64
	raised     *site.Changes // what the transaction tells to caches; nil outside one
}

// outside returns a conn that runs statements outside a transaction.
func (s *Store) outside(ctx context.Context) conn {
	return conn{ctx: ctx, run: s.db, statements: &s.statements}
}

// row is what a scan function reads from.
type row interface{ Scan(dest ...any) error }

// exec runs a statement and returns how many rows it changed.
func (c conn) exec(query string, args ...any) (int64, error) {
	c.statements.Add(1)
	res, err := c.run.ExecContext(c.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// all returns the rows of a query.
func all[T any](c conn, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	c.statements.Add(1)
	rows, err := c.run.QueryContext(c.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one returns the first row of a query, or sql.ErrNoRows.
func one[T any](c conn, scan func(row) (T, error), query string, args ...any) (T, error) {
	out, err := all(c, scan, query, args...)
	if err != nil || len(out) == 0 {
		var none T
		if err == nil {
			err = sql.ErrNoRows
		}
		return none, err
	}
	return out[0], nil
}

func scanInt(r row) (int64, error) {
	var n int64
	err := r.Scan(&n)
	return n, err
}

func scanText(r row) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}

func scanBytes(r row) ([]byte, error) {
	var b []byte
	err := r.Scan(&b)
	return b, err
}

func scanPair(r row) ([2]int64, error) {
	var p [2]int64
	err := r.Scan(&p[0], &p[1])
	return p, err
}

// columns is a row of which each part scans its own share.
type columns struct {
	dest []any
	done []func()
}

func (c *columns) scan(r row) error {
	if err := r.Scan(c.dest...); err != nil {
		return err
	}
	for _, f := range c.done {
		f()
	}
	return nil
}

const attempts = 3

// read runs fn outside a transaction: one statement sees one state on both databases.
func read[T any](ctx context.Context, s *Store, fn func(conn) (T, error)) (T, error) {
	ctx, cancel := withEnd(ctx, readTimeout)
	defer cancel()
	for i := 1; ; i++ {
		v, err := fn(s.outside(ctx))
		if err == nil || i == attempts || !retryable(err) {
			return v, fail(err)
		}
		pause(ctx, i)
	}
}

// urgency says which writes may use the room that [Store.KeepReserve] keeps.
type urgency int

const (
	ordinary urgency = iota
	urgent           // it takes access away
)

// write runs fn in a transaction, again if the database asks for it: fn must
// set all its results anew each time. An error of fn rolls everything back.
func (s *Store) write(ctx context.Context, fn func(conn) error) error {
	return s.writeAs(ctx, ordinary, fn)
}

// writeUrgent is write for what takes access away: it must go through on a full disk too.
func (s *Store) writeUrgent(ctx context.Context, fn func(conn) error) error {
	return s.writeAs(ctx, urgent, fn)
}

func (s *Store) writeAs(ctx context.Context, u urgency, fn func(conn) error) error {
	w := s.newWait(ctx)
	ctx, cancel := withEnd(ctx, writeTimeout)
	defer cancel()
	ctx, stop := w.begin(ctx)
	defer stop()
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		}
	}
	if u == ordinary {
		if err := s.reserve.admit(); err != nil {
			return err
		}
	}
	for i := 1; ; i++ {
		err := s.transact(ctx, w, fn)
		switch {
		case err == nil:
			s.written(ctx, w, u)
			return nil
		case diskFull(err) && u == urgent && s.reserve.release():
			s.reserve.full.Store(true)
		case diskFull(err):
			return s.reserve.noRoom(err)
		case i >= attempts || !retryable(err):
			if cause := context.Cause(ctx); errors.Is(cause, errLocked) {
				err = cause
			}
			return fail(err)
		default:
			pause(ctx, i)
		}
	}
}

// written does what follows a successful write.
func (s *Store) written(ctx context.Context, w *wait, u urgency) {
	if u == ordinary {
		s.reserve.full.Store(false)
	}
	if !s.reserve.full.Load() {
		s.writeKept(ctx, w)
	}
}

func (s *Store) transact(ctx context.Context, w *wait, fn func(conn) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: s.diff.isolation})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var raised site.Changes
	c := conn{ctx, tx, &s.statements, &raised}
	if _, err := c.exec(s.diff.beginWrite, w.args...); err != nil {
		return err
	}
	w.over()
	if err := fn(c); err != nil {
		return err
	}
	// What is written into a file that is gone would be acknowledged and lost.
	if err := s.file.check(); err != nil {
		return err
	}
	err = tx.Commit()
	s.tell(raised) // also after an error: a commit whose answer was lost may have happened
	return err
}

// withEnd gives ctx a deadline if it has none.
func withEnd(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// pause waits a short random time before an attempt is repeated.
func pause(ctx context.Context, attempt int) {
	t := time.NewTimer(time.Duration(attempt)*5*time.Millisecond + rand.N(10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// idsPerStatement bounds the list of ids in a statement.
const idsPerStatement = 500

// inChunks calls fn with at most size elements at a time, because the parameters of a statement are limited.
func inChunks[T any](list []T, size int, fn func([]T) error) error {
	for len(list) > 0 {
		n := min(size, len(list))
		if err := fn(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// placeholders writes n groups of width placeholders, from $first on: ($1,$2),($3,$4).
func placeholders(first, n, width int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range width {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(first + i*width + j))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// list writes n placeholders from $first on: $5,$6,$7.
func list(first, n int) string {
	return strings.NewReplacer("(", "", ")", "").Replace(placeholders(first, n, 1))
}

// in writes the condition that a column is one of n values, whose placeholders go from $first on.
func in(first, n int) string { return " IN (" + list(first, n) + ")" }

// arguments returns values as the arguments of a statement.
func arguments[T any](values []T) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}

// conditions gathers the WHERE of a query with its arguments.
type conditions struct {
	parts []string
	args  []any
}

// add appends a condition whose one placeholder is written $?.
func (w *conditions) add(condition string, arg any) {
	w.args = append(w.args, arg)
	w.parts = append(w.parts, strings.ReplaceAll(condition, "$?", "$"+strconv.Itoa(len(w.args))))
}

func (w *conditions) where() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

// changesOne runs one statement and reports whether it changed a row.
func (s *Store) changesOne(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := s.write(ctx, func(c conn) error {
		var err error
		n, err = c.exec(query, args...)
		return err
	})
	return err == nil && n > 0, err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// notFound gives the error of a look-up that found no row its code.
func notFound(err error, what string) error {
	if isNoRows(err) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such %s", what)
	}
	return err
}

// defaultListLimit is the length of lists without a limit.
const defaultListLimit = 1000

// listLimit is the LIMIT of a list; 0 is [defaultListLimit].
func listLimit(n int) string {
	if n <= 0 {
		n = defaultListLimit
	}
	return strconv.Itoa(n)
}
