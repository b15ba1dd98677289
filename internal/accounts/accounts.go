package accounts

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"userkeys"
	"userkeys/internal/password"
)

// Config says what [Accounts] work with. The three stores and ClientIP are required.
type Config struct {
	Users    UserStore
	Sessions SessionStore
	Guesses  password.GuessStore
	// Identities is needed by [Accounts.CreateWithIdentity] alone.
	Identities IdentityStore
	// Own is needed for what users do to their own account alone, as with [Own.ChangePassword].
	Own OwnStore

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: says nothing

	// Secure tells that browsers see this site by https. The session cookie is
	// then bound to https and to this very host.
	Secure bool
	// LoginPath is where the login page is; default "/user-api-key/login".
	LoginPath string
	// ClientIP tells the address that a request came from. Whoever can choose
	// it can guess passwords for longer.
	ClientIP func(*http.Request) string
	// Stays reports whether a session that began through a login goes on for r: whether r is still from whom the
	// provider called subject. nil: every session goes on until it ends by itself.
	Stays func(r *http.Request, login, subject string) bool
	// PauseAfter is, by the name of a login, how long after a user's last sign-in through it the sessions end that apps
	// began; see authority.Config.
	PauseAfter map[string]time.Duration
	// Cost is what one password hash takes; the zero value is [password.DefaultCost].
	Cost password.Cost
}

// Accounts are the site's own accounts, and who is signed in to them.
// They are safe for concurrent use.
type Accounts struct {
	users   UserStore
	store   SessionStore
	guesses *password.Guesses

	identities IdentityStore
	own        OwnStore
	now        func() time.Time
	log        *slog.Logger
	secure     bool
	loginPath  string
	clientIP   func(*http.Request) string
	pauseAfter map[string]time.Duration
	stays      func(r *http.Request, login, subject string) bool
	hasher     *password.Hasher
	sessions   *scs.SessionManager
}

// New checks cfg and makes [Accounts].
func New(cfg Config) (*Accounts, error) {
	if cfg.Users == nil || cfg.Sessions == nil || cfg.Guesses == nil || cfg.ClientIP == nil {
		return nil, errors.New("accounts: Config needs its stores and a ClientIP")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.LoginPath == "" {
		cfg.LoginPath = "/user-api-key/login"
	}
	if _, err := userkeys.CanonicalPath(cfg.LoginPath); err != nil || strings.Contains(cfg.LoginPath, "?") {
		return nil, errors.New("accounts: the login path is no path of this site")
	}
	hasher, err := password.NewHasher(cfg.Cost)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	ac := &Accounts{
		users: cfg.Users, store: cfg.Sessions, guesses: password.NewGuesses(cfg.Guesses, cfg.Now),
		identities: cfg.Identities, own: cfg.Own, now: cfg.Now, log: cfg.Logger,
		secure: cfg.Secure, loginPath: cfg.LoginPath, clientIP: cfg.ClientIP, stays: cfg.Stays, pauseAfter: cfg.PauseAfter,
		hasher: hasher,
	}
	ac.sessions = ac.newSessions()
	return ac, nil
}

// coded keeps an error that says what kind it is; any other failure of the
// store means that we cannot tell now, which is no reason to call anybody a stranger.
func coded(err error) error {
	var e *userkeys.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &userkeys.Error{
		Code:       userkeys.Unavailable,
		Public:     "accounts cannot be read at the moment",
		RetryAfter: time.Second,
		Err:        err,
	}
}
