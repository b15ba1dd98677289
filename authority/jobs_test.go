package authority_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userkeys/authority"
	"userkeys/store"
	"userkeys/store/storetest"
)

// purges counts clean-ups, of which the first may be cut off.
type purges struct {
	*store.Store
	count *atomic.Int64
	fail  *atomic.Bool
}

func (p purges) Purge(ctx context.Context, at time.Time) error {
	p.count.Add(1)
	if p.fail.Load() {
		return context.DeadlineExceeded
	}
	return p.Store.Purge(ctx, at)
}

// TestCleanUpIsOneNodes: of several nodes one cleans up, each hour; if it cannot, another does soon.
func TestCleanUpIsOneNodes(t *testing.T) {
	t.Parallel()
	st := storetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		var count atomic.Int64
		var fail atomic.Bool
		ctx, stop := context.WithCancel(t.Context())
		for range 3 {
			a, err := authority.New(ctx, authority.Config{Store: purges{st, &count, &fail}})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = a.Run(ctx) }()
		}
		pass := func(d time.Duration, want int64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := count.Load(); n != want {
				t.Errorf("%d clean-ups, want %d", n, want)
			}
		}
		pass(time.Minute, 1)
		pass(50*time.Minute, 1)
		fail.Store(true)
		pass(15*time.Minute, 2)
		fail.Store(false)
		pass(15*time.Minute, 3)
		pass(45*time.Minute, 3)
		pass(15*time.Minute, 4)
		stop()
		synctest.Wait()
	})
}
