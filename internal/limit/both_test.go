package limit_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/limit"
)

// Two memories that agree with two memories asked one after the other, the
// second only if the first agrees, and the first asked again on a copy: the
// model is two logs of accepted times.
func TestTakeBothAgreesWithTwoLogs(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		keys, users := newShard(0), newMemory(0)
		kl := limit.Limits{Minute: r.IntN(6) + 1, Day: 1000}
		ul := limit.Limits{Minute: r.IntN(12) + 1, Day: 1000}
		key := map[int64]*trimmed{}
		user := map[int64]*trimmed{}
		now := epoch
		for range 300 {
			now = now.Add(time.Duration(r.IntN(8_000)) * time.Millisecond)
			k := int64(r.IntN(4) + 1)
			u := (k + 1) / 2 // two users with two keys each
			if key[k] == nil {
				key[k] = &trimmed{}
			}
			if user[u] == nil {
				user[u] = &trimmed{}
			}
			key[k].minute, user[u].minute = trim(key[k].minute, now.UnixNano()-60e9), trim(user[u].minute, now.UnixNano()-60e9)
			want := len(key[k].minute) < kl.Minute && len(user[u].minute) < ul.Minute
			d, second := takeBoth(keys, k, kl, &limit.Other{Memory: users, ID: u, Limits: ul}, now)
			if d.OK != want {
				t.Fatalf("%+v, want %v: key %d of %d, user %d of %d", d, want, len(key[k].minute), kl.Minute, len(user[u].minute), ul.Minute)
			}
			if d.OK {
				key[k].minute, user[u].minute = append(key[k].minute, now.UnixNano()), append(user[u].minute, now.UnixNano())
				continue
			}
			if byUser := len(user[u].minute) >= ul.Minute; second && !byUser || !second && len(key[k].minute) < kl.Minute {
				t.Fatalf("the refusal names the wrong account: second %v", second)
			}
			wait := waitOf(key[k].minute, kl.Minute, now)
			if w := waitOf(user[u].minute, ul.Minute, now); w > wait {
				wait = w
			}
			if d.RetryAfter != wait {
				t.Fatalf("wait %v, want %v", d.RetryAfter, wait)
			}
		}
	}
}

func takeBoth(keys *shard, key int64, l limit.Limits, o *limit.Other, now time.Time) (limit.Decision, bool) {
	keys.Lock()
	defer keys.Unlock()
	at := keys.Begin(now)
	a, _ := keys.findOrAdd(key, at)
	return keys.TakeBoth(a, at, l, o)
}

func waitOf(log []int64, most int, now time.Time) time.Duration {
	if len(log) < most {
		return 0
	}
	return time.Duration(log[len(log)-most] + 60e9 - now.UnixNano())
}

func TestTakeBothChargesNeitherIfOneRefuses(t *testing.T) {
	t.Parallel()
	keys, users := newShard(0), newMemory(0)
	take := func(k int64, kl, ul limit.Limits) (limit.Decision, bool) {
		return takeBoth(keys, k, kl, &limit.Other{Memory: users, ID: 1, Limits: ul}, epoch)
	}
	three := limit.Limits{Minute: 3, Day: 100}
	for range 3 {
		if d, _ := take(1, three, usual); !d.OK {
			t.Fatal("refused too early")
		}
	}
	for range 50 { // the key is used up: the user pays nothing for it
		if d, second := take(1, three, usual); d.OK || second {
			t.Fatalf("%+v %v", d, second)
		}
	}
	if got := takeMany(users, 1, 100, epoch, usual); got != usual.Minute-3 {
		t.Errorf("the user had %d left, want %d", got, usual.Minute-3)
	}
	for range 50 { // and now the user is: a fresh key pays nothing
		if d, second := take(2, three, usual); d.OK || !second || d.Window != limit.Minute {
			t.Fatalf("%+v %v", d, second)
		}
	}
	if got := takeMany(keys, 2, 100, epoch, three); got != 3 {
		t.Errorf("the fresh key had %d left", got)
	}
	for _, tt := range []struct {
		name   string
		kl, ul limit.Limits
		second bool
		window limit.Window
	}{
		{"the key's is zero", limit.Limits{Day: 1}, usual, false, limit.Minute},
		{"the user's is zero", usual, limit.Limits{Minute: 1}, true, limit.Day},
		{"both are, and the day is longer", limit.Limits{Day: 1}, limit.Limits{}, true, limit.Day},
	} {
		if d, second := take(9, tt.kl, tt.ul); d.OK || second != tt.second || d.Window != tt.window {
			t.Errorf("%s: %+v %v", tt.name, d, second)
		}
	}
}

// Ten keys of one user at once: exactly the user's limit passes.
func TestRL7ManyKeysOfAUserAtOnce(t *testing.T) {
	t.Parallel()
	keys, users := newShard(0), newMemory(0)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for k := range int64(10) {
		for range 4 {
			wg.Go(func() {
				for range 20 {
					d, _ := takeBoth(keys, k+1, usual,
						&limit.Other{Memory: users, ID: 1, Limits: limit.Limits{Minute: 120, Day: 1000}}, epoch)
					if d.OK {
						passed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := passed.Load(); n != 120 {
		t.Errorf("%d passed, want 120", n)
	}
}

func BenchmarkTakeBoth(b *testing.B) {
	keys, users := newShard(0), newMemory(0)
	now := epoch
	other := limit.Other{Memory: users, ID: 1, Limits: usual}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(30 * time.Second)
		if d, _ := takeBoth(keys, 1, usual, &other, now); !d.OK && i < 2000 {
			b.Fatal(d)
		}
	}
}
