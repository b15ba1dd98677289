package limit_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/limit"
)

// race lets goroutines take from one key at once and tells how many passed.
func race(m taker, goroutines, takes int, l limit.Limits, now func() time.Time) int {
	var passed atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range goroutines {
		wg.Go(func() {
			<-start
			passed.Add(int64(takeMany(m, 1, takes, now(), l)))
		})
	}
	close(start)
	wg.Wait()
	return int(passed.Load())
}

// The limiter that looked first and counted later let a burst through.
func TestRL1ParallelTakesPassExactlyTheLimit(t *testing.T) {
	t.Parallel()
	t.Run("RL1 200 at once with limit 20", func(t *testing.T) {
		t.Parallel()
		for range 50 {
			if n := race(newMemory(0), 200, 1, usual, time.Now); n != 20 {
				t.Fatalf("%d passed, want 20", n)
			}
		}
	})
	t.Run("1000 random races", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			l := limit.Limits{Minute: r.IntN(50) + 1, Day: r.IntN(50) + 1}
			goroutines, takes := r.IntN(15)+2, r.IntN(10)+1
			want := min(l.Minute, l.Day, goroutines*takes)
			if n := race(newMemory(0), goroutines, takes, l, time.Now); n != want {
				t.Fatalf("%d of %d passed with %+v, want %d", n, goroutines*takes, l, want)
			}
		}
	})
}

// Every method at once over more keys than there is room for, for the race detector.
func TestAllMethodsAtOnce(t *testing.T) {
	t.Parallel()
	m := newShard(300)
	l := limit.Limits{Minute: 5, Day: 50}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(g)))
			now := epoch
			for range 5000 {
				id := r.Int64N(1000)
				now = now.Add(time.Duration(r.Int64N(int64(time.Minute))))
				if !m.Known(id) {
					if err := m.Restore(id, m.Day(id, now), now); err != nil {
						t.Error(err)
					}
				}
				m.Take(id, now, l)
			}
		})
	}
	wg.Wait()
	if n := m.Len(); n > 300 || n == 0 {
		t.Errorf("%d keys, at most 300", n)
	}
}
