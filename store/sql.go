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
)

// conn runs statements, in a transaction or outside, and counts them.
type conn struct {
	run interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	statements *atomic.Int64
	raised     *userkeys.Changes // what the transaction tells to caches; nil outside one
}

// row is what a scan function reads from.
type row interface{ Scan(dest ...any) error }

// exec runs a statement and tells how many rows it changed.
func (c conn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	c.statements.Add(1)
	res, err := c.run.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// all collects every row of a query.
func all[T any](ctx context.Context, c conn, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	c.statements.Add(1)
	rows, err := c.run.QueryContext(ctx, query, args...)
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

// one is the first row of a query, or sql.ErrNoRows.
func one[T any](ctx context.Context, c conn, scan func(row) (T, error), query string, args ...any) (T, error) {
	out, err := all(ctx, c, scan, query, args...)
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

const attempts = 3

// read runs fn outside a transaction: one statement sees one state on both databases.
func read[T any](ctx context.Context, s *Store, fn func(context.Context, conn) (T, error)) (T, error) {
	ctx, cancel := withEnd(ctx, readTimeout)
	defer cancel()
	for i := 1; ; i++ {
		v, err := fn(ctx, conn{run: s.db, statements: &s.statements})
		if err == nil || i == attempts || !retryable(err) {
			return v, fail(err)
		}
		pause(ctx, i)
	}
}

// write runs fn in a transaction, again if the database asks for it: fn must
// set all its results anew each time. An error of fn rolls everything back.
func (s *Store) write(ctx context.Context, fn func(context.Context, conn) error) error {
	patience := s.patience(ctx)
	ctx, cancel := withEnd(ctx, writeTimeout)
	defer cancel()
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return fail(ctx.Err())
		}
	}
	for i := 1; ; i++ {
		err := s.transact(ctx, patience, fn)
		if err == nil {
			s.writeKept(ctx, patience)
			return nil
		}
		if i == attempts || !retryable(err) {
			return fail(err)
		}
		pause(ctx, i)
	}
}

func (s *Store) transact(ctx context.Context, patience []any, fn func(context.Context, conn) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: s.diff.isolation})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var raised userkeys.Changes
	c := conn{tx, &s.statements, &raised}
	if _, err := c.exec(ctx, s.diff.beginWrite, patience...); err != nil {
		return err
	}
	if err := fn(ctx, c); err != nil {
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

// withEnd gives ctx an end if it has none.
func withEnd(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// patience is how long a transaction waits for one lock: less than the default
// end, so that the server gives up in order and no connection breaks. With a
// deadline of the caller's own, that alone decides.
func (s *Store) patience(ctx context.Context) []any {
	if !s.diff.takesPatience {
		return nil
	}
	if _, ok := ctx.Deadline(); ok {
		return []any{"0"}
	}
	return []any{"2s"}
}

// pause waits a little before an attempt is repeated, not in step with others.
func pause(ctx context.Context, attempt int) {
	t := time.NewTimer(time.Duration(attempt)*5*time.Millisecond + rand.N(10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// inChunks calls fn with at most size elements at a time: statements have a
// bound on their parameters.
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

// changesOne runs one statement and tells whether it found a row to change.
func (s *Store) changesOne(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		var err error
		n, err = c.exec(ctx, query, args...)
		return err
	})
	return err == nil && n > 0, err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
