package store

import (
	"context"
	"fmt"
	"time"

	"userkeys"
	"userkeys/site"
)

// Reasons by which the refusals of a grant with one code can be told apart.
const (
	ReasonHashTaken   = "hash taken"         // make another key and grant again
	ReasonTooManyKeys = "too many live keys" // the user must revoke one first
)

// Grant writes a grant in one transaction and returns its key: the consent is consumed, the limits are checked,
// the client is found or made, the user's other keys on that client are deleted, and the key and its audit event
// are written. After an error nothing has changed, and the consent is still there. A limit of 0 is none.
//
// Errors: [userkeys.ConsentGone] if the consent is gone; [userkeys.NotFound] if there is no such user;
// [userkeys.Conflict] with [ReasonTooManyKeys] or [ReasonHashTaken]; [userkeys.RateLimited] for too many grants
// lately.
func (s *Store) Grant(ctx context.Context, g site.Grant) (site.UserAPIKey, error) {
	if err := checkGrant(g); err != nil {
		return site.UserAPIKey{}, err
	}
	var key site.UserAPIKey
	err := s.write(ctx, func(c conn) error {
		key = g.Key
		return s.grant(c, g, &key)
	})
	if err != nil {
		return site.UserAPIKey{}, err
	}
	return key, nil
}

func checkGrant(g site.Grant) error {
	k := g.Key
	if err := checkIndexed(k.ClientID, g.ConsentID); err != nil {
		return err
	}
	if k.ClientID == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "a grant without a client_id")
	}
	if err := checkList(k.Scopes, scopeSeparator); err != nil {
		return err
	}
	if p := g.OneTimePassword; p != nil {
		if err := checkOneTimePassword(*p); err != nil {
			return err
		}
	}
	if a := g.Shown; a != nil {
		if err := checkText(a.Session, a.Payload); err != nil {
			return err
		}
	}
	return checkText(k.ApplicationName, k.PushURL, k.PublicKey, string(k.Padding), string(g.Caller.Kind()),
		g.Caller.Address, g.Caller.Device, g.Destination)
}

// grant writes g, and what key becomes by it.
func (s *Store) grant(c conn, g site.Grant, key *site.UserAPIKey) error {
	// One grant of a user at a time: what is counted below stays true.
	if err := s.lockUser(c, key.UserID); err != nil {
		return err
	}
	if err := consumeConsent(c, g); err != nil {
		return err
	}
	if err := holdRecent(c, g); err != nil {
		return err
	}
	replaced, err := s.clientFor(c, key)
	if err != nil {
		return err
	}
	if err := holdLive(c, *key, key.CreatedAt, g.MaxKeys); err != nil {
		return err
	}
	if err := insertKey(c, g, key, replaced); err != nil {
		return err
	}
	if err := authorizeDevice(c, g); err != nil {
		return err
	}
	if err := carrySessions(c, replaced, *key); err != nil {
		return err
	}
	if err := keepAnswer(c, g, *key); err != nil {
		return err
	}
	if err := putOneTimePassword(c, oneTimeOf(g, *key)); err != nil {
		return err
	}
	if err := audit(c, grantEvents(g, *key, replaced)...); err != nil {
		return err
	}
	return raise(c, key.CreatedAt, hashes(replaced))
}

// lockOwner locks the owner of a key, then the key itself: the order of locks everywhere.
func (s *Store) lockOwner(c conn, keyID int64) error {
	owner, err := one(c, scanInt, "SELECT user_id FROM userkeys_keys WHERE id = $1", keyID)
	if err != nil {
		return notFound(err, "key")
	}
	if err := s.lockUser(c, owner); err != nil {
		return err
	}
	return lockKeys(c, s.diff.lockRow, "id = $1", keyID)
}

// oneTimeOf is the one-time password that comes with a key; nil if there is none.
func oneTimeOf(g site.Grant, key site.UserAPIKey) *site.OneTimePassword {
	if g.OneTimePassword == nil {
		return nil
	}
	p := *g.OneTimePassword
	p.KeyID = key.ID
	return &p
}

func (s *Store) lockUser(c conn, id int64) error {
	_, err := one(c, scanInt, "SELECT id FROM userkeys_users WHERE id = $1"+s.diff.lockRow, id)
	return notFound(err, "user")
}

// consumeConsent deletes and checks the consent in one statement, so that of many grants with one consent one
// succeeds. If the consent is another user's, the refusal rolls the deletion back.
func consumeConsent(c conn, g site.Grant) error {
	if g.ConsentID == "" {
		return nil
	}
	consent, err := one(c, scanConsent, "DELETE FROM userkeys_consents WHERE id_hash = $1 "+
		"RETURNING "+consentColumns, secretHash(g.ConsentID))
	if err != nil && !isNoRows(err) {
		return err
	}
	if err != nil || consent.UserID != g.Key.UserID || !g.Key.CreatedAt.Before(consent.ExpiresAt) {
		return site.ErrConsentGone
	}
	return nil
}

// holdRecent checks the limit of grants in a period. It counts them in the audit log, because a new grant deletes the
// key of the one before.
func holdRecent(c conn, g site.Grant) error {
	if g.MaxRecent <= 0 {
		return nil
	}
	// The MaxRecent-th newest grant: when it leaves the window there is room again.
	at, err := one(c, scanInt, `SELECT at FROM userkeys_audit_events WHERE user_id = $1 AND action IN ($2, $5)
		AND at > $3 ORDER BY at DESC LIMIT 1 OFFSET $4`, g.Key.UserID, actionKeyGranted, micros(g.RecentSince), g.MaxRecent-1,
		actionKeyMadeByHand)
	if isNoRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return &userkeys.Error{
		Code:       userkeys.RateLimited,
		Public:     fmt.Sprintf("you have given %d keys lately; wait a little before giving more", g.MaxRecent),
		RetryAfter: max(fromMicros(at).Sub(cut(g.RecentSince)), time.Microsecond),
	}
}

// holdLive refuses one more live key for the user of k if they have most of them (0 is no limit), and one more that is
// made by hand if they have [site.MaxKeysByHand]. The caller has locked the row of the user and deleted the keys that
// are replaced.
func holdLive(c conn, k site.UserAPIKey, at time.Time, most int) error {
	if most > 0 {
		if err := countLive(c, k, at, bound{"%", most, "live keys"}); err != nil {
			return err
		}
	}
	if k.ByHand() {
		return countLive(c, k, at, bound{site.ByHandPrefix + "%", site.MaxKeysByHand, "live keys made by hand"})
	}
	return nil
}

// bound is how many live keys a user may have whose client_id is like a pattern.
type bound struct {
	like string
	most int
	what string
}

func countLive(c conn, k site.UserAPIKey, at time.Time, b bound) error {
	n, err := one(c, scanInt, `SELECT COUNT(*) FROM userkeys_keys k JOIN userkeys_clients c ON c.id = k.client
		WHERE k.user_id = $1 AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $2) AND c.client_id LIKE $3`,
		k.UserID, micros(at), b.like)
	if err != nil || n < int64(b.most) {
		return err
	}
	return &userkeys.Error{
		Code:   userkeys.Conflict,
		Public: fmt.Sprintf("there are %d %s, as many as this site allows a user; revoke one first", n, b.what),
		Reason: ReasonTooManyKeys,
	}
}

// clientFor finds or makes the client of k, and deletes the keys of the user on it, which it returns. Each key keeps
// the name that its user saw: everybody who knows a client_id can use it, and must not rename the app for others. A
// registered client has one name for all.
func (s *Store) clientFor(c conn, k *site.UserAPIKey) ([]keyRow, error) {
	client, err := s.findOrMakeClient(c, *k)
	if err != nil {
		return nil, err
	}
	if client.Registered() {
		k.ApplicationName = client.ApplicationName
	}
	return all(c, scanKeyRow, "DELETE FROM userkeys_keys WHERE user_id = $1 AND client = $2 "+
		"RETURNING "+keyRowColumns, k.UserID, client.ID)
}

func (s *Store) findOrMakeClient(c conn, k site.UserAPIKey) (site.Client, error) {
	for i := 1; ; i++ {
		_, err := c.exec(`INSERT INTO userkeys_clients (client_id, application_name, public_key, auth_redirect, scopes,
			created_at)
			VALUES ($1, $2, '', '', '', $3) ON CONFLICT (client_id) DO NOTHING`, k.ClientID, k.ApplicationName,
			micros(k.CreatedAt))
		if err != nil {
			return site.Client{}, err
		}
		client, err := one(c, scanClient, "SELECT "+clientColumns+" FROM userkeys_clients "+
			"WHERE client_id = $1"+s.diff.keepRow, k.ClientID)
		if !isNoRows(err) || i == attempts {
			return client, err
		}
		// Purged between the two statements: make it again.
	}
}

func insertKey(c conn, g site.Grant, k *site.UserAPIKey, replaced []keyRow) error {
	taken := &userkeys.Error{Code: userkeys.Conflict, Public: "the key could not be made", Reason: ReasonHashTaken}
	for _, old := range replaced {
		if old.hash == k.Hash {
			return taken
		}
	}
	id, err := one(c, scanInt, `INSERT INTO userkeys_keys
		(user_id, client, hash, hash_kind, application_name, scopes, push_url, created_at, expires_at, revoked_at, revoked_by,
			public_key, padding, lifetime, destination, approved_with)
		SELECT $1, c.id, $2, 1, $8, $3, $4, $5, $6, 0, '', $9, $10, $11, $12, $13
		FROM userkeys_clients c WHERE c.client_id = $7 ON CONFLICT DO NOTHING RETURNING id`,
		k.UserID, k.Hash[:], k.Scopes.String(), k.PushURL, micros(k.CreatedAt), micros(k.ExpiresAt), k.ClientID,
		k.ApplicationName,
		k.PublicKey, string(k.Padding), k.Lifetime.Microseconds(), g.Destination, g.Caller.Device)
	if isNoRows(err) {
		return taken
	}
	k.ID = id
	k.CreatedAt, k.ExpiresAt = cut(k.CreatedAt), cut(k.ExpiresAt)
	k.LastUsedAt, k.RevokedAt, k.RevokedBy = k.CreatedAt, time.Time{}, ""
	return err
}

func grantEvents(g site.Grant, k site.UserAPIKey, replaced []keyRow) []site.AuditEvent {
	event := site.AuditEvent{
		At: k.CreatedAt, Caller: g.Caller, Action: actionKeyGranted,
		UserID: k.UserID, KeyID: k.ID, ClientID: k.ClientID, Detail: k.Scopes.String(),
	}
	if k.ByHand() {
		event.Action = actionKeyMadeByHand
	}
	events := []site.AuditEvent{event}
	for _, old := range replaced {
		e := event
		e.Action, e.KeyID, e.Detail = actionKeyReplaced, old.id, fmt.Sprintf("by key %d", k.ID)
		events = append(events, e)
	}
	return events
}
