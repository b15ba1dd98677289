package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// oneTimeTries bounds guessing (OT9).
var oneTimeTries = stored("one-time password", 10, time.Minute)

// oneTimeMakes bounds lines of the audit log.
var oneTimeMakes = perMinute("one-time password made", 30)

// grantOneTimePassword makes the one-time password of a checked request, seals it and stores it.
func (a *Authority) grantOneTimePassword(ctx context.Context, r site.CheckedRequest, y Approval) (Granted, error) {
	if err := a.charge(ctx, oneTimeMakes, userSubject(y.By.User)); err != nil {
		return Granted{}, err
	}
	p, sealed, err := a.newOneTimePassword(r, y.By)
	if err != nil {
		return Granted{}, err
	}
	if p.KeyID, err = a.keyOf(ctx, r, y.By); err != nil {
		return Granted{}, err
	}
	if err := a.store.CreateOneTimePassword(ctx, *p, y.Consent, y.By); err != nil {
		return Granted{}, err
	}
	return Granted{Location: r.Redirect.With("oneTimePassword", sealed)}, nil
}

// newOneTimePassword makes a password that signs the user in, and seals it to the app.
func (a *Authority) newOneTimePassword(r site.CheckedRequest, by site.Caller) (*site.OneTimePassword, string, error) {
	now := a.now().UTC()
	p := &site.OneTimePassword{
		Password: userkeys.NewOneTimePassword(), UserID: by.User.ID, ApplicationName: r.Name,
		CreatedAt: now, ExpiresAt: now.Add(site.OneTimeLifetime),
	}
	sealed, err := userkeys.SealOneTimePassword(r.Key, r.Pad, p.Password)
	return p, sealed, err
}

// keyOf is the id of the key of the app that asks for a one-time password: the one that it asks with, else the newest
// of the user's live keys that was sealed to the same public key, however it was written; 0 if there is none.
func (a *Authority) keyOf(ctx context.Context, r site.CheckedRequest, b site.Caller) (int64, error) {
	if b.Key != 0 {
		return b.Key, nil
	}
	keys, err := a.store.Keys(ctx, site.KeyFilter{UserID: b.User.ID, Live: true, Limit: maxApps, Now: a.now()})
	for _, k := range keys {
		if k.PublicKey == r.KeyText {
			return k.ID, nil
		}
		if same, err := userkeys.ParsePublicKey(k.PublicKey); err == nil && same.Equal(r.Key) {
			return k.ID, nil
		}
	}
	return 0, err
}

// AppSessions lists the sessions of a user that apps began with a one-time password, newest first.
func (a *Authority) AppSessions(ctx context.Context, userID int64) ([]site.AppSession, error) {
	return a.store.AppSessions(ctx, userID, a.now())
}

// OneTimePassword tells whose a one-time password is, without consuming it.
// Errors: [userkeys.ConsentGone] if it was used or is too old, [userkeys.RateLimited] for too many tries.
func (a *Authority) OneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error) {
	if err := a.tryOneTime(ctx, password, ip); err != nil {
		return site.OneTimePassword{}, err
	}
	return a.store.OneTimePassword(ctx, password, a.now().UTC())
}

// UseOneTimePassword consumes a one-time password, once, and tells whom it signs in.
func (a *Authority) UseOneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error) {
	if err := a.tryOneTime(ctx, password, ip); err != nil {
		return site.OneTimePassword{}, err
	}
	return a.store.ConsumeOneTimePassword(ctx, password, site.Caller{As: site.CallerUser, Address: ip}.At(a.now().UTC()))
}

func (a *Authority) tryOneTime(ctx context.Context, password, ip string) error {
	if !userkeys.IsOneTimePassword(password) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such sign-in link")
	}
	return a.charge(ctx, oneTimeTries, site.Network(ip))
}
