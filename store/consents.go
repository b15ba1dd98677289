package store

import (
	"context"
	"encoding/json"

	"userkeys"
	"userkeys/site"
)

const consentColumns = "user_id, session, request, created_at, expires_at"

// scanConsent scans consentColumns; the id is known to the caller only.
func scanConsent(r row) (site.Consent, error) {
	var c site.Consent
	var request string
	var created, expires int64
	if err := r.Scan(&c.UserID, &c.Session, &request, &created, &expires); err != nil {
		return c, err
	}
	c.CreatedAt, c.ExpiresAt = fromMicros(created), fromMicros(expires)
	return c, json.Unmarshal([]byte(request), &c.Request)
}

// maxConsents is how many questions to one user may be open. It is more than people have open, and bounds what
// endless requests can store.
const maxConsents = 20

// CreateConsent stores a question to a user under the hash of its id.
//
// Errors: [userkeys.NotFound] if there is no such user; [userkeys.Conflict] if the id is taken.
func (s *Store) CreateConsent(ctx context.Context, c site.Consent) error {
	r := c.Request
	if err := checkText(append([]string{
		c.ID, c.Session, r.ApplicationName, r.ClientID, r.Nonce, r.PublicKey,
		r.AuthRedirect, r.PushURL, r.Padding, r.ExpiresInSeconds,
	}, r.Scopes...)...); err != nil {
		return err
	}
	if c.ID == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "a consent without an id")
	}
	request, err := json.Marshal(r)
	if err != nil {
		return fail(err)
	}
	return s.write(ctx, func(tx conn) error {
		if _, err := one(tx, scanInt, "SELECT id FROM userkeys_users WHERE id = $1"+s.diff.keepRow, c.UserID); err != nil {
			return notFound(err, "user")
		}
		n, err := tx.exec(`INSERT INTO userkeys_consents (id_hash, user_id, session, request, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id_hash) DO NOTHING`,
			secretHash(c.ID), c.UserID, c.Session, string(request), micros(c.CreatedAt), micros(c.ExpiresAt))
		if err == nil && n == 0 {
			return userkeys.Errorf(userkeys.Conflict, "there is such a question already")
		}
		if err != nil {
			return err
		}
		_, err = tx.exec(`DELETE FROM userkeys_consents WHERE user_id = $1 AND id_hash NOT IN (
			SELECT id_hash FROM userkeys_consents WHERE user_id = $1 ORDER BY created_at DESC, id_hash
				LIMIT $2)`, c.UserID, maxConsents)
		return err
	})
}

// Consent finds an open question, also one that is too old to be answered.
//
// Errors: [userkeys.ConsentGone] if there is none with this id.
func (s *Store) Consent(ctx context.Context, id string) (site.Consent, error) {
	return read(ctx, s, func(c conn) (site.Consent, error) {
		consent, err := one(c, scanConsent, "SELECT "+consentColumns+" FROM userkeys_consents "+
			"WHERE id_hash = $1", secretHash(id))
		if isNoRows(err) {
			return site.Consent{}, site.ErrConsentGone
		}
		consent.ID = id
		return consent, err
	})
}

// DeleteConsent deletes a consent that was denied, and writes an audit event.
//
// Errors: [userkeys.ConsentGone] if there is none with this id, or if it belongs to another user than the one who
// acts.
func (s *Store) DeleteConsent(ctx context.Context, id string, act site.Act) error {
	if err := checkCaller(act.By); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		consent, err := one(c, scanConsent, "DELETE FROM userkeys_consents WHERE id_hash = $1 "+
			"RETURNING "+consentColumns, secretHash(id))
		if err != nil && !isNoRows(err) {
			return err
		}
		if err != nil || act.By.User.ID != 0 && act.By.User.ID != consent.UserID && !act.By.Admin() {
			return site.ErrConsentGone
		}
		return audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionConsentDenied, UserID: consent.UserID, ClientID: consent.Request.ClientID,
		})
	})
}
