package authority

import (
	"context"
	"errors"
	"time"

	"userkeys"
	"userkeys/site"
)

// OneTimeStore remembers one-time passwords by their hashes, one of a user.
// [userkeys.ConsentGone] for those that are not known, used or over.
type OneTimeStore interface {
	CreateOneTimePassword(ctx context.Context, p site.OneTimePassword, consentID string, by site.Caller) error
	OneTimePassword(ctx context.Context, password string, now time.Time) (site.OneTimePassword, error)
	ConsumeOneTimePassword(ctx context.Context, password string, act site.Act) (site.OneTimePassword, error)
	// AppSessions lists the sessions of a user that apps began and that are not over, newest first.
	AppSessions(ctx context.Context, userID int64, now time.Time) ([]site.AppSession, error)
	// ClientByPublicKey finds who registered with exactly this text, and with this
	// redirect if there are several; [userkeys.NotFound].
	ClientByPublicKey(ctx context.Context, publicKey, authRedirect string) (site.Client, error)
}

// oneTimeTries bounds guessing (OT9).
var oneTimeTries = quota{"one-time password", 10, time.Minute}

// oneTimeMakes bounds lines of the audit log.
var oneTimeMakes = quota{"one-time password made", 30, time.Minute}

// ExamineOneTime tells whether the site would put a request for a one-time password to a user.
func (a *Authority) ExamineOneTime(ctx context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	client, err := a.store.ClientByPublicKey(ctx, r.PublicKey, r.AuthRedirect)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return site.CheckedRequest{}, err
	}
	return r.CheckOneTime(a.Settings(), client)
}

// PrepareOneTime examines r and keeps the question for ten minutes, as [Authority.Prepare] does.
func (a *Authority) PrepareOneTime(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (Question, error) {
	checked, err := a.ExamineOneTime(ctx, r)
	if err != nil {
		return Question{}, err
	}
	if err := a.mayGrant(ctx, b); err != nil {
		return Question{}, err
	}
	return a.ask(ctx, r, checked, b)
}

// GrantOneTime answers a question of [Authority.PrepareOneTime] with yes and tells the way back.
func (a *Authority) GrantOneTime(ctx context.Context, consentID string, b site.Caller) (string, error) {
	c, err := a.consent(ctx, consentID, b)
	if err != nil {
		return "", err
	}
	return a.makeOneTime(ctx, c.Request, c.ID, b)
}

// GrantOneTimeDirect answers a request that came whole; see [Authority.GrantDirect].
func (a *Authority) GrantOneTimeDirect(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (string, error) {
	return a.makeOneTime(ctx, r, "", b)
}

func (a *Authority) makeOneTime(ctx context.Context, r site.AuthorizationRequest, consentID string, b site.Caller) (string, error) {
	checked, err := a.ExamineOneTime(ctx, r)
	if err != nil {
		return "", err
	}
	if err := a.mayGrant(ctx, b); err != nil {
		return "", err
	}
	if err := a.chargeHere(oneTimeMakes, userSubject(b.User)); err != nil {
		return "", err
	}
	p, sealed, err := a.newOneTimePassword(checked, b)
	if err != nil {
		return "", err
	}
	if p.KeyID, err = a.keyOf(ctx, checked, b); err != nil {
		return "", err
	}
	if err := a.store.CreateOneTimePassword(ctx, *p, consentID, b); err != nil {
		return "", err
	}
	return checked.Redirect.With("oneTimePassword", sealed), nil
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
// [userkeys.ConsentGone], [userkeys.RateLimited].
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
	return a.chargeStored(ctx, oneTimeTries, site.Network(ip))
}
