// Package testkit is a whole running system for tests, spoken to as actors: a
// [Site] with its [Person]s at browsers and the [App]s that they give keys to.
package testkit

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"userkeys/gateway"
	"userkeys/internal/accounts"
	"userkeys/internal/password"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// Command is the actor of what a test arranges, as an administrator would at the command line.
var Command = site.Caller{As: site.CallerCommand, User: site.User{Admin: true}}

// Password is every person's password.
const Password = "a long enough password"

// Clock is a clock that tests move. It begins at the system's time, because
// certificates and cookies of the test's own browser go by that.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	still  time.Time // where it was stopped; zero: it runs
}

// Now is the clock's time; it keeps running by itself until it is stopped.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.still.IsZero() {
		return c.still.Add(c.offset)
	}
	return time.Now().Add(c.offset)
}

// Stop makes the clock stand still but for [Clock.Pass]: what waits for a second waits for as long as the test wants,
// however slow the machine is.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = time.Now()
}

// Pass moves the clock forward.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Site is a running site as cmd/userkeys wires it, on a server of its own.
type Site struct {
	*wiring.Site
	URL   string
	Clock *Clock
	Log   *Log // everything that the site logged

	t testing.TB
}

// Option changes how a site is made.
type Option func(*wiring.Config)

// Behind puts the site before an upstream.
func Behind(upstream string) Option {
	return func(cfg *wiring.Config) {
		u, err := url.Parse(upstream)
		if err != nil {
			panic(err)
		}
		cfg.Upstream = u
	}
}

// Pinned sets settings as a configuration file would.
func Pinned(nameValues ...string) Option {
	return func(cfg *wiring.Config) {
		if cfg.Pinned == nil {
			cfg.Pinned = make(map[string]string)
		}
		for i := 0; i+1 < len(nameValues); i += 2 {
			cfg.Pinned[nameValues[i]] = nameValues[i+1]
		}
	}
}

// quickCost is for sites whose tests are about something else than passwords: they sign in thousands of times.
var quickCost = password.Cost{Memory: 64, Time: 1, Threads: 1}

// ShippedPasswords has passwords hashed at the cost that ships.
func ShippedPasswords(cfg *wiring.Config) { cfg.PasswordCost = password.Cost{} }

// NewSite starts a site over st; it ends with the test. Passwords are hashed quickly, see [ShippedPasswords].
func NewSite(t testing.TB, st *store.Store, opts ...Option) *Site {
	t.Helper()
	s := &Site{t: t, Clock: &Clock{}, Log: &Log{}}
	server := httptest.NewUnstartedServer(nil)
	s.URL = "http://" + server.Listener.Addr().String()
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := wiring.Config{
		Store: st, BaseURL: base, Now: s.Clock.Now, PasswordCost: quickCost,
		Secret: []byte("the machine secret of every test"),
		Logger: slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, o := range opts {
		o(&cfg)
	}
	if s.Site, err = wiring.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.Handler()
	gateway.Limits(server.Config)
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// Start runs what the site does by itself, such as pushing, until the test ends.
func (s *Site) Start() *Site {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error("the site's own work:", err)
		}
	})
	return s
}

// User makes a user with [Password].
func (s *Site) User(name string, change ...func(*accounts.NewUser)) site.User {
	s.t.Helper()
	n := accounts.NewUser{Username: name, TrustLevel: 1, Password: Password}
	for _, c := range change {
		c(&n)
	}
	u, err := s.Identity.Create(s.t.Context(), n, Command)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// Admin makes an administrator, for [Site.User].
func Admin(n *accounts.NewUser) { n.Admin = true }

// Set changes a setting.
func (s *Site) Set(name, value string) {
	s.t.Helper()
	if err := s.Authority.ChangeSetting(s.t.Context(), name, value, Command); err != nil {
		s.t.Fatal(err)
	}
}

// Keys are all keys of the site, newest first, revoked ones too.
func (s *Site) Keys() []site.UserAPIKey {
	s.t.Helper()
	keys, err := s.Authority.Keys(s.t.Context(), site.KeyFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// Log keeps what was written to it.
type Log struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

// String is everything that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
