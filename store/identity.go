package store

import (
	"context"
	"time"

	"userkeys"
)

// RenewSession writes data and end of a session that is still there, and tells
// whether it was: a request in flight must not bring back what a logout ended.
func (s *Store) RenewSession(ctx context.Context, tokenHash, data []byte, expiresAt time.Time) (bool, error) {
	if len(data) > maxSessionData {
		return false, userkeys.Errorf(userkeys.InvalidParameters, "a session with more than %d bytes", maxSessionData)
	}
	if data == nil {
		data = []byte{}
	}
	return s.changesOne(ctx, "UPDATE userkeys_sessions SET data = $1, expires_at = $2 WHERE token_hash = $3",
		data, micros(expiresAt), tokenHash)
}

// ReplacePassword stores hash if old is what is stored, and tells whether it
// was: the same password hashed anew must not undo a change of password made meanwhile.
func (s *Store) ReplacePassword(ctx context.Context, userID int64, old, hash string) (bool, error) {
	if err := checkText(old, hash); err != nil {
		return false, err
	}
	return s.changesOne(ctx, "UPDATE userkeys_users SET password_hash = $1 WHERE id = $2 AND password_hash = $3", hash, userID, old)
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

// Guesses is the count of name and when its window began, without charging;
// zeros if there is none.
func (s *Store) Guesses(ctx context.Context, name string) (int, time.Time, error) {
	if err := checkIndexed(name); err != nil {
		return 0, time.Time{}, err
	}
	found, err := read(ctx, s, func(ctx context.Context, c conn) ([]guess, error) {
		return all(ctx, c, scanGuess, "SELECT count, since FROM userkeys_guesses WHERE name = $1", name)
	})
	if err != nil || len(found) == 0 {
		return 0, time.Time{}, err
	}
	return int(found[0].count), fromMicros(found[0].since), nil
}
