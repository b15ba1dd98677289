// Package fakesite is a site for tests of the server's domains: four users,
// and an authority, identity and pushes in memory that tests look into and
// break.
package fakesite

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
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
		Accounts: f.Users, Pushes: f.Pushes, Identity: f.Identity, BaseURL: base, Standalone: true, Now: func() time.Time { return Now },
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
	consent.New(d, consent.Config{Consents: a, Devices: a, Clients: a, OneTimes: a, SignIn: cfg.Endpoints && d.Accounts() != nil}).Mount()
	apps.New(d, apps.Config{Keys: a, Pushes: cfg.Pushes, Endpoints: cfg.Endpoints, Standalone: cfg.Standalone}).Mount()
	admin.New(d, admin.Config{
		Keys: a, Settings: a, Accounts: cfg.Accounts, Pushes: cfg.Pushes, Inbox: cfg.Inbox, Endpoints: cfg.Endpoints,
	}).Mount()
	wire.New(d, wire.Config{
		Authority: a, Users: cfg.Users, Inbox: cfg.Inbox, Pushes: cfg.Pushes, Endpoints: cfg.Endpoints, Standalone: cfg.Standalone,
		Ready: cfg.Ready,
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
		body = fields.Encode()
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
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
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
	return site.Caller{User: u, Session: site.Session{ID: "session-of-" + u.Username, CSRF: "token-of-" + u.Username, App: f.App}}, nil
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

// fakeAuthority decides with the real rules of the root and forgets nothing.
type fakeAuthority struct {
	mu          sync.Mutex
	InForce     site.Settings
	catalog     *userkeys.Catalog
	PinnedNames map[string]bool
	Open        map[string]site.CheckedRequest
	Owner       map[string]site.Caller
	UserKeys    []site.UserAPIKey
	Texts       map[string]int64 // key text to id
	Actors      []site.Caller
	Charged     error // that an app asks for its push secret
	Down        error
	SignIns     []site.AppSession
	Over        sync.Map // ids of keys that end while a request of theirs is answered
	closed

	Spent        map[string]bool // tokens of forms that were sent
	AdminAPIKeys []site.AdminAPIKey
	AdminTexts   map[string]int64 // key text to id
	Events       []site.AuditEvent
}

// NewAuthority makes an authority without keys.
func NewAuthority() *fakeAuthority {
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		panic(err)
	}
	f := &fakeAuthority{
		InForce: site.DefaultSettings(), catalog: catalog, PinnedNames: map[string]bool{},
		Open: map[string]site.CheckedRequest{}, Owner: map[string]site.Caller{}, Texts: map[string]int64{}, AdminTexts: map[string]int64{}, Spent: map[string]bool{},
	}
	f.Set("allowed_user_api_auth_redirects", "discourse://auth_redirect|https://app.example/cb|https://*.evil.net/*|https://bank.example.evil.net/")
	return f
}

func (f *fakeAuthority) Set(name, value string) {
	if err := f.InForce.Set(name, value); err != nil {
		panic(err)
	}
}

func (f *fakeAuthority) Settings() site.Settings { return f.InForce }

func (f *fakeAuthority) Catalog() *userkeys.Catalog { return f.catalog }

func (f *fakeAuthority) Pinned(name string) bool { return f.PinnedNames[name] }

func (f *fakeAuthority) ChangeSetting(_ context.Context, name, value string, by site.Caller) error {
	if f.Down != nil {
		return f.Down
	}
	if f.PinnedNames[name] {
		return userkeys.Errorf(userkeys.Conflict, "%s is set by the configuration", name)
	}
	f.Actors = append(f.Actors, by)
	return f.InForce.Set(name, value)
}

func (f *fakeAuthority) ResetSetting(_ context.Context, name string, _ site.Caller) error {
	d, err := site.FindSetting(name)
	if err != nil {
		return err
	}
	return f.InForce.Set(name, d.Default)
}

func (f *fakeAuthority) Examine(_ context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	if f.Down != nil {
		return site.CheckedRequest{}, f.Down
	}
	if r.Kind == site.KindOneTime {
		return site.CheckedRequest{}, errClosed
	}
	return r.Check(f.InForce, f.catalog, site.Client{})
}

func (f *fakeAuthority) Prepare(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Question, error) {
	q, err := f.Examine(ctx, r)
	if err == nil {
		err = f.InForce.CheckGrantor(b.User)
	}
	if err != nil {
		return authority.Question{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "consent-" + strconv.Itoa(len(f.Owner)+1)
	f.Open[id], f.Owner[id] = q, b
	return authority.Question{ID: id, CheckedRequest: q}, nil
}

func (f *fakeAuthority) Take(id string, b site.Caller) (site.CheckedRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q, ok := f.Open[id]
	if !ok || f.Owner[id].Session.ID != b.Session.ID {
		return q, userkeys.Errorf(userkeys.ConsentGone, "this request was answered already, or has expired")
	}
	delete(f.Open, id)
	return q, nil
}

func (f *fakeAuthority) Grant(ctx context.Context, y authority.Approval) (authority.Granted, error) {
	q, err := f.approved(ctx, y)
	if err == nil {
		q, err = q.Narrow(f.InForce, y.Choice)
	}
	if err != nil {
		return authority.Granted{}, err
	}
	return f.Give(q, y.By)
}

func (f *fakeAuthority) approved(ctx context.Context, y authority.Approval) (site.CheckedRequest, error) {
	switch {
	case f.Down != nil:
		return site.CheckedRequest{}, f.Down
	case y.Device != "" || y.Kind == site.KindOneTime:
		return site.CheckedRequest{}, errClosed
	case y.Request == nil:
		return f.Take(y.Consent, y.By)
	}
	q, err := f.Examine(ctx, *y.Request)
	if err == nil {
		err = f.InForce.CheckGrantor(y.By.User)
	}
	return q, err
}

func (f *fakeAuthority) Give(q site.CheckedRequest, b site.Caller) (authority.Granted, error) {
	key := userkeys.NewKey("")
	sealed, err := userkeys.Payload{Key: key, Nonce: q.Nonce, Push: q.Push}.Seal(q.Key, q.Pad)
	if err != nil {
		return authority.Granted{}, err
	}
	k := f.Add(site.UserAPIKey{UserID: b.User.ID, ApplicationName: q.Name, Scopes: q.Scopes, CreatedAt: Now, LastUsedAt: Now})
	g := authority.Granted{Key: k, Payload: sealed}
	if q.Redirect != nil {
		g.Location = q.Redirect.With(q.AnswerName(), sealed)
	}
	return g, nil
}

func (f *fakeAuthority) SpendForm(_ context.Context, token string, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Spent[token] {
		return userkeys.Errorf(userkeys.Conflict, "this form was sent already")
	}
	f.Spent[token] = true
	return nil
}

func (f *fakeAuthority) Deny(_ context.Context, id string, b site.Caller) (string, error) {
	q, err := f.Take(id, b)
	if err != nil {
		return "", err
	}
	return q.DeniedLocation(), nil
}

func (f *fakeAuthority) ChargePushSecret(userkeys.Access) error { return f.Charged }

// Add remembers a key; its text is "key-<id>".
func (f *fakeAuthority) Add(k site.UserAPIKey) site.UserAPIKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	k.ID = int64(len(f.UserKeys) + 1)
	f.UserKeys = append(f.UserKeys, k)
	f.Texts["key-"+strconv.FormatInt(k.ID, 10)] = k.ID
	return k
}

func (f *fakeAuthority) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.UserKeys)
}

func (f *fakeAuthority) Apps(_ context.Context, userID int64) ([]site.UserAPIKey, error) {
	if f.Down != nil {
		return nil, f.Down
	}
	var out []site.UserAPIKey
	for _, k := range slices.Backward(f.UserKeys) {
		if k.UserID == userID {
			out = append(out, k)
		}
	}
	return out, nil
}

func (f *fakeAuthority) Find(id int64, by site.Caller) (*site.UserAPIKey, error) {
	f.Actors = append(f.Actors, by)
	if f.Down != nil {
		return nil, f.Down
	}
	if id > int64(len(f.UserKeys)) {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	k := &f.UserKeys[id-1]
	if k.UserID != by.User.ID && !by.Admin() {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return k, nil
}

func (f *fakeAuthority) Revoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.Find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = Now, site.RevokedByOwner
	}
	return err
}

func (f *fakeAuthority) UndoRevoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.Find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = time.Time{}, ""
	}
	return err
}

func (f *fakeAuthority) AppSessions(context.Context, int64) ([]site.AppSession, error) {
	return f.SignIns, nil
}

func (f *fakeAuthority) RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error) {
	n := 0
	for _, k := range f.UserKeys {
		if k.UserID == userID && k.RevokedAt.IsZero() {
			n++
			if err := f.Revoke(ctx, k.ID, by); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *fakeAuthority) Check(_ context.Context, c site.Call) (userkeys.Access, error) {
	id, ok := f.Texts[c.Key]
	if !ok || !f.UserKeys[id-1].RevokedAt.IsZero() {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	k := f.UserKeys[id-1]
	return userkeys.Access{
		KeyID: id, UserID: k.UserID, Username: "alice",
		Standing: &userkeys.Standing{Scopes: k.Scopes, TrustLevel: 2, Admin: k.UserID == Root.ID},
	}, nil
}

func (*fakeAuthority) Rebind(_ context.Context, a userkeys.Access, _ string) userkeys.Access {
	return a
}

func (*fakeAuthority) IsAdminKey(context.Context, string) bool { return false }

func (*fakeAuthority) Edge() *site.Edge { return &site.Edge{} }

func (f *fakeAuthority) Holds(_ context.Context, a userkeys.Access) error {
	if _, over := f.Over.Load(a.KeyID); over {
		return userkeys.ErrInvalidKey
	}
	return nil
}

// AppKey is an app's key pair; its parameter is the PEM.
var AppKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// Ask is the query of an ordinary request, with changes: "name=value"; "-name" leaves it out.
func Ask(changes ...string) string {
	_, public := AppKey()
	q := url.Values{
		"nonce": {"n-0123456789"}, "scopes": {"read"}, "client_id": {"client-1"}, "application_name": {"Notifier"},
		"public_key": {public}, "auth_redirect": {"https://app.example/cb"}, "padding": {"oaep"},
	}
	for _, c := range changes {
		if name, ok := strings.CutPrefix(c, "-"); ok {
			q.Del(name)
			continue
		}
		name, value, _ := strings.Cut(c, "=")
		q.Set(name, value)
	}
	return "/user-api-key/new?" + q.Encode()
}

// ErrDown is what everything fails with while the database is gone.
var ErrDown = &userkeys.Error{Code: userkeys.Unavailable, Public: "the database does not answer", RetryAfter: time.Second, Err: errors.New("secret-dsn")}
