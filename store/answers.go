package store

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// keepAnswer stores the answer of a grant, so that its page can be loaded again.
func keepAnswer(c conn, g site.Grant, key site.UserAPIKey) error {
	if g.Shown == nil || g.ConsentID == "" {
		return nil
	}
	_, err := c.exec(`INSERT INTO userkeys_shown_answers (consent_hash, key_id, session, payload, expires_at)
		VALUES ($1, $2, $3, $4, $5)`,
		secretHash(g.ConsentID), key.ID, g.Shown.Session, g.Shown.Payload, micros(g.Shown.Until))
	return err
}

// ShownAnswer finds the answer to a consent that a page showed, with the id, owner and name of its key.
// Errors: [userkeys.ConsentGone] if there is none, it is too old, or its key was revoked or has expired.
func (s *Store) ShownAnswer(ctx context.Context, consentID string, now time.Time) (site.ShownAnswer, error) {
	a, err := read(ctx, s, func(c conn) (site.ShownAnswer, error) {
		return one(c, scanShownAnswer, `SELECT a.session, a.payload, a.expires_at, k.id, k.user_id, k.application_name
			FROM userkeys_shown_answers a JOIN userkeys_keys k ON k.id = a.key_id
			WHERE a.consent_hash = $1 AND a.expires_at > $2
				AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $2)`, secretHash(consentID), micros(now))
	})
	if isNoRows(err) {
		return site.ShownAnswer{}, site.ErrConsentGone
	}
	return a, err
}

func scanShownAnswer(r row) (site.ShownAnswer, error) {
	var a site.ShownAnswer
	var expires int64
	err := r.Scan(&a.Session, &a.Payload, &expires, &a.Key.ID, &a.Key.UserID, &a.Key.ApplicationName)
	a.Until = fromMicros(expires)
	return a, err
}

// SpendOnce notes that what has this token, such as a form, was used, and remembers it until then.
// Errors: [userkeys.Conflict] if it was before. Of many that come at once, one is the first.
func (s *Store) SpendOnce(ctx context.Context, token string, until time.Time) error {
	return s.write(ctx, func(c conn) error {
		n, err := c.exec("INSERT INTO userkeys_sent_forms (form_hash, expires_at) VALUES ($1, $2) "+
			"ON CONFLICT (form_hash) DO NOTHING",
			secretHash(token), micros(until))
		if err == nil && n == 0 {
			err = userkeys.Errorf(userkeys.Conflict, "this form was sent already, and what it made is there; a key that "+
				"was not copied cannot be shown again: revoke it, and make another")
		}
		return err
	})
}
