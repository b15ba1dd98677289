package fakesite

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"userkeys"
	"userkeys/server"
	"userkeys/site"
)

// cookies is an identity that takes a cookie's value for the name of who is signed in.
type cookies struct {
	mu       sync.Mutex // of People, Err and cause, in Visitor
	cause    any        // of the panic of every look at a session
	People   map[string]site.User
	App      string // that began every session
	Since    time.Time
	LoginErr error
	SetupErr error
	Logouts  int
	Err      error
}

var _ server.LoginIdentity = (*cookies)(nil)

// NewIdentity makes an identity that knows the four users.
func NewIdentity() *cookies {
	f := &cookies{People: map[string]site.User{}, Since: Now}
	for _, u := range []site.User{Alice, Bob, Root, Mod} {
		f.People[u.Username] = u
	}
	return f
}

func (f *cookies) Visitor(r *http.Request) (site.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil {
		panic(f.cause)
	}
	c, err := r.Cookie("session")
	if f.Err != nil || err != nil {
		return site.Caller{}, f.Err
	}
	u, ok := f.People[c.Value]
	if !ok {
		return site.Caller{}, nil
	}
	return site.Caller{User: u, Session: site.Session{
		ID: "session-of-" + u.Username, CSRF: "token-of-" + u.Username,
		App: f.App,
	}}, nil
}

// Forget ends the sessions of somebody.
func (f *cookies) Forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.People, name)
}

// FailWith has every look at a session fail from now on.
func (f *cookies) FailWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Err = err
}

// PanicWith has every look at a session panic from now on.
func (f *cookies) PanicWith(cause any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cause = cause
}

func (f *cookies) LoginURL(back string) string {
	return "/user-api-key/login?redirect=" + url.QueryEscape(back)
}

func (f *cookies) Sessions(next http.Handler) http.Handler { return next }

func (f *cookies) Login(_ *http.Request, username, password string) (site.User, error) {
	if f.LoginErr != nil {
		return site.User{}, f.LoginErr
	}
	if u, ok := f.People[username]; ok && password == "right" {
		return u, nil
	}
	return site.User{}, userkeys.Errorf(userkeys.InvalidCredentials, "the user name or the password is wrong")
}

func (f *cookies) SignIn(_ *http.Request, p site.OneTimePassword) (site.User, error) {
	return f.User(context.Background(), p.UserID)
}

func (f *cookies) SignedInAt(*http.Request) (time.Time, error) { return f.Since, f.Err }

func (f *cookies) FormToken(r *http.Request) (string, error) {
	v, err := f.Visitor(r)
	return v.Session.CSRF, err
}

func (f *cookies) User(_ context.Context, id int64) (site.User, error) {
	for _, u := range f.People {
		if u.ID == id {
			return u, nil
		}
	}
	return site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
}

func (f *cookies) Logout(context.Context) error { f.Logouts++; return nil }

func (f *cookies) CheckSetup(_ context.Context, token string) error {
	if token != "good" {
		return userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return nil
}

func (f *cookies) Setup(_ *http.Request, token, username, _ string) (site.User, error) {
	if f.SetupErr != nil {
		return site.User{}, f.SetupErr
	}
	if token != "good" {
		return site.User{}, userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return site.User{ID: 9, Username: username, Admin: true}, nil
}

// OnlyVisitors is an embedder's identity: it has no accounts.
type OnlyVisitors struct{ F *cookies }

// Visitor is that of F.
func (o OnlyVisitors) Visitor(r *http.Request) (site.Caller, error) {
	return o.F.Visitor(r)
}

// LoginURL is at the website.
func (o OnlyVisitors) LoginURL(back string) string {
	return "https://site.example/in?to=" + back
}
