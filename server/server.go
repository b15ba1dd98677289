package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/site"
)

// Config is what a [Server] is made of.
type Config struct {
	Authority *authority.Authority
	Identity  Identity // if it is a [LoginIdentity], there are pages for login, logout and the first administrator
	// BaseURL is the site's address as browsers see it, http or https and a host. All addresses of the site are
	// made from it, never from what a request names. Its scheme decides about HSTS, and its origin is trusted by the cross-origin checks.
	BaseURL *url.URL
	// Standalone adds /, /login, /logout and /u/{username}/preferences/apps, and
	// answers every unknown path: for a site that has nothing else at its root.
	// It implies Endpoints.
	Standalone bool
	// Endpoints adds what apps of the wire ask a site for: /session/current, where
	// they learn whose key they have, /site/basic-info.json, /about.json, with a
	// LoginIdentity /login and /session/..., and with
	// Users, Inbox and Bus those of users, notifications and news (see [EndpointPaths]). They lie
	// outside of our own paths, so a site that has something there must not be surprised.
	Endpoints bool
	Users     Users                           // nil: no /u/{username}.json and no /user-status
	Accounts  UserAdmin                       // manages the accounts through the admin API; nil: no such routes
	Inbox     *notify.Inbox                   // nil: no notifications
	Pushes    Pushes                          // how pushing notifications to apps goes; nil: none are pushed, and nothing is shown of it
	Bus       *notify.Bus                     // nil: no message bus and no /events; else see to it that Inbox tells it of changes, and that it runs
	ParkAbove int                             // when so many listen to the bus, polls of apps get by with less memory (see park); 0: 1000; negative: always
	Logger    *slog.Logger                    // nil: none
	Now       func() time.Time                // nil: the system's clock
	ClientIP  func(r *http.Request) string    // nil: the peer's address; no header is believed
	Ready     func(ctx context.Context) error // nil: no /healthz and /readyz
}

// consents is what the consent page needs of the authority.
type consents interface {
	Examine(ctx context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error)
	Prepare(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Question, error)
	Grant(ctx context.Context, consentID string, b site.Caller, choice site.Choice) (authority.Granted, error)
	GrantDirect(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Granted, error)
	Deny(ctx context.Context, consentID string, b site.Caller) (string, error)
}

// devices is what the device authorization needs of the authority.
type devices interface {
	ChargeDeviceCreate(ip string) error
	BeginDevice(ctx context.Context, r site.AuthorizationRequest, ip string) (site.DeviceGrant, error)
	PollDevice(ctx context.Context, deviceCode, ip string) (site.DeviceGrant, error)
	PreviewDevice(ctx context.Context, token string, b site.Caller) (authority.DeviceQuestion, error)
	ActivateDevice(ctx context.Context, typed, token string, b site.Caller) (authority.DeviceQuestion, error)
	AuthorizeDevice(ctx context.Context, approval string, b site.Caller, choice site.Choice) (authority.Granted, error)
	DenyDevice(ctx context.Context, approval string, b site.Caller) error
}

// clients is what registered clients and apps that manage their key need of the authority.
type clients interface {
	RegisteredClient(ctx context.Context, clientID string) (site.Client, error)
	ChargeRegistration(ctx context.Context, ip string) error
	RegisterClient(ctx context.Context, c site.Client, ip string) error
	Renew(ctx context.Context, a userkeys.Access, nonce, ip string) (authority.Renewed, error)
	ChargePushSecret(a userkeys.Access) error
}

// oneTimes is what one-time passwords need of the authority.
type oneTimes interface {
	ExamineOneTime(ctx context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error)
	PrepareOneTime(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Question, error)
	GrantOneTime(ctx context.Context, consentID string, b site.Caller) (string, error)
	GrantOneTimeDirect(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (string, error)
	OneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error)
	UseOneTimePassword(ctx context.Context, password, ip string) (site.OneTimePassword, error)
}

// keyring is what the apps page needs of the authority.
type keyring interface {
	Apps(ctx context.Context, userID int64) ([]site.UserAPIKey, error)
	EndedApps(ctx context.Context, userID int64) ([]site.UserAPIKey, error)
	Revoke(ctx context.Context, keyID int64, by site.Caller) error
	RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error)
	UndoRevoke(ctx context.Context, keyID int64, by site.Caller) error
	AppSessions(ctx context.Context, userID int64) ([]site.AppSession, error)
}

// siteSettings is what the settings page, and every page's frame, need of the authority.
type siteSettings interface {
	Settings() site.Settings
	Catalog() *userkeys.Catalog
	Pinned(name string) bool
	ChangeSetting(ctx context.Context, name, value string, by site.Caller) error
	ResetSetting(ctx context.Context, name string, by site.Caller) error
}

// decider is all of it, as authority.Authority has it by shape.
type decider interface {
	consents
	keyring
	siteSettings
	devices
	oneTimes
	clients
	gateway.Checker
	administration
	forms
}

// Server serves the pages and the browser's routes. Make one with [New].
type Server struct {
	cfg      Config
	consents consents
	keys     keyring
	site     siteSettings
	devices  devices
	oneTimes oneTimes
	clients  clients
	admin    administration
	forms    forms
	checker  gateway.Checker
	accounts LoginIdentity // nil: the embedder's own sessions
	guard    func(http.Handler) http.Handler
	cut      func(http.Handler) http.Handler
	watcher  *gateway.Monitor
	parked   atomic.Int64 // polls, see park
	origins  *http.CrossOriginProtection
	pages    *pages
	assets   assets
}

// New makes a server. It does nothing until it is mounted.
func New(cfg Config) (*Server, error) {
	if cfg.Authority == nil {
		return nil, errors.New("server: Config.Authority is missing")
	}
	return newServer(cfg, cfg.Authority)
}

func newServer(cfg Config, d decider) (*Server, error) {
	if cfg.Identity == nil {
		return nil, errors.New("server: Config.Identity is missing")
	}
	var err error
	if cfg.BaseURL, err = siteAddress(cfg.BaseURL); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = gateway.ClientIP(nil)
	}
	if cfg.ParkAbove == 0 {
		cfg.ParkAbove = parkAbove
	}
	s := &Server{cfg: cfg, consents: d, keys: d, site: d, devices: d, oneTimes: d, clients: d, admin: d, forms: d, checker: d, guard: gateway.Guard(d), cut: gateway.CutStreams(d), origins: http.NewCrossOriginProtection()}
	s.watcher = gateway.NewMonitor(d)
	s.accounts, _ = cfg.Identity.(LoginIdentity)
	if cfg.Standalone && s.accounts == nil {
		return nil, errors.New("server: a standalone site needs a LoginIdentity")
	}
	if err := s.origins.AddTrustedOrigin(s.base()); err != nil {
		return nil, errors.New("server: Config.BaseURL is no address of a site")
	}
	if s.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	s.pages, err = loadPages(s.assets)
	return s, err
}

// siteAddress is base in the spelling of browsers.
func siteAddress(base *url.URL) (*url.URL, error) {
	if base == nil {
		return nil, errors.New("server: Config.BaseURL is missing; give the site's address as browsers see it, such as https://www.example")
	}
	host, err := userkeys.OriginHost(base)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Path != "" && base.Path != "/" || base.RawQuery != "" {
		return nil, fmt.Errorf("server: Config.BaseURL must be the address of a site, such as https://www.example, and not %q", base.Redacted())
	}
	return &url.URL{Scheme: base.Scheme, Host: host}, nil
}

// base is this site's address without a slash at its end.
func (s *Server) base() string { return s.cfg.BaseURL.String() }

func (s *Server) https() bool { return s.cfg.BaseURL.Scheme == "https" }

// caller is v with the address that r came from.
func (s *Server) caller(r *http.Request, v site.Visitor) site.Caller {
	v.Address = s.cfg.ClientIP(r)
	return v
}
