package accounts

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

func TestCreate_Stores_what_it_says(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		u, err := s.Create(t.Context(), NewUser{
			Username: "Bo.B", Name: " Jose\u0301 ", Email: "Bob@Example.ORG", TrustLevel: 2,
			Moderator: true, Groups: []string{"beta", "devs", "beta"}, Password: rightPassword,
		}, command)
		if err != nil {
			t.Fatal(err)
		}
		want := site.User{
			ID: u.ID, Username: "Bo.B", Name: "Jos\u00e9", Email: "bob@example.org", TrustLevel: 2,
			Moderator: true, Active: true, Groups: []string{"beta", "devs"}, CreatedAt: s.clock.Now(),
		}
		got, err := s.FindUser(t.Context(), " BO.B")
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Error(err, d)
		}
		for _, n := range []NewUser{{Username: "bo.b"}, {Username: "other", Email: "BOB@example.org"}} {
			_, err := s.Create(t.Context(), n, command)
			wantCode(t, err, userkeys.Conflict)
		}
		a, err := store.Account(t.Context(), "bo.b")
		if err != nil || !strings.HasPrefix(a.PasswordHash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(a.PasswordHash, rightPassword) {
			t.Errorf("%v; stored as %q", err, a.PasswordHash)
		}
		users, err := s.FindUsers(t.Context(), site.UserFilter{})
		if err != nil || len(users) != 1 || users[0].ID != u.ID {
			t.Errorf("users %v, %v", users, err)
		}
		_, err = s.FindUser(t.Context(), "nobody")
		wantCode(t, err, userkeys.NotFound)
		_, err = s.User(t.Context(), u.ID+1)
		wantCode(t, err, userkeys.NotFound)
	})
}

func TestCreate_Refuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	tests := []struct {
		name string
		user NewUser
		ok   bool
	}{
		{"one letter", NewUser{Username: "a"}, true},
		{"60 letters", NewUser{Username: strings.Repeat("a", 60)}, true},
		{"inner signs", NewUser{Username: "a._-9"}, true},
		{"no name", NewUser{}, false},
		{"61 letters", NewUser{Username: strings.Repeat("a", 61)}, false},
		{"begins with a dot", NewUser{Username: ".a"}, false},
		{"ends with a hyphen", NewUser{Username: "a-"}, false},
		{"signs only", NewUser{Username: "._-"}, false},
		{"space", NewUser{Username: "a b"}, false},
		{"slash", NewUser{Username: "a/b"}, false},
		{"LG3 looks like an address", NewUser{Username: "a@b"}, false},
		{"letter of another script", NewUser{Username: "\u0430lice"}, false},
		{"new line", NewUser{Username: "alice\n"}, false},
		{"full name with new line", NewUser{Username: "b1", Name: "a\nb"}, false},
		{"full name turned around", NewUser{Username: "b2", Name: "a\u202eb"}, false},
		{"full name too long", NewUser{Username: "b3", Name: strings.Repeat("n", 256)}, false},
		{"full name no text", NewUser{Username: "b4", Name: "\xff"}, false},
		{"address of one letter each", NewUser{Username: "c1", Email: "a@b"}, true},
		{"LG13 two at signs", NewUser{Username: "c2", Email: "a@evil.example@ok.example"}, false},
		{"no at sign", NewUser{Username: "c3", Email: "a"}, false},
		{"nobody", NewUser{Username: "c4", Email: "@ok.example"}, false},
		{"nowhere", NewUser{Username: "c5", Email: "a@"}, false},
		{"address with space", NewUser{Username: "c6", Email: "a b@ok.example"}, false},
		{"address with NUL", NewUser{Username: "c7", Email: "a\x00@ok.example"}, false},
		{"address of 254 bytes", NewUser{Username: "c8", Email: strings.Repeat("a", 252) + "@b"}, true},
		{"address of 255 bytes", NewUser{Username: "c9", Email: strings.Repeat("a", 253) + "@b"}, false},
		{"trust level 4", NewUser{Username: "d1", TrustLevel: 4}, true},
		{"trust level 5", NewUser{Username: "d2", TrustLevel: 5}, false},
		{"trust level -1", NewUser{Username: "d3", TrustLevel: -1}, false},
		{"group", NewUser{Username: "e1", Groups: []string{"A_b.c-9"}}, true},
		{"group without a name", NewUser{Username: "e2", Groups: []string{""}}, false},
		{"group with a bar", NewUser{Username: "e3", Groups: []string{"a|b"}}, false},
		{"group too long", NewUser{Username: "e4", Groups: []string{strings.Repeat("g", 101)}}, false},
		{"group staff", NewUser{Username: "e5", Groups: []string{"staff"}}, false},
		{"group Admins", NewUser{Username: "e6", Groups: []string{"Admins"}}, false},
		{"group everyone", NewUser{Username: "e7", Groups: []string{"everyone"}}, false},
		{"group moderators", NewUser{Username: "e8", Groups: []string{"moderators"}}, false},
		{"group trust_level_3", NewUser{Username: "e9", Groups: []string{"trust_level_3"}}, false},
	}
	for _, test := range tests {
		_, err := s.Create(t.Context(), test.user, command)
		if test.ok && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.ok && !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s: %v, want %q", test.name, err, userkeys.InvalidParameters)
		}
	}
}

func TestPassword_Composed_either_way_is_the_same(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	s.add("alice", func(n *NewUser) { n.Password = "caf\u00e9 au lait" })
	if _, err := s.browser(address(1)).login("alice", "cafe\u0301 au lait"); err != nil {
		t.Error(err)
	}
}

func TestLogin_Hashes_anew_when_the_cost_changed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice := s.add("alice")
		dearer := password.Cost{Memory: 128, Time: 2, Threads: 1}
		s.Accounts = s.node(store, func(c *Config) { c.Cost = dearer })
		hash := func() string {
			a, err := store.Account(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			return a.PasswordHash
		}
		old := hash()
		_, _ = s.browser(address(1)).login("alice", "not this one at all")
		if hash() != old {
			t.Error("a wrong password was hashed anew")
		}
		b := s.browser(address(1))
		b.mustLogin("alice")
		b.is(alice.ID)
		renewed := hash()
		if !strings.HasPrefix(renewed, "$argon2id$v=19$m=128,t=2,p=1$") {
			t.Errorf("stored %s", renewed)
		}
		b.mustLogin("alice")
		if hash() != renewed {
			t.Error("hashed anew without need")
		}
	})
}

func TestAD10_The_last_administrator_stays(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		u := s.add("alice", func(n *NewUser) { n.Admin = true })
		by := site.Caller{User: site.User{ID: u.ID, Admin: true}}
		tests := map[string]func() error{
			"demoted": func() error {
				_, err := s.Update(t.Context(), u.ID, func(u *site.User) { u.Admin = false }, by)
				return err
			},
			"inactive": func() error {
				_, err := s.Update(t.Context(), u.ID, func(u *site.User) { u.Active = false }, by)
				return err
			},
			"suspended": func() error { _, err := s.Suspend(t.Context(), u.ID, by); return err },
			"deleted":   func() error { return s.Delete(t.Context(), u.ID, by) },
		}
		for name, try := range tests {
			if err := try(); !errors.Is(err, userkeys.Conflict) {
				t.Errorf("AD10 %s: %v", name, err)
			}
		}
		s.add("bob", func(n *NewUser) { n.Admin = true })
		if err := s.Delete(t.Context(), u.ID, by); err != nil {
			t.Errorf("not the last: %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	u := s.add("alice")
	got, err := s.Update(t.Context(), u.ID, func(u *site.User) { u.ID, u.TrustLevel = 99, 3 }, command)
	if err != nil || got.ID != u.ID || got.TrustLevel != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = s.Update(t.Context(), u.ID, func(u *site.User) { u.TrustLevel = 5 }, command)
	wantCode(t, err, userkeys.InvalidParameters)
	_, err = s.Update(t.Context(), u.ID+1, func(*site.User) {}, command)
	wantCode(t, err, userkeys.NotFound)
	wantCode(t, s.SetPassword(t.Context(), u.ID, "", command), userkeys.InvalidParameters)
	wantCode(t, s.SetPassword(t.Context(), u.ID, "a\x00b and more", command), userkeys.InvalidParameters)
	if err := s.SetPassword(t.Context(), u.ID, "short", command); err != nil {
		t.Errorf("what an administrator chooses is their choice: %v", err)
	}
	wantCode(t, s.SetPassword(t.Context(), u.ID+1, rightPassword, command), userkeys.NotFound)
	got, err = s.Suspend(t.Context(), u.ID, command)
	first := got.SuspendedAt
	s.clock.advance(touchEvery)
	again, err2 := s.Suspend(t.Context(), u.ID, command)
	if err != nil || err2 != nil || first.IsZero() || !again.SuspendedAt.Equal(first) {
		t.Errorf("suspended at %v, then %v", first, again.SuspendedAt)
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		ctx := t.Context()
		b := s.browser(address(1))
		setup := func(token, name, password string) (u site.User, err error) {
			b.ask(func(r *http.Request) { u, err = s.Setup(r, token, name, password) })
			return u, err
		}
		_, err := setup("", "root", rightPassword)
		wantCode(t, err, userkeys.ConsentGone)
		old, needed, err := s.SetupToken(ctx)
		if err != nil || !needed {
			t.Fatalf("needed %v, %v", needed, err)
		}
		token, _, err := s.SetupToken(ctx)
		if err != nil || token == old {
			t.Fatalf("the same token again, or %v", err)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 {
			t.Errorf("token %q", token)
		}
		for _, wrong := range []string{"", old, token[1:], token + "A", strings.ToUpper(token)} {
			_, err := setup(wrong, "root", rightPassword)
			wantCode(t, err, userkeys.ConsentGone)
		}
		_, err = setup(token, "not a name", rightPassword)
		wantCode(t, err, userkeys.InvalidParameters)
		_, err = setup(token, "root", "short")
		wantCode(t, err, userkeys.InvalidParameters)

		u, err := setup(token, "root", rightPassword)
		if err != nil || !u.Admin || u.TrustLevel != 4 || !u.MayAct() || u.Username != "root" {
			t.Fatalf("%+v, %v", u, err)
		}
		b.is(u.ID)
		_, err = setup(token, "second", rightPassword)
		wantCode(t, err, userkeys.ConsentGone)
		if token, needed, err := s.SetupToken(ctx); token != "" || needed || err != nil {
			t.Errorf("needed again: %v, %v", needed, err)
		}
	})
}

func TestSetup_Of_many_at_once_one_wins(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		token, _, err := s.SetupToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const tries = 20
		won := make(chan bool, tries)
		for i := range tries {
			go s.browser(address(i)).ask(func(r *http.Request) {
				_, err := s.Setup(r, token, "root"+address(i)[8:], rightPassword)
				won <- err == nil
			})
		}
		n := 0
		for range tries {
			if <-won {
				n++
			}
		}
		users, err := store.FindUsers(t.Context(), site.UserFilter{})
		if n != 1 || len(users) != 1 || err != nil {
			t.Errorf("%d won, %d users, %v", n, len(users), err)
		}
	})
}

func TestSetup_The_token_is_too_old_or_no_longer_needed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		ctx := t.Context()
		b := s.browser(address(1))
		setup := func(token string) (err error) {
			b.ask(func(r *http.Request) { _, err = s.Setup(r, token, "root", rightPassword) })
			return err
		}
		fresh := func() string {
			token, needed, err := s.SetupToken(ctx)
			if err != nil || !needed {
				t.Fatalf("needed %v, %v", needed, err)
			}
			return token
		}
		token := fresh()
		if err := s.CheckSetup(ctx, token); err != nil {
			t.Errorf("a new link: %v", err)
		}
		wantCode(t, s.CheckSetup(ctx, token[1:]), userkeys.ConsentGone)
		wantCode(t, s.CheckSetup(ctx, ""), userkeys.ConsentGone)
		s.clock.advance(setupLifetime)
		wantCode(t, s.CheckSetup(ctx, token), userkeys.ConsentGone)
		wantCode(t, setup(token), userkeys.ConsentGone)

		token = fresh()
		s.add("alice")
		inactive := s.add("boss", func(n *NewUser) { n.Admin, n.Inactive = true, true })
		if err := s.CheckSetup(ctx, token); err != nil {
			t.Errorf("users and an administrator who may not act end the link: %v", err)
		}
		token = fresh()
		if _, err := s.Update(ctx, inactive.ID, func(u *site.User) { u.Active = true }, command); err != nil {
			t.Fatal(err)
		}
		err := s.CheckSetup(ctx, token)
		wantCode(t, err, userkeys.ConsentGone)
		wantCode(t, setup(token), userkeys.ConsentGone)
		for _, help := range []string{"userkeys serve --setup-link", "userkeys user set NAME --admin"} {
			if !strings.Contains(userkeys.AsError(err).Public, help) {
				t.Errorf("%q does not say %q", userkeys.AsError(err).Public, help)
			}
		}
		if token, needed, err := s.SetupToken(ctx); token != "" || needed || err != nil {
			t.Errorf("needed beside an administrator: %v, %v", needed, err)
		}
		if m, ok := store.(*memory); ok && strings.Contains(string(m.tokens[setupKind].data), token) {
			t.Error("the token itself is stored")
		}
	})
}

// A user who was added before the link was opened is no administrator: the link must still make one.
func TestSetup_Beside_other_users(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		token, _, err := s.SetupToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.add("bob")
		b := s.browser(address(1))
		b.ask(func(r *http.Request) { _, err = s.Setup(r, token, "bob", rightPassword) })
		wantCode(t, err, userkeys.Conflict)
		var root site.User
		b.ask(func(r *http.Request) { root, err = s.Setup(r, token, "root", rightPassword) })
		if err != nil || !root.Admin {
			t.Fatalf("%+v, %v", root, err)
		}
		if is, err := s.HasAdministrator(t.Context()); !is || err != nil {
			t.Errorf("it has an administrator: %v, %v", is, err)
		}
	})
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	m := newMemory()
	good := Config{Users: m, Sessions: m, Guesses: m, ClientIP: peer}
	for name, change := range map[string]func(*Config){
		"no users":             func(c *Config) { c.Users = nil },
		"no sessions":          func(c *Config) { c.Sessions = nil },
		"no guesses":           func(c *Config) { c.Guesses = nil },
		"no ClientIP":          func(c *Config) { c.ClientIP = nil },
		"login path elsewhere": func(c *Config) { c.LoginPath = "//evil.example/" },
		"login path no path":   func(c *Config) { c.LoginPath = "login" },
		"login path and query": func(c *Config) { c.LoginPath = "/login?a=b" },
		"login path and part":  func(c *Config) { c.LoginPath = "/login#a" },
		"cost out of bounds":   func(c *Config) { c.Cost = password.Cost{Memory: 1 << 30, Time: 1, Threads: 1} },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
