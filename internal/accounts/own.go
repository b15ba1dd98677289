package accounts

import (
	"context"
	"errors"
	"net/http"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

// Own is what users see and change of their own account.
type Own struct{ ac *Accounts }

// OwnOf returns what the users of ac see and change of their own account. Config.Own is required.
func OwnOf(ac *Accounts) Own { return Own{ac} }

// HasPassword reports whether a user can sign in with a password.
func (o Own) HasPassword(ctx context.Context, u site.User) (bool, error) {
	a, err := o.ac.find(ctx, canonical(u.Username))
	return a.ID == u.ID && a.PasswordHash != "", err
}

// UserSessions lists the sessions of a user that are not over, the one that was used last first.
func (o Own) UserSessions(ctx context.Context, userID int64) ([]site.UserSession, error) {
	list, err := o.ac.own.UserSessions(ctx, userID, o.ac.now().UTC())
	return list, coded(err)
}

// Identities lists who a user is to providers that sign people in.
func (o Own) Identities(ctx context.Context, userID int64) ([]site.Identity, error) {
	list, err := o.ac.own.Identities(ctx, userID)
	return list, coded(err)
}

// EndSession ends the session of a user that has the id.
//
// Errors: [userkeys.NotFound] if the user has no such session.
func (o Own) EndSession(ctx context.Context, userID int64, id string) error {
	return coded(o.ac.own.EndSession(ctx, userID, id))
}

// EndOtherSessions ends all sessions of the sender of r but the one that r came with.
func (o Own) EndOtherSessions(r *http.Request) error {
	by, v, err := o.owner(r)
	if err != nil {
		return err
	}
	return coded(o.ac.own.EndOtherSessions(r.Context(), by.User.ID, hashToken(v.token)))
}

// owner is who sends r in a session that they began themselves. The request must have passed Sessions.
func (o Own) owner(r *http.Request) (site.Caller, *visit, error) {
	v := o.ac.visitOf(r.Context())
	if v == nil {
		return site.Caller{}, nil, errNoSession
	}
	by, err := o.ac.Visitor(r)
	if err == nil && (!by.SignedIn() || by.Session.App != "") {
		err = userkeys.Errorf(userkeys.NotLoggedIn, "you need to be signed in to do that")
	}
	by.Address = o.ac.clientIP(r)
	return by, v, err
}

// ChangePassword gives the sender of r, who knows the old one, a new password, and ends their other sessions. Tries are
// limited as those of [Accounts.Login] are, and count among them.
//
// Errors: [userkeys.InvalidCredentials] if old is not the password; [userkeys.InvalidParameters] for a new one that
// will not do, and for an account without a password; [userkeys.RateLimited]; [userkeys.Conflict] if it was changed
// meanwhile.
func (o Own) ChangePassword(r *http.Request, old, text string) error {
	ctx := r.Context()
	by, v, err := o.owner(r)
	if err != nil {
		return err
	}
	name := canonical(by.User.Username)
	a, err := o.ac.find(ctx, name)
	if err != nil {
		return err
	}
	if a.ID != by.User.ID || a.PasswordHash == "" {
		return invalid("this account has no password")
	}
	if err := password.Check(text, a.User); err != nil {
		return err
	}
	g, err := o.ac.guesses.New(ctx, by.Address, name, a)
	if err != nil {
		return coded(err)
	}
	if a, err = o.ac.try(ctx, g, a, old); err != nil {
		o.ac.log.InfoContext(ctx, "change of password refused", "user", a.ID, "ip", by.Address, "err", err)
		if errors.Is(err, userkeys.InvalidCredentials) {
			err = userkeys.Errorf(userkeys.InvalidCredentials, "the old password is wrong")
		}
		return err
	}
	if text == old {
		return invalid("the new password is the old one")
	}
	hash, err := o.ac.hashNew(ctx, text)
	if err != nil {
		return err
	}
	change := site.PasswordChange{UserID: a.ID, Old: a.PasswordHash, New: hash, Session: hashToken(v.token)}
	return coded(o.ac.own.ChangePassword(ctx, change, by.At(o.ac.now().UTC())))
}
