// Package door is what stands between a request and a handler of the server:
// who may come in, how the request is read, how it is answered, and what
// stands around a page. Every route is registered with its rules ([Rules]);
// the door holds them, renders errors and writes the log, so that no handler
// can forget one of these. You go here to change what holds for all routes.
package door

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/page"
	"userkeys/site"
)

// Addresses to which pages of more than one domain lead.
const (
	AppsPath     = "/my/apps"
	AccountPath  = "/my/account"
	SettingsPath = "/user-api-key/settings"
)

// AgainField is the parameter of the login page that asks somebody who is signed in for their password again.
const AgainField = "again"

// Authority is what the door needs of the authority.
type Authority interface {
	gateway.Checker
	CheckAdminKey(ctx context.Context, key, username string) (site.User, site.AdminAPIKey, error)
	// SpendOnce notes that what has this token, such as a form, was used. Errors: [userkeys.Conflict] if it was before.
	SpendOnce(ctx context.Context, token string, until time.Time) error
	Settings() site.Settings
}

//go:embed templates/*.html
var templates embed.FS

// Config is what a [Door] is made of.
type Config struct {
	Authority  Authority
	Identity   Identity
	BaseURL    *url.URL                     // the site's address as browsers see it: a scheme and a host
	Logger     *slog.Logger                 // nil: none
	Now        func() time.Time             // nil: the system's clock
	ClientIP   func(r *http.Request) string // nil: the peer's address; no header is believed
	HasAccount bool                         // users see their own account here
	Pushes     bool                         // there are deliveries for administrators to see
	// NoPasswords closes every route that takes a password.
	NoPasswords bool
}

// Door holds the rules of every route that is registered with [Door.Handle].
type Door struct {
	cfg      Config
	accounts LoginIdentity // nil: the embedder's own sessions
	guard    func(http.Handler) http.Handler
	cut      func(http.Handler) http.Handler
	origins  *http.CrossOriginProtection
	frame    *page.Frame
	problem  page.Template[problemPage]
	routes   []Route
}

// New makes a door without routes but those of the files that pages load.
func New(cfg Config) (*Door, error) {
	base, err := siteAddress(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL = base
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = gateway.ClientIP(nil)
	}
	d := &Door{
		cfg: cfg, guard: gateway.Guard(cfg.Authority), cut: gateway.CutStreams(cfg.Authority),
		origins: http.NewCrossOriginProtection(),
	}
	d.accounts, _ = cfg.Identity.(LoginIdentity)
	if err := d.origins.AddTrustedOrigin(d.BaseURL()); err != nil {
		return nil, errors.New("server: Config.BaseURL is no address of a site")
	}
	d.frame = page.NewFrame(page.Config{
		Title:      func() string { return d.Settings().Title },
		HasAccount: cfg.HasAccount, Pushes: cfg.Pushes, SignOut: d.accounts != nil,
	})
	d.problem = page.New[problemPage](d.frame, templates, "problem")
	d.Handle("GET "+page.AssetsPath+"{name}", Rules{Who: Public}, d.asset)
	return d, nil
}

// siteAddress is base in the spelling of browsers.
func siteAddress(base *url.URL) (*url.URL, error) {
	if base == nil {
		return nil, errors.New("server: Config.BaseURL is missing; give the site's address as browsers see it, such as " +
			"https://www.example")
	}
	host, err := userkeys.OriginHost(base)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Path != "" && base.Path != "/" ||
		base.RawQuery != "" {
		return nil, fmt.Errorf("server: Config.BaseURL must be the address of a site, such as https://www.example, and "+
			"not %q", base.Redacted())
	}
	return &url.URL{Scheme: base.Scheme, Host: host}, nil
}

// Now is the time.
func (d *Door) Now() time.Time { return d.cfg.Now() }

// Frame stands around the site's pages.
func (d *Door) Frame() *page.Frame { return d.frame }

func (d *Door) asset(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	return d.frame.ServeAsset(w, r.PathValue("name"))
}

// BaseURL is this site's address without a slash at its end. All addresses of
// the site are made from it, never from what a request names.
func (d *Door) BaseURL() string { return d.cfg.BaseURL.String() }

// Settings are the site's settings in force.
func (d *Door) Settings() site.Settings { return d.cfg.Authority.Settings() }

// Identity tells who is at the browser.
func (d *Door) Identity() Identity { return d.cfg.Identity }

// Accounts sign people in; nil where the embedder's site does that.
func (d *Door) Accounts() LoginIdentity { return d.accounts }

// Passwords reports whether people may sign in with a password of this site.
func (d *Door) Passwords() bool { return d.accounts != nil && !d.cfg.NoPasswords }

// LoginAgainURL is where somebody who is signed in proves who they are once more, and then comes back to back.
func (d *Door) LoginAgainURL(back string) string {
	address := d.cfg.Identity.LoginURL(back)
	if d.accounts == nil {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Set(AgainField, "1")
	u.RawQuery = q.Encode()
	return u.String()
}
