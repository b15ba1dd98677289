// Package fakesite is a site for tests of the server's domains: four users in a database of their own, and the
// authority, inbox and pushes that ship. Only who is signed in is told by a cookie's value.
package fakesite

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/authority"
	"userkeys/internal/accounts"
	"userkeys/internal/password"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/site"
	"userkeys/store"
)

// Site is a site of four users.
type Site struct {
	*server.Server
	*dbtest.Copy
	T         *testing.T
	Handler   http.Handler
	Config    server.Config // as the options left it
	Identity  *cookies
	Authority *authority.Authority
	Log       *testkit.Log

	passed    atomic.Int64 // by how much Now is behind
	from      int64        // id of the last audit event of what the test arranged
	questions []string     // ids of consent records, as pages had them
}

// Now is when everything happens, and who is there.
var (
	Now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	Alice = site.User{ID: 1, Username: "alice", Name: "Alice A.", TrustLevel: 2, Active: true}
	Bob   = site.User{ID: 2, Username: "bob", Active: true}
	Root  = site.User{ID: 3, Username: "root", Admin: true, TrustLevel: 4, Active: true}
	Mod   = site.User{ID: 4, Username: "mod", Moderator: true, TrustLevel: 4, Active: true}
)

// Secret is the machine secret that push secrets are made of.
var Secret = []byte("the machine secret of every test")

var users = &dbtest.Template{Fill: func(ctx context.Context, s *store.Store) error {
	for _, u := range []site.User{Alice, Bob, Root, Mod} {
		made, err := s.CreateUser(ctx, site.Account{User: u}, testkit.Command)
		if err == nil && made.ID != u.ID {
			err = fmt.Errorf("%s has the id %d", u.Username, made.ID)
		}
		if err != nil {
			return err
		}
	}
	const redirects = "discourse://auth_redirect|https://app.example/cb|" +
		"https://*.evil.net/*|https://bank.example.evil.net/"
	return s.SetSetting(ctx, "allowed_user_api_auth_redirects", redirects, testkit.Command.At(Now))
}}

// Option changes what a site is made of. It gets a whole site's Config.
type Option func(*server.Config)

// WithoutPushes leaves the pushes out.
func WithoutPushes(c *server.Config) { c.Pushes = nil }

// NotStandalone has the site share its address with a website.
func NotStandalone(c *server.Config) { c.Standalone = false }

// ownAccounts stands for the built-in accounts until the options have had their say.
type ownAccounts struct{ server.UserAdmin }

func withoutBus(c *server.Config) { c.Bus = nil }

func withoutInbox(c *server.Config) { c.Users, c.Inbox, c.Bus = nil, nil, nil }

// New makes a site that stands alone and has no notifications.
func New(t *testing.T, options ...Option) *Site {
	t.Helper()
	return open(t, nil, append([]Option{withoutInbox}, options...)...)
}

// open makes a whole site. Settings that are pinned are set by its configuration.
func open(t *testing.T, pinned map[string]string, options ...Option) *Site {
	t.Helper()
	f := &Site{T: t, Log: &testkit.Log{}, Identity: NewIdentity(), Copy: users.Open(t)}
	now := func() time.Time { return Now.Add(time.Duration(f.passed.Load())) }
	logger := slog.New(slog.NewTextHandler(f.Log, nil))
	var err error
	decides := authority.Config{Store: f.Store}
	decides.Pinned, decides.Now = pinned, now
	f.Authority, err = authority.New(t.Context(), decides)
	f.check(err)
	base := &url.URL{Scheme: "https", Host: "site.example"}
	pushes, err := outbox.Open(outbox.Config{
		Queue: f.Store, Actions: f.Store, Settings: f.Authority.Settings, Secret: Secret, BaseURL: base, Now: now,
	})
	f.check(err)
	f.Config = server.Config{
		Authority: f.Authority, Identity: f.Identity, BaseURL: base, Standalone: true,
		Users: f.Store, Accounts: ownAccounts{}, Pushes: pushes,
		Inbox:  notify.Open(notify.Config{Store: f.Store, Settings: f.Authority.Settings, Now: now}),
		Bus:    notify.NewBus(notify.BusConfig{Store: f.Store}),
		Now:    now,
		Logger: logger, Ready: f.Authority.Ready,
	}
	for _, o := range options {
		o(&f.Config)
	}
	if f.Config.Accounts == (ownAccounts{}) {
		cost := password.Cost{Memory: 64, Time: 1, Threads: 1}
		f.Config.Accounts, err = wiring.NewIdentity(f.Store, accounts.Config{Now: now, Cost: cost})
		f.check(err)
	}
	f.Server, err = server.New(f.Config)
	f.check(err)
	f.Handle(http.NewServeMux())
	f.arranged()
	return f
}

// Handle registers the routes of the site on mux, which answers from now on.
func (f *Site) Handle(mux *http.ServeMux) {
	f.Mount(mux)
	f.Handler = mux
}

func (f *Site) check(err error) {
	f.T.Helper()
	if err != nil {
		f.T.Fatal(err)
	}
}

// Pass moves the site's clock forward.
func (f *Site) Pass(d time.Duration) { f.passed.Add(int64(d)) }

// Set changes a setting, as an administrator would at the command line.
func (f *Site) Set(name, value string) {
	f.T.Helper()
	f.check(f.Authority.ChangeSetting(f.T.Context(), name, value, testkit.Command))
	f.arranged()
}

// arranged has [Site.Events] begin after what was done so far.
func (f *Site) arranged() {
	events, err := f.AuditEvents(f.T.Context(), site.AuditFilter{Limit: 1})
	f.check(err)
	f.from = events[0].ID
}

// Events are the audit log of what was done since the test arranged the site, oldest first.
func (f *Site) Events() []site.AuditEvent {
	f.T.Helper()
	all, err := f.AuditEvents(f.T.Context(), site.AuditFilter{})
	f.check(err)
	for i, e := range all {
		if e.ID == f.from {
			all = all[:i]
			break
		}
	}
	slices.Reverse(all)
	return all
}

// Done is [Site.Events] as texts: what was done, to which key or user, and by whom.
func (f *Site) Done() []string {
	f.T.Helper()
	var out []string
	for _, e := range f.Events() {
		text := e.Action
		if e.KeyID != 0 {
			text += fmt.Sprintf(" key %d", e.KeyID)
		} else if e.UserID != 0 {
			text += fmt.Sprintf(" user %d", e.UserID)
		}
		if e.Detail != "" {
			text += " (" + e.Detail + ")"
		}
		out = append(out, fmt.Sprintf("%s by %d %s", text, e.Caller.User.ID, e.Caller.Kind()))
	}
	return out
}

// NothingDone fails if the audit log has anything.
func (f *Site) NothingDone(what string) {
	f.T.Helper()
	if done := f.Done(); len(done) > 0 {
		f.T.Errorf("%s: something was done: %q", what, done)
	}
}
