package store

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

func checkOneTimePassword(p site.OneTimePassword) error {
	if !userkeys.IsOneTimePassword(p.Password) {
		return userkeys.Errorf(userkeys.InvalidParameters, "this is no one-time password")
	}
	return checkText(p.ApplicationName)
}

// putOneTimePassword stores p in the place of the user's last one-time password. It does nothing if p is nil.
func putOneTimePassword(c conn, p *site.OneTimePassword) error {
	if p == nil {
		return nil
	}
	_, err := c.exec(`INSERT INTO userkeys_one_time_passwords (user_id, hash, application_name, created_at, expires_at,
		key_id) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, application_name = excluded.application_name,
			created_at = excluded.created_at, expires_at = excluded.expires_at, key_id = excluded.key_id, used = 0`,
		p.UserID, secretHash(p.Password), p.ApplicationName, micros(p.CreatedAt), micros(p.ExpiresAt), p.KeyID)
	return err
}

// CreateOneTimePassword stores a one-time password in the place of the user's last one. If consentID is not empty,
// that consent is consumed in the same transaction.
//
// Errors: [userkeys.ConsentGone] if there is no such consent; [userkeys.NotFound] if there is no such user.
func (s *Store) CreateOneTimePassword(
	ctx context.Context, p site.OneTimePassword, consentID string, by site.Caller,
) error {
	if err := checkOneTimePassword(p); err != nil {
		return err
	}
	if err := checkIndexed(consentID); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		if err := s.lockUser(c, p.UserID); err != nil {
			return err
		}
		g := site.Grant{ConsentID: consentID, Key: site.UserAPIKey{UserID: p.UserID, CreatedAt: p.CreatedAt}}
		if err := consumeConsent(c, g); err != nil {
			return err
		}
		if err := putOneTimePassword(c, &p); err != nil {
			return err
		}
		return audit(c, site.AuditEvent{
			At: p.CreatedAt, Caller: by, Action: actionOneTimeMade, UserID: p.UserID,
			Detail: p.ApplicationName,
		})
	})
}

const oneTimeColumns = "user_id, application_name, created_at, expires_at, key_id"

func scanOneTime(r row) (site.OneTimePassword, error) {
	var p site.OneTimePassword
	var created, expires int64
	err := r.Scan(&p.UserID, &p.ApplicationName, &created, &expires, &p.KeyID)
	p.CreatedAt, p.ExpiresAt = fromMicros(created), fromMicros(expires)
	return p, err
}

func oneTimeGone(err error, p site.OneTimePassword, now time.Time) error {
	if isNoRows(err) || err == nil && !cut(now).Before(p.ExpiresAt) {
		return oneTimeOver()
	}
	return err
}

func oneTimeOver() error {
	return userkeys.Errorf(userkeys.ConsentGone, "this sign-in link is missing, was used already, or is too old; "+
		"start again in the app")
}

// OneTimePassword finds a one-time password that is good at now, without consuming it.
//
// Errors: [userkeys.ConsentGone] if there is none.
func (s *Store) OneTimePassword(ctx context.Context, password string, now time.Time) (site.OneTimePassword, error) {
	return read(ctx, s, func(c conn) (site.OneTimePassword, error) {
		p, err := one(c, scanOneTime, "SELECT "+oneTimeColumns+" FROM userkeys_one_time_passwords WHERE hash = $1 "+
			"AND used = 0", secretHash(password))
		return p, oneTimeGone(err, p, now)
	})
}

// ConsumeOneTimePassword marks a one-time password as used and returns it: of many calls at once, one succeeds.
// Its row stays until [Store.BindSession] finds it, so that what ends the user's sessions in between ends this one
// too.
//
// Errors: [userkeys.ConsentGone] if the password is not good, or was used.
func (s *Store) ConsumeOneTimePassword(
	ctx context.Context, password string, act site.Act,
) (site.OneTimePassword, error) {
	var p site.OneTimePassword
	err := s.write(ctx, func(c conn) error {
		var err error
		p, err = one(c, scanOneTime, "UPDATE userkeys_one_time_passwords SET used = 1 WHERE hash = $1 AND used = 0 "+
			"RETURNING "+oneTimeColumns, secretHash(password))
		if err := oneTimeGone(err, p, act.At); err != nil {
			return err
		}
		p.Password = password
		return audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionOneTimeUsed, UserID: p.UserID,
			Detail: p.ApplicationName,
		})
	})
	return p, err
}

// dropOneTimePassword deletes the one-time password of a user whose sessions end.
func dropOneTimePassword(c conn, userID int64) error {
	_, err := c.exec("DELETE FROM userkeys_one_time_passwords WHERE user_id = $1", userID)
	return err
}
