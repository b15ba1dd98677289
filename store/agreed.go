package store

import (
	"context"

	"userkeys/site"
)

// agreedQuery and agreeStatement read and write the values that all nodes of a site agree on.
const (
	agreedQuery    = "SELECT value FROM userkeys_marks WHERE name = $1"
	agreeStatement = "INSERT INTO userkeys_marks (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING"
)

// Agree stores a value that all nodes of a site must agree on, unless there is one of that name, and returns the one
// that is stored.
func (s *Store) Agree(ctx context.Context, name string, value []byte) ([]byte, error) {
	// Read first, so that a server starts on a full disk too.
	have, err := s.Agreed(ctx, name)
	if err != nil || have != nil {
		return have, err
	}
	err = s.write(ctx, func(c conn) error {
		if _, err := c.exec(agreeStatement, name, value); err != nil {
			return err
		}
		var err error
		have, err = one(c, scanBytes, agreedQuery, name)
		return err
	})
	return have, err
}

// Agreed returns the value that [Store.Agree] stored under a name, or nil if there is none.
func (s *Store) Agreed(ctx context.Context, name string) ([]byte, error) {
	return read(ctx, s, func(c conn) ([]byte, error) {
		have, err := one(c, scanBytes, agreedQuery, name)
		if isNoRows(err) {
			return nil, nil
		}
		return have, err
	})
}

// ReplaceAgreed replaces a value that was agreed on, and writes an audit event. If the same value is stored already,
// or none was, no event is written.
func (s *Store) ReplaceAgreed(ctx context.Context, name string, value []byte, act site.Act) error {
	return s.write(ctx, func(c conn) error {
		if _, err := c.exec(agreeStatement, name, value); err != nil {
			return err
		}
		n, err := c.exec("UPDATE userkeys_marks SET value = $2 WHERE name = $1 AND value <> $2", name, value)
		if err != nil || n == 0 {
			return err
		}
		return audit(c, site.AuditEvent{At: act.At, Caller: act.By, Action: name + actionReplaced})
	})
}
