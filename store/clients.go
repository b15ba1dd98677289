package store

import (
	"context"
	"fmt"
	"time"

	"userkeys"
	"userkeys/site"
)

// CreateClient registers a client.
//
// Errors: [userkeys.InvalidAccess] if the client_id is in use, also by a grant alone: Discourse tells no more either.
func (s *Store) CreateClient(ctx context.Context, cl site.Client, by site.Caller) error {
	if err := checkIndexed(cl.ClientID); err != nil {
		return err
	}
	if err := checkText(cl.ApplicationName, cl.PublicKey, cl.AuthRedirect, by.Address); err != nil {
		return err
	}
	if err := checkList(cl.Scopes, scopeSeparator); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		n, err := c.exec(`INSERT INTO userkeys_clients (client_id, application_name, public_key, public_key_hash,
			auth_redirect, scopes, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (client_id) DO NOTHING`,
			cl.ClientID, cl.ApplicationName, cl.PublicKey, secretHash(cl.PublicKey), cl.AuthRedirect, cl.Scopes.String(),
			micros(cl.CreatedAt))
		if err == nil && n == 0 {
			return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
		}
		if err != nil {
			return err
		}
		return audit(c, site.AuditEvent{
			At: cl.CreatedAt, Caller: by, Action: actionClientRegistered, ClientID: cl.ClientID,
			Detail: cl.Scopes.String(),
		})
	})
}

// ClientByPublicKey finds the registered client with exactly this PEM. Anybody may register anybody's public key: of
// several clients it finds the one with this redirect.
//
// Errors: [userkeys.NotFound] if there is no such client.
func (s *Store) ClientByPublicKey(ctx context.Context, publicKey, authRedirect string) (site.Client, error) {
	if err := checkText(publicKey, authRedirect); err != nil {
		return site.Client{}, err
	}
	return read(ctx, s, func(c conn) (site.Client, error) {
		cl, err := one(c, scanClient, "SELECT "+clientColumns+` FROM userkeys_clients WHERE public_key_hash = $1
			AND public_key = $2
			ORDER BY CASE WHEN auth_redirect = $3 THEN 0 ELSE 1 END, id LIMIT 1`, secretHash(publicKey), publicKey, authRedirect)
		return cl, notFound(err, "client")
	})
}

// ReleaseClients deletes registered clients that were made before unusedSince, and whose keys were not used since,
// with their keys. It returns how many.
func (s *Store) ReleaseClients(ctx context.Context, unusedSince, at time.Time) (int, error) {
	const unused = `auth_redirect <> '' AND created_at < $1 AND NOT EXISTS (
		SELECT 1 FROM userkeys_keys k LEFT JOIN userkeys_key_uses w ON w.key_id = k.id
		WHERE k.client = userkeys_clients.id AND COALESCE(w.last_used_at, k.created_at) >= $1)`
	total := 0
	for {
		var released []site.Client
		err := s.write(ctx, func(c conn) error {
			var err error
			released, err = all(c, scanClient, "SELECT "+clientColumns+" FROM userkeys_clients WHERE "+unused+" "+
				"ORDER BY id LIMIT $2"+s.diff.lockGone, micros(unusedSince), jobBatch)
			if err != nil || len(released) == 0 {
				return err
			}
			return s.releaseClients(c, released, at)
		})
		total += len(released)
		if err != nil || len(released) < jobBatch {
			return total, err
		}
	}
}

func (s *Store) releaseClients(c conn, released []site.Client, at time.Time) error {
	system := site.Caller{As: site.CallerSystem}
	var gone []userkeys.KeyHash
	var events []site.AuditEvent
	for _, cl := range released {
		keys, err := all(c, scanKeyRow, "DELETE FROM userkeys_keys WHERE client = $1 RETURNING "+keyRowColumns, cl.ID)
		if err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM userkeys_clients WHERE id = $1", cl.ID); err != nil {
			return err
		}
		gone = append(gone, hashes(keys)...)
		events = append(events, site.AuditEvent{
			At: at, Caller: system, Action: actionClientReleased, ClientID: cl.ClientID,
			Detail: fmt.Sprintf("not used for long; %d keys", len(keys)),
		})
	}
	if err := audit(c, events...); err != nil {
		return err
	}
	return raise(c, at, gone)
}

// RebindKey moves a key to another client, found or made, and removes the user's other key on that client.
//
// Errors: [userkeys.NotFound] if there is no such key; [userkeys.InvalidAccess] for a key that is revoked or expired,
// and for a registered client, which takes no key that it was not granted.
func (s *Store) RebindKey(ctx context.Context, keyID int64, clientID string, act site.Act) error {
	if err := checkIndexed(clientID); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		if err := s.lockOwner(c, keyID); err != nil {
			return err
		}
		k, err := one(c, scanKey, "SELECT "+keyColumns+keyTables+" WHERE k.id = $1", keyID)
		if err != nil {
			return notFound(err, "key")
		}
		if !k.Live(act.At) { // the request that brought it here began while it was
			return userkeys.ErrInvalidKey
		}
		k.ClientID, k.CreatedAt = clientID, act.At
		client, err := s.findOrMakeClient(c, k)
		if err != nil {
			return err
		}
		if client.Registered() {
			return userkeys.Errorf(userkeys.InvalidAccess, "a registered client is bound by a grant only")
		}
		return moveKey(c, k, client, act)
	})
}

// moveKey moves a key to a client, in the place of the user's other key on it.
func moveKey(c conn, k site.UserAPIKey, client site.Client, act site.Act) error {
	dropped, err := all(c, scanKeyRow, `DELETE FROM userkeys_keys WHERE user_id = $1 AND client = $2 AND id <> $3
		RETURNING `+keyRowColumns, k.UserID, client.ID, k.ID)
	if err != nil {
		return err
	}
	moved, err := all(c, scanKeyRow, "UPDATE userkeys_keys SET client = $1 WHERE id = $2 RETURNING "+keyRowColumns,
		client.ID, k.ID)
	if err != nil {
		return err
	}
	event := site.AuditEvent{At: act.At, Caller: act.By, Action: actionKeyMoved}
	events := keyEvents(moved, event)
	event.Action, event.Detail = actionKeyReplaced, fmt.Sprintf("by key %d", k.ID)
	if err := audit(c, append(events, keyEvents(dropped, event)...)...); err != nil {
		return err
	}
	return raise(c, act.At, append(hashes(moved), hashes(dropped)...))
}

// RenewKey puts a new key in the place of one that lives; see [site.Renewal].
//
// Errors: [userkeys.NotFound] if there is no such key; [userkeys.InvalidAccess] if the presented key is no longer
// good.
func (s *Store) RenewKey(ctx context.Context, r site.Renewal) error {
	return s.write(ctx, func(c conn) error {
		before, err := all(c, scanKeyRow, "SELECT "+keyRowColumns+" FROM userkeys_keys WHERE id = $1"+s.diff.lockRow, r.KeyID)
		if err != nil {
			return err
		}
		if len(before) == 0 {
			return userkeys.Errorf(userkeys.NotFound, "there is no such key")
		}
		// Renewed again with the key before: the newest one went astray, and the older keeps its end.
		n, err := c.exec(`UPDATE userkeys_keys SET hash = $1, renewed_at = $2, expires_at = $3,
				old_hash = $4, old_until = CASE WHEN hash = $4 THEN $5 ELSE old_until END
			WHERE id = $6 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $2)
				AND (hash = $4 OR (old_hash = $4 AND old_until > $2))`,
			r.Hash[:], micros(r.At), micros(r.ExpiresAt), r.Presented[:], micros(r.OldUntil), r.KeyID)
		if err != nil {
			return err
		}
		if n == 0 {
			return userkeys.ErrInvalidKey
		}
		event := site.AuditEvent{At: r.At, Caller: r.Caller, Action: actionKeyRenewed}
		if err := audit(c, keyEvents(before, event)...); err != nil {
			return err
		}
		return raise(c, r.At, append(hashes(before), r.Hash))
	})
}
