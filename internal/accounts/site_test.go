package accounts

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

const rightPassword = "a horse nobody knows"

var (
	cheap   = password.Cost{Memory: 64, Time: 1, Threads: 1}
	command = site.Caller{As: "command", User: site.User{Admin: true}}
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// peer is the address of the connection, whatever the headers say.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// testStore remembers all that accounts need.
type testStore interface {
	UserStore
	SessionStore
	password.GuessStore
}

// site is accounts whose clock stands still and whose hashes are counted.
type testSite struct {
	*Accounts
	t      *testing.T
	clock  *clock
	hashes *atomic.Int64
}

func newSite(t *testing.T, store testStore, change ...func(*Config)) *testSite {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	s := &testSite{t: t, clock: c, hashes: &atomic.Int64{}}
	s.Accounts = s.node(store, change...)
	return s
}

// node is another server of the same site.
func (s *testSite) node(store testStore, change ...func(*Config)) *Accounts {
	s.t.Helper()
	cfg := Config{Users: store, Sessions: store, Guesses: store, Now: s.clock.Now, Secure: true, Cost: cheap, ClientIP: peer}
	for _, f := range change {
		f(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	derive := m.hasher.Derive
	m.hasher.Derive = func(password, salt []byte, c password.Cost, n uint32) []byte {
		s.hashes.Add(1)
		return derive(password, salt, c, n)
	}
	return m
}

// add makes a user with the password that all have.
func (s *testSite) add(name string, change ...func(*NewUser)) site.User {
	s.t.Helper()
	n := NewUser{Username: name, Email: name + "@example.org", Password: rightPassword}
	for _, f := range change {
		f(&n)
	}
	u, err := s.Create(s.t.Context(), n, command)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hashes.Store(0)
	return u
}

// browser keeps one cookie, as browsers do.
type browser struct {
	t      *testing.T
	ac     *Accounts
	ip     string
	cookie string // name=value; empty: none
	header http.Header
}

func (s *testSite) browser(ip string) *browser {
	return &browser{t: s.t, ac: s.Accounts, ip: ip}
}

// ask sends a request that fn serves, and keeps the cookie of the answer.
func (b *browser) ask(fn func(r *http.Request)) {
	b.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "https://keys.example/", nil)
	r.RemoteAddr = b.ip + ":4711"
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	w := httptest.NewRecorder()
	b.ac.Sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(r) })).ServeHTTP(w, r)
	b.header = w.Header()
	for _, c := range w.Result().Cookies() {
		b.cookie = c.Name + "=" + c.Value
		if c.MaxAge < 0 {
			b.cookie = ""
		}
	}
}

func (b *browser) login(name, password string) (u site.User, err error) {
	b.t.Helper()
	b.ask(func(r *http.Request) { u, err = b.ac.Login(r, name, password) })
	return u, err
}

func (b *browser) mustLogin(name string) {
	b.t.Helper()
	if u, err := b.login(name, rightPassword); err != nil || u.ID == 0 {
		b.t.Fatalf("login: user %d, %v", u.ID, err)
	}
}

func (b *browser) logout() {
	b.t.Helper()
	b.ask(func(r *http.Request) {
		if err := b.ac.Logout(r.Context()); err != nil {
			b.t.Errorf("logout: %v", err)
		}
	})
}

func (b *browser) visitor() (v site.Caller) {
	b.t.Helper()
	b.ask(func(r *http.Request) {
		var err error
		if v, err = b.ac.Visitor(r); err != nil {
			b.t.Errorf("visitor: %v", err)
		}
	})
	return v
}

// is fails unless the browser is signed in as the user of that id; 0: nobody.
func (b *browser) is(id int64) {
	b.t.Helper()
	if v := b.visitor(); v.User.ID != id || (v.Session.ID == "") != (id == 0) || (v.Session.CSRF == "") != (id == 0) {
		b.t.Errorf("visitor: user %d in session %q, want user %d", v.User.ID, v.Session.ID, id)
	}
}

func wantCode(t *testing.T, err error, code userkeys.Code) *userkeys.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", code)
	}
	e := userkeys.AsError(err)
	if e.Code != code {
		t.Fatalf("%v, want %q", err, code)
	}
	return e
}

func address(n int) string { return fmt.Sprintf("192.0.2.%d", n) }
