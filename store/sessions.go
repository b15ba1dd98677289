package store

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// maxSessionData bounds what a session holds.
const maxSessionData = 1 << 16

// sessionHolds holds at $2 for the sessions (s) that are not over: neither they nor the key that they end with.
// A key that its app gave back ends no session: shipped apps give theirs back once they are signed in.
const sessionHolds = `s.expires_at > $2 AND (s.key_id = 0 OR EXISTS (SELECT 1 FROM userkeys_keys k
	WHERE k.id = s.key_id AND k.user_id = s.user_id
	AND (k.revoked_at = 0 OR k.revoked_by = 'app') AND (k.expires_at = 0 OR k.expires_at > $2)))`

// Session returns the data of a session that has not ended.
func (s *Store) Session(ctx context.Context, tokenHash []byte, now time.Time) ([]byte, bool, error) {
	data, err := read(ctx, s, func(c conn) ([][]byte, error) {
		return all(c, scanBytes, "SELECT s.data FROM userkeys_sessions s WHERE s.token_hash = $1 "+
			"AND "+sessionHolds, tokenHash, micros(now))
	})
	if err != nil || len(data) == 0 {
		return nil, false, err
	}
	return data[0], true, nil
}

// SaveSession writes a session, and replaces one with the same token.
func (s *Store) SaveSession(ctx context.Context, row site.SessionRow) error {
	if len(row.TokenHash) == 0 || len(row.TokenHash) > maxIndexed || len(row.Data) > maxSessionData {
		return userkeys.Errorf(userkeys.InvalidParameters,
			"a session without a token, or with more than %d bytes", maxSessionData)
	}
	a := row.About
	if err := checkText(a.ID, a.Address, a.UserAgent, a.Login); err != nil {
		return err
	}
	data := row.Data
	if data == nil {
		data = []byte{}
	}
	return s.write(ctx, func(c conn) error {
		_, err := c.exec(`INSERT INTO userkeys_sessions (token_hash, user_id, data, expires_at,
				public_id, address, user_agent, login, began_at, seen_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (token_hash) DO UPDATE SET
				user_id = excluded.user_id, data = excluded.data, expires_at = excluded.expires_at`,
			row.TokenHash, row.UserID, data, micros(row.ExpiresAt),
			a.ID, a.Address, a.UserAgent, a.Login, micros(a.BeganAt), micros(a.SeenAt))
		return err
	})
}

// BindSession stores that an app began a session with a one-time password, and which key the session ends with.
// The row of the password is deleted in the same transaction.
//
// Errors: [userkeys.ConsentGone] if that row is gone, because all sessions of the user were ended meanwhile, or if
// the key has ended, unless the app itself gave it back.
func (s *Store) BindSession(ctx context.Context, tokenHash []byte, a site.AppSession) error {
	if err := checkText(a.ApplicationName); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		if a.KeyID != 0 {
			// Locked, so that a revocation either is seen here or finds the session.
			end, err := one(c, scanKeyEnd, "SELECT expires_at, revoked_by FROM userkeys_keys "+
				"WHERE id = $1"+s.diff.lockRow, a.KeyID)
			if err != nil && !isNoRows(err) {
				return err
			}
			if err != nil || !end.leavesSessions(a.BeganAt) {
				return oneTimeOver()
			}
		}
		n, err := c.exec("DELETE FROM userkeys_one_time_passwords WHERE hash = $1 AND used = 1", secretHash(a.Password))
		if err == nil && n == 0 {
			err = oneTimeOver()
		}
		if err != nil {
			return err
		}
		_, err = c.exec("UPDATE userkeys_sessions SET via_app = 1, key_id = $1, application_name = $2, began_at = $3 "+
			"WHERE token_hash = $4",
			a.KeyID, a.ApplicationName, micros(a.BeganAt), tokenHash)
		return err
	})
}

// keyEnd is what decides whether the sessions of a key continue.
type keyEnd struct {
	expires int64
	by      site.RevokedBy // empty: nobody
}

func scanKeyEnd(r row) (keyEnd, error) {
	var e keyEnd
	err := r.Scan(&e.expires, &e.by)
	return e, err
}

func (e keyEnd) leavesSessions(at time.Time) bool {
	return (e.by == "" || e.by == site.RevokedByApp) && (e.expires == 0 || e.expires > micros(at))
}

// AppSessions lists the sessions of a user that apps began and that are not over, newest first.
func (s *Store) AppSessions(ctx context.Context, userID int64, now time.Time) ([]site.AppSession, error) {
	return read(ctx, s, func(c conn) ([]site.AppSession, error) {
		return all(c, scanAppSession, `SELECT s.key_id, s.application_name, s.began_at,
				CASE WHEN EXISTS (SELECT 1 FROM userkeys_keys k WHERE k.id = s.key_id AND k.revoked_at <> 0) THEN 1 ELSE 0 END
			FROM userkeys_sessions s WHERE s.user_id = $1 AND s.via_app = 1 AND `+sessionHolds+` ORDER BY s.began_at DESC
				LIMIT 1000`, userID, micros(now))
	})
}

func scanAppSession(r row) (site.AppSession, error) {
	var a site.AppSession
	var began, ended int64
	err := r.Scan(&a.KeyID, &a.ApplicationName, &began, &ended)
	a.BeganAt, a.KeyEnded = fromMicros(began), ended != 0
	return a, err
}

// endKeySessions ends the sessions that apps began with their keys.
func endKeySessions(c conn, keys []keyRow) error {
	return inChunks(keys, idsPerStatement, func(chunk []keyRow) error {
		ids := make([]any, len(chunk))
		for i, k := range chunk {
			ids[i] = k.id
		}
		_, err := c.exec("DELETE FROM userkeys_sessions WHERE key_id"+in(1, len(ids)), ids...)
		return err
	})
}

// carrySessions moves the sessions and one-time passwords of replaced keys to the new key of the app.
func carrySessions(c conn, replaced []keyRow, key site.UserAPIKey) error {
	for _, old := range replaced {
		if !old.end.leavesSessions(key.CreatedAt) {
			continue
		}
		for _, table := range []string{"userkeys_sessions", "userkeys_one_time_passwords"} {
			if _, err := c.exec("UPDATE "+table+" SET key_id = $1 WHERE key_id = $2", key.ID, old.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// RenewSession writes the data, the end and the last visit of a session that still exists, and reports whether it does.
// So a request under way does not restore a session that a logout has ended.
func (s *Store) RenewSession(ctx context.Context, row site.SessionRow) (bool, error) {
	if len(row.Data) > maxSessionData {
		return false, userkeys.Errorf(userkeys.InvalidParameters, "a session with more than %d bytes", maxSessionData)
	}
	a := row.About
	if err := checkText(a.ID, a.Address, a.UserAgent, a.Login); err != nil {
		return false, err
	}
	data := row.Data
	if data == nil {
		data = []byte{}
	}
	// An older version has not stored who a session is.
	return s.changesOne(ctx, `UPDATE userkeys_sessions SET data = $1, expires_at = $2, public_id = $3, address = $4,
			user_agent = $5, login = $6, began_at = CASE WHEN began_at = 0 THEN $7 ELSE began_at END, seen_at = $8
		WHERE token_hash = $9`,
		data, micros(row.ExpiresAt), a.ID, a.Address, a.UserAgent, a.Login, micros(a.BeganAt), micros(a.SeenAt),
		row.TokenHash)
}

// UserSessions lists the sessions of a user that are not over, the one that was used last first.
func (s *Store) UserSessions(ctx context.Context, userID int64, now time.Time) ([]site.UserSession, error) {
	return read(ctx, s, func(c conn) ([]site.UserSession, error) {
		return all(c, scanUserSession, `SELECT s.public_id, s.address, s.user_agent, s.login, s.application_name,
				s.began_at, s.seen_at
			FROM userkeys_sessions s WHERE s.user_id = $1 AND `+sessionHolds+`
			ORDER BY s.seen_at DESC, s.began_at DESC LIMIT 1000`, userID, micros(now))
	})
}

func scanUserSession(r row) (site.UserSession, error) {
	var u site.UserSession
	var began, seen int64
	err := r.Scan(&u.ID, &u.Address, &u.UserAgent, &u.Login, &u.App, &began, &seen)
	u.BeganAt, u.SeenAt = fromMicros(began), fromMicros(seen)
	return u, err
}

// EndSession ends the session of a user that has the id.
//
// Errors: [userkeys.NotFound] if the user has no such session.
func (s *Store) EndSession(ctx context.Context, userID int64, id string) error {
	if err := checkText(id); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		n, err := c.exec("DELETE FROM userkeys_sessions WHERE user_id = $1 AND public_id = $2 AND public_id <> ''",
			userID, id)
		if err == nil && n == 0 {
			err = userkeys.Errorf(userkeys.NotFound, "you have no such session; it may have ended already")
		}
		return err
	})
}

// EndOtherSessions ends all sessions of a user but the one whose token has the hash keep, and their one-time password.
func (s *Store) EndOtherSessions(ctx context.Context, userID int64, keep []byte) error {
	return s.writeUrgent(ctx, func(c conn) error { return endOtherSessions(c, userID, keep) })
}

func endOtherSessions(c conn, userID int64, keep []byte) error {
	_, err := c.exec("DELETE FROM userkeys_sessions WHERE user_id = $1 AND token_hash <> $2", userID, keep)
	if err != nil {
		return err
	}
	return dropOneTimePassword(c, userID) // it would be a way back in
}

// DeleteSession ends a session; one that is not there is ended already.
func (s *Store) DeleteSession(ctx context.Context, tokenHash []byte) error {
	return s.writeUrgent(ctx, func(c conn) error {
		_, err := c.exec("DELETE FROM userkeys_sessions WHERE token_hash = $1", tokenHash)
		return err
	})
}

// DeleteUserSessions ends all sessions of a user, and their one-time password.
func (s *Store) DeleteUserSessions(ctx context.Context, userID int64) error {
	if userID == 0 {
		return nil // those are nobody's
	}
	return s.writeUrgent(ctx, func(c conn) error { return endSessions(c, userID) })
}

func endSessions(c conn, userID int64) error {
	if _, err := c.exec("DELETE FROM userkeys_sessions WHERE user_id = $1", userID); err != nil {
		return err
	}
	return dropOneTimePassword(c, userID) // it would be a way back in
}

// CreateToken replaces the token of that kind: there is one of each at a time. Events are written with it.
func (s *Store) CreateToken(ctx context.Context, t site.Token, events ...site.AuditEvent) error {
	if err := checkIndexed(t.Kind); err != nil {
		return err
	}
	if len(t.Hash) == 0 {
		return userkeys.Errorf(userkeys.InvalidParameters, "a token without a hash")
	}
	return s.write(ctx, func(c conn) error {
		_, err := c.exec(`INSERT INTO userkeys_tokens (kind, token_hash, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (kind) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at`,
			t.Kind, t.Hash, micros(t.Expires))
		if err != nil {
			return err
		}
		return audit(c, events...)
	})
}

// TokenGood reports whether the token is there and good at a time, and leaves it as it is.
func (s *Store) TokenGood(ctx context.Context, t site.Token, now time.Time) (bool, error) {
	if err := checkIndexed(t.Kind); err != nil {
		return false, err
	}
	n, err := read(ctx, s, func(c conn) (int64, error) {
		return one(c, scanInt, "SELECT COUNT(*) FROM userkeys_tokens WHERE kind = $1 AND token_hash = $2 "+
			"AND expires_at > $3", t.Kind, t.Hash, micros(now))
	})
	return n > 0, err
}

// ConsumeToken deletes the token and reports whether it was there and good. Of many calls at once, one reports true.
// Events are written if it was good.
func (s *Store) ConsumeToken(
	ctx context.Context, t site.Token, now time.Time, events ...site.AuditEvent,
) (bool, error) {
	if err := checkIndexed(t.Kind); err != nil {
		return false, err
	}
	good := false
	err := s.write(ctx, func(c conn) error {
		expires, err := one(c, scanInt, "DELETE FROM userkeys_tokens WHERE kind = $1 AND token_hash = $2 "+
			"RETURNING expires_at", t.Kind, t.Hash)
		good = err == nil && expires > micros(now)
		if isNoRows(err) {
			return nil
		}
		if err != nil || !good {
			return err
		}
		return audit(c, events...)
	})
	return good && err == nil, err
}
