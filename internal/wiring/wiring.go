// Package wiring puts all packages together into one running site. The command
// and the tests both start sites with it, so what is tested is what ships.
package wiring

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/internal/accounts"
	"userkeys/internal/password"
	"userkeys/internal/sso"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/site"
	"userkeys/store"
)

// How long one of our own pages may take to be asked for and to be read.
const (
	ownReadTime  = 15 * time.Second
	ownWriteTime = 30 * time.Second
)

// Config is what a site is made of.
type Config struct {
	Store   *store.Store // see [OpenStore]
	BaseURL *url.URL     // how browsers reach the site; scheme and host, no path
	// OnlyHost refuses browser pages under names that are not BaseURL's, which
	// keeps other names pointed here (DNS rebinding) out of sessions.
	OnlyHost bool

	Upstream        *url.URL // nil: the site stands alone
	UpstreamTimeout time.Duration
	// StandardTransport sends every request to the upstream by net/http, see gateway.ProxyConfig.
	StandardTransport bool
	MinUploadRate     int      // see gateway.ProxyConfig
	OwnPaths          []string // answered here although there is an upstream
	NoFallback        bool     // server.FallbackPaths are not answered where the upstream says 404
	TrustedProxies    []netip.Prefix
	TrustUnix         bool           // see gateway.ClientIPConfig
	ClientIPHeader    string         // in which they tell whose request it is, see gateway.ClientIPConfig
	VaryByKey         bool           // see gateway.ProxyConfig
	AskFrom           []netip.Prefix // see gateway.AskedConfig

	Scopes []userkeys.Scope  // the site's own
	Pinned map[string]string // settings that cannot be changed while running
	// Carriers are where a key may stand in Authorization, see authority.Config.
	Carriers []site.Carrier
	// IdentityHeaders tell the website who calls in its own words, see gateway.ProxyConfig.
	IdentityHeaders []gateway.IdentityHeader

	// Secret is the machine secret that pushes are signed with, see [ReadSecret]; empty: nothing is pushed.
	Secret []byte
	// PushClient makes the requests of pushes; nil: the one of package outbox.
	PushClient *http.Client
	// Pushes is what the pages show of pushes; nil: the site's own, if it has a secret.
	Pushes server.Pushes

	Logins      []sso.Login              // providers that sign people in
	NoPasswords bool                     // nobody signs in with a password
	pauseAfter  map[string]time.Duration // of each login

	PasswordCost password.Cost // of one password hash; zero: [password.DefaultCost]

	MaxKeys   int              // see authority.Config
	ParkAbove int              // see server.Config
	Headroom  int64            // bytes, see [KeepHeadroom]
	Now       func() time.Time // nil: the system's clock
	Logger    *slog.Logger     // nil: none
}

// Site is a running site; see [Open].
type Site struct {
	Store     *store.Store
	Authority *authority.Authority
	Identity  *accounts.Accounts
	Logins    *sso.Logins // the providers that sign people in
	Inbox     *notify.Inbox
	Pushes    *outbox.Pushes // nil without a secret
	pages     *server.Server
	proxy     *gateway.Proxy // nil without an upstream
	handler   http.Handler
	asked     http.Handler
	headroom  int64
}

// Open wires the rooms. The site answers as soon as its handler is served;
// keep [Site.Run] running beside it.
func Open(ctx context.Context, cfg Config) (*Site, error) {
	if cfg.Store == nil || cfg.BaseURL == nil {
		return nil, errors.New("site: Config needs a Store and a BaseURL")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.pauseAfter = pauseAfter(cfg.Logins)
	catalog, err := userkeys.NewCatalog(cfg.Scopes...)
	if err != nil {
		return nil, err
	}
	if cfg.Upstream == nil || gateway.OwnPath(cfg.OwnPaths...)("/events") {
		catalog = catalog.WithEvents()
	}
	s := &Site{Store: cfg.Store, headroom: cfg.Headroom}
	s.Authority, err = authority.New(ctx, authority.Config{
		Store: s.Store, Catalog: catalog, Pinned: cfg.Pinned, MaxKeys: cfg.MaxKeys, PauseAfter: cfg.pauseAfter,
		Carriers: cfg.Carriers, Profiles: gateway.NeedProfiles(cfg.IdentityHeaders),
		Now: cfg.Now, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := s.openInbox(cfg); err != nil {
		return nil, err
	}
	if cfg.Pushes == nil && s.Pushes != nil {
		cfg.Pushes = s.Pushes
	}
	clients, err := gateway.NewClientIPs(gateway.ClientIPConfig{
		TrustedProxies: cfg.TrustedProxies, TrustUnix: cfg.TrustUnix,
		Header: cfg.ClientIPHeader, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := s.openIdentity(ctx, cfg, clients); err != nil {
		return nil, err
	}
	if s.handler, err = s.doors(cfg, clients); err != nil {
		return nil, err
	}
	return s, s.openAsked(cfg)
}

// openIdentity opens the accounts, and the logins through which providers sign people in to them.
func (s *Site) openIdentity(ctx context.Context, cfg Config, clients *gateway.ClientIPs) (err error) {
	s.Identity, err = NewIdentity(s.Store, accounts.Config{
		Now: cfg.Now, Logger: cfg.Logger, Secure: cfg.BaseURL.Scheme == "https",
		LoginPath: loginPath(cfg.Upstream == nil), ClientIP: clients.Of, Cost: cfg.PasswordCost,
		Stays:      func(r *http.Request, login, subject string) bool { return s.Logins.Stays(r, login, subject) },
		PauseAfter: cfg.pauseAfter,
	})
	if err != nil {
		return err
	}
	s.Logins, err = sso.Open(ctx, sso.Config{
		Logins: cfg.Logins, Accounts: s.Identity, Store: cfg.Store, BaseURL: cfg.BaseURL,
		ClientIP: clients.Of, Now: cfg.Now, Logger: cfg.Logger,
	})
	return err
}

// loginHeaders are the headers that logins believe.
func loginHeaders(logins []sso.Login) []string {
	var names []string
	for _, l := range logins {
		names = append(names, l.Header.Names()...)
	}
	return names
}

// pauseAfter is how long after a sign-in through each login the keys of its users pause.
func pauseAfter(logins []sso.Login) map[string]time.Duration {
	after := map[string]time.Duration{}
	for _, l := range logins {
		after[l.Name] = l.PauseAfter
	}
	return after
}

// openInbox opens the inbox and, with a secret, the outbox of pushes.
func (s *Site) openInbox(cfg Config) error {
	inbox := notify.Config{
		Store: cfg.Store, Jobs: cfg.Store, Settings: s.Authority.Settings,
		Origin: cfg.BaseURL.Scheme + "://" + cfg.BaseURL.Host, Now: cfg.Now, Logger: cfg.Logger,
	}
	if len(cfg.Secret) > 0 {
		var err error
		s.Pushes, err = outbox.Open(outbox.Config{
			Queue: cfg.Store, Actions: cfg.Store, Settings: s.Authority.Settings, Secret: cfg.Secret,
			BaseURL: cfg.BaseURL, Client: cfg.PushClient, PauseAfter: cfg.pauseAfter,
			Now: cfg.Now, Logger: cfg.Logger,
		})
		if err != nil {
			return err
		}
		inbox.Queued = s.Pushes.Wake
	}
	s.Inbox = notify.Open(inbox)
	return nil
}

// OpenStore opens the store in db, whose driver the caller brings, and brings
// it to this version's schema.
func OpenStore(ctx context.Context, db *sql.DB, d store.Dialect) (*store.Store, error) {
	st, err := store.Open(ctx, db, d)
	if err != nil {
		return nil, err
	}
	if _, err := st.Migrate(ctx); err != nil {
		return nil, err
	}
	return st, nil
}

// NewIdentity is the built-in accounts over st. Without a ClientIP no header is believed.
func NewIdentity(st *store.Store, cfg accounts.Config) (*accounts.Accounts, error) {
	cfg.Users, cfg.Sessions, cfg.Guesses, cfg.Identities, cfg.Own = st, st, st, st, st
	if cfg.ClientIP == nil {
		cfg.ClientIP = gateway.ClientIP(nil)
	}
	return accounts.New(cfg)
}

func loginPath(standalone bool) string {
	if standalone {
		return "/login"
	}
	return "/user-api-key/login"
}

// doors puts the pages, and the upstream if there is one, behind the key check.
func (s *Site) doors(cfg Config, clients *gateway.ClientIPs) (http.Handler, error) {
	var sync server.UserSync
	if len(cfg.Logins) > 0 {
		sync = s.Logins
	}
	pages, err := server.New(server.Config{
		Logins: s.Logins, Sync: sync, Links: s.Identity, Own: accounts.OwnOf(s.Identity), NoPasswords: cfg.NoPasswords,
		Authority: s.Authority, Identity: s.Identity, Accounts: s.Identity, BaseURL: cfg.BaseURL,
		Standalone: cfg.Upstream == nil,
		// Before an upstream the front asks us for them only if OwnPaths name them.
		Endpoints: true, Users: s.Store, Inbox: s.Inbox, Pushes: cfg.Pushes, Bus: s.Inbox.Bus, ParkAbove: cfg.ParkAbove,
		Logger: cfg.Logger, Now: cfg.Now, ClientIP: clients.Of, Ready: s.Ready,
	})
	if err != nil {
		return nil, err
	}
	s.pages = pages
	mux := http.NewServeMux()
	pages.Mount(mux)
	if cfg.Upstream != nil { // what is ours by name and has no route yet is not the upstream's
		mux.Handle("/", pages.Unknown())
	}
	own := gateway.Deadlines{Read: ownReadTime, Write: ownWriteTime}.Handler(mux)
	if cfg.OnlyHost {
		own = gateway.OnlyHost(cfg.BaseURL, own)
	}
	front := gateway.FrontConfig{
		Own: own, Checker: s.Authority, Owns: gateway.OwnPath(cfg.OwnPaths...), Bounce: pages.Bounce,
		ClientIPs: clients, Logger: cfg.Logger, Now: cfg.Now,
	}
	if cfg.Upstream != nil {
		if !cfg.NoFallback {
			paths := server.FallbackPaths()
			front.Fallback = func(path string) bool { return slices.Contains(paths, path) }
		}
		s.proxy, err = gateway.NewProxy(gateway.ProxyConfig{
			Upstream: cfg.Upstream, Checker: s.Authority, ClientIPs: clients, Scheme: cfg.BaseURL.Scheme,
			VaryByKey:             cfg.VaryByKey,
			LoginHeaders:          loginHeaders(cfg.Logins),
			IdentityHeaders:       cfg.IdentityHeaders,
			SessionCookies:        append(s.Identity.CookieNames(), s.Logins.CookieName()),
			ResponseHeaderTimeout: cfg.UpstreamTimeout, Logger: cfg.Logger,
			MinUploadRate: cfg.MinUploadRate, StandardTransport: cfg.StandardTransport,
		})
		if err != nil {
			return nil, err
		}
		front.Upstream = s.proxy
	}
	return gateway.NewFront(front)
}

// openAsked makes the handler for web servers that ask.
func (s *Site) openAsked(cfg Config) error {
	var err error
	s.asked, err = gateway.NewAsked(gateway.AskedConfig{
		Checker: s.Authority, From: cfg.AskFrom, TrustedProxies: cfg.TrustedProxies,
		IdentityHeaders: cfg.IdentityHeaders, Logger: cfg.Logger, Now: cfg.Now,
		Introspection: gateway.Deadlines{Read: ownReadTime, Write: ownWriteTime}.Handler(s.pages.Introspection()),
	})
	return err
}

// Handler answers for the whole site.
func (s *Site) Handler() http.Handler { return s.handler }

// Asked answers web servers that ask about their requests; see [gateway.Asked] for where it may stand.
func (s *Site) Asked() http.Handler { return s.asked }

// Run does what a site does by itself, until ctx ends.
func (s *Site) Run(ctx context.Context) error {
	defer KeepHeadroom(s.headroom)()
	var all sync.WaitGroup
	var pushed, told error
	if s.Pushes != nil {
		all.Go(func() { pushed = s.Pushes.Run(ctx) })
	}
	all.Go(func() { told = s.Inbox.Run(ctx) })
	err := s.Authority.Run(ctx)
	all.Wait()
	return errors.Join(err, pushed, told)
}

// Drain ends requests that wait for news and event streams of the upstream, so that a server that stops need
// not wait for them. It returns soon, at the latest when ctx ends.
func (s *Site) Drain(ctx context.Context) {
	if s.proxy != nil {
		s.proxy.Drain()
	}
	s.pages.Drain(ctx)
}

// Ready reports whether the site can answer: requests can be decided, and the database takes what is written.
func (s *Site) Ready(ctx context.Context) error {
	if err := s.Authority.Ready(ctx); err != nil {
		return err
	}
	return s.Store.HasRoom(ctx)
}
