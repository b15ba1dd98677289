package dbtest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/outbox"
	"userkeys/site"
)

// keyTexts are the texts of keys by the names that tests call them.
var keyTexts sync.Map

// KeyText is the text of the key that tests of any site call "key-" and its id. Other texts stay as they are.
func KeyText(name string) string {
	if !strings.HasPrefix(name, "key-") {
		return name
	}
	key, _ := keyTexts.LoadOrStore(name, userkeys.NewKey(""))
	return key.(userkeys.Key).Reveal()
}

// Add gives a user a key, as if it had been granted at its CreatedAt. Its text is a [KeyText].
func (c *Copy) Add(k site.UserAPIKey) site.UserAPIKey {
	c.t.Helper()
	c.check(c.DB.QueryRowContext(c.t.Context(), "SELECT COALESCE(MAX(id), 0) + 1 FROM userkeys_keys").Scan(&k.ID))
	k.Hash = userkeys.Key(KeyText(fmt.Sprintf("key-%d", k.ID))).Hash()
	c.Exec(`INSERT INTO userkeys_clients
		(id, client_id, application_name, public_key, auth_redirect, scopes, created_at)
		VALUES ($1, $2, '', '', '', '', 0)`, 1000+k.ID, fmt.Sprintf("client-of-key-%d", k.ID))
	c.Exec(`INSERT INTO userkeys_keys (id, user_id, client, hash, hash_kind, application_name, scopes, push_url,
		created_at, expires_at, revoked_at, revoked_by, public_key, padding)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		k.ID, k.UserID, 1000+k.ID, k.Hash[:], k.ApplicationName, k.Scopes.String(), k.PushURL, micros(k.CreatedAt),
		micros(k.ExpiresAt), micros(k.RevokedAt), string(k.RevokedBy), k.PublicKey, string(k.Padding))
	if !k.LastUsedAt.IsZero() {
		c.Exec("INSERT INTO userkeys_key_uses (key_id, last_used_at) VALUES ($1, $2)", k.ID, micros(k.LastUsedAt))
	}
	return k
}

// UserKey is a key as the database has it.
func (c *Copy) UserKey(id int64) site.UserAPIKey {
	c.t.Helper()
	k, err := c.Store.Key(c.t.Context(), id)
	c.check(err)
	return k
}

// Revoked reports whether a key is revoked.
func (c *Copy) Revoked(id int64) bool {
	c.t.Helper()
	return c.Count("userkeys_keys WHERE revoked_at <> 0 AND id = $1", id) == 1
}

// Count is how many rows of a table there are.
func (c *Copy) Count(tableAndConditions string, args ...any) int {
	c.t.Helper()
	n := 0
	c.check(c.DB.QueryRowContext(c.t.Context(), "SELECT COUNT(*) FROM "+tableAndConditions, args...).Scan(&n))
	return n
}

// Exec runs a statement on the database, behind the back of the store.
func (c *Copy) Exec(query string, args ...any) {
	c.t.Helper()
	_, err := c.DB.ExecContext(c.t.Context(), query, args...)
	c.check(err)
}

// micros is a time as the database has it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Pushed says how pushing to a key goes.
func (c *Copy) Pushed(keyID int64, s outbox.KeyState) {
	c.t.Helper()
	c.Exec(`INSERT INTO userkeys_key_pushes (key_id, delivered_at, failed_at, failing_since, problem, off_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key_id) DO UPDATE SET failed_at = excluded.failed_at,
		failing_since = excluded.failing_since, problem = excluded.problem, off_at = excluded.off_at`,
		keyID, micros(s.DeliveredAt), micros(s.FailedAt), micros(s.FailingSince), string(s.Problem), micros(s.OffAt))
}

// AddHost makes a host known that has one address. User 2 gets as many keys with that address as h.Off says, for
// which pushing is switched off.
func (c *Copy) AddHost(h outbox.Host, pushURL string) {
	c.t.Helper()
	c.Exec("INSERT INTO userkeys_push_hosts (host, failures, closed_until) VALUES ($1, 0, 0)", h.Host)
	c.Exec(`INSERT INTO userkeys_push_receivers (push_url, host, failures, closed_until, delivered_at, failed_at,
		problem, delivered, failed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		pushURL, h.Host, h.Failures, micros(h.ClosedUntil),
		micros(h.DeliveredAt), micros(h.FailedAt), string(h.Problem), h.Delivered, h.Failed)
	for range h.Off {
		k := c.Add(site.UserAPIKey{UserID: 2, ApplicationName: "Off", PushURL: pushURL})
		c.Pushed(k.ID, outbox.KeyState{OffAt: time.Unix(1, 0), Problem: outbox.ProblemGone})
	}
}

// AddDelivery adds a delivery, which is numbered from 1 on.
func (c *Copy) AddDelivery(d outbox.Delivery) {
	c.t.Helper()
	c.Exec(`INSERT INTO userkeys_deliveries (user_id, notification_id, key_id, push_url, host, created_at, queued_at,
		next_at, claim, attempt, dead_at, problem) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11)`,
		d.UserID, d.NotificationID, d.KeyID, d.PushURL, site.PushHostOf(d.PushURL),
		micros(d.CreatedAt), micros(d.QueuedAt), micros(d.NextAt), d.Attempt, micros(d.DeadAt), string(d.Problem))
}

func (c *Copy) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
