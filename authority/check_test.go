package authority_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
	"userkeys/store"
)

func withFlaky(f *flaky) func(*authority.Config) {
	return func(cfg *authority.Config) {
		f.Store = cfg.Store
		cfg.Store = f
	}
}

// TestWrongKeysAreRefusedAlike tests KU1, KU11, KU13, KU14: only the key itself is accepted, and a text with a
// wrong form or checksum is refused without asking the database.
func TestWrongKeysAreRefusedAlike(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	key, g := d.grant(d.alice, request())
	k := key.Reveal()
	other := byte('0')
	if k[0] == '0' {
		other = '1'
	}
	wrong := map[string]string{
		"empty": "", "spaces": "   ", "31 characters": k[:31], "33 characters": k + "0", "upper case": strings.ToUpper(k[:31]) + "A",
		"not hex": "g" + k[1:], "NUL": k[:16] + "\x00" + k[17:], "10 KB": strings.Repeat(k, 320), "one digit changed": string(other) + k[1:],
		"prefix of another site": "abc_" + k, "stored hash": string(g.Key.Hash[:]), "two keys": k + ", " + k, "space around": " " + k,
	}
	f.set(func(f *flaky) { f.hashReads = 0 })
	for name, text := range wrong {
		if _, err := d.Check(t.Context(), site.Call{Key: text, Method: "GET", Path: "/"}); err != error(userkeys.ErrInvalidKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.hashReads != 0 {
		t.Errorf("%d database reads for keys of a wrong shape", f.hashReads)
	}
	// A key of the right shape that nobody was given costs one read, then none.
	invented := userkeys.NewKey("")
	for range 5 {
		if _, err := d.check(invented, "GET", "/"); err != error(userkeys.ErrInvalidKey) {
			t.Errorf("invented: %v", err)
		}
	}
	if f.hashReads != 1 {
		t.Errorf("%d database reads for one unknown key", f.hashReads)
	}
}

// The order of a check (W7.2): who is charged and who is not.
func TestCheckCharges(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	d.set("max_user_api_reqs_per_minute", "3")
	t.Run("a refused scope is charged", func(t *testing.T) {
		key, _ := d.grant(d.alice, request(client("scope")))
		for range 3 {
			if _, err := d.check(key, "POST", "/x"); !errors.Is(err, userkeys.InvalidAccess) {
				t.Fatal(err)
			}
		}
		if _, err := d.check(key, "GET", "/x"); !errors.Is(err, userkeys.RateLimited) {
			t.Errorf("three refused requests were free: %v", err)
		}
	})
	t.Run("a suspended owner is charged and refused like an unknown key", func(t *testing.T) {
		bob := d.user("bob", func(*site.User) {})
		key, _ := d.grant(bob, request(client("bob's")))
		d.mustCheck(key)
		bob.SuspendedAt = d.clock.now()
		if err := d.store.UpdateUser(t.Context(), bob, site.Caller{As: "command", User: site.User{Admin: true}}.At(d.clock.now())); err != nil {
			t.Fatal(err)
		}
		d.clock.pass(1100 * time.Millisecond) // the lease
		for range 2 {
			if _, err := d.check(key, "GET", "/x"); err != error(userkeys.ErrInvalidKey) {
				t.Fatalf("KU9 suspended: %v", err)
			}
		}
		if _, err := d.check(key, "GET", "/x"); !errors.Is(err, userkeys.RateLimited) {
			t.Errorf("not charged: %v", err)
		}
	})
	t.Run("the window answers with the wire's code and a true time", func(t *testing.T) {
		key, _ := d.grant(d.alice, request(client("window")))
		for range 3 {
			d.mustCheck(key)
		}
		d.clock.pass(10 * time.Second)
		_, err := d.check(key, "GET", "/x")
		var e *userkeys.Error
		if !errors.As(err, &e) || e.LimitCode != "user_api_key_limiter_60_secs" || e.Reason != "limit: 3 per 60 s" || e.RetryAfterSeconds() != 50 {
			t.Fatalf("got %+v", e)
		}
		d.clock.pass(50 * time.Second)
		d.mustCheck(key)
	})
	t.Run("a revoked key is not charged", func(t *testing.T) {
		key, g := d.grant(d.alice, request(client("revoked")))
		owner := site.Caller{User: site.User{ID: d.alice.ID}}
		if err := d.Revoke(t.Context(), g.Key.ID, owner); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := d.check(key, "GET", "/x"); err != error(userkeys.ErrInvalidKey) {
				t.Fatal(err)
			}
		}
		if err := d.UndoRevoke(t.Context(), g.Key.ID, owner); err != nil {
			t.Fatal(err)
		}
		d.mustCheck(key)
	})
	t.Run("revoking itself needs no scope", func(t *testing.T) {
		key, _ := d.grant(d.alice, request(client("self"), scopes("push")))
		call := site.Call{Key: key.Reveal(), Method: "POST", Path: "/user-api-key/revoke"}
		if _, err := d.Check(t.Context(), call); !errors.Is(err, userkeys.InvalidAccess) {
			t.Fatal(err)
		}
		call.ManagesItself = true
		if _, err := d.Check(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGHSA_984p_xq9m_4rjw_ParallelRequestsCannotOutrunTheLimit tests RL1: exactly as many as allowed, however many
// ask at once.
func TestGHSA_984p_xq9m_4rjw_ParallelRequestsCannotOutrunTheLimit(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	d.set("max_user_api_reqs_per_user_per_minute", "60000")
	for i := range 20 {
		key, _ := d.grant(d.alice, request(client("app"+string(rune('a'+i)))))
		var ok, limited atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				switch _, err := d.check(key, "GET", "/x"); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, userkeys.RateLimited):
					limited.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 20 || limited.Load() != 180 {
			t.Fatalf("%d accepted, %d refused; want 20 and 180", ok.Load(), limited.Load())
		}
	}
}

// TestScopeTakenOffTheSiteIsTakenFromKeys tests SC5: no key has a scope that the site no longer allows.
func TestScopeTakenOffTheSiteIsTakenFromKeys(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	key, _ := d.grant(d.alice, request(scopes("read", "session_info")))
	d.mustCheck(key)
	d.set("allow_user_api_key_scopes", "session_info")
	if _, err := d.check(key, "GET", "/posts.json"); !errors.Is(err, userkeys.InvalidAccess) {
		t.Errorf("read is gone, but: %v", err)
	}
	if _, err := d.check(key, "GET", "/session/current.json"); err != nil {
		t.Errorf("session_info stays: %v", err)
	}
}

// The next request after a revocation is refused. 200 keys are revoked while
// requests with them are under way, and each revocation is followed by fifty requests at once: 10,000 trials.
func TestCVE_2020_15223_RevokeRefusesTheNextRequest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		const keys, tries = 200, 50
		d := newTestSite(t, st, func(cfg *authority.Config) { cfg.Now = nil })
		d.set("max_user_api_reqs_per_minute", "10000")
		d.set("max_user_api_reqs_per_user_per_minute", "60000")
		d.set("max_user_api_key_grants_per_hour", "10000")
		owner := site.Caller{User: site.User{ID: d.alice.ID}}
		var refused, slipped atomic.Int64
		for range keys {
			key, g := d.grant(d.alice, request())
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							_, _ = d.check(key, "GET", "/x") // before: accepted; after: below
						}
					}
				})
			}
			if err := d.Revoke(t.Context(), g.Key.ID, owner); err != nil {
				t.Fatal(err)
			}
			for range tries {
				wg.Go(func() {
					switch _, err := d.check(key, "GET", "/x"); {
					case errors.Is(err, userkeys.ErrInvalidKey):
						refused.Add(1)
					default:
						slipped.Add(1)
					}
				})
			}
			close(stop)
			wg.Wait()
		}
		if refused.Load() != keys*tries || slipped.Load() != 0 {
			t.Errorf("%d of %d requests after a revocation were not refused", slipped.Load(), keys*tries)
		}
	})
}

// A look-up that read the row before the revocation must not be believed after it.
func TestRevokeDuringALookUp(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	key, g := d.grant(d.alice, request())
	read, goOn := make(chan struct{}), make(chan struct{})
	var begun atomic.Bool
	f.set(func(f *flaky) {
		f.byHash = func(userkeys.KeyHash) error {
			if begun.CompareAndSwap(false, true) { // the first look-up only
				close(read)
				<-goOn
			}
			return nil
		}
	})
	early := make(chan error, 1)
	go func() {
		_, err := d.check(key, "GET", "/x")
		early <- err
	}()
	<-read // the old row is in hand
	if err := d.Revoke(t.Context(), g.Key.ID, site.Caller{User: site.User{ID: d.alice.ID}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.check(key, "GET", "/x"); !errors.Is(err, userkeys.ErrInvalidKey) {
		t.Errorf("a request after the revocation joined the look-up before it: %v", err)
	}
	close(goOn)
	<-early // it began before the revocation: either answer is right
	if _, err := d.check(key, "GET", "/x"); !errors.Is(err, userkeys.ErrInvalidKey) {
		t.Errorf("the old row was kept: %v", err)
	}
}

// TestStoreThatPanics: a look-up is made for all requests that wait for it, in no handler. A panic of the store refuses
// them with 503 and ends nothing else.
func TestStoreThatPanics(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	key, _ := d.grant(d.alice, request())
	f.set(func(f *flaky) { f.byHash = func(userkeys.KeyHash) error { panic("the store") } })
	if _, err := d.check(key, "GET", "/x"); !errors.Is(err, userkeys.Unavailable) || !strings.Contains(err.Error(), "panic: the store") {
		t.Errorf("while the store panics: %v", err)
	}
	f.set(func(f *flaky) { f.byHash = nil })
	d.mustCheck(key)
}

func TestManyMissesLoadOnce(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	d.set("max_user_api_reqs_per_minute", "1000")
	key, _ := d.grant(d.alice, request())
	release := make(chan struct{})
	f.set(func(f *flaky) { f.hashReads, f.byHash = 0, func(userkeys.KeyHash) error { <-release; return nil } })
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := d.check(key, "GET", "/x"); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // let them gather; more than one look-up would show below
	close(release)
	wg.Wait()
	if f.hashReads != 1 {
		t.Errorf("%d look-ups for one key", f.hashReads)
	}
}

func TestNoStatementInSteadyState(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		d.set("max_user_api_reqs_per_minute", "10000")
		d.set("max_user_api_reqs_per_user_per_minute", "60000")
		key, _ := d.grant(d.alice, request())
		d.mustCheck(key)
		before := st.Statements()
		for range 1000 {
			d.mustCheck(key)
		}
		if n := st.Statements() - before; n != 0 {
			t.Errorf("%d statements for 1000 accepted requests", n)
		}
	})
}

// TestWithoutTheDatabaseNobodyCanTell tests T33, F26: a node that cannot read the epoch answers that it
// cannot decide, and never yes or no.
func TestWithoutTheDatabaseNobodyCanTell(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	key, _ := d.grant(d.alice, request())
	d.mustCheck(key)
	f.set(func(f *flaky) { f.changes = errDown })
	d.clock.pass(999 * time.Millisecond)
	d.mustCheck(key) // the lease still runs
	d.clock.pass(2 * time.Millisecond)
	for name, k := range map[string]userkeys.Key{"cached": key, "unknown": userkeys.NewKey("")} {
		_, err := d.check(k, "GET", "/x")
		var e *userkeys.Error
		if !errors.As(err, &e) || e.Code != userkeys.Unavailable || e.RetryAfterSeconds() < 1 {
			t.Errorf("%s key with the database gone: %v", name, err)
		}
	}
	if err := d.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
	f.set(func(f *flaky) { f.changes = nil })
	d.mustCheck(key) // recovers by itself
}

// elsewhere is a store on the database of another process: it tells of no change by itself.
type elsewhere struct{ authority.Store }

func (elsewhere) OnChange(func(site.Changes)) {}

// TestCVE_2022_41316_RevocationElsewhereIsSeenHere tests RV7 (Vault CVE-2022-41316, Vikunja CVE-2026-35594): what
// another node revoked is refused here within the bound.
func TestCVE_2022_41316_RevocationElsewhereIsSeenHere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st, func(cfg *authority.Config) { cfg.Now, cfg.Store = nil, elsewhere{st} })
		other, err := authority.New(t.Context(), authority.ConfigOf(st))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- d.Run(ctx) }()
		key, g := d.grant(d.alice, request())
		d.mustCheck(key)
		began := time.Now()
		if err := other.Revoke(t.Context(), g.Key.ID, site.Caller{User: site.User{ID: d.alice.ID}}); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := d.Authority.Check(t.Context(), site.Call{Key: key.Reveal(), Method: "GET", Path: "/x"}); errors.Is(err, userkeys.ErrInvalidKey) {
				break
			}
			if time.Since(began) > nettest.Bound(time.Second) {
				t.Fatal("still accepted")
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("refused after %v", time.Since(began).Round(time.Millisecond))
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

func TestLastUseAndDayCountSurviveARestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		d := newTestSite(t, st)
		d.set("max_user_api_reqs_per_day", "5")
		key, g := d.grant(d.alice, request())
		d.clock.pass(time.Hour)
		for range 5 {
			d.mustCheck(key)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Run(ctx); err != nil { // ends at once and writes
			t.Fatal(err)
		}
		k, err := st.Key(t.Context(), g.Key.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !k.LastUsedAt.Equal(d.clock.now()) {
			t.Errorf("last used %v, want %v", k.LastUsedAt, d.clock.now())
		}
		again, err := authority.New(t.Context(), authority.ConfigOf(st, func(c *authority.Config) { c.Now = d.clock.now }))
		if err != nil {
			t.Fatal(err)
		}
		d.clock.pass(2 * time.Minute)
		_, err = again.Check(t.Context(), site.Call{Key: key.Reveal(), Method: "GET", Path: "/x"})
		var e *userkeys.Error
		if !errors.As(err, &e) || e.LimitCode != "user_api_key_limiter_1_day" {
			t.Errorf("a restart handed out a second day: %v", err)
		}
	})
}

// TestUsesThatCannotBeWrittenWait tests KU18: a last use that cannot be written is no reason to
// refuse, and is written later.
func TestUsesThatCannotBeWrittenWait(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	d := newTestSite(t, dbtest.SQLite(t), withFlaky(f))
	key, g := d.grant(d.alice, request())
	d.clock.pass(time.Minute)
	d.mustCheck(key)
	f.set(func(f *flaky) { f.write = errDown })
	if err := d.CleanUp(t.Context()); !errors.Is(err, errDown) {
		t.Fatalf("CleanUp: %v", err)
	}
	d.mustCheck(key)
	f.set(func(f *flaky) { f.write = nil })
	if err := d.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k, err := d.store.Key(t.Context(), g.Key.ID); err != nil || !k.LastUsedAt.Equal(d.clock.now()) {
		t.Errorf("last used %v, %v; want %v", k.LastUsedAt, err, d.clock.now())
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	key, g := d.grant(d.alice, request())
	acc := d.mustCheck(key)
	if err := d.Holds(t.Context(), acc); err != nil {
		t.Fatal(err)
	}
	d.set("allow_user_api_key_scopes", "push")
	if err := d.Holds(t.Context(), acc); err == nil {
		t.Error("its scope is gone")
	}
	d.set("allow_user_api_key_scopes", "read")
	if err := d.Revoke(t.Context(), g.Key.ID, site.Caller{User: site.User{ID: d.alice.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Holds(t.Context(), acc); !errors.Is(err, userkeys.ErrInvalidKey) {
		t.Errorf("revoked: %v", err)
	}
}

func TestPinnedSettings(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t), func(cfg *authority.Config) {
		cfg.Pinned = map[string]string{"expire user api keys days": "7"}
	})
	if got := d.Settings().RevokeUserAPIKeysUnusedDays; got != 7 {
		t.Errorf("pinned value is %d", got)
	}
	err := d.ChangeSetting(t.Context(), "revoke_user_api_keys_unused_days", "9", site.Caller{User: site.User{Admin: true}})
	if !errors.Is(err, userkeys.Conflict) || !d.Pinned("expire_user_api_keys_days") {
		t.Errorf("a pinned setting was changed: %v", err)
	}
	_, err = authority.New(t.Context(), authority.ConfigOf(d.store, func(c *authority.Config) { c.Pinned = map[string]string{"max_user_api_reqs_per_day": "-1"} }))
	if !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("RL14 a pinned value out of bounds: %v", err)
	}
}

// A scope that is misspelled is refused wherever it is said: else the site offers nothing to anybody, without a word.
func TestSettingsNameKnownScopes(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	for _, name := range []string{"allow_user_api_key_scopes", "allow_user_api_key_client_scopes"} {
		_, pinned := authority.New(t.Context(), authority.ConfigOf(d.store, func(c *authority.Config) { c.Pinned = map[string]string{name: "read|wrte"} }))
		changed := d.ChangeSetting(t.Context(), name, "read|wrte", site.Caller{User: site.User{Admin: true}})
		for where, err := range map[string]error{"pinned": pinned, "changed": changed} {
			e := userkeys.AsError(err)
			if e == nil || e.Code != userkeys.InvalidParameters || !strings.Contains(e.Public, name+": this site has no scope wrte; it has") {
				t.Errorf("%s %s: %v", where, name, err)
			}
		}
		if _, err := authority.New(t.Context(), authority.ConfigOf(d.store, func(c *authority.Config) { c.Pinned = map[string]string{name: "read|write"} })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An access has the user's name and address only on a site that needs them, and a change counts at the next check.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{false, true} {
		d := newTestSite(t, dbtest.SQLite(t), func(cfg *authority.Config) { cfg.Profiles = wanted })
		keys := map[string]userkeys.Key{}
		for _, u := range []site.User{d.alice, d.user("bob", func(*site.User) {})} {
			keys[u.Username], _ = d.grant(u, request(client(u.Username)))
		}
		for _, name := range []string{"Alice A", "Zoe"} {
			u := d.alice
			u.Name, u.Email = name, strings.ToLower(name[:1])+"@site.example"
			if err := d.store.UpdateUser(t.Context(), u, site.Caller{As: site.CallerCommand}.At(d.clock.now())); err != nil {
				t.Fatal(err)
			}
			want := [2]string{}
			if wanted {
				want = [2]string{u.Name, u.Email}
			}
			a, err := d.check(keys["alice"], "GET", "/x")
			if err != nil || [2]string{a.Name, a.Email} != want {
				t.Errorf("wanted %v: %q %q, want %q (%v)", wanted, a.Name, a.Email, want, err)
			}
			if b, err := d.check(keys["bob"], "GET", "/x"); err != nil || b.Email != "" {
				t.Errorf("bob has %q, %v", b.Email, err)
			}
		}
	}
}
