package store

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// keyRow is what a statement that changes keys returns of each.
type keyRow struct {
	id, userID int64
	clientID   string
	hash       userkeys.KeyHash
	old        userkeys.KeyHash // before the last renewal; zero: none
	end        keyEnd
}

const keyRowColumns = `id, user_id, hash, old_hash, expires_at, revoked_by,
	(SELECT c.client_id FROM userkeys_clients c WHERE c.id = client)`

func scanKeyRow(r row) (keyRow, error) {
	var k keyRow
	var hash, old []byte
	err := r.Scan(&k.id, &k.userID, &hash, &old, &k.end.expires, &k.end.by, &k.clientID)
	k.hash, k.old = keyHash(hash), keyHash(old)
	return k, err
}

func hashes(keys []keyRow) []userkeys.KeyHash {
	var out []userkeys.KeyHash
	for _, k := range keys {
		out = append(out, k.hash)
		if k.old != (userkeys.KeyHash{}) {
			out = append(out, k.old)
		}
	}
	return out
}

func keyEvents(keys []keyRow, e site.AuditEvent) []site.AuditEvent {
	out := make([]site.AuditEvent, len(keys))
	for i, k := range keys {
		e.KeyID, e.UserID, e.ClientID = k.id, k.userID, k.clientID
		out[i] = e
	}
	return out
}

// Revoke revokes keys and returns how many it changed. A key that is revoked already stays as it was, except that the
// revocation of an administrator replaces any other, and that of the owner replaces the app's.
//
// Revoke succeeds even where the audit log cannot be written, because access must end whether or not a log works. The
// events are then kept in memory and written as soon as possible; see [Store.UnwrittenEvents].
func (s *Store) Revoke(ctx context.Context, r site.Revocation) (int, error) {
	if err := checkText(string(r.By), string(r.Caller.Kind()), r.Caller.Address); err != nil {
		return 0, err
	}
	if r.By == "" {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "a revocation must say by whom")
	}
	var revoked []keyRow
	var unwritten []site.AuditEvent
	err := s.writeUrgent(ctx, func(c conn) error {
		var err error
		if revoked, err = s.revokeKeys(c, r); err != nil {
			return err
		}
		if err = endSignIns(c, r, revoked); err != nil || len(revoked) == 0 {
			return err
		}
		unwritten, err = auditOrKeep(c, keyEvents(revoked, site.AuditEvent{
			At: r.At, Caller: r.Caller, Action: actionKeyRevoked, Detail: string(r.By),
		}))
		if err != nil {
			return err
		}
		return raise(c, r.At, hashes(revoked))
	})
	if err != nil {
		return 0, err
	}
	s.kept.add(unwritten)
	return len(revoked), nil
}

// endSignIns ends the sessions that apps began with their keys, and takes back what may still sign them in. An app
// that gives its key back keeps both: shipped ones do that before they use the password. Revoking everything of a
// user also ends the sessions of apps without a key.
func endSignIns(c conn, r site.Revocation, revoked []keyRow) error {
	if r.By == site.RevokedByApp {
		return nil
	}
	if len(r.IDs) == 0 && r.UserID != 0 {
		if _, err := c.exec("DELETE FROM userkeys_sessions WHERE user_id = $1 AND via_app = 1", r.UserID); err != nil {
			return err
		}
		return dropOneTimePassword(c, r.UserID)
	}
	for _, k := range revoked {
		if err := dropOneTimePassword(c, k.userID); err != nil {
			return err
		}
	}
	return endKeySessions(c, revoked)
}

func (s *Store) revokeKeys(c conn, r site.Revocation) ([]keyRow, error) {
	const set = "UPDATE userkeys_keys SET revoked_at = $1, revoked_by = $2 WHERE "
	at, by := micros(r.At), string(r.By)
	if len(r.IDs) == 0 {
		if r.UserID == 0 {
			return nil, nil
		}
		if err := lockKeys(c, s.diff.lockRow, "user_id = $1", r.UserID); err != nil {
			return nil, err
		}
		return all(c, scanKeyRow, set+`user_id = $3 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $4)
			RETURNING `+keyRowColumns, at, by, r.UserID, at)
	}
	var out []keyRow
	err := inChunks(unique(r.IDs), idsPerStatement, func(ids []int64) error {
		wanted := arguments(ids)
		if err := lockKeys(c, s.diff.lockRow, "id"+in(1, len(ids)), wanted...); err != nil {
			return err
		}
		args := append([]any{
			at, by, string(site.RevokedByAdmin), flag(r.By == site.RevokedByAdmin),
			flag(r.By == site.RevokedByOwner),
		}, wanted...)
		rows, err := all(c, scanKeyRow, set+`id IN (`+list(6, len(ids))+`) AND (revoked_at = 0 OR (revoked_by <> $3
				AND CAST($4 AS BIGINT) = 1)
			OR (revoked_by = 'app' AND CAST($5 AS BIGINT) = 1)) RETURNING `+keyRowColumns, args...)
		out = append(out, rows...)
		return err
	})
	return out, err
}

// lockKeys locks keys in the order of their ids. Otherwise two changes of many keys could lock them in different
// orders and wait for each other. With one writer at a time, as on SQLite, lock is empty and nothing is done.
func lockKeys(c conn, lock, condition string, args ...any) error {
	if lock == "" {
		return nil
	}
	_, err := all(c, scanInt, "SELECT id FROM userkeys_keys WHERE "+condition+" ORDER BY id"+lock, args...)
	return err
}

// UndoRevoke makes a revoked key live again, with its own end unchanged. A key that is not revoked stays as it is.
//
// Errors: [userkeys.NotFound] if there is no such key; [userkeys.Conflict] if it was revoked in another way
// meanwhile, or, with [ReasonTooManyKeys], if the owner has as many live keys as allowed.
func (s *Store) UndoRevoke(ctx context.Context, u site.Undo) error {
	if err := checkCaller(u.Caller); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error { return s.undoRevoke(c, u) })
}

// undoRevoke locks the owner and the key first, so that the count and the reason of the revocation still hold when
// the key lives again.
func (s *Store) undoRevoke(c conn, u site.Undo) error {
	if err := s.lockOwner(c, u.Key.ID); err != nil {
		return err
	}
	key, err := one(c, scanKey, "SELECT "+keyColumns+keyTables+" WHERE k.id = $1", u.Key.ID)
	if err != nil {
		return notFound(err, "key")
	}
	if key.RevokedBy == "" {
		return nil
	}
	if key.RevokedBy != u.Key.RevokedBy || !key.RevokedAt.Equal(u.Key.RevokedAt) {
		return userkeys.Errorf(userkeys.Conflict, "this key was revoked once more at the same time; look again")
	}
	if err := holdLive(c, key, u.At, u.MaxKeys); err != nil {
		return err
	}
	undone, err := all(c, scanKeyRow, `UPDATE userkeys_keys SET revoked_at = 0, revoked_by = ''
		WHERE id = $1 RETURNING `+keyRowColumns, key.ID)
	if err != nil {
		return err
	}
	event := site.AuditEvent{At: u.At, Caller: u.Caller, Action: actionRevocationUndone}
	if err := audit(c, keyEvents(undone, event)...); err != nil {
		return err
	}
	return raise(c, u.At, hashes(undone))
}

// RevokeStale revokes live keys that were last used before unusedBefore, and those that were created before
// createdBefore. A zero time revokes none. It returns how many.
func (s *Store) RevokeStale(ctx context.Context, unusedBefore, createdBefore, at time.Time) (int, error) {
	unused, err := s.revokeWhere(ctx, at, staleness{
		"COALESCE(w.last_used_at, k.created_at) < $3", unusedBefore, site.RevokedByUnused,
	})
	if err != nil {
		return unused, err
	}
	old, err := s.revokeWhere(ctx, at, staleness{"k.created_at < $3", createdBefore, site.RevokedByMaxLife})
	return unused + old, err
}

// staleness is a reason to revoke keys.
type staleness struct {
	condition string
	before    time.Time // $3 of the condition
	by        site.RevokedBy
}

func (s *Store) revokeWhere(ctx context.Context, at time.Time, why staleness) (int, error) {
	if why.before.IsZero() {
		return 0, nil
	}
	total, after := 0, int64(0)
	for {
		var revoked []keyRow
		err := s.write(ctx, func(c conn) error {
			var err error
			revoked, err = all(c, scanKeyRow, `UPDATE userkeys_keys SET revoked_at = $1, revoked_by = $2
				WHERE revoked_at = 0 AND id IN (
				SELECT k.id FROM userkeys_keys k LEFT JOIN userkeys_key_uses w ON w.key_id = k.id
				WHERE `+why.condition+` AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $4) AND k.id > $5
				ORDER BY k.id LIMIT $6) RETURNING `+keyRowColumns,
				micros(at), string(why.by), micros(why.before), micros(at), after, jobBatch)
			if err != nil || len(revoked) == 0 {
				return err
			}
			if err := endKeySessions(c, revoked); err != nil {
				return err
			}
			err = audit(c, keyEvents(revoked, site.AuditEvent{
				At: at, Caller: site.Caller{As: site.CallerSystem}, Action: actionKeyRevoked, Detail: string(why.by),
			})...)
			if err != nil {
				return err
			}
			return raise(c, at, hashes(revoked))
		})
		if err != nil || len(revoked) == 0 {
			return total, err
		}
		total += len(revoked)
		for _, k := range revoked {
			after = max(after, k.id)
		}
	}
}
