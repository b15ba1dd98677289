package accounts

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

// errNoSession is a mistake in how the pages are mounted.
var errNoSession = &userkeys.Error{
	Code:   userkeys.Internal,
	Public: "something went wrong on this server",
	Err:    errors.New("accounts: the request has not passed Sessions"),
}

// errWrong is the one answer to whoever does not get in.
func errWrong() error {
	return userkeys.Errorf(userkeys.InvalidCredentials, "the user name or the password is wrong")
}

// Login signs in whoever knows the password of an account, by its user name
// or e-mail address, and gives the browser a new session. The request must
// have passed Sessions. An unknown name, a wrong password, and an account that
// may not act or has no password get one answer, in the same time.
func (ac *Accounts) Login(r *http.Request, name, password string) (site.User, error) {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return site.User{}, errNoSession
	}
	name = canonical(name)
	a, err := ac.find(ctx, name)
	if err != nil {
		return site.User{}, err
	}
	g, err := ac.guesses.New(ctx, ac.clientIP(r), name, a)
	if err != nil {
		return site.User{}, coded(err)
	}
	if a, err = ac.try(ctx, g, a, password); err == nil {
		v.early = ac.earlyOf(r)
		err = ac.signIn(ctx, v, a, beginning{})
	}
	if err != nil {
		// Not the name: people type passwords there.
		ac.log.InfoContext(ctx, "login refused", "user", a.ID, "ip", ac.clientIP(r), "err", err)
		return site.User{}, err
	}
	ac.log.InfoContext(ctx, "login", "user", a.ID, "ip", ac.clientIP(r))
	return a.User, nil
}

// LoginURL is the login page that leads back to back afterwards. The page
// judges by itself where it may lead: anybody can write a link to it.
func (ac *Accounts) LoginURL(back string) string {
	return ac.loginPath + "?redirect=" + url.QueryEscape(back)
}

// find reads the account of a canonical name; nobody's is zero.
func (ac *Accounts) find(ctx context.Context, name string) (site.Account, error) {
	if name == "" || !IsOneLine(name) {
		return site.Account{}, nil
	}
	a, err := ac.users.Account(ctx, name)
	if errors.Is(err, userkeys.NotFound) {
		return site.Account{}, nil
	}
	return a, coded(err)
}

// try looks at the password, once the try is counted. It returns the account
// with the password hash that is stored after it.
func (ac *Accounts) try(ctx context.Context, g password.Guess, a site.Account, text string) (site.Account, error) {
	if _, err := ac.guesses.Peek(ctx, g); err != nil {
		return a, coded(err)
	}
	release, err := ac.hasher.Acquire(ctx, g.Network)
	if err != nil {
		return a, err
	}
	defer release()
	if err := ac.guesses.Charge(ctx, g); err != nil {
		return a, coded(err)
	}
	if !ac.hasher.Verify(a.PasswordHash, text) || !a.MayAct() {
		return a, errors.Join(errWrong(), coded(ac.guesses.Wrong(ctx, g)))
	}
	if err := ac.guesses.Right(ctx, g); err != nil {
		return a, coded(err)
	}
	if !ac.hasher.Outdated(a.PasswordHash) {
		return a, nil
	}
	hash := ac.hasher.Hash(text)
	replaced, err := ac.users.ReplacePassword(ctx, a.ID, a.PasswordHash, hash)
	if err != nil {
		ac.log.WarnContext(ctx, "login: cannot store the password hashed anew", "user", a.ID, "err", err)
	}
	if replaced {
		a.PasswordHash = hash
	}
	return a, nil
}

// signIn begins the session of a. A password that was changed, or a user who
// was suspended, while the old one was being looked at must not leave a
// session behind: the change has deleted those that it found, so look again
// once ours is there.
func (ac *Accounts) signIn(ctx context.Context, v *visit, a site.Account, how beginning) error {
	if err := v.start(ctx, a.User, how); err != nil {
		return err
	}
	again, err := ac.find(ctx, canonical(a.Username))
	if err == nil && (again.ID != a.ID || again.PasswordHash != a.PasswordHash || !again.MayAct()) {
		err = errWrong()
	}
	if err != nil {
		return errors.Join(err, v.stop(ctx))
	}
	if err := ac.users.TouchUser(ctx, a.ID, ac.now().UTC()); err != nil {
		ac.log.WarnContext(ctx, "login: cannot remember the visit", "user", a.ID, "err", err)
	}
	return nil
}

// anApp stands for the name of an app that has none, so that its session is not taken for its user's own.
const anApp = "an app"

// SignIn begins a session for the app that was given the one-time password p, which was just consumed. The session
// ends with the key of p. The gates are those of a login; [userkeys.ConsentGone] if the key has ended.
// The request must have passed Sessions.
func (ac *Accounts) SignIn(r *http.Request, p site.OneTimePassword) (site.User, error) {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return site.User{}, errNoSession
	}
	u, err := ac.users.User(ctx, p.UserID)
	if err != nil {
		return site.User{}, coded(err)
	}
	a, err := ac.find(ctx, canonical(u.Username))
	if err != nil {
		return site.User{}, err
	}
	if a.ID != p.UserID || !a.MayAct() {
		return site.User{}, errWrong()
	}
	app := site.AppSession{
		Password: p.Password, KeyID: p.KeyID, ApplicationName: cmp.Or(p.ApplicationName, anApp), BeganAt: ac.now().UTC(),
	}
	v.early = ac.earlyOf(r)
	if err := ac.signIn(ctx, v, a, beginning{app: &app}); err != nil {
		return site.User{}, err
	}
	ac.log.InfoContext(ctx, "login by one-time password", "user", a.ID, "ip", ac.clientIP(r))
	return a.User, nil
}

// Logout ends the session that the request of ctx came with, here and on
// every node. The request must have passed Sessions.
func (ac *Accounts) Logout(ctx context.Context) error {
	v := ac.visitOf(ctx)
	if v == nil {
		return errNoSession
	}
	return v.stop(ctx)
}

const (
	setupKind     = "setup"
	setupLifetime = 24 * time.Hour
)

// SetupToken reports whether the site has no administrator who may act, and
// if so makes the one-time token for [Accounts.Setup], good for a day. It takes
// the place of any token before.
func (ac *Accounts) SetupToken(ctx context.Context) (string, bool, error) {
	has, err := ac.HasAdministrator(ctx)
	if err != nil || has {
		return "", false, err
	}
	token := base64.RawURLEncoding.EncodeToString(randomBytes(tokenBytes))
	err = ac.store.CreateToken(ctx,
		site.Token{Kind: setupKind, Hash: hashToken(token), Expires: ac.now().UTC().Add(setupLifetime)})
	if err != nil {
		return "", false, coded(err)
	}
	return token, true, nil
}

// HasAdministrator reports whether the site has an administrator who may act: one who is active and not suspended.
func (ac *Accounts) HasAdministrator(ctx context.Context) (bool, error) {
	found, err := ac.users.FindUsers(ctx, site.UserFilter{Admins: true, Limit: 1})
	return len(found) > 0, coded(err)
}

// CheckSetup reports whether [Accounts.Setup] would take the token now, and leaves it as it is.
// Errors: [userkeys.ConsentGone], as for Setup.
func (ac *Accounts) CheckSetup(ctx context.Context, token string) error {
	has, err := ac.HasAdministrator(ctx)
	good := false
	if err == nil && !has {
		good, err = ac.store.TokenGood(ctx, site.Token{Kind: setupKind, Hash: hashToken(token)}, ac.now().UTC())
	}
	if err != nil {
		return coded(err)
	}
	if !good {
		return setupGone()
	}
	return nil
}

// setupGone is one text for every reason: a stranger does not learn whether the site has an administrator.
func setupGone() error {
	return userkeys.Errorf(userkeys.ConsentGone, "this link has been used, is too old or is not complete, "+
		"or the site has an administrator already; while it has none, "+
		"userkeys serve --setup-link prints a new link when it starts, "+
		"and userkeys user set NAME --admin makes a user an administrator")
}

// Setup makes the first administrator with the token of [Accounts.SetupToken]
// and signs them in. A name or password that will not do leaves the token
// good. The request must have passed Sessions.
//
// Errors: [userkeys.ConsentGone] if the token is used, old or wrong, or if there is an administrator
// already; [userkeys.Conflict] if the name is taken; [userkeys.InvalidParameters].
func (ac *Accounts) Setup(r *http.Request, token, name, text string) (site.User, error) {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return site.User{}, errNoSession
	}
	u := site.User{Username: name, TrustLevel: 4, Admin: true, Active: true, CreatedAt: ac.now().UTC()}
	if err := checkUser(&u); err != nil {
		return site.User{}, err
	}
	if err := password.Check(text, u); err != nil {
		return site.User{}, err
	}
	a, err := ac.createFirst(r, u, token, text)
	if err != nil {
		return site.User{}, err
	}
	ac.log.InfoContext(ctx, "first administrator made", "user", a.ID, "ip", ac.clientIP(r))
	return a.User, ac.signIn(ctx, v, a, beginning{})
}

// createFirst consumes the token only when its turn to hash has come, so that
// nothing but the database can fail between that and the user's row.
func (ac *Accounts) createFirst(r *http.Request, u site.User, token, password string) (site.Account, error) {
	ctx := r.Context()
	release, err := ac.hasher.Acquire(ctx, "")
	if err != nil {
		return site.Account{}, err
	}
	defer release()
	if err := ac.CheckSetup(ctx, token); err != nil {
		return site.Account{}, err
	}
	switch _, err := ac.users.Account(ctx, u.Username); {
	case err == nil:
		return site.Account{}, userkeys.Errorf(userkeys.Conflict, "this user name is taken")
	case !errors.Is(err, userkeys.NotFound):
		return site.Account{}, coded(err)
	}
	good, err := ac.store.ConsumeToken(ctx, site.Token{Kind: setupKind, Hash: hashToken(token)}, ac.now().UTC())
	if err != nil {
		return site.Account{}, coded(err)
	}
	if !good {
		return site.Account{}, setupGone()
	}
	a := site.Account{User: u, PasswordHash: ac.hasher.Hash(password)}
	a.User, err = ac.users.CreateUser(ctx, a, site.Caller{As: site.CallerSystem, Address: ac.clientIP(r)})
	return a, coded(err)
}
