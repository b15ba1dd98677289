package server

import (
	"context"
	"net/http"

	"userkeys"
)

// Identity tells who is at the browser. The built-in accounts are one;
// an embedder writes another over their own sessions.
type Identity interface {
	// Visitor tells who sends r. Nobody signed in is a zero Visitor and no error.
	// A user who may not act (suspended, inactive) is nobody.
	Visitor(r *http.Request) (Visitor, error)
	// LoginURL is where somebody signs in and then comes back to back, an
	// absolute path with query on this site.
	LoginURL(back string) string
}

// Visitor is a signed-in user in one browser session.
type Visitor struct {
	User    userkeys.User
	Session string // names the session, never its secret; a new login is a new one
	CSRF    string // secret of the session that forms must carry; empty: the Origin checks alone protect them
}

// SignedIn tells whether anybody is.
func (v Visitor) SignedIn() bool { return v.User.ID != 0 }

// Accounts is what an Identity with its own accounts can do besides; only then
// does the server have pages for login, logout and the first administrator.
// The request must have passed Sessions.
type Accounts interface {
	Identity
	// Sessions loads and saves the session around next.
	Sessions(next http.Handler) http.Handler
	// Login signs in and gives the browser a new session. Errors:
	// [userkeys.InvalidCredentials] (one text for every reason), [userkeys.RateLimited], [userkeys.Unavailable].
	Login(r *http.Request, username, password string) (userkeys.User, error)
	// Logout ends the session.
	Logout(ctx context.Context) error
	// Setup makes the first administrator, once, with the token of the one-time
	// link; [userkeys.ConsentGone] if the token is used, old or wrong. It signs them in.
	Setup(r *http.Request, token, username, password string) (userkeys.User, error)
}
