// Package sso lets people sign in through providers: with OpenID Connect, with DiscourseConnect, or by the header
// of a trusted proxy. Each provider only names somebody. Who may come in, and as what, is decided in one place for all
// providers (admission.go).
//
// [Logins.Begin] sends the browser away with a cookie that only this browser has, and [Logins.Finish] takes what it
// comes back with, once, in the same browser, within ten minutes.
package sso

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/internal/accounts"
	"userkeys/site"
)

// The kinds of logins.
const (
	KindOIDC      = "oidc"
	KindDiscourse = "discourse"
	KindHeader    = "header"
)

// Login is one way to sign in, as the configuration has it. Kind says which of OIDC, Discourse and
// Header is used; the other two are ignored.
type Login struct {
	Name   string // in the configuration and in addresses
	Title  string // on the button; empty: the name
	Issuer string // of all its identities
	Rules  Rules
	// PauseAfter is how long after a sign-in a user's keys pause, and how long a session may last; 0: they never pause,
	// and sessions last as long as any.
	PauseAfter time.Duration

	Kind      string
	OIDC      OIDCConfig
	Discourse ConnectConfig
	Header    HeaderConfig
}

// Accounts are the site's users and their sessions.
type Accounts interface {
	User(ctx context.Context, id int64) (site.User, error)
	// FindUser finds a user by name. Errors: [userkeys.NotFound].
	FindUser(ctx context.Context, name string) (site.User, error)
	Update(ctx context.Context, id int64, change func(*site.User), by site.Caller) (site.User, error)
	Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	// CreateWithIdentity makes an account with an identity. Errors: [userkeys.Conflict].
	CreateWithIdentity(ctx context.Context, u site.User, id site.Identity, by site.Caller) (site.User, error)
	// SignInFrom begins a session. Errors: [accounts.MayNotAct].
	SignInFrom(r *http.Request, a accounts.ProviderSignIn) error
}

// Store remembers who users are to providers, and which sign-ins were finished.
type Store interface {
	// Identity finds who a provider's subject is here. Errors: [userkeys.NotFound].
	Identity(ctx context.Context, issuer, subject string) (site.Identity, error)
	// NoteSignIn notes a sign-in of in.UserID. Errors: [userkeys.NotFound] if the identity is not theirs any more.
	NoteSignIn(ctx context.Context, in site.SignIn) error
	Agree(ctx context.Context, name string, value []byte) ([]byte, error)
	// SpendOnce notes that a sign-in was finished. Errors: [userkeys.Conflict] if it was before.
	SpendOnce(ctx context.Context, token string, until time.Time) error
}

// Config is what [Logins] are made of.
type Config struct {
	Logins   []Login  // none: nobody signs in through a provider
	Accounts Accounts // that people sign in to
	Store    Store
	BaseURL  *url.URL // of the site, without a path
	ClientIP func(*http.Request) string
	Now      func() time.Time
	Logger   *slog.Logger
	// Client makes the requests to OpenID providers; nil: one that connects to public addresses and to the issuer's.
	Client *http.Client
}

// Logins are the logins of a site, ready to be used.
type Logins struct {
	cfg    Config
	logins []login
	sealer sealer
}

// login is a Login and the provider that speaks its protocol.
type login struct {
	Login
	provider provider
}

// provider speaks one of the protocols.
type provider interface {
	// address is an address that begin leads to; nil: this site.
	address() *url.URL
	// begin returns where the browser is sent.
	begin(ctx context.Context, s pendingSignIn) (string, error)
	// answers reports whether the browser comes back with an answer to s.
	answers(r *http.Request, s pendingSignIn) bool
	// finish reads whom the provider names in what the browser came back with.
	finish(r *http.Request, s pendingSignIn) (Person, error)
}

// Errors of sign-ins. Each names nothing that a stranger could learn from.
var (
	errUnknownLogin = userkeys.Errorf(userkeys.NotFound, "there is no way to sign in of this name")
	errStartAgain   = userkeys.Errorf(userkeys.ConsentGone,
		"this sign-in was finished already, is older than ten minutes, "+
			"or began in another browser; start again")
	errRefused = userkeys.Errorf(userkeys.InvalidCredentials, "the place where you signed in sent an answer that this "+
		"site cannot accept; start again, and tell an administrator if it happens once more")
)

// refused is errRefused with what is wrong, for the log.
func refused(cause string) error {
	e := *errRefused
	e.Err = errors.New(cause)
	return &e
}

// Open makes the ways to sign in. It asks no provider anything: one that is down now may be up when somebody comes.
func Open(ctx context.Context, cfg Config) (*Logins, error) {
	ls := &Logins{cfg: cfg}
	var err error
	if ls.sealer, err = newSealer(ctx, cfg.Store); err != nil {
		return nil, err
	}
	for _, l := range cfg.Logins {
		ready := login{Login: l}
		callback := ls.callback(l.Name)
		switch l.Kind {
		case KindOIDC:
			ready.provider = newOIDC(l, callback, cfg.Client, cfg.Now)
		case KindDiscourse:
			ready.provider = connectProvider{l.Discourse, callback}
		case KindHeader:
			if ready.provider, err = newHeader(l, callback, cfg.Logger); err != nil {
				return nil, err
			}
		default:
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "there is no kind of login %q", l.Kind)
		}
		ls.logins = append(ls.logins, ready)
	}
	return ls, nil
}

func (ls *Logins) callback(name string) string {
	return ls.cfg.BaseURL.JoinPath("/user-api-key/login/", name, "callback").String()
}

// Choices are the ways to sign in, in the order of the configuration.
func (ls *Logins) Choices() []site.LoginChoice {
	var out []site.LoginChoice
	for _, l := range ls.logins {
		out = append(out, site.LoginChoice{Name: l.Name, Title: l.title(), Issuer: l.Issuer, To: l.provider.address()})
	}
	return out
}

func (l Login) title() string {
	if l.Title != "" {
		return l.Title
	}
	return l.Name
}

func (ls *Logins) login(name string) (login, error) {
	for _, l := range ls.logins {
		if l.Name == name {
			return l, nil
		}
	}
	return login{}, errUnknownLogin
}

// Begin begins a sign-in through a login, and returns where the browser has to go.
//
// Errors: [userkeys.NotFound] if there is no such login; [userkeys.Unavailable] if the provider does not answer;
// [userkeys.InvalidParameters] if the wish is too long to be kept.
func (ls *Logins) Begin(w http.ResponseWriter, r *http.Request, name string, wish site.LoginWish) (string, error) {
	l, err := ls.login(name)
	if err != nil {
		return "", err
	}
	s := newPending(name, wish, ls.cfg.Now())
	address, err := l.provider.begin(r.Context(), s)
	if err != nil {
		return "", err
	}
	return address, ls.keep(w, append([]pendingSignIn{s}, ls.underWay(r)...))
}

// Finish signs in whomever the provider names to the browser that began it, and returns where to go. The request must
// have passed the Sessions of the accounts.
//
// Errors: [userkeys.NotFound] if there is no such login; [userkeys.ConsentGone] if the sign-in is not under way in this
// browser; [userkeys.InvalidCredentials] if the provider's answer is not good, or for somebody who may not sign in;
// [site.NameQuestion].
func (ls *Logins) Finish(w http.ResponseWriter, r *http.Request, name string) (back string, err error) {
	l, err := ls.login(name)
	if err != nil {
		return "", err
	}
	if repeated(r.URL.Query()) {
		return "", refused("a parameter of the answer comes twice")
	}
	s, err := ls.take(w, r, name, l.provider)
	if err != nil {
		return s.Back, err
	}
	if err := ls.cfg.Store.SpendOnce(r.Context(), s.State, s.until()); err != nil {
		if errors.Is(err, userkeys.Conflict) {
			err = errStartAgain
		}
		return s.Back, err
	}
	who, err := l.provider.finish(r, s)
	if err != nil {
		return s.Back, err
	}
	who.Chosen, who.Fresh = s.Username, s.Again
	return s.Back, ls.enter(r, l.Login, who)
}

// Stays reports whether a session that began through a login goes on for r: whoever signed in by a header of a proxy
// is signed in as long as the proxy sends it.
func (ls *Logins) Stays(r *http.Request, login, subject string) bool {
	l, err := ls.login(login)
	if err != nil {
		return false // a login that was taken out of the configuration
	}
	h, ok := l.provider.(headerProvider)
	if !ok {
		return true
	}
	who, err := h.read(r)
	return err == nil && who.Subject == subject
}

func repeated(q url.Values) bool {
	for _, values := range q {
		if len(values) > 1 {
			return true
		}
	}
	return false
}
