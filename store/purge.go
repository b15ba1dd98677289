package store

import (
	"context"
	"fmt"
	"time"

	"userkeys"
	"userkeys/site"
)

// How long what is over stays.
const (
	keepChanges  = time.Hour           // a node that slept longer forgets everything anyway
	keepDeadKeys = 90 * 24 * time.Hour // so that people find what they ask about
	// keepDeadDeliveries is how long an administrator can replay what was given up.
	keepDeadDeliveries = 30 * 24 * time.Hour
)

// dead is the condition of keys that were revoked or expired before $1.
const dead = "(revoked_at <> 0 AND revoked_at <= $1) OR (expires_at <> 0 AND expires_at <= $1)"

// jobBatch bounds a transaction of the hourly jobs, so that requests get their turn in between.
const jobBatch = 1000

// Purge removes what has expired: consents, shown answers, sent forms, sessions and tokens past their end, attempts
// that no longer count, statuses that ended, idempotency keys older than a week, changes older than an hour, keys
// revoked or expired for 90 days, and unregistered clients without keys.
//
// It also reports audit events that could not be written: while there are [Store.UnwrittenEvents], it returns an
// error that says how many.
func (s *Store) Purge(ctx context.Context, at time.Time) error {
	if err := s.purge(ctx, at); err != nil {
		return err
	}
	if n := s.UnwrittenEvents(); n > 0 {
		return userkeys.Errorf(userkeys.Unavailable, "%d revocations hold but are not in the audit log yet: the "+
			"database does not take the lines", n)
	}
	return nil
}

func (s *Store) purge(ctx context.Context, at time.Time) error {
	for _, p := range []struct {
		table, id, condition string
		before               time.Time
	}{
		{"userkeys_consents", "id_hash", "expires_at <= $1", at},
		{"userkeys_shown_answers", "consent_hash", "expires_at <= $1", at},
		{"userkeys_sent_forms", "form_hash", "expires_at <= $1", at},
		{"userkeys_sessions", "token_hash", "expires_at <= $1", at},
		{"userkeys_device_grants", "device_hash", "expires_at <= $1", at},
		{"userkeys_one_time_passwords", "user_id", "expires_at <= $1", at},
		{"userkeys_tokens", "kind", "expires_at <= $1", at},
		{"userkeys_user_statuses", "user_id", "ends_at <> 0 AND ends_at <= $1", at},
		{"userkeys_admin_keys", "id", dead, at.Add(-keepDeadKeys)},
		{"userkeys_deliveries", "id", "dead_at <> 0 AND dead_at <= $1", at.Add(-keepDeadDeliveries)},
		{"userkeys_announcements", "key_hash", "created_at <= $1", at.Add(-site.IdempotencyLifetime)},
		{"userkeys_guesses", "name", "until <> 0 AND until <= $1", at},
		// Always the oldest ones, whatever the clocks of the nodes: no gap may look
		// like "nothing happened". The newest one stays: nodes compare its token.
		{
			"userkeys_changes", "id", `n <= (SELECT COALESCE(MAX(o.n), 0) FROM userkeys_changes o WHERE o.at < $1)
				AND n < (SELECT MAX(n) FROM userkeys_changes)`, at.Add(-keepChanges),
		},
	} {
		query := "DELETE FROM " + p.table + " WHERE " + p.id + " IN (SELECT " + p.id + " FROM " + p.table +
			" WHERE " + p.condition + " LIMIT $2)"
		for n := int64(jobBatch); n == jobBatch; {
			err := s.write(ctx, func(c conn) error {
				var err error
				n, err = c.exec(query, micros(p.before), jobBatch)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	keys, err := s.purgeKeys(ctx, at)
	if err != nil {
		return err
	}
	clients, err := s.purgeClients(ctx, at)
	if err != nil || keys+clients == 0 {
		return err
	}
	return s.write(ctx, func(c conn) error {
		return audit(c, site.AuditEvent{
			At: at, Caller: site.Caller{As: site.CallerSystem}, Action: actionPurged,
			Detail: fmt.Sprintf("%d keys revoked or expired for long, %d clients without keys", keys, clients),
		})
	})
}

func (s *Store) purgeKeys(ctx context.Context, at time.Time) (int64, error) {
	const query = "DELETE FROM userkeys_keys WHERE id IN (SELECT id FROM userkeys_keys WHERE " + dead + " LIMIT $2)"
	total := int64(0)
	for n := int64(jobBatch); n == jobBatch; total += n {
		err := s.write(ctx, func(c conn) error {
			var err error
			n, err = c.exec(query, micros(at.Add(-keepDeadKeys)), jobBatch)
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// purgeClients locks the rows first and looks for keys again under the lock, so that a client that a grant has just
// found is kept.
func (s *Store) purgeClients(ctx context.Context, at time.Time) (int64, error) {
	const unused = `auth_redirect = '' AND created_at < $1 AND NOT EXISTS (SELECT 1 FROM userkeys_keys k
		WHERE k.client = userkeys_clients.id)`
	total := int64(0)
	for n := int64(jobBatch); n == jobBatch; total += n {
		err := s.write(ctx, func(c conn) error {
			ids, err := all(c, scanInt, "SELECT id FROM userkeys_clients WHERE "+unused+" ORDER BY id "+
				"LIMIT $2"+s.diff.lockGone, micros(at), jobBatch)
			if err != nil {
				return err
			}
			n = 0
			for _, id := range ids {
				gone, err := c.exec("DELETE FROM userkeys_clients WHERE id = $2 AND "+unused, micros(at), id)
				if err != nil {
					return err
				}
				n += gone
			}
			return nil
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
