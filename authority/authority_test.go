package authority_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func publicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(&appKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// testSite is an authority over a real store, with a user and a clock to move.
type testSite struct {
	*authority.Authority
	t     *testing.T
	store *store.Store
	clock *clock
	alice site.User
}

func newTestSite(t *testing.T, st *store.Store, opts ...func(*authority.Config)) *testSite {
	t.Helper()
	d := &testSite{t: t, store: st, clock: newClock()}
	now := func(c *authority.Config) { c.Now = d.clock.now }
	a, err := authority.New(t.Context(), authority.ConfigOf(st, append([]func(*authority.Config){now}, opts...)...))
	if err != nil {
		t.Fatal(err)
	}
	d.Authority = a
	d.alice = d.user("alice", func(*site.User) {})
	return d
}

func (d *testSite) user(name string, change func(*site.User)) site.User {
	d.t.Helper()
	u := site.User{Username: name, TrustLevel: 1, Active: true, CreatedAt: d.clock.now()}
	change(&u)
	u, err := d.store.CreateUser(d.t.Context(), site.Account{User: u}, site.Caller{As: "command", User: site.User{Admin: true}})
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

func (d *testSite) browser(u site.User) site.Caller {
	return site.Caller{User: u, Session: site.Session{ID: "session of " + u.Username}, Address: "192.0.2.1"}
}

func request(change ...func(*site.AuthorizationRequest)) site.AuthorizationRequest {
	r := site.AuthorizationRequest{
		ApplicationName: "Notifier", ClientID: "notifier-1", Nonce: "n0nce", Scopes: userkeys.Scopes{"read"}, PublicKey: publicPEM(),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func scopes(names ...string) func(*site.AuthorizationRequest) {
	return func(r *site.AuthorizationRequest) { r.Scopes = names }
}

func client(id string) func(*site.AuthorizationRequest) {
	return func(r *site.AuthorizationRequest) { r.ClientID = id }
}

// grant does the whole round and gives the opened key.
func (d *testSite) grant(u site.User, r site.AuthorizationRequest) (userkeys.Key, authority.Granted) {
	d.t.Helper()
	q, err := d.Prepare(d.t.Context(), r, d.browser(u))
	if err != nil {
		d.t.Fatalf("Prepare: %v", err)
	}
	g, err := d.Grant(d.t.Context(), authority.Approval{By: d.browser(u), Consent: q.ID})
	if err != nil {
		d.t.Fatalf("Grant: %v", err)
	}
	p, err := userkeys.OpenPayload(appKey(), q.Pad, g.Payload)
	if err != nil {
		d.t.Fatalf("OpenPayload: %v", err)
	}
	if p.Nonce != r.Nonce {
		d.t.Fatalf("nonce %q, want %q", p.Nonce, r.Nonce)
	}
	return p.Key, g
}

func (d *testSite) check(k userkeys.Key, method, path string) (userkeys.Access, error) {
	return d.Check(d.t.Context(), site.Call{Key: k.Reveal(), Method: method, Path: path})
}

func (d *testSite) mustCheck(k userkeys.Key) userkeys.Access {
	d.t.Helper()
	acc, err := d.check(k, "GET", "/posts.json")
	if err != nil {
		d.t.Fatalf("a good key is refused: %v", err)
	}
	return acc
}

func (d *testSite) set(name, value string) {
	d.t.Helper()
	if err := d.ChangeSetting(d.t.Context(), name, value, site.Caller{As: "command", User: site.User{Admin: true}}); err != nil {
		d.t.Fatal(err)
	}
}

func reason(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestGrantThenCheck(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		key, g := d.grant(d.alice, request())
		if g.Location != "" {
			t.Errorf("no redirect was asked for, but Location is %q", g.Location)
		}
		acc := d.mustCheck(key)
		if acc.Username != "alice" || acc.UserID != d.alice.ID || acc.ClientID != "notifier-1" || acc.KeyID != g.Key.ID || acc.TrustLevel != 1 {
			t.Errorf("access is %+v", acc)
		}
		if _, err := d.check(key, "POST", "/posts.json"); !errors.Is(err, userkeys.InvalidAccess) || reason(err) != "missing scope: write" {
			t.Errorf("a read key may write: %v", err)
		}
		if _, err := d.check(key, "PROPFIND", "/posts.json"); reason(err) != "no scope of this site allows this request" {
			t.Errorf("reason is %q", reason(err))
		}
	})
}

func TestRegrantReplacesTheOldKeyOfThatUserOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		bob := d.user("bob", func(*site.User) {})
		first, _ := d.grant(d.alice, request())
		others, _ := d.grant(bob, request())
		d.mustCheck(first)
		second, _ := d.grant(d.alice, request())
		if _, err := d.check(first, "GET", "/"); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("the replaced key still works: %v", err)
		}
		d.mustCheck(second)
		d.mustCheck(others)
	})
}

func TestConsentIsBoundAndUsedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		bob := d.user("bob", func(*site.User) {})
		ask := func() string {
			q, err := d.Prepare(t.Context(), request(redirect), d.browser(d.alice))
			if err != nil {
				t.Fatal(err)
			}
			return q.ID
		}
		gone := func(name, id string, b site.Caller) {
			t.Helper()
			if _, err := d.Grant(t.Context(), authority.Approval{By: b, Consent: id}); !errors.Is(err, userkeys.ConsentGone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		id := ask()
		gone("another user", id, d.browser(bob))
		gone("another session", id, site.Caller{User: d.alice, Session: site.Session{ID: "other"}})
		gone("last byte changed", id[:len(id)-1]+"-", d.browser(d.alice))
		gone("empty", "", d.browser(d.alice))
		if _, err := d.Grant(t.Context(), authority.Approval{By: d.browser(d.alice), Consent: id}); err != nil {
			t.Fatalf("failed attempts of others used it up: %v", err)
		}
		gone("RQ21 used", id, d.browser(d.alice))
		old := ask()
		d.clock.pass(authority.ConsentLifetime)
		gone("expired", old, d.browser(d.alice))
		denied := ask()
		if _, err := d.Deny(t.Context(), denied, d.browser(d.alice)); err != nil {
			t.Fatal(err)
		}
		gone("denied", denied, d.browser(d.alice))
	})
}

func redirect(r *site.AuthorizationRequest) { r.AuthRedirect = "http://127.0.0.1:8787/cb" }

// TestShownAnswerIsShownAgain: a page to copy from that is loaded again has the same answer, for who approved and for ten
// minutes, and nothing new is made.
func TestShownAnswerIsShownAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		bob := d.user("bob", func(*site.User) {})
		q, err := d.Prepare(t.Context(), request(), d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		grant := func(b site.Caller) (authority.Granted, error) {
			return d.Grant(t.Context(), authority.Approval{By: b, Consent: q.ID})
		}
		gone := func(name string, b site.Caller) {
			t.Helper()
			if g, err := grant(b); !errors.Is(err, userkeys.ConsentGone) || g.Payload != "" {
				t.Errorf("%s: %+v, %v", name, g, err)
			}
		}
		first, err := grant(d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		d.clock.pass(authority.ConsentLifetime - time.Second)
		again, err := grant(d.browser(d.alice))
		if err != nil || again.Payload != first.Payload || again.Key.ID != first.Key.ID || again.Key.ApplicationName != "Notifier" || again.Location != "" {
			t.Errorf("loaded again: %+v, %v", again, err)
		}
		if l, err := d.Apps(t.Context(), site.AppFilter{UserID: d.alice.ID}); err != nil || l.Found != 1 {
			t.Errorf("there are %d keys, %v", l.Found, err)
		}
		gone("another user", d.browser(bob))
		gone("another session of the user", site.Caller{User: d.alice, Session: site.Session{ID: "other"}})
		gone("another user with that session's name", site.Caller{User: bob, Session: site.Session{ID: d.browser(d.alice).Session.ID}})
		d.clock.pass(2 * time.Second)
		gone("after ten minutes", d.browser(d.alice))

		q, err = d.Prepare(t.Context(), request(), d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		second, err := grant(d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Revoke(t.Context(), second.Key.ID, site.Caller{User: d.alice}); err != nil {
			t.Fatal(err)
		}
		gone("a key that was revoked", d.browser(d.alice))
	})
}

// TestOwnersWhoMayNotAct: whoever's keys would all be refused is told so before there is a key.
func TestOwnersWhoMayNotAct(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		d.set("allow_user_api_key_scopes", "read|one_time_password")
		// An embedder's session may say anything of the user: the stored one counts.
		said := func(u site.User) site.Caller {
			u.Active, u.SuspendedAt = true, time.Time{}
			return d.browser(u)
		}
		whole := request()
		oneTime := site.AuthorizationRequest{Kind: site.KindOneTime, ApplicationName: "Notifier", PublicKey: publicPEM(), AuthRedirect: "http://127.0.0.1:8787/cb", HasAuthRedirect: true}
		for name, tt := range map[string]struct {
			user site.User
			says string
		}{
			"who is not active":    {d.user("carol", func(u *site.User) { u.Active = false }), "not active"},
			"who is suspended":     {d.user("dave", func(u *site.User) { u.SuspendedAt = d.clock.now() }), "suspended"},
			"whom nobody has made": {site.User{ID: 4711, Username: "eve"}, "no such account"},
		} {
			b := said(tt.user)
			refused := func(what string, err error) {
				t.Helper()
				var e *userkeys.Error
				if !errors.As(err, &e) || e.Code != userkeys.UserNotAllowed || e.Reason != authority.ReasonMayNotAct || !strings.Contains(e.Public, tt.says) {
					t.Errorf("%s of one %s: %v", what, name, err)
				}
			}
			_, err := d.Prepare(t.Context(), request(), b)
			refused("the question", err)
			_, err = d.Grant(t.Context(), authority.Approval{By: b, Request: &whole})
			refused("a grant without a page", err)
			_, err = d.Prepare(t.Context(), oneTime, b)
			refused("the question of a one-time password", err)
			_, err = d.Grant(t.Context(), authority.Approval{By: b, Request: &oneTime})
			refused("a one-time password without a page", err)
			_, err = d.ActivateDevice(t.Context(), "ABCD-2345", "", b)
			refused("a device's code", err)
		}
		q, err := d.Prepare(t.Context(), request(), d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		u := d.alice
		u.SuspendedAt = d.clock.now()
		if err := st.UpdateUser(t.Context(), u, site.Caller{As: site.CallerCommand}.At(d.clock.now())); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Grant(t.Context(), authority.Approval{By: said(d.alice), Consent: q.ID}); !errors.Is(err, userkeys.UserNotAllowed) {
			t.Errorf("suspended between the question and the answer: %v", err)
		}
		// Somebody found or made as embedders do can have keys at once.
		frank, err := st.FindOrCreateUser(t.Context(), site.User{Username: "frank", TrustLevel: 1}, site.Caller{As: site.CallerSystem})
		if err != nil {
			t.Fatal(err)
		}
		key, _ := d.grant(frank, request(client("franks")))
		d.mustCheck(key)
	})
}

// TestParallelAnswersMakeOneKey tests RQ21: a double click, or sixty-four, makes one key.
func TestParallelAnswersMakeOneKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		q, err := d.Prepare(t.Context(), request(), d.browser(d.alice))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		granted := map[string]bool{} // by payload: whoever is late sees the same page
		for range 64 {
			wg.Go(func() {
				var g authority.Granted
				var err error
				// On a busy machine some wait for the others longer than a database may take, and click again.
				for again := true; again; again = errors.Is(err, userkeys.Unavailable) {
					g, err = d.Grant(t.Context(), authority.Approval{By: d.browser(d.alice), Consent: q.ID})
				}
				mu.Lock()
				defer mu.Unlock()
				if granted[g.Payload] = true; err != nil {
					t.Errorf("Grant: %v", err)
				}
			})
		}
		wg.Wait()
		l, err := d.Apps(t.Context(), site.AppFilter{UserID: d.alice.ID})
		if err != nil {
			t.Fatal(err)
		}
		if len(granted) != 1 || l.Found != 1 {
			t.Errorf("%d answers, %d keys; want 1 and 1", len(granted), l.Found)
		}
	})
}

func TestRulesOfNowDecideWhenAnswering(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	q, err := d.Prepare(t.Context(), request(), d.browser(d.alice))
	if err != nil {
		t.Fatal(err)
	}
	d.set("allow_user_api_keys", "false")
	if _, err := d.Grant(t.Context(), authority.Approval{By: d.browser(d.alice), Consent: q.ID}); !errors.Is(err, userkeys.KeysNotAllowed) {
		t.Errorf("granted although the site stopped giving keys: %v", err)
	}
	d.set("allow_user_api_keys", "true")
	if _, err := d.Grant(t.Context(), authority.Approval{By: d.browser(d.alice), Consent: q.ID}); err != nil {
		t.Errorf("the refusal used the question up: %v", err)
	}
}

func TestExistingKeysGoOnWhenNewOnesStop(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	key, _ := d.grant(d.alice, request())
	d.set("allow_user_api_keys", "false")
	d.mustCheck(key)
}

// TestExpiredKeyIsRefusedToTheMicrosecond uses a key just before, at and after its end (KU10).
func TestExpiredKeyIsRefusedToTheMicrosecond(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	key, g := d.grant(d.alice, request(func(r *site.AuthorizationRequest) { r.ExpiresInSeconds = "60" }))
	d.mustCheck(key)
	if want := d.clock.now().Add(time.Minute); !g.Key.ExpiresAt.Equal(want) {
		t.Fatalf("expires %v, want %v", g.Key.ExpiresAt, want)
	}
	d.clock.pass(time.Minute - time.Millisecond)
	d.mustCheck(key)
	d.clock.pass(time.Millisecond)
	if _, err := d.check(key, "GET", "/"); !errors.Is(err, userkeys.ErrInvalidKey) {
		t.Errorf("an expired key is accepted: %v", err)
	}
}

// TestUndoRevoke undoes revocations of the owner, of others, and of administrators (RV8).
func TestUndoRevoke(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		bob := d.user("bob", func(*site.User) {})
		admin := site.Caller{User: site.User{ID: 999, Admin: true}}
		owner := site.Caller{User: site.User{ID: d.alice.ID}}
		key, g := d.grant(d.alice, request())
		undo := func(by site.Caller) error { return d.UndoRevoke(t.Context(), g.Key.ID, by) }
		revoke := func(by site.Caller) {
			t.Helper()
			if err := d.Revoke(t.Context(), g.Key.ID, by); err != nil {
				t.Fatal(err)
			}
			if _, err := d.check(key, "GET", "/"); !errors.Is(err, userkeys.InvalidAccess) {
				t.Fatalf("revoked, but: %v", err)
			}
		}
		if err := d.Revoke(t.Context(), g.Key.ID, site.Caller{User: site.User{ID: bob.ID}}); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("RV1 another user revokes: %v", err)
		}
		if err := d.Revoke(t.Context(), 12345678, owner); !errors.Is(err, userkeys.NotFound) {
			t.Errorf("RV2 unknown id: %v", err)
		}
		revoke(owner)
		if err := undo(site.Caller{User: site.User{ID: bob.ID}}); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("another user undoes: %v", err)
		}
		if err := undo(owner); err != nil {
			t.Fatal(err)
		}
		d.mustCheck(key)
		revoke(owner)
		d.clock.pass(authority.UndoWindow + time.Second)
		if err := undo(owner); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("undone after a day: %v", err)
		}
		if err := undo(admin); !errors.Is(err, userkeys.InvalidAccess) || !strings.Contains(userkeys.AsError(err).Public, "no administrator may undo it") {
			t.Errorf("an administrator revives what its owner revoked: %v", err)
		}
		key, g = d.grant(d.alice, request())
		d.mustCheck(key)
		revoke(admin)
		if err := undo(owner); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("the owner undoes what an administrator stopped: %v", err)
		}
		if err := undo(admin); err != nil {
			t.Errorf("an administrator undoes what an administrator stopped: %v", err)
		}
		d.mustCheck(key)
	})
}

func TestUndoIsBounded(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	d.set("max_user_api_keys_per_user", "2")
	owner := site.Caller{User: site.User{ID: d.alice.ID}}
	_, first := d.grant(d.alice, request(client("one")))
	back := func() error {
		if err := d.Revoke(t.Context(), first.Key.ID, owner); err != nil {
			t.Fatal(err)
		}
		return d.UndoRevoke(t.Context(), first.Key.ID, owner)
	}
	for range 30 {
		if err := back(); err != nil {
			t.Fatal(err)
		}
	}
	if err := back(); !errors.Is(err, userkeys.RateLimited) {
		t.Errorf("undone without end: %v", err)
	}
	d.clock.pass(time.Minute)
	d.grant(d.alice, request(client("two")))
	d.grant(d.alice, request(client("three")))
	if err := d.UndoRevoke(t.Context(), first.Key.ID, owner); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("undo is a way past the number of keys: %v", err)
	}
}

// TestNobodyRenamesAnothersApp tests T6: a client_id is no secret; who knows it must not rename the app on others'
// pages.
func TestNobodyRenamesAnothersApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		mallory := d.user("mallory", func(*site.User) {})
		_, g := d.grant(d.alice, request())
		d.grant(mallory, request(func(r *site.AuthorizationRequest) { r.ApplicationName = "Your bank" }))
		if k, err := st.Key(t.Context(), g.Key.ID); err != nil || k.ApplicationName != "Notifier" {
			t.Errorf("alice's app is now called %q, %v", k.ApplicationName, err)
		}
		_, err := d.Examine(t.Context(), request(func(r *site.AuthorizationRequest) { r.ApplicationName = "" }))
		if !errors.Is(err, userkeys.MissingParameter) {
			t.Errorf("a name that another user was told is shown: %v", err)
		}
	})
}

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	one, _ := d.grant(d.alice, request(client("one")))
	two, _ := d.grant(d.alice, request(client("two")))
	d.mustCheck(one)
	d.mustCheck(two)
	if n, err := d.RevokeAll(t.Context(), d.alice.ID, site.Caller{User: site.User{ID: d.alice.ID}}); err != nil || n != 2 {
		t.Fatalf("RevokeAll: %d, %v", n, err)
	}
	for _, k := range []userkeys.Key{one, two} {
		if _, err := d.check(k, "GET", "/"); err == nil {
			t.Error("a key survived")
		}
	}
}

// TestBoundsOnKeysAndGrants tests RL6, RL7: many keys do not raise a user's limits.
func TestBoundsOnKeysAndGrants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		d.set("max_user_api_keys_per_user", "3")
		answer := func(id string) error {
			q, err := d.Prepare(t.Context(), request(client(id)), d.browser(d.alice))
			if err != nil {
				return err
			}
			_, err = d.Grant(t.Context(), authority.Approval{By: d.browser(d.alice), Consent: q.ID})
			return err
		}
		for i := range 3 {
			if err := answer(fmt.Sprint("app", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := answer("app3"); !errors.Is(err, userkeys.Conflict) {
			t.Errorf("a fourth key: %v", err)
		}
		if err := answer("app2"); err != nil {
			t.Errorf("replacing one is no new one: %v", err)
		}
		d.set("max_user_api_key_grants_per_hour", "5")
		if err := answer("app2"); err != nil {
			t.Errorf("the fifth grant: %v", err)
		}
		if err := answer("app2"); !errors.Is(err, userkeys.RateLimited) {
			t.Errorf("the sixth grant of the hour: %v", err)
		}
		d.clock.pass(time.Hour + time.Second)
		if err := answer("app2"); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

func TestCleanUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		unused, _ := d.grant(d.alice, request(client("unused")))
		used, _ := d.grant(d.alice, request(client("used")))
		d.clock.pass(170 * 24 * time.Hour)
		d.mustCheck(used)
		d.clock.pass(11 * 24 * time.Hour)
		if err := d.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.check(unused, "GET", "/"); err == nil {
			t.Error("a key that was not used for 181 days works")
		}
		d.mustCheck(used)
		d.set("revoke_user_api_keys_maxlife_days", "30")
		if err := d.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.check(used, "GET", "/"); err == nil {
			t.Error("a key older than its maximum life works")
		}
	})
}

var errDown = errors.New("the database is down")

// flaky is a store that fails or waits where a test says so.
type flaky struct {
	authority.Store
	mu        sync.Mutex
	changes   error
	byHash    func(userkeys.KeyHash) error // called after the row was read
	hashReads int
	write     error
}

func (f *flaky) Changes(ctx context.Context, since site.Mark) (site.Changes, error) {
	f.mu.Lock()
	err := f.changes
	f.mu.Unlock()
	if err != nil {
		return site.Changes{}, err
	}
	return f.Store.Changes(ctx, since)
}

func (f *flaky) KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	k, err := f.Store.KeyByHash(ctx, h)
	f.mu.Lock()
	f.hashReads++
	hook := f.byHash
	f.mu.Unlock()
	if hook != nil {
		if hookErr := hook(h); hookErr != nil {
			return site.StoredKey{}, hookErr
		}
	}
	return k, err
}

func (f *flaky) RecordUses(ctx context.Context, uses []site.KeyUse) error {
	f.mu.Lock()
	err := f.write
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.RecordUses(ctx, uses)
}

func (f *flaky) set(change func(*flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}
