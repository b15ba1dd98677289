package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

const (
	keyColumns = `k.id, k.user_id, c.client_id, k.application_name, k.hash, k.scopes, k.push_url, k.created_at,
		COALESCE(w.last_used_at, k.created_at), k.expires_at, k.revoked_at, k.revoked_by,
		k.public_key, k.padding, k.lifetime, k.renewed_at, k.old_hash, k.old_until`
	keyTables = ` FROM userkeys_keys k JOIN userkeys_clients c ON c.id = k.client
		LEFT JOIN userkeys_key_uses w ON w.key_id = k.id`
	clientColumns = `id, client_id, application_name, public_key, auth_redirect, scopes, created_at`
)

// key scans keyColumns.
func (c *columns) key(k *site.UserAPIKey) {
	var hash, oldHash []byte
	var scopes, revokedBy, padding string
	var created, used, expires, revoked, lifetime, renewed, oldUntil int64
	c.dest = append(c.dest, &k.ID, &k.UserID, &k.ClientID, &k.ApplicationName, &hash, &scopes, &k.PushURL,
		&created, &used, &expires, &revoked, &revokedBy, &k.PublicKey, &padding, &lifetime, &renewed, &oldHash, &oldUntil)
	c.done = append(c.done, func() {
		k.Hash = keyHash(hash)
		k.Scopes = splitList(scopes, scopeSeparator)
		k.CreatedAt, k.LastUsedAt = fromMicros(created), fromMicros(used)
		k.ExpiresAt, k.RevokedAt = fromMicros(expires), fromMicros(revoked)
		k.RevokedBy, k.Padding = site.RevokedBy(revokedBy), userkeys.Padding(padding)
		k.Lifetime, k.RenewedAt = time.Duration(lifetime)*time.Microsecond, fromMicros(renewed)
		k.OldHash, k.OldUntil = keyHash(oldHash), fromMicros(oldUntil)
	})
}

func scanKey(r row) (site.UserAPIKey, error) {
	var k site.UserAPIKey
	var c columns
	c.key(&k)
	return k, c.scan(r)
}

func scanStoredKey(r row) (site.StoredKey, error) {
	var k site.StoredKey
	var c columns
	c.key(&k.UserAPIKey)
	c.user(&k.Owner)
	c.dest = append(c.dest, &k.Day)
	return k, c.scan(r)
}

func scanClient(r row) (site.Client, error) {
	var cl site.Client
	var scopes string
	var created int64
	err := r.Scan(&cl.ID, &cl.ClientID, &cl.ApplicationName, &cl.PublicKey, &cl.AuthRedirect, &scopes, &created)
	cl.Scopes, cl.CreatedAt = splitList(scopes, scopeSeparator), fromMicros(created)
	return cl, err
}

// KeyByHash finds a key, live or not, with its owner, also by the hash that it had before its last renewal.
//
// Errors: [userkeys.NotFound] if there is no such key.
func (s *Store) KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	return read(ctx, s, func(c conn) (site.StoredKey, error) {
		k, err := one(c, scanStoredKey, "SELECT "+keyColumns+", "+userColumns+", w.day"+keyTables+
			" JOIN userkeys_users u ON u.id = k.user_id WHERE k.hash = $1 OR k.old_hash = $1", h[:])
		return k, notFound(err, "key")
	})
}

// Key finds a key by its id.
//
// Errors: [userkeys.NotFound] if there is no such key.
func (s *Store) Key(ctx context.Context, id int64) (site.UserAPIKey, error) {
	return read(ctx, s, func(c conn) (site.UserAPIKey, error) {
		k, err := one(c, scanKey, "SELECT "+keyColumns+keyTables+" WHERE k.id = $1", id)
		return k, notFound(err, "key")
	})
}

// Keys lists keys, newest first.
func (s *Store) Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error) {
	if err := checkIndexed(f.ClientID); err != nil {
		return nil, err
	}
	var w conditions
	if f.UserID != 0 {
		w.add("k.user_id = $?", f.UserID)
	}
	if f.ClientID != "" {
		w.add("c.client_id = $?", f.ClientID)
	}
	if f.Live {
		w.add("k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $?)", micros(f.Now))
	}
	if f.Before != 0 {
		w.add("k.id < $?", f.Before)
	}
	query := "SELECT " + keyColumns + keyTables + w.where() + " ORDER BY k.id DESC LIMIT " + listLimit(f.Limit)
	return read(ctx, s, func(c conn) ([]site.UserAPIKey, error) {
		return all(c, scanKey, query, w.args...)
	})
}

// Client finds a client by its client_id.
//
// Errors: [userkeys.NotFound] if there is no such client.
func (s *Store) Client(ctx context.Context, clientID string) (site.Client, error) {
	if err := checkIndexed(clientID); err != nil {
		return site.Client{}, err
	}
	return read(ctx, s, func(c conn) (site.Client, error) {
		cl, err := one(c, scanClient, "SELECT "+clientColumns+" FROM userkeys_clients WHERE client_id = $1", clientID)
		return cl, notFound(err, "client")
	})
}

// usesPerStatement keeps a batch far below the bound of parameters of either database.
const usesPerStatement = 200

// RecordUses writes uses in one transaction. It never replaces a LastUsedAt by an earlier one, and a nil Day leaves
// the stored one. Uses of deleted keys are dropped.
func (s *Store) RecordUses(ctx context.Context, uses []site.KeyUse) error {
	uses = coalesce(uses)
	if len(uses) == 0 {
		return nil
	}
	return s.write(ctx, func(c conn) error {
		return inChunks(uses, usesPerStatement, func(chunk []site.KeyUse) error {
			values := make([]string, len(chunk))
			args := make([]any, 0, 3*len(chunk))
			for i, u := range chunk {
				n := strconv.Itoa
				values[i] = "(CAST($" + n(3*i+1) + " AS BIGINT), CAST($" + n(3*i+2) + " AS BIGINT), CAST($" + n(3*i+3) + " AS " +
					s.diff.names["bytes"] + "))"
				args = append(args, u.KeyID, micros(u.LastUsedAt), blob(u.Day))
			}
			_, err := c.exec(`WITH v (id, at, day) AS (VALUES `+strings.Join(values, ",")+`)
				INSERT INTO userkeys_key_uses (key_id, last_used_at, day)
				SELECT k.id, CASE WHEN v.at > k.created_at THEN v.at ELSE k.created_at END, v.day
				FROM userkeys_keys k JOIN v ON v.id = k.id WHERE k.id > 0 ORDER BY k.id`+s.diff.keepRow+`
				ON CONFLICT (key_id) DO UPDATE SET
					last_used_at = CASE WHEN excluded.last_used_at > userkeys_key_uses.last_used_at
						THEN excluded.last_used_at ELSE userkeys_key_uses.last_used_at END,
					day = COALESCE(excluded.day, userkeys_key_uses.day)`, args...)
			return err
		})
	})
}

// coalesce returns one use for each key, in the order of the ids: a statement may change a row once only, and rows
// are locked in one order.
func coalesce(uses []site.KeyUse) []site.KeyUse {
	last := make(map[int64]site.KeyUse, len(uses))
	ids := make([]int64, 0, len(uses))
	for _, u := range uses {
		have, ok := last[u.KeyID]
		if ok && have.LastUsedAt.After(u.LastUsedAt) {
			u.LastUsedAt = have.LastUsedAt
		}
		if ok && u.Day == nil {
			u.Day = have.Day
		}
		last[u.KeyID] = u
		ids = append(ids, u.KeyID)
	}
	out := make([]site.KeyUse, 0, len(last))
	for _, id := range unique(ids) {
		out = append(out, last[id])
	}
	return out
}
