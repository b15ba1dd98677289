package authority_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
	"userkeys/store"
)

// shelf is a store of many keys that costs no memory: every well-formed key
// is somebody's. Only checks are asked of it.
type shelf struct {
	authority.Store
	noUserLimits bool
}

func (shelf) Changes(context.Context, site.Mark) (site.Changes, error) {
	return site.Changes{}, nil
}
func (shelf) OnChange(func(site.Changes)) {}

func (s shelf) SettingValues(context.Context) (map[string]string, error) {
	values := map[string]string{
		"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "10000000",
		"max_user_api_reqs_per_user_per_minute": "10000", "max_user_api_reqs_per_user_per_day": "10000000",
	}
	if s.noUserLimits {
		values["max_user_api_reqs_per_user_per_minute"], values["max_user_api_reqs_per_user_per_day"] = "0", "0"
	}
	return values, nil
}
func (shelf) RecordUses(context.Context, []site.KeyUse) error { return nil }

func (shelf) KeyByHash(_ context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	id := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16 | int64(h[3])<<24 | int64(h[4])<<32
	return site.StoredKey{
		UserAPIKey: site.UserAPIKey{ID: id, UserID: id, ClientID: fmt.Sprintf("%032x", id), Hash: h, Scopes: userkeys.Scopes{"read"}},
		Owner:      site.User{ID: id, Username: fmt.Sprintf("user%d", id), TrustLevel: 1, Active: true},
	}, nil
}

// onShelf is the configuration of an authority whose keys are on st.
func onShelf(st shelf, change ...func(*authority.Config)) authority.Config {
	put := func(c *authority.Config) { c.Store = st }
	return authority.ConfigOf(new(store.Store), append([]func(*authority.Config){put}, change...)...)
}

func newShelf(tb testing.TB) *authority.Authority {
	tb.Helper()
	a, err := authority.New(tb.Context(), onShelf(shelf{}))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func newKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = userkeys.NewKey("").Reveal()
	}
	return keys
}

func mustCheckAll(tb testing.TB, a *authority.Authority, keys []string) {
	tb.Helper()
	for _, k := range keys {
		if _, err := a.Check(tb.Context(), site.Call{Key: k, Method: "GET", Path: "/posts.json"}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	a := newShelf(t)
	keys := append(newKeys(1), userkeys.NewKey("abc").Reveal())
	ctx := t.Context()
	for _, k := range keys {
		c := site.Call{Key: k, Method: "GET", Path: "/posts.json"}
		for range 4000 { // let the minute window grow to its size
			if _, err := a.Check(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(1000, func() { _, _ = a.Check(ctx, c) }); n != 0 {
			t.Errorf("%v allocations for a key of %d characters", n, len(k))
		}
	}
}

// The heap that a cached and limited key may cost after one call, in bytes:
// alone, and with the windows of an owner who has no other key.
const (
	memoryGoal      = 300
	memoryGoalOwner = 400
)

func TestMemoryPerKey(t *testing.T) {
	if testing.Short() {
		t.Skip("short: measures 40,000 keys")
	}
	for _, tt := range []struct {
		name string
		st   shelf
		goal float64
	}{
		{"the key alone", shelf{noUserLimits: true}, memoryGoal},
		{"with its owner", shelf{}, memoryGoalOwner},
	} {
		t.Run(tt.name, func(t *testing.T) { measureMemory(t, tt.st, tt.goal) })
	}
}

func measureMemory(t *testing.T, st shelf, goal float64) {
	const n = 40_000
	now := time.Now() // which stands still, so that no window ends while keys are counted
	a, err := authority.New(t.Context(), onShelf(st, func(c *authority.Config) { c.Now = func() time.Time { return now } }))
	if err != nil {
		t.Fatal(err)
	}
	keys := newKeys(n)
	before := liveHeap()
	mustCheckAll(t, a, keys)
	perKey := float64(liveHeap()-before) / n
	t.Logf("%.0f bytes of heap per cached and limited key", perKey)
	if perKey > goal {
		t.Errorf("%.0f bytes per key, want at most %.0f", perKey, goal)
	}
	if s := a.Statistics(); s.Keys != n || !st.noUserLimits && s.Users != n {
		t.Errorf("held: %+v", s)
	}
	runtime.KeepAlive(keys)
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The cache is bounded: what does not fit is looked up again.
func TestCacheIsBounded(t *testing.T) {
	const bound = 12_800
	a, err := authority.New(t.Context(), onShelf(shelf{}, func(c *authority.Config) { c.MaxKeys = bound }))
	if err != nil {
		t.Fatal(err)
	}
	keys := newKeys(5 * bound)
	mustCheckAll(t, a, keys[:bound])
	mustCheckAll(t, a, keys[:bound])
	for _, k := range keys { // refusals by the bounded limiter are fine, other errors are not
		_, err := a.Check(t.Context(), site.Call{Key: k, Method: "GET", Path: "/posts.json"})
		if err != nil && userkeys.AsError(err).Code != userkeys.RateLimited {
			t.Fatal(err)
		}
	}
	if s := a.Statistics(); s.Keys > bound+bound/8+64*64 {
		t.Errorf("%d keys cached, bound %d", s.Keys, bound)
	}
}

// BenchmarkCheck is the bare decision: one microsecond at 1,000 keys is the goal.
func BenchmarkCheck(b *testing.B) { benchmarkCheck(b, shelf{noUserLimits: true}) }

// BenchmarkCheckUserLimits is the same where the keys of a user share a limit too, as sites have it by default.
func BenchmarkCheckUserLimits(b *testing.B) { benchmarkCheck(b, shelf{}) }

func benchmarkCheck(b *testing.B, st shelf) {
	for _, n := range []int{1, 1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			// Each key stays below its minute, so the clock must run fast when there are few.
			now := time.Now()
			a, err := authority.New(b.Context(), onShelf(st, func(c *authority.Config) { c.Now = func() time.Time { return now } }))
			if err != nil {
				b.Fatal(err)
			}
			keys := newKeys(n)
			mustCheckAll(b, a, keys)
			order := make([]uint32, 1<<16)
			for i := range order {
				order[i] = rand.Uint32N(uint32(n))
			}
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(20 * time.Millisecond)
				if _, err := a.Check(ctx, site.Call{Key: keys[order[i&(1<<16-1)]], Method: "GET", Path: "/posts.json"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
