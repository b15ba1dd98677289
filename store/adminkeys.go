package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

const (
	adminKeyColumns = `k.id, k.description, k.hash, k.user_id, COALESCE(u.username, ''), k.created_at, k.last_used_at,
		k.revoked_at,
		k.permissions, k.expires_at`
	adminKeyTables = ` FROM userkeys_admin_keys k LEFT JOIN userkeys_users u ON u.id = k.user_id`
)

func scanAdminKey(r row) (site.AdminAPIKey, error) {
	var k site.AdminAPIKey
	var hash []byte
	var user sql.NullInt64
	var created, used, revoked, expires int64
	var permissions string
	err := r.Scan(&k.ID, &k.Description, &hash, &user, &k.Username, &created, &used, &revoked, &permissions, &expires)
	if permissions != "" {
		for name := range strings.SplitSeq(permissions, scopeSeparator) {
			k.Permissions = append(k.Permissions, site.AdminPermission(name))
		}
	}
	k.ExpiresAt = fromMicros(expires)
	k.Hash, k.UserID = keyHash(hash), user.Int64
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = fromMicros(created), fromMicros(used), fromMicros(revoked)
	return k, err
}

// CreateAdminKey stores an admin API key.
//
// Errors: [userkeys.NotFound] if the user that the key acts as is gone.
func (s *Store) CreateAdminKey(ctx context.Context, k site.AdminAPIKey, by site.Caller) (site.AdminAPIKey, error) {
	if err := checkText(k.Description, k.Permissions.String(), string(by.Kind()), by.Address); err != nil {
		return site.AdminAPIKey{}, err
	}
	made := k
	err := s.write(ctx, func(c conn) error {
		as := "anybody"
		user := sql.NullInt64{Int64: k.UserID, Valid: k.UserID != 0}
		if user.Valid {
			name, err := one(c, scanText, "SELECT username FROM userkeys_users WHERE id = $1", k.UserID)
			if err != nil {
				return notFound(err, "user")
			}
			made.Username, as = name, name
		}
		id, err := one(c, scanInt, `INSERT INTO userkeys_admin_keys (description, hash, user_id, created_at, last_used_at,
			revoked_at, permissions, expires_at)
			VALUES ($1, $2, $3, $4, 0, 0, $5, $6) RETURNING id`, k.Description, k.Hash[:], user, micros(k.CreatedAt),
			k.Permissions.String(), micros(k.ExpiresAt))
		if err != nil {
			return err
		}
		made.ID, made.CreatedAt, made.ExpiresAt = id, cut(k.CreatedAt), cut(k.ExpiresAt)
		return audit(c, site.AuditEvent{
			At: k.CreatedAt, Caller: by, Action: actionAdminKeyMade, UserID: k.UserID,
			Detail: fmt.Sprintf("admin key %d, acts as %s%s: %s", id, as, limitsOf(k), k.Description),
		})
	})
	if err != nil {
		return site.AdminAPIKey{}, err
	}
	return made, nil
}

// limitsOf describes the permissions and the end of a key for the audit log.
func limitsOf(k site.AdminAPIKey) string {
	limits := ""
	if len(k.Permissions) > 0 {
		limits = ", may " + k.Permissions.String()
	}
	if !k.ExpiresAt.IsZero() {
		limits += ", until " + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return limits
}

// AdminKeys lists admin API keys, also revoked ones, newest first. It returns at most limit keys (0: 1000) with an id
// below before (0: from the newest on).
func (s *Store) AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error) {
	var w conditions
	if before != 0 {
		w.add("k.id < $?", before)
	}
	query := "SELECT " + adminKeyColumns + adminKeyTables + w.where() + " ORDER BY k.id DESC LIMIT " + listLimit(limit)
	return read(ctx, s, func(c conn) ([]site.AdminAPIKey, error) {
		return all(c, scanAdminKey, query, w.args...)
	})
}

// AdminKeyByHash finds an admin API key by its hash, revoked or not.
//
// Errors: [userkeys.NotFound] if there is no such key.
func (s *Store) AdminKeyByHash(ctx context.Context, h userkeys.KeyHash) (site.AdminAPIKey, error) {
	return read(ctx, s, func(c conn) (site.AdminAPIKey, error) {
		k, err := one(c, scanAdminKey, "SELECT "+adminKeyColumns+adminKeyTables+" WHERE k.hash = $1", h[:])
		return k, notFound(err, "admin API key")
	})
}

// RevokeAdminKey revokes an admin API key. A key that is revoked already stays as it was.
//
// Errors: [userkeys.NotFound] if there is no such key.
func (s *Store) RevokeAdminKey(ctx context.Context, id int64, act site.Act) error {
	if err := checkCaller(act.By); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		n, err := c.exec("UPDATE userkeys_admin_keys SET revoked_at = $1 WHERE id = $2 "+
			"AND revoked_at = 0", micros(act.At), id)
		if err != nil {
			return err
		}
		k, err := one(c, scanAdminKey, "SELECT "+adminKeyColumns+adminKeyTables+" WHERE k.id = $1", id)
		if err != nil || n == 0 {
			return notFound(err, "admin API key")
		}
		return audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionAdminKeyRevoked, UserID: k.UserID,
			Detail: fmt.Sprintf("admin key %d: %s", id, k.Description),
		})
	})
}

// TouchAdminKey stores when an admin API key was used, unless a later use is stored already.
func (s *Store) TouchAdminKey(ctx context.Context, id int64, usedAt time.Time) error {
	return s.write(ctx, func(c conn) error {
		_, err := c.exec("UPDATE userkeys_admin_keys SET last_used_at = $1 WHERE id = $2 "+
			"AND last_used_at < $1", micros(usedAt), id)
		return err
	})
}
