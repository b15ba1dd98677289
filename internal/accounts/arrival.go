package accounts

import (
	"context"
	"errors"
	"net/http"
	"strings"
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

// NearUsername is a user name that nobody has, as find tells, and that is like one of names, the first that there is;
// empty if there is none.
func NearUsername(
	ctx context.Context, find func(context.Context, string) (site.User, error), names ...string,
) (string, error) {
	for _, name := range names {
		name = nearUsername(name)
		for _, end := range []string{"", "-2", "-3", "-4", "-5"} {
			free := strings.TrimRight(name[:min(len(name), MaxUsername-len(end))], "._-") + end
			if !IsUsername(free) || IsReserved(name) {
				break
			}
			if _, err := find(ctx, free); errors.Is(err, userkeys.NotFound) {
				return free, nil
			} else if err != nil {
				return "", err
			}
		}
	}
	return "", nil
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
// Errors: [MayNotAct].
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
		return MayNotAct(account.User)
	}
	v.early = ac.earlyOf(r)
	how := beginning{login: a.Login, subject: a.Subject, pauseAfter: a.PauseAfter, known: !a.Fresh}
	if err := ac.signIn(ctx, v, account, how); err != nil {
		return err
	}
	ac.log.InfoContext(ctx, "login", "user", account.ID, "through", a.Login, "ip", ac.clientIP(r))
	return nil
}

// MayNotAct refuses somebody whom a provider has named and whose account here is suspended or not active.
func MayNotAct(u site.User) error {
	why := "there is an account for you at this site, and an administrator has not approved it yet; " +
		"sign in once it is approved"
	if !u.SuspendedAt.IsZero() {
		why = "your account at this site is suspended; ask an administrator"
	}
	return userkeys.Errorf(userkeys.InvalidCredentials, "%s", why)
}
