package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"userkeys/site"
)

// ClaimJob takes a job that is due at a time: of all nodes that try, one gets
// it, and nobody else before until. [Store.FinishJob] says when it is due again; if the one who
// took it is gone by then, it is due at until.
func (s *Store) ClaimJob(ctx context.Context, name string, at, until time.Time) (bool, error) {
	return s.changesOne(ctx, `INSERT INTO userkeys_jobs (name, due_at) VALUES ($1, $3)
		ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE userkeys_jobs.due_at <= $2`, name, micros(at), micros(until))
}

// FinishJob says when a job is due again.
func (s *Store) FinishJob(ctx context.Context, name string, due time.Time) error {
	_, err := s.changesOne(ctx, "UPDATE userkeys_jobs SET due_at = $2 WHERE name = $1", name, micros(due))
	return err
}

// Mark remembers a value that all nodes of a site must agree on, the first time it is
// told, and returns what is remembered.
func (s *Store) Mark(ctx context.Context, name string, value []byte) ([]byte, error) {
	// Read first, so that a server starts on a full disk too.
	have, err := s.Marked(ctx, name)
	if err != nil || have != nil {
		return have, err
	}
	err = s.write(ctx, func(c conn) error {
		if _, err := c.exec("INSERT INTO userkeys_marks (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value); err != nil {
			return err
		}
		var err error
		have, err = one(c, scanBytes, "SELECT value FROM userkeys_marks WHERE name = $1", name)
		return err
	})
	return have, err
}

// Marked is what [Store.Mark] remembers under a name; nil if there is nothing.
func (s *Store) Marked(ctx context.Context, name string) ([]byte, error) {
	return read(ctx, s, func(c conn) ([]byte, error) {
		have, err := one(c, scanBytes, "SELECT value FROM userkeys_marks WHERE name = $1", name)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return have, err
	})
}

// Remark remembers another value in the place of the one before. The audit log tells that NAME was replaced.
func (s *Store) Remark(ctx context.Context, name string, value []byte, act site.Act) error {
	return s.write(ctx, func(c conn) error {
		// Where it is this value already, or was none, nothing is replaced.
		if _, err := c.exec("INSERT INTO userkeys_marks (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value); err != nil {
			return err
		}
		n, err := c.exec("UPDATE userkeys_marks SET value = $2 WHERE name = $1 AND value <> $2", name, value)
		if err != nil || n == 0 {
			return err
		}
		return audit(c, site.AuditEvent{At: act.At, Caller: act.By, Action: name + actionReplaced})
	})
}
