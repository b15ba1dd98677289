package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"userkeys/authority"
	"userkeys/notify"
	"userkeys/server/account"
	"userkeys/server/admin"
	"userkeys/server/apps"
	"userkeys/server/consent"
	"userkeys/server/deliveries"
	"userkeys/server/door"
	"userkeys/server/live"
	"userkeys/server/signin"
	"userkeys/server/wire"
)

// What an embedder writes or finds elsewhere, by the names of the packages that use it.
type (
	// Identity tells who is at the browser.
	Identity = door.Identity
	// SignInTimes is an [Identity] that knows when people signed in.
	SignInTimes = door.SignInTimes
	// LoginIdentity is an [Identity] that signs people in by itself.
	LoginIdentity = door.LoginIdentity
	// Users is what the endpoints that apps ask for need of a site's users.
	Users = wire.Users
	// UserAdmin manages the site's accounts.
	UserAdmin = admin.Accounts
	// UserSync takes over the users of a website whose people sign in here.
	UserSync = admin.Sync
	// Logins lets people sign in through providers.
	Logins = signin.Logins
	// OwnAccounts is what users see and change of their own account.
	OwnAccounts = account.Accounts
	// SignInLinks signs in administrators with a link that was made on the machine.
	SignInLinks = signin.Links
)

// FreshSignIn is how long after a sign-in an administrator may do at the browser what can outlive the session, such as
// changing settings and making admin API keys.
const FreshSignIn = door.FreshSignIn

// Pushes is what the server needs to know and to do about pushes. outbox.Pushes has it.
type Pushes interface {
	apps.Pushes       // what users see and do
	deliveries.Pushes // what administrators see and do
	wire.Pushes       // what apps ask
}

// Config is what a [Server] is made of.
type Config struct {
	Authority *authority.Authority
	Identity  Identity // if it is a [LoginIdentity], there are pages for login, logout and the first administrator
	// Logins, Own, Links and NoPasswords say how people sign in besides, and whether a password is one of the ways. They
	// count only with a LoginIdentity.
	Logins      Logins      // nil: no provider signs people in
	Own         OwnAccounts // nil: users do not see their account here
	Links       SignInLinks // nil: there are no such links
	NoPasswords bool        // every route that takes a password is closed
	// BaseURL is the site's address as browsers see it, http or https and a host. All addresses of the site are
	// made from it, never from what a request names. Its scheme decides about HSTS, and its origin is trusted by the
	// cross-origin checks.
	BaseURL *url.URL
	// Standalone adds /, /login, /logout and /u/{username}/preferences/apps, and
	// answers every unknown path: for a site that has nothing else at its root.
	// It implies Endpoints.
	Standalone bool
	// Endpoints adds what apps of the wire ask a site for: /session/current, where
	// they learn whose key they have, /site/basic-info.json and /about.json. With a
	// LoginIdentity there are also /login and /session/..., and with Users, Inbox and
	// Bus the endpoints of users, notifications and news (see [EndpointPaths]). All of these
	// lie outside of /user-api-key/, where a site may have something of its own.
	Endpoints bool
	Users     Users         // nil: no /u/{username}.json and no /user-status
	Sync      UserSync      // takes over a website's users through the admin API; nil: no such route
	Accounts  UserAdmin     // manages the accounts through the admin API; nil: no such routes
	Inbox     *notify.Inbox // nil: no notifications
	Pushes    Pushes        // how pushing notifications to apps goes; nil: none are pushed, and nothing is shown of it
	// Bus has /message-bus/ and /events; nil: there are none. See to it that Inbox tells it of changes, and that it runs.
	Bus *notify.Bus
	// ParkAbove is the number of listeners above which polls of apps get by with less memory, on connections that
	// are closed after their answer; 0: 1000; negative: always.
	ParkAbove int
	Logger    *slog.Logger                    // nil: none
	Now       func() time.Time                // nil: the system's clock
	ClientIP  func(r *http.Request) string    // nil: the peer's address; no header is believed
	Ready     func(ctx context.Context) error // nil: no /healthz and /readyz
}

// Server serves the pages and the browser's routes. Make one with [New].
type Server struct {
	Door       *door.Door     // has every route with its rules
	Live       *live.Handlers // polls and event streams; nil without a bus
	consent    *consent.Handlers
	wire       *wire.Handlers
	standalone bool
}

func (cfg Config) check() error {
	if cfg.Authority == nil {
		return errors.New("server: Config.Authority is missing")
	}
	if cfg.Identity == nil {
		return errors.New("server: Config.Identity is missing")
	}
	if _, ok := cfg.Identity.(LoginIdentity); cfg.Standalone && !ok {
		return errors.New("server: a standalone site needs a LoginIdentity")
	}
	return nil
}

// ownAccounts is nil where people sign in at an embedder's.
func (cfg Config) ownAccounts() OwnAccounts {
	if _, ok := cfg.Identity.(LoginIdentity); !ok {
		return nil
	}
	return cfg.Own
}

// New makes a server. It does nothing until it is mounted.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Endpoints = cfg.Endpoints || cfg.Standalone
	d, err := door.New(door.Config{
		Authority: cfg.Authority, Identity: cfg.Identity, BaseURL: cfg.BaseURL, Logger: cfg.Logger, Now: cfg.Now,
		ClientIP:   cfg.ClientIP,
		HasAccount: cfg.ownAccounts() != nil, Pushes: cfg.Pushes != nil,
		NoPasswords: cfg.NoPasswords,
	})
	if err != nil {
		return nil, err
	}
	a := cfg.Authority
	s := &Server{Door: d, standalone: cfg.Standalone}
	s.consent = consent.New(d, consent.Config{Authority: a, SignIn: cfg.Endpoints && d.Accounts() != nil})
	s.wire = wire.New(d, wire.Config{
		Authority: a, Users: cfg.Users, Inbox: cfg.Inbox, Pushes: cfg.Pushes, Endpoints: cfg.Endpoints,
		Standalone: cfg.Standalone, Ready: cfg.Ready,
	})
	domains := []interface{ Mount() }{
		s.consent,
		apps.New(d, apps.Config{Keys: a, Pushes: cfg.Pushes, Standalone: cfg.Standalone}),
		admin.New(d, admin.Config{
			Keys: a, Settings: a, Accounts: cfg.Accounts, Sync: cfg.Sync, Pushes: cfg.Pushes, Inbox: cfg.Inbox,
			Endpoints: cfg.Endpoints,
		}),
		s.wire,
	}
	if d.Accounts() != nil {
		domains = append(domains, signin.New(d, signin.Config{
			Logins: cfg.Logins, Links: cfg.Links, Endpoints: cfg.Endpoints, Standalone: cfg.Standalone,
		}))
	}
	if own := cfg.ownAccounts(); own != nil {
		domains = append(domains, account.New(d, account.Config{Accounts: own, Logins: cfg.Logins}))
	}
	if cfg.Pushes != nil {
		domains = append(domains, deliveries.New(d, deliveries.Config{Pushes: cfg.Pushes, Accounts: cfg.Accounts}))
	}
	if cfg.Bus != nil && cfg.Endpoints {
		s.Live = live.New(d, live.Config{Bus: cfg.Bus, Checker: a, ParkAbove: cfg.ParkAbove})
		domains = append(domains, s.Live)
	}
	for _, domain := range domains {
		domain.Mount()
	}
	return s, nil
}

// Mount registers every route on mux, and answers what is unknown below /user-api-key/ (and,
// standalone, anywhere).
func (s *Server) Mount(mux *http.ServeMux) {
	s.Door.Mount(mux)
	unknown := s.Unknown()
	mux.Handle("/user-api-key/", unknown)
	if s.standalone {
		mux.Handle("/", unknown)
	}
}

// Unknown answers for paths that nothing else answers for: 404, as JSON or as
// a page. It is for a program that gives the server more paths than it has routes.
func (s *Server) Unknown() http.Handler { return s.Door.Unknown() }

// Introspection answers websites that ask about keys, on a server that only the site's own programs reach: who
// connects to its Unix socket needs no admin API key.
func (s *Server) Introspection() http.Handler { return s.wire.Introspection() }

// Bounce answers any page that the official app opens to find out whether it
// may ask for a one-time password, and tells whether it did. Of
// other requests it looks at the query only.
func (s *Server) Bounce(w http.ResponseWriter, r *http.Request) bool { return s.consent.Bounce(w, r) }

// Drain ends requests that wait for news, for a server that is about to stop: it returns when those whose
// connections the server does not know of are answered, or when ctx ends. Nobody can begin to wait any more.
func (s *Server) Drain(ctx context.Context) {
	if s.Live != nil {
		s.Live.Drain(ctx)
	}
}

// EndpointPaths are the paths of what apps of the wire ask a site for about
// itself, whose key they have, notifications and news of them; for a site that has nothing
// of its own there. /u/{username}.json and the admin endpoints are not among them.
func EndpointPaths() []string { return wire.EndpointPaths() }

// FallbackPaths are those of [EndpointPaths] that an app asks first of all: whose key it has, and what is new. A
// site before a website may answer them where the website has nothing.
func FallbackPaths() []string { return wire.FallbackPaths() }

// OpenAPI is the OpenAPI 3.1 document of every route that answers in JSON.
func OpenAPI() []byte { return wire.OpenAPI() }
