// Package fakesite is a site for tests of the server's domains: four users,
// and an authority, identity and pushes in memory that tests look into and
// break.
package fakesite

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/nettest"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/server/admin"
	"userkeys/server/apps"
	"userkeys/server/consent"
	"userkeys/server/deliveries"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/live"
	"userkeys/server/wire"
	"userkeys/site"
)

// Site is a site of four users with its own little authority and
// sessions, to see what the pages make of their answers.
type Site struct {
	T         *testing.T
	Handler   http.Handler
	Config    server.Config // as the options left it
	Door      *door.Door
	Live      *live.Handlers // nil: no bus
	Identity  *fakeIdentity
	Authority *fakeAuthority
	Log       *bytes.Buffer
	Logging   *lockedWriter // to log
	Users     *fakeUsers
	Pushes    *fakePushes
	Pipes     *nettest.PipeListener // what it is served over; nil: real connections
}

// Now is when everything happens, and who is there.
var (
	Now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	Alice = site.User{ID: 1, Username: "alice", Name: "Alice A.", TrustLevel: 2, Active: true}
	Bob   = site.User{ID: 2, Username: "bob", Active: true}
	Root  = site.User{ID: 3, Username: "root", Admin: true, TrustLevel: 4, Active: true}
	Mod   = site.User{ID: 4, Username: "mod", Moderator: true, TrustLevel: 4, Active: true}
)

// Option changes what a site is made of.
type Option func(*server.Config)

// WithoutPushes leaves the pushes out.
func WithoutPushes(c *server.Config) { c.Pushes = nil }

// NotStandalone has the site share its address with a website.
func NotStandalone(c *server.Config) { c.Standalone = false }

// New makes a site that stands alone.
func New(t *testing.T, options ...Option) *Site {
	t.Helper()
	base, err := url.Parse("https://site.example")
	if err != nil {
		t.Fatal(err)
	}
	f := &Site{T: t, Log: &bytes.Buffer{}, Authority: NewAuthority(), Identity: NewIdentity()}
	f.Users = &fakeUsers{All: []site.User{Alice, Bob, Root, Mod}}
	f.Logging = &lockedWriter{w: f.Log}
	f.Pushes = &fakePushes{Authority: f.Authority, States: map[int64]outbox.KeyState{}}
	cfg := server.Config{
		Accounts: f.Users, Pushes: f.Pushes, Identity: f.Identity, BaseURL: base, Standalone: true,
		Now:    func() time.Time { return Now },
		Logger: slog.New(slog.NewTextHandler(f.Logging, nil)),
		Ready:  func(context.Context) error { return f.Authority.Down },
	}
	for _, o := range options {
		o(&cfg)
	}
	f.mount(cfg)
	return f
}

// mount puts the server's domains together as server.New does, on the fake authority.
func (f *Site) mount(cfg server.Config) {
	f.T.Helper()
	cfg.Endpoints = cfg.Endpoints || cfg.Standalone
	a := f.Authority
	d, err := door.New(door.Config{
		Authority: a, Identity: cfg.Identity, BaseURL: cfg.BaseURL, Logger: cfg.Logger, Now: cfg.Now, ClientIP: cfg.ClientIP,
		HasHome: cfg.Standalone, Pushes: cfg.Pushes != nil,
	})
	if err != nil {
		f.T.Fatal(err)
	}
	consent.New(d, consent.Config{
		Consents: a, Devices: a, Clients: a, OneTimes: a, SignIn: cfg.Endpoints && d.Accounts() != nil,
	}).Mount()
	apps.New(d, apps.Config{Keys: a, Pushes: cfg.Pushes, Endpoints: cfg.Endpoints, Standalone: cfg.Standalone}).Mount()
	admin.New(d, admin.Config{
		Keys: a, Settings: a, Accounts: cfg.Accounts, Pushes: cfg.Pushes, Inbox: cfg.Inbox, Endpoints: cfg.Endpoints,
	}).Mount()
	wire.New(d, wire.Config{
		Authority: a, Users: cfg.Users, Inbox: cfg.Inbox, Pushes: cfg.Pushes, Endpoints: cfg.Endpoints,
		Standalone: cfg.Standalone,
		Ready:      cfg.Ready,
	}).Mount()
	if cfg.Pushes != nil {
		deliveries.New(d, deliveries.Config{Pushes: cfg.Pushes, Accounts: cfg.Accounts}).Mount()
	}
	f.Config, f.Door = cfg, d
	if cfg.Bus != nil && cfg.Endpoints {
		f.Live = live.New(d, live.Config{Bus: cfg.Bus, Checker: a, ParkAbove: cfg.ParkAbove})
		f.Live.Mount()
	}
	f.Handle(http.NewServeMux())
}

// Handle registers the routes of the site on mux, which answers from now on.
func (f *Site) Handle(mux *http.ServeMux) {
	f.Door.Mount(mux)
	mux.Handle("/user-api-key/", f.Door.Unknown())
	if f.Config.Standalone {
		mux.Handle("/", f.Door.Unknown())
	}
	f.Handler = mux
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// Logged is what the log has while requests are still answered.
func (f *Site) Logged() string {
	f.Logging.mu.Lock()
	defer f.Logging.mu.Unlock()
	return f.Log.String()
}

// A call is one request of a test. The zero value is a GET by nobody in a browser.
type Call struct {
	Method, Path string
	As           string            // who is signed in
	Key          string            // User-Api-Key
	AdminKey     string            // Api-Key
	Acts         string            // Api-Username
	Twice        string            // a header that is there twice
	Form         map[string]string // body; the session's token is added unless noToken
	Body         string
	Header       map[string]string
	NoToken      bool
}

// Answer is what came back.
type Answer struct {
	*http.Response
	Text string
}

// Do makes a call, and holds what must be so for every answer of every test.
func (f *Site) Do(c Call) Answer {
	f.T.Helper()
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	body := c.Body
	if c.Form != nil {
		body = c.formBody()
	}
	r := httptest.NewRequest(c.Method, c.Path, strings.NewReader(body))
	r.Host = "site.example"
	if host := c.Header["Host"]; host != "" {
		r.Host = host
	}
	if c.Form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.As != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: c.As})
	}
	if c.Key != "" {
		r.Header.Set(userkeys.KeyHeader, c.Key)
	} else if c.Method == http.MethodPost {
		r.Header.Set("Origin", "https://site.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if c.AdminKey != "" {
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set(site.AdminKeyHeader, c.AdminKey)
	}
	if c.Acts != "" {
		r.Header.Set(site.AdminUsernameHeader, c.Acts)
	}
	for name, value := range c.Header {
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	if c.Twice != "" {
		r.Header.Add(c.Twice, r.Header.Get(c.Twice))
	}
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, r)
	a := Answer{w.Result(), w.Body.String()}
	f.CheckAnswer(c, a)
	return a
}

// formBody is the form of a call with the tokens that it needs.
func (c Call) formBody() string {
	fields := url.Values{}
	for name, value := range c.Form {
		fields.Set(name, value)
	}
	if _, given := c.Form[input.TokenField]; !given && !c.NoToken && c.As != "" {
		fields.Set(input.TokenField, "token-of-"+c.As)
		if _, given := c.Form[door.OnceField]; !given {
			fields.Set(door.OnceField, door.NewForm(Now))
		}
	}
	return fields.Encode()
}

// pageHeaders is what every HTML answer carries.
var pageHeaders = map[string]string{
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	"Cache-Control": "no-store", "Pragma": "no-cache", "Expires": "0",
	"Strict-Transport-Security": "max-age=31536000", "Content-Type": "text/html; charset=utf-8",
}

// CheckAnswer holds what must be so for every answer.
func (f *Site) CheckAnswer(c Call, a Answer) {
	f.T.Helper()
	if len(a.Text) > 64<<10 {
		f.T.Errorf("%s %s: the answer has %d bytes", c.Method, c.Path, len(a.Text))
	}
	if a.Header.Get("X-Request-Id") == "" && c.Key == "" {
		f.T.Errorf("%s %s: no request id", c.Method, c.Path)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		return
	}
	for name, want := range pageHeaders {
		if got := a.Header.Get(name); got != want {
			f.T.Errorf("%s %s: %s is %q, want %q", c.Method, c.Path, name, got, want)
		}
	}
	policy := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'",
		"frame-ancestors 'none'", "form-action 'self'",
	} {
		if !strings.Contains(policy, want) {
			f.T.Errorf("%s %s: the policy %q lacks %s", c.Method, c.Path, policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		f.T.Errorf("%s %s: the policy %q allows inline code", c.Method, c.Path, policy)
	}
	if p := a.Header.Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" {
		f.T.Errorf("%s %s: Referrer-Policy is %q", c.Method, c.Path, p)
	}
	if a.Header.Get("Permissions-Policy") == "" {
		f.T.Errorf("%s %s: no Permissions-Policy", c.Method, c.Path)
	}
	checkHTML(f.T, c.Method+" "+c.Path, a.Text)
}

// Must and mustNot look for texts in an answer.
func (a Answer) Must(t *testing.T, status int, texts ...string) Answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d; body %s", a.StatusCode, status, input.Cut(a.Text, 2000))
	}
	for _, text := range texts {
		if !strings.Contains(a.Text, text) {
			t.Errorf("the answer lacks %q: %s", text, input.Cut(a.Text, 4000))
		}
	}
	return a
}

// MustNot holds that none of texts is in an answer or its headers.
func (a Answer) MustNot(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.Text, text) {
			t.Errorf("the answer has %q: %s", text, input.Cut(a.Text, 4000))
		}
		for name, values := range a.Header {
			if strings.Contains(strings.Join(values, "\n"), text) {
				t.Errorf("the header %s has %q", name, text)
			}
		}
	}
}

// fakeIdentity takes a cookie's value for who somebody is.
type fakeIdentity struct {
	mu       sync.Mutex // of users and err, in Visitor
	People   map[string]site.User
	App      string // that began every session
	Since    time.Time
	LoginErr error
	SetupErr error
	Logouts  int
	Err      error
}

var _ server.LoginIdentity = (*fakeIdentity)(nil)

// NewIdentity makes an identity that knows the four users.
func NewIdentity() *fakeIdentity {
	f := &fakeIdentity{People: map[string]site.User{}, Since: Now}
	for _, u := range []site.User{Alice, Bob, Root, Mod} {
		f.People[u.Username] = u
	}
	return f
}

func (f *fakeIdentity) Visitor(r *http.Request) (site.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
func (f *fakeIdentity) Forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.People, name)
}

// FailWith has every look at a session fail from now on.
func (f *fakeIdentity) FailWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Err = err
}

func (f *fakeIdentity) LoginURL(back string) string {
	return "/user-api-key/login?redirect=" + url.QueryEscape(back)
}

func (f *fakeIdentity) Sessions(next http.Handler) http.Handler { return next }

func (f *fakeIdentity) Login(_ *http.Request, username, password string) (site.User, error) {
	if f.LoginErr != nil {
		return site.User{}, f.LoginErr
	}
	if u, ok := f.People[username]; ok && password == "right" {
		return u, nil
	}
	return site.User{}, userkeys.Errorf(userkeys.InvalidCredentials, "the user name or the password is wrong")
}

func (f *fakeIdentity) SignIn(_ *http.Request, p site.OneTimePassword) (site.User, error) {
	return f.User(context.Background(), p.UserID)
}

func (f *fakeIdentity) SignedInAt(*http.Request) (time.Time, error) { return f.Since, f.Err }

func (f *fakeIdentity) FormToken(r *http.Request) (string, error) {
	v, err := f.Visitor(r)
	return v.Session.CSRF, err
}

func (f *fakeIdentity) User(_ context.Context, id int64) (site.User, error) {
	for _, u := range f.People {
		if u.ID == id {
			return u, nil
		}
	}
	return site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
}

func (f *fakeIdentity) Logout(context.Context) error { f.Logouts++; return nil }

func (f *fakeIdentity) CheckSetup(_ context.Context, token string) error {
	if token != "good" {
		return userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return nil
}

func (f *fakeIdentity) Setup(_ *http.Request, token, username, _ string) (site.User, error) {
	if f.SetupErr != nil {
		return site.User{}, f.SetupErr
	}
	if token != "good" {
		return site.User{}, userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return site.User{ID: 9, Username: username, Admin: true}, nil
}
