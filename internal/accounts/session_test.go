package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

func TestGR18_The_cookie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		secure bool
		want   http.Cookie
	}{
		{"https", true, http.Cookie{Name: "__Host-userkeys", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}},
		{"http", false, http.Cookie{Name: "userkeys", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, newMemory(), func(c *Config) { c.Secure = test.secure })
			s.add("alice")
			b := s.browser(address(1))
			b.mustLogin("alice")
			check := func(value, maxAge string) {
				t.Helper()
				lines := b.header.Values("Set-Cookie")
				if len(lines) != 1 {
					t.Fatalf("cookies %q, want one", lines)
				}
				c, err := http.ParseSetCookie(lines[0])
				if err != nil {
					t.Fatal(err)
				}
				if (c.Value == "") != (value == "") || !strings.Contains(lines[0], "Max-Age="+maxAge+";") {
					t.Errorf("cookie %s", lines[0])
				}
				c.Value, c.Raw, c.MaxAge = "", "", 0
				if d := cmp.Diff(test.want, *c); d != "" { // no Domain, no Expires
					t.Error(d)
				}
			}
			check("a token", "7776000")
			b.logout()
			check("", "0")
		})
	}
}

func TestGR19_Two_cookies_of_the_name_are_none(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	alice, mallory := s.add("alice"), s.add("mallory")
	a, b := s.browser(address(1)), s.browser(address(2))
	a.mustLogin("alice")
	b.mustLogin("mallory")
	a.is(alice.ID)
	b.is(mallory.ID)
	a.cookie = b.cookie + "; " + a.cookie
	a.is(0)
}

func TestSession_Strangers_leave_no_trace(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	b := s.browser(address(1))
	b.is(0)
	_, _ = b.login("nobody", rightPassword)
	if d := cmp.Diff(http.Header{}, b.header); d != "" || len(store.sessions) != 0 {
		t.Errorf("%d rows; headers %s", len(store.sessions), d)
	}
	// And a request that asks nothing of us needs no store at all.
	store.fail = errors.New("gone")
	b.cookie = s.CookieName() + "=" + base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	b.ask(func(*http.Request) {})
}

func TestSession_Tells_the_visitor(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice := s.add("alice")
		b := s.browser(address(1))
		b.mustLogin("alice")
		first := b.visitor()
		if first.User.ID != alice.ID || first.User.Username != "alice" {
			t.Errorf("user %+v", first.User)
		}
		if secret, err := base64.RawURLEncoding.DecodeString(first.Session.CSRF); err != nil || len(secret) != 32 {
			t.Errorf("csrf secret %q", first.Session.CSRF)
		}
		if again := b.visitor(); again.Session.ID != first.Session.ID || again.Session.CSRF != first.Session.CSRF {
			t.Errorf("the same session is %q then %q", first.Session.ID, again.Session.ID)
		}
		if strings.Contains(b.cookie, first.Session.ID) {
			t.Error("the public name tells the token")
		}
		b.mustLogin("alice")
		if next := b.visitor(); next.Session.ID == first.Session.ID || next.Session.CSRF == first.Session.CSRF {
			t.Error("a new login has the name or the secret of the old")
		}
		// A request that did not pass Sessions may still ask.
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", b.cookie)
		if v, err := s.Visitor(r); err != nil || v.User.ID != alice.ID {
			t.Errorf("outside of Sessions: user %d, %v", v.User.ID, err)
		}
	})
}

func TestCVE_2026_34454_Login_gives_a_new_session(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice, mallory := s.add("alice"), s.add("mallory")

		t.Run("LG8 an invented token is not taken up", func(t *testing.T) {
			b := s.browser(address(1))
			planted := s.CookieName() + "=" + base64.RawURLEncoding.EncodeToString(randomBytes(tokenBytes))
			b.cookie = planted
			b.mustLogin("alice")
			if b.cookie == planted {
				t.Fatal("the planted token was taken up")
			}
			other := s.browser(address(2))
			other.cookie = planted
			other.is(0)
		})
		t.Run("LG8 a session of somebody else ends", func(t *testing.T) {
			thief := s.browser(address(3))
			thief.mustLogin("mallory")
			thief.is(mallory.ID)
			b := s.browser(address(4))
			b.cookie = thief.cookie
			b.mustLogin("alice")
			b.is(alice.ID)
			thief.is(0)
		})
		t.Run("LG8 the session before a second login ends", func(t *testing.T) {
			b := s.browser(address(5))
			b.mustLogin("alice")
			old := *b
			b.mustLogin("alice")
			b.is(alice.ID)
			old.is(0)
		})
		t.Run("LG8 new rights need a new login", func(t *testing.T) {
			b := s.browser(address(6))
			b.mustLogin("alice")
			if _, err := s.Update(t.Context(), alice.ID, func(u *site.User) { u.Moderator = true }, command); err != nil {
				t.Fatal(err)
			}
			b.is(0)
		})
	})
}

func TestDiscourse_41610_Old_cookies_are_dead(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		ctx := t.Context()
		end := map[string]func(b *browser, u site.User){
			"LG9 logout": func(b *browser, _ site.User) { b.logout() },
			"LG9 logout on another node": func(b *browser, _ site.User) {
				other := *b
				other.ac = s.node(store)
				other.logout()
			},
			"LG9 suspended": func(_ *browser, u site.User) { _, _ = s.Suspend(ctx, u.ID, command) },
			"LG9 suspended past us": func(_ *browser, u site.User) {
				u.SuspendedAt = s.clock.Now()
				_ = setUser(ctx, store, u, command.At(s.clock.Now()))
			},
			"LG14 made inactive past us": func(_ *browser, u site.User) {
				u.Active = false
				_ = setUser(ctx, store, u, command.At(s.clock.Now()))
			},
			"LG9 deleted":  func(_ *browser, u site.User) { _ = s.Delete(ctx, u.ID, command) },
			"new password": func(_ *browser, u site.User) { _ = s.SetPassword(ctx, u.ID, "another "+rightPassword, command) },
		}
		n := 0
		for name, finish := range end {
			n++
			u := s.add("user" + address(n))
			b := s.browser(address(n))
			b.mustLogin(u.Username)
			b.is(u.ID)
			kept := *b
			finish(b, u)
			kept.is(0)
			// Not even if the user may act again.
			_, _ = s.Unsuspend(ctx, u.ID, command)
			_, _ = s.Update(ctx, u.ID, func(u *site.User) { u.Active = true }, command)
			kept.cookie = cookieOf(kept, b)
			kept.is(0)
			if t.Failed() {
				t.Fatal(name)
			}
		}
	})
}

// cookieOf is the cookie that either browser still has.
func cookieOf(a browser, b *browser) string {
	if a.cookie != "" {
		return a.cookie
	}
	return b.cookie
}

func TestLG9_A_request_in_flight_does_not_bring_a_session_back(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		u := s.add("alice")
		b := s.browser(address(1))
		b.mustLogin("alice")
		kept := *b
		s.clock.advance(touchEvery) // the next visit is written down
		b.ask(func(r *http.Request) {
			v := s.visitOf(r.Context())
			if err := v.load(r.Context()); err != nil { // it has read the session
				t.Error(err)
			}
			(&browser{t: t, ac: s.Accounts, cookie: kept.cookie}).logout() // which ends
			if _, err := s.Visitor(r); err != nil {                        // and now it writes
				t.Error(err)
			}
		})
		kept.is(0)
		if got, err := store.User(t.Context(), u.ID); err != nil || !got.LastSeenAt.Equal(s.clock.Now()) {
			t.Errorf("the visit was not written at all: %v, %v", got.LastSeenAt, err)
		}
	})
}

func TestLG9_A_password_changed_during_login_leaves_no_session(t *testing.T) {
	t.Parallel()
	changes := map[string]func(s *testSite, id int64) error{
		"password": func(s *testSite, id int64) error {
			return s.users.SetPassword(context.Background(), id, "$changed", command.At(s.clock.Now()))
		},
		"suspended": func(s *testSite, id int64) error {
			u, err := s.users.User(context.Background(), id)
			u.SuspendedAt = s.clock.Now()
			return errors.Join(err, setUser(context.Background(), s.users, u, command.At(s.clock.Now())))
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			s := newSite(t, store)
			u := s.add("alice")
			store.onSave = func() {
				store.onSave = nil
				if err := change(s, u.ID); err != nil {
					t.Error(err)
				}
			}
			b := s.browser(address(1))
			_, err := b.login("alice", rightPassword)
			wantCode(t, err, userkeys.InvalidCredentials)
			if len(store.sessions) != 0 || b.cookie != "" {
				t.Errorf("%d sessions, cookie %q", len(store.sessions), b.cookie)
			}
		})
	}
}

func TestLG10_Forged_cookies(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	alice, bob := s.add("alice"), s.add("bob")
	b, other := s.browser(address(1)), s.browser(address(2))
	b.mustLogin("alice")
	other.mustLogin("bob")
	name, token, _ := strings.Cut(b.cookie, "=")
	var stored []string
	for hash, r := range store.sessions {
		stored = append(stored, hash, base64.RawURLEncoding.EncodeToString([]byte(hash)), string(r.data))
		if strings.Contains(string(r.data), token) || strings.Contains(hash, token) {
			t.Error("the token itself is stored")
		}
	}
	last := token[len(token)-1:]
	// 43 letters hold two bits more than 32 bytes: another last letter may mean the same bytes.
	sameBytes := token[:42] + string(rune(last[0])+1)
	tests := []struct{ name, cookie string }{
		{"empty", name + "="},
		{"cut", name + "=" + token[:42]},
		{"longer", name + "=" + token + "A"},
		{"padded", name + "=" + token + "="},
		{"another last letter", name + "=" + sameBytes},
		{"guessed", name + "=" + base64.RawURLEncoding.EncodeToString(randomBytes(32))},
		{"upper case", name + "=" + strings.ToUpper(token)},
		{"other name", "userkeys=" + token},
		{"other user's id", name + "=" + "2"},
		{"quoted", name + `="` + token + `"x`},
		{"what the store holds", name + "=" + stored[1]},
		{"the data", name + "=" + base64.RawURLEncoding.EncodeToString([]byte(stored[2]))},
		{"SQL", name + "=' OR 1=1 --"},
	}
	for _, test := range tests {
		forged := s.browser(address(3))
		forged.cookie = test.cookie
		if v := forged.visitor(); v.User.ID != 0 {
			t.Errorf("LG10 %s: user %d", test.name, v.User.ID)
		}
	}
	b.is(alice.ID)
	other.is(bob.ID)
}

func TestSession_Ends(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice := s.add("alice")
		idle, busy := s.browser(address(1)), s.browser(address(2))
		idle.mustLogin("alice")
		busy.mustLogin("alice")
		s.clock.advance(idleTimeout - time.Second)
		idle.is(alice.ID)
		s.clock.advance(idleTimeout - time.Second)
		idle.is(alice.ID)
		busy.is(0)
		s.clock.advance(idleTimeout)
		idle.is(0)

		busy.mustLogin("alice")
		start := s.clock.Now()
		for s.clock.Now().Sub(start) < sessionLifetime-7*24*time.Hour {
			s.clock.advance(7 * 24 * time.Hour)
			if s.clock.Now().Sub(start) < sessionLifetime {
				busy.is(alice.ID)
			}
		}
		s.clock.advance(sessionLifetime - s.clock.Now().Sub(start) - time.Second)
		busy.is(alice.ID)
		s.clock.advance(time.Second)
		busy.is(0)
	})
}

func TestSession_Remembers_visits_once_a_minute(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	alice := s.add("alice")
	b := s.browser(address(1))
	b.mustLogin("alice")
	login, endless := store.touched, store.endless
	for range 300 {
		b.is(alice.ID)
		s.clock.advance(time.Second)
	}
	if n := store.touched - login; n != 4 {
		t.Errorf("%d writes in 5 minutes, want 4", n)
	}
	if n := store.endless - endless; n != 0 {
		t.Errorf("%d of them could hold up a visit for as long as the database is locked", n)
	}
	if seen := store.accounts[alice.ID].LastSeenAt; s.clock.Now().Sub(seen) > touchEvery {
		t.Errorf("last seen at %v, now %v", seen, s.clock.Now())
	}
}

func TestSession_The_store_is_gone(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	alice := s.add("alice")
	b := s.browser(address(1))
	b.mustLogin("alice")
	store.fail = errors.New("connection refused")
	b.ask(func(r *http.Request) {
		_, err := s.Visitor(r)
		if e := wantCode(t, err, userkeys.Unavailable); e.RetryAfter <= 0 || strings.Contains(e.Public, "refused") {
			t.Errorf("%+v", e)
		}
	})
	_, err := s.browser(address(2)).login("alice", rightPassword)
	wantCode(t, err, userkeys.Unavailable)
	b.ask(func(r *http.Request) { wantCode(t, s.Logout(r.Context()), userkeys.Unavailable) })
	store.fail = nil
	b.is(alice.ID) // nobody was thrown out
}

func TestSession_Data_that_cannot_be_read_is_nobody(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	s.add("alice")
	for _, data := range []string{"", "{", "[]", `{"values":{"user":"x"}}`, `{"values":{"user":"0"}}`, `{"values":{"user":1}}`, "\x00\xff"} {
		b := s.browser(address(1))
		b.mustLogin("alice")
		for hash, r := range store.sessions {
			r.data = []byte(data)
			store.sessions[hash] = r
		}
		b.is(0)
		b.mustLogin("alice")
	}
}

func TestSession_Outside_of_Sessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	_, err := s.Login(r, "alice", rightPassword)
	wantCode(t, err, userkeys.Internal)
	_, err = s.Setup(r, "token", "alice", rightPassword)
	wantCode(t, err, userkeys.Internal)
	wantCode(t, s.Logout(t.Context()), userkeys.Internal)
}

func TestSession_Passes_through_twice(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	s.add("alice")
	var outer, inner *visit
	h := s.Sessions(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer = s.visitOf(r.Context())
		s.Sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inner = s.visitOf(r.Context())
		})).ServeHTTP(w, r)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if outer == nil || inner != outer {
		t.Error("the inner one does not share the outer one's session")
	}
}

func TestSession_Keeps_other_cookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	s.add("alice")
	w := httptest.NewRecorder()
	w.Header().Add("Set-Cookie", "theme=dark")
	s.Sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for range 2 {
			if _, err := s.Login(r, "alice", rightPassword); err != nil {
				t.Error(err)
			}
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	cookies := w.Result().Cookies()
	if len(cookies) != 2 || cookies[0].Name != "theme" || cookies[1].Name != s.CookieName() {
		t.Errorf("cookies %v", w.Header().Values("Set-Cookie"))
	}
	if store := s.store.(*memory); len(store.sessions) != 1 {
		t.Errorf("%d sessions, want 1", len(store.sessions))
	}
}

// setUser writes u, whatever the user is now.
func setUser(ctx context.Context, st UserStore, u site.User, act site.Act) error {
	was, err := st.User(ctx, u.ID)
	if err != nil {
		return err
	}
	return st.ReplaceUser(ctx, was, u, act)
}

// TestSignedInAt: what asks for a fresh sign-in goes by when the password was given, not by visits or an app's password.
func TestSignedInAt(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	u := s.add("alice")
	at := func(b *browser) (at time.Time) {
		t.Helper()
		b.ask(func(r *http.Request) {
			var err error
			if at, err = b.ac.SignedInAt(r); err != nil {
				t.Error(err)
			}
		})
		return at
	}
	b := s.browser(address(1))
	if got := at(b); !got.IsZero() {
		t.Errorf("nobody signed in at %v", got)
	}
	b.mustLogin("alice")
	first := s.clock.Now()
	s.clock.advance(time.Hour)
	b.is(u.ID)
	if got := at(b); !got.Equal(first) {
		t.Errorf("signed in at %v, want %v", got, first)
	}
	b.mustLogin("alice")
	if got := at(b); !got.Equal(first.Add(time.Hour)) {
		t.Errorf("after the second time: %v", got)
	}
	app := s.browser(address(2))
	app.ask(func(r *http.Request) {
		if _, err := app.ac.SignIn(r, site.OneTimePassword{UserID: u.ID}); err != nil {
			t.Error(err)
		}
	})
	if v := app.visitor(); v.User.ID != u.ID || v.Session.App == "" {
		t.Errorf("an app without a name signs in as %+v", v)
	}
	if got := at(app); !got.IsZero() {
		t.Errorf("an app signed in at %v", got)
	}
}
