package accounts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// eachStore runs a test over every store that there is.
func eachStore(t *testing.T, run func(t *testing.T, store testStore)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { t.Parallel(); run(t, newMemory()) })
	dbtest.Each(t, func(t *testing.T, s *store.Store) { run(t, s) })
}

func TestCVE_2025_69413_Login_tells_nothing_about_accounts(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		suspended := s.add("sam")
		if _, err := s.Suspend(t.Context(), suspended.ID, command); err != nil {
			t.Fatal(err)
		}
		s.add("ida", func(n *NewUser) { n.Inactive = true })
		s.add("nora", func(n *NewUser) { n.Password = "" })
		broken := s.add("bert")
		if err := store.SetPassword(t.Context(), broken.ID, "$argon2id$v=19$m=4194304,t=9,p=1$AAAA$AAAA", command.At(s.clock.Now())); err != nil {
			t.Fatal(err)
		}
		tests := []struct{ name, user, password string }{
			{"LG1 wrong password", "alice", "not this one at all"},
			{"LG1 unknown name", "mallory", rightPassword},
			{"LG1 unknown address", "mallory@example.org", rightPassword},
			{"LG1 suspended, right password", "sam", rightPassword},
			{"LG1 inactive, right password", "ida", rightPassword},
			{"LG1 without a password", "nora", ""},
			{"LG1 hash that cannot be read", "bert", rightPassword},
			{"LG1 empty name", "", rightPassword},
			{"LG1 empty password", "alice", ""},
			{"LG1 password longer than any", "alice", strings.Repeat("x", 100_000)},
			{"LG1 name with NUL", "alice\x00", rightPassword},
		}
		var first []byte
		for i, test := range tests {
			s.hashes.Store(0)
			b := s.browser(address(i))
			_, err := b.login(test.user, test.password)
			e := wantCode(t, err, userkeys.InvalidCredentials)
			if first == nil {
				first = e.JSON()
			}
			if d := cmp.Diff(string(first), string(e.JSON())); d != "" {
				t.Errorf("%s: answer differs: %s", test.name, d)
			}
			if n := s.hashes.Load(); n != 1 {
				t.Errorf("%s: %d hashes, want 1", test.name, n)
			}
			if b.cookie != "" {
				t.Errorf("%s: got the cookie %s", test.name, b.cookie)
			}
		}
	})
}

// The times themselves are printed, not judged: this machine is shared.
func TestLG1_Login_times(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of hashing")
	}
	t.Parallel()
	s := newSite(t, newMemory(), func(c *Config) { c.Cost = password.DefaultCost })
	s.add("alice")
	for _, name := range []string{"alice", "mallory"} {
		var took []time.Duration
		for i := range 9 {
			start := time.Now()
			_, err := s.browser(address(i)).login(name, "not this one at all")
			took = append(took, time.Since(start))
			wantCode(t, err, userkeys.InvalidCredentials)
		}
		slices.Sort(took)
		t.Logf("%s: median %v", name, took[len(took)/2])
	}
}

func TestLG2_Waits_from_the_fifth_failure_of_one_address(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		b := s.browser(address(1))
		fail := func() {
			t.Helper()
			_, err := b.login("alice", "not this one at all")
			wantCode(t, err, userkeys.InvalidCredentials)
		}
		waits := func(want time.Duration) {
			t.Helper()
			s.hashes.Store(0)
			for range 3 { // asking again and again does not prolong it
				_, err := b.login("alice", rightPassword)
				if e := wantCode(t, err, userkeys.RateLimited); e.RetryAfter != want {
					t.Fatalf("wait %v, want %v", e.RetryAfter, want)
				}
			}
			if n := s.hashes.Load(); n != 0 {
				t.Fatalf("%d hashes while waiting", n)
			}
		}
		for range password.FreeTries {
			fail()
		}
		for _, d := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60, 60} {
			waits(d * time.Second)
			s.clock.advance(d*time.Second - time.Millisecond)
			waits(time.Millisecond)
			s.clock.advance(time.Millisecond) // exactly at Retry-After
			fail()
		}
		// That was the 20th.
		_, err := b.login("alice", rightPassword)
		e := wantCode(t, err, userkeys.RateLimited)
		s.clock.advance(e.RetryAfter - time.Microsecond)
		_, err = b.login("alice", rightPassword)
		wantCode(t, err, userkeys.RateLimited)
		if _, err := s.browser(address(2)).login("alice", rightPassword); err != nil {
			t.Errorf("from another address: %v", err)
		}
		s.clock.advance(time.Microsecond)
		b.mustLogin("alice")
	})
}

func TestLG2_Hard_stop_from_many_addresses(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice := s.add("alice")
		texts := map[string]bool{}
		for _, name := range []string{"alice", "mallory"} {
			for i := range password.HardLimit {
				_, err := s.browser(address(i)).login(name, "not this one at all")
				wantCode(t, err, userkeys.InvalidCredentials)
			}
			s.hashes.Store(0)
			_, err := s.browser(address(200)).login(name, rightPassword)
			e := wantCode(t, err, userkeys.RateLimited)
			texts[string(e.JSON())] = true
			if e.RetryAfter != 0 || !strings.Contains(e.Public, "administrator") || s.hashes.Load() != 0 {
				t.Errorf("%s: %v after %d hashes", name, e, s.hashes.Load())
			}
		}
		if len(texts) != 1 {
			t.Errorf("known and unknown names are told apart: %v", texts)
		}
		s.clock.advance(366 * 24 * time.Hour)
		_, err := s.browser(address(200)).login("alice", rightPassword)
		wantCode(t, err, userkeys.RateLimited)

		if err := s.SetPassword(t.Context(), alice.ID, rightPassword, command); err != nil {
			t.Fatal(err)
		}
		s.browser(address(1)).mustLogin("alice")
	})
}

func TestLG2_An_administrator_lifts_the_locks(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	alice := s.add("alice")
	b := s.browser(address(1))
	for range password.FreeTries {
		_, _ = b.login("alice", "not this one at all")
	}
	_, err := b.login("alice", rightPassword)
	wantCode(t, err, userkeys.RateLimited)
	if err := s.SetPassword(t.Context(), alice.ID, rightPassword, command); err != nil {
		t.Fatal(err)
	}
	b.mustLogin("alice") // the wait of the pair is lifted too

	for i := range password.HardLimit {
		_, _ = s.browser(address(i)).login("alice", "not this one at all")
	}
	if _, err := s.Unsuspend(t.Context(), alice.ID, command); err != nil {
		t.Fatal(err)
	}
	s.browser(address(200)).mustLogin("alice")
}

func TestLG2_Success_begins_the_count_anew(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	s.add("alice")
	b := s.browser(address(1))
	for range 20 { // 80 failures: fewer than the network may have
		for range password.FreeTries - 1 {
			_, err := b.login("alice", "not this one at all")
			wantCode(t, err, userkeys.InvalidCredentials)
		}
		b.mustLogin("alice")
	}
}

func TestCVE_2025_24806_One_counter_for_every_spelling(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		u := s.add("Alice", func(n *NewUser) { n.Email = "\u00c9lise@Example.org" })
		spellings := []string{
			"Alice", "alice", "ALICE", " alice", "alice \t", "\u00a0alice",
			"\u00e9lise@example.org", "e\u0301lise@example.org", "\u00c9LISE@EXAMPLE.ORG", " E\u0301lise@example.org ",
		}
		for i, name := range spellings {
			_, err := s.browser(address(i)).login(name, "not this one at all")
			wantCode(t, err, userkeys.InvalidCredentials)
			n, _, err := store.Guesses(t.Context(), fmt.Sprint("user:", u.ID))
			if err != nil || n != i+1 {
				t.Errorf("LG3 %q: the account's count is %d, want %d (%v)", name, n, i+1, err)
			}
		}
		for _, name := range spellings {
			if got, err := s.browser(address(99)).login(name, rightPassword); err != nil || got.ID != u.ID {
				t.Errorf("LG3 %q with the right password: user %d, %v", name, got.ID, err)
			}
		}
		// A tag makes another address, which is nobody's: it opens no account.
		_, err := s.browser(address(98)).login("\u00e9lise+tag@example.org", rightPassword)
		wantCode(t, err, userkeys.InvalidCredentials)
	})
}

func TestLG3_Unknown_names_share_a_counter_by_their_canonical_form(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	b := s.browser(address(1))
	for _, name := range []string{"mallory", "MALLORY", " mallory", "mallory ", "Mallory"} {
		_, err := b.login(name, rightPassword)
		wantCode(t, err, userkeys.InvalidCredentials)
	}
	_, err := b.login("malLory", rightPassword)
	wantCode(t, err, userkeys.RateLimited)
	_, err = b.login("mallory2", rightPassword)
	wantCode(t, err, userkeys.InvalidCredentials)
}

func TestCVE_2021_3138_Parallel_tries_do_not_outrun_the_limit(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		alice := s.add("alice")
		burst := func(ip func(int) string) int64 {
			s.hashes.Store(0)
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() { _, _ = s.browser(ip(i)).login("alice", "not this one at all") })
			}
			wg.Wait()
			return s.hashes.Load()
		}
		one := func(int) string { return address(1) }
		if n := burst(one); n > password.FreeTries+1 {
			t.Errorf("LG4 50 at once, none before: %d checked, want at most %d", n, password.FreeTries+1)
		}
		for range password.PairLimit { // up to one below the limit
			n, _, err := store.Guesses(t.Context(), s.pairCounter("alice", address(1)))
			if err != nil || n >= password.PairLimit-1 {
				break
			}
			s.clock.advance(password.MaxWait)
			_, _ = s.browser(address(1)).login("alice", "not this one at all")
		}
		s.clock.advance(password.MaxWait)
		if n := burst(one); n > 1 {
			t.Errorf("LG4 50 at once at the limit - 1: %d checked, want at most 1", n)
		}
		if err := store.ForgetGuesses(t.Context(), fmt.Sprint("user:", alice.ID)); err != nil {
			t.Fatal(err)
		}
		for i := range password.HardLimit - 1 {
			_, _ = s.browser(address(i+2)).login("alice", "not this one at all")
		}
		if n := burst(func(i int) string { return address(120 + i) }); n > 1 {
			t.Errorf("LG4 50 addresses at once at the hard limit - 1: %d checked, want at most 1", n)
		}
	})
}

// frozen is a store whose peeks still tell what was so when it was made: the
// worst that can happen between the peek and the charge of parallel tries on many nodes.
type frozen struct {
	testStore
	guesses map[string]counted
}

func freeze(s *memory) frozen {
	defer s.lock()()
	return frozen{testStore: s, guesses: maps.Clone(s.guesses)}
}

func (s frozen) Guesses(_ context.Context, name string) (int, time.Time, error) {
	return s.guesses[name].n, s.guesses[name].since, nil
}

func TestLG4_Charges_alone_hold_the_limits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before int           // failures of the pair, each after its wait
		pause  time.Duration // between the tries that saw only these
		pairs  int           // how many addresses try
		want   int           // tries let through
	}{
		{"LG4 none before", 0, 0, 1, password.FreeTries},
		{"LG4 within a wait", 10, 0, 1, 1},
		{"LG4 at the limit - 1", password.PairLimit - 1, 0, 1, 1},
		{"LG4 none before, slowly", 0, password.MaxWait, 1, password.PairLimit},
		{"LG4 hard limit", 0, 0, 150, password.HardLimit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			s := newSite(t, store)
			pair := func(i int) password.Guess {
				return password.Guess{Account: "user:1", Pair: fmt.Sprint("pair", i), Wait: fmt.Sprint("wait", i)}
			}
			for range test.before {
				if err := s.guesses.Charge(t.Context(), pair(0)); err != nil {
					t.Fatal(err)
				}
				s.clock.advance(password.MaxWait)
			}
			m := s.node(freeze(store))
			through := 0
			for i := range max(50, test.pairs) {
				if m.guesses.Charge(t.Context(), pair(i%test.pairs)) == nil {
					through++
				}
				s.clock.advance(test.pause)
			}
			if through != test.want {
				t.Errorf("%d let through, want %d", through, test.want)
			}
		})
	}
}

// pairCounter is the counter of what is typed and an address.
func (s *testSite) pairCounter(name, ip string) string {
	s.t.Helper()
	a, err := s.find(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	var g password.Guess
	b := s.browser(ip)
	b.ask(func(r *http.Request) { g, _ = s.guesses.New(r.Context(), s.clientIP(r), name, a) })
	return g.Pair
}

func TestLG5_Counts_outlive_restarts_and_floods_of_names(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		for range password.FreeTries {
			_, _ = s.browser(address(1)).login("alice", "not this one at all")
		}
		for i := range 300 {
			_, _ = s.browser(address(i%200)).login("nobody"+strings.Repeat("x", i), rightPassword)
		}
		s.Accounts = s.node(store) // a restart, or another node
		_, err := s.browser(address(1)).login("alice", rightPassword)
		wantCode(t, err, userkeys.RateLimited)
	})
}

func TestRL5_A_network_of_IPv6_is_one_address(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, a, b string }{
		{"same /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"},
		{"IPv4 in IPv6", "192.0.2.1", "::ffff:192.0.2.1"},
		{"zone", "fe80::1%eth0", "fe80::2"},
	}
	for _, test := range tests {
		if site.Network(test.a) != site.Network(test.b) {
			t.Errorf("%s: %s and %s differ", test.name, site.Network(test.a), site.Network(test.b))
		}
	}
	for _, b := range []string{"2001:db8:1:3::1", "192.0.2.1", "", "unix"} {
		if site.Network("2001:db8:1:2::1") == site.Network(b) {
			t.Errorf("%q is in the same network", b)
		}
	}
}

func TestLG7_At_most_two_hashes_at_once_and_a_bounded_queue(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	var mu sync.Mutex
	running, most := 0, 0
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		running += n
		most = max(most, running)
	}
	open := make(chan struct{})
	s.hasher.Derive = func(_, _ []byte, _ password.Cost, n uint32) []byte {
		count(1)
		defer count(-1)
		<-open
		return make([]byte, n)
	}
	const logins = 200
	answers := make(chan error, logins)
	for i := range logins {
		go func() {
			_, err := s.browser(address(i)).login("user"+address(i), rightPassword)
			answers <- err
		}()
	}
	// Nothing hashes to its end yet: all but those in turn and in the queue are refused.
	for range logins - password.AtOnce - password.Queued {
		if e := wantCode(t, <-answers, userkeys.Unavailable); e.RetryAfter <= 0 {
			t.Errorf("%v does not say when to try again", e)
		}
	}
	close(open)
	for range password.AtOnce + password.Queued {
		wantCode(t, <-answers, userkeys.InvalidCredentials)
	}
	if most != password.AtOnce {
		t.Errorf("%d hashes at once, want %d", most, password.AtOnce)
	}
}

// fillQueue has every turn to hash taken or waited for, until the test ends.
func fillQueue(t *testing.T, s *testSite) {
	t.Helper()
	var waiting sync.WaitGroup
	for range password.AtOnce {
		release, err := s.hasher.Acquire(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range password.Queued {
		waiting.Go(func() { _, _ = s.hasher.Acquire(t.Context(), "") }) // it waits until the test ends
	}
	t.Cleanup(waiting.Wait)
	for full := false; !full; { // a queue with room takes even those who have gone away, for a moment
		time.Sleep(10 * time.Millisecond)
		_, err := s.hasher.Acquire(gone, "")
		full = !errors.Is(err, context.Canceled)
	}
}

func TestLG7_A_refused_login_takes_no_turn(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	s.add("alice")
	for range password.FreeTries {
		_, _ = s.browser(address(1)).login("alice", "not this one at all")
	}
	fillQueue(t, s)
	_, err := s.browser(address(1)).login("alice", rightPassword)
	wantCode(t, err, userkeys.RateLimited)
	// Who finds the queue full has not been looked at, and pays no try.
	_, err = s.browser(address(2)).login("alice", rightPassword)
	wantCode(t, err, userkeys.Unavailable)
	if n, _, _ := store.Guesses(t.Context(), s.pairCounter("alice", address(2))); n != 0 {
		t.Errorf("charged %d tries", n)
	}
}

// Failing a hundred times from elsewhere stops strangers, and not the owner
// where they are at home.
func TestLG2_Nobody_locks_an_owner_out(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		home := s.browser(address(1))
		home.mustLogin("alice")
		for i := range password.HardLimit {
			_, _ = s.browser(fmt.Sprintf("198.51.100.%d", i)).login("alice", "not this one at all")
		}
		_, err := s.browser(address(2)).login("alice", rightPassword)
		wantCode(t, err, userkeys.RateLimited)
		home.mustLogin("alice")
		_, err = s.browser(address(2)).login("alice", rightPassword)
		wantCode(t, err, userkeys.RateLimited) // her own success tells nothing of who tries elsewhere
	})
}

// One network does not try one password on every name, nor take every turn.
func TestLG7_One_network_has_its_share(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory())
	s.add("alice")
	for i := range password.NetworkLimit {
		_, err := s.browser("203.0.113.9").login(fmt.Sprintf("nobody%d", i), "Winter2026!")
		if code := userkeys.AsError(err).Code; code != userkeys.InvalidCredentials && code != userkeys.RateLimited {
			t.Fatal(err)
		}
	}
	_, err := s.browser("203.0.113.9").login("alice", rightPassword)
	wantCode(t, err, userkeys.RateLimited)
	s.browser(address(1)).mustLogin("alice")
	s.clock.advance(password.NetworkWindow)
	s.browser("203.0.113.9").mustLogin("alice")
}

func TestInvented_names_share_counters(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	seen := make(map[string]bool)
	for i := range 6_000 {
		g := password.Guess{}
		s.browser(address(1)).ask(func(r *http.Request) {
			g, _ = s.guesses.New(r.Context(), s.clientIP(r), fmt.Sprint("name", i), site.Account{})
		})
		seen[g.Account] = true
		if len(g.Account) != len("name:")+4 {
			t.Fatalf("the counter of an invented name is %s", g.Account)
		}
	}
	if len(seen) < 5_000 {
		t.Errorf("%d counters for 6,000 invented names", len(seen))
	}
}
