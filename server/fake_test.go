package server

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
	"userkeys/site"
)

// fakeSite is a site of four users with its own little authority and
// sessions, to see what the pages make of their answers.
type fakeSite struct {
	t         *testing.T
	handler   http.Handler
	server    *Server
	identity  *fakeIdentity
	authority *fakeAuthority
	log       *bytes.Buffer
	logging   *lockedWriter // to log
	users     *fakeUsers
	pushes    *fakePushes
	pipes     *nettest.PipeListener // what it is served over; nil: real connections
}

var (
	testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	alice   = site.User{ID: 1, Username: "alice", Name: "Alice A.", TrustLevel: 2, Active: true}
	bob     = site.User{ID: 2, Username: "bob", Active: true}
	root    = site.User{ID: 3, Username: "root", Admin: true, TrustLevel: 4, Active: true}
	mod     = site.User{ID: 4, Username: "mod", Moderator: true, TrustLevel: 4, Active: true}
)

type option func(*Config)

func withoutPushes(c *Config) { c.Pushes = nil }

func notStandalone(c *Config) { c.Standalone = false }

func newSite(t *testing.T, options ...option) *fakeSite {
	t.Helper()
	base, err := url.Parse("https://site.example")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSite{t: t, log: &bytes.Buffer{}, authority: newFakeAuthority(), identity: newFakeIdentity()}
	f.users = &fakeUsers{users: []site.User{alice, bob, root, mod}}
	f.logging = &lockedWriter{w: f.log}
	f.pushes = &fakePushes{authority: f.authority, states: map[int64]site.KeyPush{}}
	cfg := Config{
		Accounts: f.users, Pushes: f.pushes, Identity: f.identity, BaseURL: base, Standalone: true, Now: func() time.Time { return testNow },
		Logger: slog.New(slog.NewTextHandler(f.logging, nil)),
		Ready:  func(context.Context) error { return f.authority.down },
	}
	for _, o := range options {
		o(&cfg)
	}
	if f.server, err = newServer(cfg, f.authority); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	f.server.Mount(mux)
	f.handler = mux
	return f
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

// logged is what the log has while requests are still answered.
func (f *fakeSite) logged() string {
	f.logging.mu.Lock()
	defer f.logging.mu.Unlock()
	return f.log.String()
}

// A call is one request of a test. The zero value is a GET by nobody in a browser.
type call struct {
	method, path string
	as           string            // who is signed in
	key          string            // User-Api-Key
	adminKey     string            // Api-Key
	acts         string            // Api-Username
	twice        string            // a header that is there twice
	form         map[string]string // body; the session's token is added unless noToken
	body         string
	header       map[string]string
	noToken      bool
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

// do makes a call, and holds what must be so for every answer of every test.
func (f *fakeSite) do(c call) answer {
	f.t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	body := c.body
	if c.form != nil {
		fields := url.Values{}
		for name, value := range c.form {
			fields.Set(name, value)
		}
		if _, given := c.form[tokenField]; !given && !c.noToken && c.as != "" {
			fields.Set(tokenField, "token-of-"+c.as)
			if _, given := c.form[onceField]; !given {
				fields.Set(onceField, newForm(testNow))
			}
		}
		body = fields.Encode()
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(body))
	r.Host = "site.example"
	if host := c.header["Host"]; host != "" {
		r.Host = host
	}
	if c.form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.as != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: c.as})
	}
	if c.key != "" {
		r.Header.Set(userkeys.KeyHeader, c.key)
	} else if c.method == http.MethodPost {
		r.Header.Set("Origin", "https://site.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if c.adminKey != "" {
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set(site.AdminKeyHeader, c.adminKey)
	}
	if c.acts != "" {
		r.Header.Set(site.AdminUsernameHeader, c.acts)
	}
	for name, value := range c.header {
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	if c.twice != "" {
		r.Header.Add(c.twice, r.Header.Get(c.twice))
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	a := answer{w.Result(), w.Body.String()}
	f.checkAnswer(c, a)
	return a
}

// pageHeaders is what every HTML answer carries.
var pageHeaders = map[string]string{
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	"Cache-Control": "no-store", "Pragma": "no-cache", "Expires": "0",
	"Strict-Transport-Security": "max-age=31536000", "Content-Type": "text/html; charset=utf-8",
}

func (f *fakeSite) checkAnswer(c call, a answer) {
	f.t.Helper()
	if len(a.text) > 64<<10 {
		f.t.Errorf("%s %s: the answer has %d bytes", c.method, c.path, len(a.text))
	}
	if a.Header.Get("X-Request-Id") == "" && c.key == "" {
		f.t.Errorf("%s %s: no request id", c.method, c.path)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		return
	}
	for name, want := range pageHeaders {
		if got := a.Header.Get(name); got != want {
			f.t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
		}
	}
	policy := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			f.t.Errorf("%s %s: the policy %q lacks %s", c.method, c.path, policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		f.t.Errorf("%s %s: the policy %q allows inline code", c.method, c.path, policy)
	}
	if p := a.Header.Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" {
		f.t.Errorf("%s %s: Referrer-Policy is %q", c.method, c.path, p)
	}
	if a.Header.Get("Permissions-Policy") == "" {
		f.t.Errorf("%s %s: no Permissions-Policy", c.method, c.path)
	}
	checkHTML(f.t, c.method+" "+c.path, a.text)
}

// must and mustNot look for texts in an answer.
func (a answer) must(t *testing.T, status int, texts ...string) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d; body %s", a.StatusCode, status, cutBytes(a.text, 2000))
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			t.Errorf("the answer lacks %q: %s", text, cutBytes(a.text, 4000))
		}
	}
	return a
}

func (a answer) mustNot(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.text, text) {
			t.Errorf("the answer has %q: %s", text, cutBytes(a.text, 4000))
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
	users    map[string]site.User
	app      string // that began every session
	since    time.Time
	loginErr error
	setupErr error
	logouts  int
	err      error
}

var _ LoginIdentity = (*fakeIdentity)(nil)

func newFakeIdentity() *fakeIdentity {
	f := &fakeIdentity{users: map[string]site.User{}, since: testNow}
	for _, u := range []site.User{alice, bob, root, mod} {
		f.users[u.Username] = u
	}
	return f
}

func (f *fakeIdentity) Visitor(r *http.Request) (site.Visitor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := r.Cookie("session")
	if f.err != nil || err != nil {
		return site.Visitor{}, f.err
	}
	u, ok := f.users[c.Value]
	if !ok {
		return site.Visitor{}, nil
	}
	return site.Visitor{User: u, Session: site.Session{ID: "session-of-" + u.Username, CSRF: "token-of-" + u.Username, App: f.app}}, nil
}

// forget ends the sessions of somebody.
func (f *fakeIdentity) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.users, name)
}

// failWith has every look at a session fail from now on.
func (f *fakeIdentity) failWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeIdentity) LoginURL(back string) string {
	return "/user-api-key/login?redirect=" + url.QueryEscape(back)
}

func (f *fakeIdentity) Sessions(next http.Handler) http.Handler { return next }

func (f *fakeIdentity) Login(_ *http.Request, username, password string) (site.User, error) {
	if f.loginErr != nil {
		return site.User{}, f.loginErr
	}
	if u, ok := f.users[username]; ok && password == "right" {
		return u, nil
	}
	return site.User{}, userkeys.Errorf(userkeys.InvalidCredentials, "the user name or the password is wrong")
}

func (f *fakeIdentity) SignIn(_ *http.Request, p site.OneTimePassword) (site.User, error) {
	return f.User(context.Background(), p.UserID)
}

func (f *fakeIdentity) SignedInAt(*http.Request) (time.Time, error) { return f.since, f.err }

func (f *fakeIdentity) FormToken(r *http.Request) (string, error) {
	v, err := f.Visitor(r)
	return v.Session.CSRF, err
}

func (f *fakeIdentity) User(_ context.Context, id int64) (site.User, error) {
	for _, u := range f.users {
		if u.ID == id {
			return u, nil
		}
	}
	return site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
}

func (f *fakeIdentity) Logout(context.Context) error { f.logouts++; return nil }

func (f *fakeIdentity) CheckSetup(_ context.Context, token string) error {
	if token != "good" {
		return userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return nil
}

func (f *fakeIdentity) Setup(_ *http.Request, token, username, _ string) (site.User, error) {
	if f.setupErr != nil {
		return site.User{}, f.setupErr
	}
	if token != "good" {
		return site.User{}, userkeys.Errorf(userkeys.ConsentGone, "this link was used, or is too old")
	}
	return site.User{ID: 9, Username: username, Admin: true}, nil
}

// fakeAuthority decides with the real rules of the root and forgets nothing.
type fakeAuthority struct {
	mu       sync.Mutex
	settings site.Settings
	catalog  *userkeys.Catalog
	pinned   map[string]bool
	open     map[string]site.CheckedRequest
	owner    map[string]site.Caller
	keys     []site.UserAPIKey
	texts    map[string]int64 // key text to id
	actors   []site.Caller
	charged  error // that an app asks for its push secret
	down     error
	signIns  []site.AppSession
	over     sync.Map // ids of keys that end while a request of theirs is answered
	closedDesk

	spent      map[string]bool // tokens of forms that were sent
	adminKeys  []site.AdminAPIKey
	adminTexts map[string]int64 // key text to id
	events     []site.AuditEvent
}

func newFakeAuthority() *fakeAuthority {
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		panic(err)
	}
	f := &fakeAuthority{
		settings: site.DefaultSettings(), catalog: catalog, pinned: map[string]bool{},
		open: map[string]site.CheckedRequest{}, owner: map[string]site.Caller{}, texts: map[string]int64{}, adminTexts: map[string]int64{}, spent: map[string]bool{},
	}
	f.set("allowed_user_api_auth_redirects", "discourse://auth_redirect|https://app.example/cb|https://*.evil.net/*|https://bank.example.evil.net/")
	return f
}

func (f *fakeAuthority) set(name, value string) {
	if err := f.settings.Set(name, value); err != nil {
		panic(err)
	}
}

func (f *fakeAuthority) Settings() site.Settings    { return f.settings }
func (f *fakeAuthority) Catalog() *userkeys.Catalog { return f.catalog }
func (f *fakeAuthority) Pinned(name string) bool    { return f.pinned[name] }
func (f *fakeAuthority) ChangeSetting(_ context.Context, name, value string, by site.Caller) error {
	if f.down != nil {
		return f.down
	}
	if f.pinned[name] {
		return userkeys.Errorf(userkeys.Conflict, "%s is set by the configuration", name)
	}
	f.actors = append(f.actors, by)
	return f.settings.Set(name, value)
}

func (f *fakeAuthority) ResetSetting(_ context.Context, name string, _ site.Caller) error {
	d, err := site.FindSetting(name)
	if err != nil {
		return err
	}
	return f.settings.Set(name, d.Default)
}

func (f *fakeAuthority) Examine(_ context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	if f.down != nil {
		return site.CheckedRequest{}, f.down
	}
	return r.Check(f.settings, f.catalog, site.Client{})
}

func (f *fakeAuthority) Prepare(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Question, error) {
	q, err := f.Examine(ctx, r)
	if err == nil {
		err = f.settings.CheckGrantor(b.User)
	}
	if err != nil {
		return authority.Question{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "consent-" + strconv.Itoa(len(f.owner)+1)
	f.open[id], f.owner[id] = q, b
	return authority.Question{ID: id, CheckedRequest: q}, nil
}

func (f *fakeAuthority) take(id string, b site.Caller) (site.CheckedRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q, ok := f.open[id]
	if !ok || f.owner[id].Session.ID != b.Session.ID {
		return q, userkeys.Errorf(userkeys.ConsentGone, "this request was answered already, or has expired")
	}
	delete(f.open, id)
	return q, nil
}

func (f *fakeAuthority) Grant(_ context.Context, id string, b site.Caller, choice site.Choice) (authority.Granted, error) {
	if f.down != nil {
		return authority.Granted{}, f.down
	}
	q, err := f.take(id, b)
	if err == nil {
		q, err = q.Narrow(f.settings, choice)
	}
	if err != nil {
		return authority.Granted{}, err
	}
	return f.give(q, b)
}

func (f *fakeAuthority) GrantDirect(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (authority.Granted, error) {
	q, err := f.Examine(ctx, r)
	if err == nil {
		err = f.settings.CheckGrantor(b.User)
	}
	if err != nil {
		return authority.Granted{}, err
	}
	return f.give(q, b)
}

func (f *fakeAuthority) give(q site.CheckedRequest, b site.Caller) (authority.Granted, error) {
	key := userkeys.NewKey("")
	sealed, err := userkeys.Payload{Key: key, Nonce: q.Nonce, Push: q.Push}.Seal(q.Key, q.Pad)
	if err != nil {
		return authority.Granted{}, err
	}
	k := f.add(site.UserAPIKey{UserID: b.User.ID, ApplicationName: q.Name, Scopes: q.Scopes, CreatedAt: testNow, LastUsedAt: testNow})
	g := authority.Granted{Key: k, Payload: sealed}
	if q.Redirect != nil {
		g.Location = q.Redirect.With(q.AnswerName(), sealed)
	}
	return g, nil
}

func (f *fakeAuthority) SpendForm(_ context.Context, token string, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spent[token] {
		return userkeys.Errorf(userkeys.Conflict, "this form was sent already")
	}
	f.spent[token] = true
	return nil
}

func (f *fakeAuthority) Deny(_ context.Context, id string, b site.Caller) (string, error) {
	q, err := f.take(id, b)
	if err != nil {
		return "", err
	}
	return q.DeniedLocation(), nil
}

func (f *fakeAuthority) ChargePushSecret(userkeys.Access) error { return f.charged }

// add remembers a key; its text is "key-<id>".
func (f *fakeAuthority) add(k site.UserAPIKey) site.UserAPIKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	k.ID = int64(len(f.keys) + 1)
	f.keys = append(f.keys, k)
	f.texts["key-"+strconv.FormatInt(k.ID, 10)] = k.ID
	return k
}

func (f *fakeAuthority) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.keys)
}

func (f *fakeAuthority) Apps(_ context.Context, userID int64) ([]site.UserAPIKey, error) {
	if f.down != nil {
		return nil, f.down
	}
	var out []site.UserAPIKey
	for _, k := range slices.Backward(f.keys) {
		if k.UserID == userID {
			out = append(out, k)
		}
	}
	return out, nil
}

func (f *fakeAuthority) find(id int64, by site.Caller) (*site.UserAPIKey, error) {
	f.actors = append(f.actors, by)
	if f.down != nil {
		return nil, f.down
	}
	if id > int64(len(f.keys)) {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	k := &f.keys[id-1]
	if k.UserID != by.User.ID && !by.Admin() {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return k, nil
}

func (f *fakeAuthority) Revoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = testNow, site.RevokedByOwner
	}
	return err
}

func (f *fakeAuthority) UndoRevoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = time.Time{}, ""
	}
	return err
}

func (f *fakeAuthority) AppSessions(context.Context, int64) ([]site.AppSession, error) {
	return f.signIns, nil
}

func (f *fakeAuthority) RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error) {
	n := 0
	for _, k := range f.keys {
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
	id, ok := f.texts[c.Key]
	if !ok || !f.keys[id-1].RevokedAt.IsZero() {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	k := f.keys[id-1]
	return userkeys.Access{
		KeyID: id, UserID: k.UserID, Username: "alice",
		Standing: &userkeys.Standing{Scopes: k.Scopes, TrustLevel: 2, Admin: k.UserID == root.ID},
	}, nil
}

func (*fakeAuthority) Rebind(_ context.Context, a userkeys.Access, _ string) userkeys.Access {
	return a
}

func (*fakeAuthority) IsAdminKey(context.Context, string) bool { return false }

func (*fakeAuthority) Edge() *site.Edge { return &site.Edge{} }

func (f *fakeAuthority) Holds(_ context.Context, a userkeys.Access) error {
	if _, over := f.over.Load(a.KeyID); over {
		return userkeys.ErrInvalidKey
	}
	return nil
}

// appKey is an app's key pair; its parameter is the PEM.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
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

// ask is the query of an ordinary request, with changes: "name=value"; "-name" leaves it out.
func ask(changes ...string) string {
	_, public := appKey()
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

var errDown = &userkeys.Error{Code: userkeys.Unavailable, Public: "the database does not answer", RetryAfter: time.Second, Err: errors.New("secret-dsn")}
