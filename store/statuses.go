package store

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

func scanStatus(r row) (site.UserStatus, error) {
	var u site.UserStatus
	var set, ends int64
	err := r.Scan(&u.Emoji, &u.Description, &set, &ends)
	u.SetAt, u.EndsAt = fromMicros(set), fromMicros(ends)
	return u, err
}

// UserStatus returns the status that is shown beside a user's name at a time.
//
// Errors: [userkeys.NotFound] if there is none.
func (s *Store) UserStatus(ctx context.Context, userID int64, at time.Time) (site.UserStatus, error) {
	return read(ctx, s, func(c conn) (site.UserStatus, error) {
		u, err := one(c, scanStatus, `SELECT emoji, description, set_at, ends_at FROM userkeys_user_statuses
			WHERE user_id = $1 AND (ends_at = 0 OR ends_at > $2)`, userID, micros(at))
		return u, notFound(err, "status")
	})
}

// SetUserStatus stores a user's status in the place of any other.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) SetUserStatus(ctx context.Context, userID int64, u site.UserStatus) error {
	if err := checkText(u.Emoji, u.Description); err != nil {
		return err
	}
	found, err := s.changesOne(ctx, `INSERT INTO userkeys_user_statuses (user_id, emoji, description, set_at, ends_at)
		SELECT id, $2, $3, $4, $5 FROM userkeys_users WHERE id = $1
		ON CONFLICT (user_id) DO UPDATE SET emoji = excluded.emoji, description = excluded.description,
			set_at = excluded.set_at, ends_at = excluded.ends_at`, userID, u.Emoji, u.Description, micros(u.SetAt),
		micros(u.EndsAt))
	if err == nil && !found {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	return err
}

// ClearUserStatus removes a user's status, if there is one.
func (s *Store) ClearUserStatus(ctx context.Context, userID int64) error {
	_, err := s.changesOne(ctx, "DELETE FROM userkeys_user_statuses WHERE user_id = $1", userID)
	return err
}
