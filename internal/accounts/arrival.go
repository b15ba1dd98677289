package accounts

import (
	"context"
	"net/http"
	"time"

	"userkeys"
	"userkeys/site"
)

// IdentityStore remembers users whom providers sign in.
type IdentityStore interface {
	// CreateWithIdentity makes a user with an identity. Errors: [userkeys.Conflict] if the name or the address is
	// taken, with the reason "identity taken" if the identity is.
	CreateWithIdentity(ctx context.Context, a site.Account, id site.Identity, by site.Caller) (site.User, error)
}

// CreateWithIdentity makes an account without a password for somebody whom a provider has named.
//
// Errors: [userkeys.InvalidParameters] with what is wrong; [userkeys.Conflict] for a name or an e-mail address that is
// taken, or an identity that a user has already.
func (ac *Accounts) CreateWithIdentity(
	ctx context.Context, u site.User, id site.Identity, by site.Caller,
) (site.User, error) {
	u.CreatedAt = ac.now().UTC()
	id.CreatedAt = u.CreatedAt
	if err := checkUser(&u); err != nil {
		return site.User{}, err
	}
	u, err := ac.identities.CreateWithIdentity(ctx, site.Account{User: u}, id, by)
	return u, coded(err)
}

// ProviderSignIn is a user whom a provider has just named.
type ProviderSignIn struct {
	User       site.User
	Login      string        // the name of the login
	Subject    string        // what the provider calls the user
	PauseAfter time.Duration // how long the session may last; 0: as long as any
	Fresh      bool          // they have just proved who they are, as the site asked
}

// SignInFrom begins a session for a user whom a provider has named. The request must have passed Sessions.
//
// Errors: [ErrMayNotAct].
func (ac *Accounts) SignInFrom(r *http.Request, a ProviderSignIn) error {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return errNoSession
	}
	account, err := ac.find(ctx, canonical(a.User.Username))
	if err != nil {
		return err
	}
	if account.ID != a.User.ID || !account.MayAct() {
		return ErrMayNotAct
	}
	v.early = ac.earlyOf(r)
	how := beginning{login: a.Login, subject: a.Subject, pauseAfter: a.PauseAfter, known: !a.Fresh}
	if err := ac.signIn(ctx, v, account, how); err != nil {
		return err
	}
	ac.log.InfoContext(ctx, "login", "user", account.ID, "through", a.Login, "ip", ac.clientIP(r))
	return nil
}

// ErrMayNotAct refuses somebody whom a provider has named and whose account here is suspended or not active.
var ErrMayNotAct = userkeys.Errorf(userkeys.InvalidCredentials,
	"your account at this site is suspended, or an administrator has not approved it yet")
