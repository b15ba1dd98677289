package authority

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/jobs"
	"userkeys/internal/testkit/dbtest"
	"userkeys/store"
)

// purges counts clean-ups, which may be cut off.
type purges struct {
	*store.Store
	count *atomic.Int64
	fail  *atomic.Bool
}

func (p purges) Purge(ctx context.Context, at time.Time) error {
	p.count.Add(1)
	if p.fail.Load() {
		return errors.New("the machine stops")
	}
	return p.Store.Purge(ctx, at)
}

// TestCleanUpIsOneNodes: of several nodes one cleans up, each hour; if it cannot, another does soon.
func TestCleanUpIsOneNodes(t *testing.T) {
	t.Parallel()
	st := dbtest.SQLite(t)
	var count atomic.Int64
	var fail atomic.Bool
	now := time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)
	var nodes []*Authority
	for range 3 {
		a, err := New(t.Context(), ConfigOf(st, func(c *Config) {
			c.Store, c.Now = purges{st, &count, &fail}, func() time.Time { return now }
		}))
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, a)
	}
	look := func(pass time.Duration, want int64, well bool) {
		t.Helper()
		now = now.Add(pass)
		var all sync.WaitGroup
		var failed atomic.Int64
		for _, a := range nodes {
			all.Go(func() {
				if (jobs.Runner{Store: a.store, Now: a.now}).RunIfDue(t.Context(), jobs.Job{Name: "clean-up", Every: cleanUpInterval, Do: a.CleanUp}) != nil {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if n := count.Load(); n != want || (failed.Load() == 0) != well {
			t.Errorf("at %v: %d clean-ups, want %d; %d failed", now, n, want, failed.Load())
		}
	}
	look(0, 1, true)
	look(50*time.Minute, 1, true)
	fail.Store(true)
	look(10*time.Minute, 2, false)
	fail.Store(false)
	look(9*time.Minute, 2, true) // whoever took it may still be at it
	look(time.Minute, 3, true)
	look(59*time.Minute, 3, true)
	look(time.Minute, 4, true)
}
