package door

import (
	"context"
	"errors"
	"net/http"
	"time"

	"userkeys"
	"userkeys/server/page"
	"userkeys/site"
)

// Identity tells who is at the browser. The built-in accounts are one;
// an embedder writes another over their own sessions.
type Identity interface {
	// Visitor tells who sends r. Nobody signed in is the zero Caller and no error. A user who may not act
	// (suspended, inactive) is nobody. While a session's event stream or long poll is open it is asked about r
	// once a second, so that both end with the session.
	Visitor(r *http.Request) (site.Caller, error)
	// LoginURL is where somebody signs in and then comes back to back, an
	// absolute path with query on this site.
	LoginURL(back string) string
}

// SignInTimes is an [Identity] that knows when people signed in. With it the routes whose rules say Fresh ask an
// administrator who signed in longer than [FreshSignIn] ago to sign in again. With an Identity that does not know,
// these routes ask nobody, and only the command makes admin API keys.
type SignInTimes interface {
	// SignedInAt tells when the sender of r last proved who they are; zero if that is not known. An administrator for
	// whom that is too long ago is sent to LoginURL, which must ask them again although they are signed in.
	SignedInAt(r *http.Request) (time.Time, error)
}

// FreshSignIn is how long after a sign-in somebody may use the routes at the browser whose rules say Fresh.
const FreshSignIn = 15 * time.Minute

// errStaleSignIn refuses a session whose user has to sign in again first.
var errStaleSignIn = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "sign in again",
	Public: userkeys.NotPermitted + " Sign in again to do this: it needs proof that it is you, which counts for " +
		page.Waiting(FreshSignIn) + ".",
}

// checkFresh refuses a session whose user did not sign in within [FreshSignIn], where that is known.
func (d *Door) checkFresh(r *http.Request) error {
	times, ok := d.cfg.Identity.(SignInTimes)
	if !ok {
		return nil
	}
	at, err := times.SignedInAt(r)
	if err != nil {
		return err
	}
	if since := d.cfg.Now().Sub(at); at.IsZero() || since > FreshSignIn || since < -FreshSignIn {
		return errStaleSignIn
	}
	return nil
}

// AgainURL is [Door.LoginAgainURL] for a page whose forms want a fresh sign-in; empty if the sender of r has one.
func (d *Door) AgainURL(r *http.Request, back string) (string, error) {
	switch err := d.checkFresh(r); {
	case errors.Is(err, errStaleSignIn):
		return d.LoginAgainURL(back), nil
	default:
		return "", err
	}
}

// LoginIdentity is an Identity that signs people in by itself; only with one
// does the server have pages for login, logout and the first administrator.
// Requests to it must have passed Sessions.
type LoginIdentity interface {
	Identity
	// Sessions loads and saves the session around next.
	Sessions(next http.Handler) http.Handler
	// Login signs in and gives the browser a new session. Errors:
	// [userkeys.InvalidCredentials] (one text for every reason), [userkeys.RateLimited], [userkeys.Unavailable].
	Login(r *http.Request, username, password string) (site.User, error)
	// SignIn gives the browser a session of the app that was given the one-time password p, which was just consumed. The
	// session ends with the app's key, and [site.Caller] names the app. Errors: [userkeys.InvalidCredentials] for a
	// user who may not act, [userkeys.ConsentGone] if the key has ended.
	SignIn(r *http.Request, p site.OneTimePassword) (site.User, error)
	// FormToken is what a program must send in X-CSRF-Token. Before a session
	// there is one too; a session that begins with its cookie takes it as well.
	FormToken(r *http.Request) (string, error)
	// User finds a user by id. Errors: [userkeys.NotFound].
	User(ctx context.Context, id int64) (site.User, error)
	// Logout ends the session.
	Logout(ctx context.Context) error
	// CheckSetup tells whether Setup would take the token now. Errors: [userkeys.ConsentGone] if not.
	CheckSetup(ctx context.Context, token string) error
	// Setup makes the first administrator, once, with the token of the one-time
	// link, and signs them in. Errors: [userkeys.ConsentGone] if the token is used, old or wrong.
	Setup(r *http.Request, token, username, password string) (site.User, error)
}
