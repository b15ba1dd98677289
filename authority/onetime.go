package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// oneTimeTries limits how often one-time passwords can be guessed (OT9).
var oneTimeTries = stored("one-time password", 10, time.Minute)

// oneTimeMakes limits the lines that making one-time passwords adds to the audit log.
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

// mostKeys is more than a user can have: max_user_api_keys_per_user ends at 10,000.
const mostKeys = 20_000

// keyOf returns the id of the key of the app that asks for a one-time password: the key that it asks with, or else
// the newest live key of the user that was encrypted to the same public key. It returns 0 if there is none.
func (a *Authority) keyOf(ctx context.Context, r site.CheckedRequest, b site.Caller) (int64, error) {
	if b.Key != 0 {
		return b.Key, nil
	}
	keys, err := a.Keys(ctx, site.KeyFilter{UserID: b.User.ID, Live: true, Limit: mostKeys})
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

// OneTimePassword returns a one-time password and its user, without consuming it.
//
// Errors: [userkeys.ConsentGone] if it was used or is too old, [userkeys.RateLimited] after too many tries.
func (a *Authority) OneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error) {
	if err := a.tryOneTime(ctx, password, ip); err != nil {
		return site.OneTimePassword{}, err
	}
	return a.store.OneTimePassword(ctx, password, a.now().UTC())
}

// UseOneTimePassword consumes a one-time password and returns it with the user whom it signs in.
//
// Errors: those of [Authority.OneTimePassword].
func (a *Authority) UseOneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error) {
	if err := a.tryOneTime(ctx, password, ip); err != nil {
		return site.OneTimePassword{}, err
	}
	by := site.Caller{As: site.CallerUser, Address: ip}
	return a.store.ConsumeOneTimePassword(ctx, password, by.At(a.now().UTC()))
}

func (a *Authority) tryOneTime(ctx context.Context, password, ip string) error {
	if !userkeys.IsOneTimePassword(password) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such sign-in link")
	}
	return a.charge(ctx, oneTimeTries, site.Network(ip))
}
