package store

import (
	"context"
	"strings"
	"time"

	"userkeys"
)

// keyRow is what the SQL of a change to keys gives back of each.
type keyRow struct {
	id, userID int64
	clientID   string
	hash       userkeys.KeyHash
	old        userkeys.KeyHash // before the last renewal; zero: none
}

const keyRowColumns = `id, user_id, hash, old_hash, (SELECT c.client_id FROM userkeys_clients c WHERE c.id = client)`

func scanKeyRow(r row) (keyRow, error) {
	var k keyRow
	var hash, old []byte
	err := r.Scan(&k.id, &k.userID, &hash, &old, &k.clientID)
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

func keyEvents(keys []keyRow, e userkeys.AuditEvent) []userkeys.AuditEvent {
	out := make([]userkeys.AuditEvent, len(keys))
	for i, k := range keys {
		e.KeyID, e.UserID, e.ClientID = k.id, k.userID, k.clientID
		out[i] = e
	}
	return out
}

const idsPerStatement = 500

// Revoke revokes keys and returns the hashes of those that it changed. A key
// that is revoked already stays as it was, except that an administrator's
// revocation takes the place of any other. It goes through even where the audit
// log cannot be written: to stop access must not depend on a log. The events
// are then kept and written as soon as they can be.
func (s *Store) Revoke(ctx context.Context, r userkeys.Revocation) ([]userkeys.KeyHash, error) {
	if err := checkText(string(r.By), string(r.Actor.Kind), r.Actor.IP); err != nil {
		return nil, err
	}
	if r.By == "" {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "a revocation must say by whom")
	}
	var revoked []keyRow
	var unwritten []userkeys.AuditEvent
	err := s.writeUrgent(ctx, func(ctx context.Context, c conn) error {
		var err error
		if len(r.IDs) == 0 && r.UserID != 0 {
			if err := endSignIns(ctx, c, r.UserID); err != nil {
				return err
			}
		}
		revoked, err = s.revokeKeys(ctx, c, r)
		// What may still sign the app in is taken back too; but not from an app that gives its key back
		// because it has that now: shipped ones do so before they use it.
		for i := 0; i < len(revoked) && err == nil && r.Actor.Kind != userkeys.ActorKey; i++ {
			err = dropOneTimePassword(ctx, c, revoked[i].userID)
		}
		if err != nil || len(revoked) == 0 {
			return err
		}
		if err := raise(ctx, c, r.At, hashes(revoked)); err != nil {
			return err
		}
		unwritten, err = auditOrKeep(ctx, c, keyEvents(revoked, userkeys.AuditEvent{
			At: r.At, Actor: r.Actor, Action: actionKeyRevoked, Detail: string(r.By),
		}))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.kept.add(unwritten)
	return hashes(revoked), nil
}

func (s *Store) revokeKeys(ctx context.Context, c conn, r userkeys.Revocation) ([]keyRow, error) {
	const set = "UPDATE userkeys_keys SET revoked_at = $1, revoked_by = $2 WHERE "
	at, by := micros(r.At), string(r.By)
	if len(r.IDs) == 0 {
		if r.UserID == 0 {
			return nil, nil
		}
		if err := lockKeys(ctx, c, s.diff.lockRow, "user_id = $1", r.UserID); err != nil {
			return nil, err
		}
		return all(ctx, c, scanKeyRow, set+`user_id = $3 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $4)
			RETURNING `+keyRowColumns, at, by, r.UserID, at)
	}
	var out []keyRow
	err := inChunks(unique(r.IDs), idsPerStatement, func(ids []int64) error {
		wanted := make([]any, len(ids))
		for i, id := range ids {
			wanted[i] = id
		}
		if err := lockKeys(ctx, c, s.diff.lockRow, "id IN ("+list(1, len(ids))+")", wanted...); err != nil {
			return err
		}
		args := append([]any{at, by, string(userkeys.RevokedByAdmin), flag(r.By == userkeys.RevokedByAdmin)}, wanted...)
		rows, err := all(ctx, c, scanKeyRow, set+`id IN (`+list(5, len(ids))+`)
			AND (revoked_at = 0 OR (revoked_by <> $3 AND CAST($4 AS BIGINT) = 1)) RETURNING `+keyRowColumns, args...)
		out = append(out, rows...)
		return err
	})
	return out, err
}

// lockKeys locks keys in the order of their ids, the same everywhere, where a
// change of many would else lock them in whatever order it finds them, and two
// such changes wait for each other. With one writer at a time there is no need.
func lockKeys(ctx context.Context, c conn, lock, condition string, args ...any) error {
	if lock == "" {
		return nil
	}
	_, err := all(ctx, c, scanInt, "SELECT id FROM userkeys_keys WHERE "+condition+" ORDER BY id"+lock, args...)
	return err
}

// list writes n placeholders from $first on: $5,$6,$7.
func list(first, n int) string {
	return strings.NewReplacer("(", "", ")", "").Replace(placeholders(first, n, 1))
}

// UndoRevoke makes a revoked key live again, with its own end unchanged, and
// returns its hash. Who may is decided above, but for one thing: what an
// administrator revoked meanwhile is not undone by anybody else
// ([userkeys.InvalidAccess]). A key that is not revoked stays as it is. [userkeys.NotFound].
func (s *Store) UndoRevoke(ctx context.Context, id int64, at time.Time, by userkeys.Actor) (userkeys.KeyHash, error) {
	if err := checkText(string(by.Kind), by.IP); err != nil {
		return userkeys.KeyHash{}, err
	}
	var hash userkeys.KeyHash
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		// Locked first, so that what is decided on is what is undone.
		key, err := one(ctx, c, scanRevoked, "SELECT hash, revoked_by FROM userkeys_keys WHERE id = $1"+s.diff.lockRow, id)
		if err != nil {
			return notFound(err, "key")
		}
		hash = key.hash
		switch {
		case key.by == "":
			return nil
		case key.by == userkeys.RevokedByAdmin && !by.Admin:
			return userkeys.Errorf(userkeys.InvalidAccess, "an administrator revoked this key; only an administrator can undo that")
		}
		undone, err := all(ctx, c, scanKeyRow, "UPDATE userkeys_keys SET revoked_at = 0, revoked_by = '' WHERE id = $1 RETURNING "+keyRowColumns, id)
		if err != nil {
			return err
		}
		err = audit(ctx, c, keyEvents(undone, userkeys.AuditEvent{At: at, Actor: by, Action: actionRevocationUndone})...)
		if err != nil {
			return err
		}
		return raise(ctx, c, at, hashes(undone))
	})
	if err != nil {
		return userkeys.KeyHash{}, err
	}
	return hash, nil
}

// revoked is what an undo decides on.
type revoked struct {
	hash userkeys.KeyHash
	by   userkeys.RevokedBy // empty: nobody
}

func scanRevoked(r row) (revoked, error) {
	var hash []byte
	var by string
	err := r.Scan(&hash, &by)
	return revoked{keyHash(hash), userkeys.RevokedBy(by)}, err
}

// jobBatch bounds a transaction of the daily jobs, so that requests get a turn in between.
const jobBatch = 1000

// RevokeStale revokes live keys last used before unusedBefore and those
// created before createdBefore; a zero time revokes none. It returns how many.
func (s *Store) RevokeStale(ctx context.Context, unusedBefore, createdBefore, at time.Time) (int, error) {
	unused, err := s.revokeWhere(ctx, "COALESCE(w.last_used_at, k.created_at) < $3", unusedBefore, at, userkeys.RevokedByUnused)
	if err != nil {
		return unused, err
	}
	old, err := s.revokeWhere(ctx, "k.created_at < $3", createdBefore, at, userkeys.RevokedByMaxLife)
	return unused + old, err
}

func (s *Store) revokeWhere(ctx context.Context, condition string, before, at time.Time, by userkeys.RevokedBy) (int, error) {
	if before.IsZero() {
		return 0, nil
	}
	total, after := 0, int64(0)
	for {
		var revoked []keyRow
		err := s.write(ctx, func(ctx context.Context, c conn) error {
			var err error
			revoked, err = all(ctx, c, scanKeyRow, `UPDATE userkeys_keys SET revoked_at = $1, revoked_by = $2 WHERE revoked_at = 0 AND id IN (
				SELECT k.id FROM userkeys_keys k LEFT JOIN userkeys_key_uses w ON w.key_id = k.id
				WHERE `+condition+` AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $4) AND k.id > $5
				ORDER BY k.id LIMIT $6) RETURNING `+keyRowColumns,
				micros(at), string(by), micros(before), micros(at), after, jobBatch)
			if err != nil || len(revoked) == 0 {
				return err
			}
			if err := raise(ctx, c, at, hashes(revoked)); err != nil {
				return err
			}
			return audit(ctx, c, keyEvents(revoked, userkeys.AuditEvent{
				At: at, Actor: userkeys.Actor{Kind: userkeys.ActorSystem}, Action: actionKeyRevoked, Detail: string(by),
			})...)
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
