package identity

import (
	"context"
	"errors"
	"net/http"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

// HasPassword reports whether a user can sign in with a password.
func (ac *Accounts) HasPassword(ctx context.Context, u site.User) (bool, error) {
	a, err := ac.find(ctx, canonical(u.Username))
	return a.ID == u.ID && a.PasswordHash != "", err
}

// UserSessions lists the sessions of a user that are not over, the one that was used last first.
func (ac *Accounts) UserSessions(ctx context.Context, userID int64) ([]site.UserSession, error) {
	list, err := ac.own.UserSessions(ctx, userID, ac.now().UTC())
	return list, coded(err)
}

// Identities lists who a user is to providers that sign people in.
func (ac *Accounts) Identities(ctx context.Context, userID int64) ([]site.Identity, error) {
	list, err := ac.own.Identities(ctx, userID)
	return list, coded(err)
}

// EndSession ends the session of a user that has the id.
//
// Errors: [userkeys.NotFound] if the user has no such session.
func (ac *Accounts) EndSession(ctx context.Context, userID int64, id string) error {
	return coded(ac.own.EndSession(ctx, userID, id))
}

// EndOtherSessions ends all sessions of the sender of r but the one that r came with.
func (ac *Accounts) EndOtherSessions(r *http.Request) error {
	by, v, err := ac.owner(r)
	if err != nil {
		return err
	}
	return coded(ac.own.EndOtherSessions(r.Context(), by.User.ID, hashToken(v.token)))
}

// owner is who sends r in a session that they began themselves. The request must have passed Sessions.
func (ac *Accounts) owner(r *http.Request) (site.Caller, *visit, error) {
	v := ac.visitOf(r.Context())
	if v == nil {
		return site.Caller{}, nil, errNoSession
	}
	by, err := ac.Visitor(r)
	if err == nil && (!by.SignedIn() || by.Session.App != "") {
		err = userkeys.Errorf(userkeys.NotLoggedIn, "you need to be signed in to do that")
	}
	by.Address = ac.clientIP(r)
	return by, v, err
}

// ChangePassword gives the sender of r, who knows the old one, a new password, and ends their other sessions. Tries are
// limited as those of [Accounts.Login] are, and count among them.
//
// Errors: [userkeys.InvalidCredentials] if old is not the password; [userkeys.InvalidParameters] for a new one that will
// not do, and for an account without a password; [userkeys.RateLimited]; [userkeys.Conflict] if it was changed meanwhile.
func (ac *Accounts) ChangePassword(r *http.Request, old, text string) error {
	ctx := r.Context()
	by, v, err := ac.owner(r)
	if err != nil {
		return err
	}
	name := canonical(by.User.Username)
	a, err := ac.find(ctx, name)
	if err != nil {
		return err
	}
	if a.ID != by.User.ID || a.PasswordHash == "" {
		return invalid("this account has no password")
	}
	if err := password.Check(text, a.User); err != nil {
		return err
	}
	g, err := ac.guesses.New(ctx, by.Address, name, a)
	if err != nil {
		return coded(err)
	}
	if a, err = ac.try(ctx, g, a, old); err != nil {
		ac.log.InfoContext(ctx, "change of password refused", "user", a.ID, "ip", by.Address, "err", err)
		if errors.Is(err, userkeys.InvalidCredentials) {
			err = userkeys.Errorf(userkeys.InvalidCredentials, "the old password is wrong")
		}
		return err
	}
	if text == old {
		return invalid("the new password is the old one")
	}
	hash, err := ac.hashNew(ctx, text)
	if err != nil {
		return err
	}
	change := site.PasswordChange{UserID: a.ID, Old: a.PasswordHash, New: hash, Session: hashToken(v.token)}
	return coded(ac.own.ChangePassword(ctx, change, by.At(ac.now().UTC())))
}
