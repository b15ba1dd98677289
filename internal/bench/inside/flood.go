package inside

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/minimum"
	"userkeys/internal/bench/table"
	"userkeys/internal/keycheck"
	"userkeys/site"
)

// A flood is requests with unknown keys whose checksums are right, so that only the database can tell that they are
// unknown, at a site whose database takes a while for each.
const (
	attackers    = 256
	inventedKeys = 100_000 // more than a site remembers as unknown
	lookUpTakes  = 2 * time.Millisecond
)

// slowStore counts the look-ups that are under way.
type slowStore struct {
	keyset.Memory
	slow      atomic.Bool
	now, most atomic.Int64
	all       atomic.Int64
}

// KeyByHash looks a key up as a database would.
func (s *slowStore) KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	if s.slow.Load() {
		s.all.Add(1)
		now := s.now.Add(1)
		for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
		}
		time.Sleep(lookUpTakes)
		s.now.Add(-1)
	}
	return s.Memory.KeyByHash(ctx, h)
}

// flood is a site that everybody else goes on using during a flood.
type flood struct {
	store    *slowStore
	checks   *keycheck.Checker
	keys     keyset.Keys
	invented keyset.Keys
	next     atomic.Int64 // of invented
	rng      *rand.Rand
}

// Flood measures how many look-ups of unknown keys are under way at once, and what a check of a known key costs
// meanwhile.
func Flood(ctx context.Context, p Plan) ([]table.Line, error) {
	f := &flood{
		keys: keyset.New(p.Few), invented: keyset.New(min(inventedKeys, 100*p.Many)), rng: rand.New(rand.NewPCG(1, 2)),
	}
	f.store = &slowStore{}
	f.store.Table, f.store.Settings = minimum.New(f.keys.Len(), f.keys.Text), keyset.Raised
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		return nil, err
	}
	f.checks, err = keycheck.New(ctx, keycheck.Config{Store: f.store, Catalog: catalog, Logger: logger(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	if err := keyset.Warm(ctx, f.checks, f.keys); err != nil {
		return nil, err
	}
	f.store.slow.Store(true)
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = f.checks.Run(ctx) })
	ratios, err := f.measure(ctx, p)
	stop()
	wg.Wait()
	if err := errors.Join(err, runErr); err != nil {
		return nil, err
	}
	most := float64(f.store.most.Load())
	return []table.Line{
		{
			What: "look-ups of unknown keys at once, in a flood of them",
			Got:  strconv.FormatFloat(most, 'f', 0, 64), Value: most, Goal: 64,
		},
		table.Of("check of a known key in that flood / without it", bench.NewSpread(ratios), 1.05),
	}, nil
}

// measure measures blocks of two turns without a flood and two with one.
func (f *flood) measure(ctx context.Context, p Plan) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ratios []float64
	for range p.Blocks {
		before, err1 := f.spend(ctx, p.Checks)
		end := f.begin(ctx)
		flooded, err2 := f.spend(ctx, 2*p.Checks)
		err3 := end()
		after, err4 := f.spend(ctx, p.Checks)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		ratios = append(ratios, float64(flooded)/float64(before+after))
	}
	return ratios, nil
}

// spend returns the CPU time of n checks on this thread.
func (f *flood) spend(ctx context.Context, n int) (time.Duration, error) {
	before, err := bench.ThreadCPU()
	if err != nil {
		return 0, err
	}
	for range n {
		if _, err := f.checks.Check(ctx, keyset.Call(f.keys.Text(f.rng.IntN(f.keys.Len())))); err != nil {
			return 0, err
		}
	}
	after, err := bench.ThreadCPU()
	return after - before, err
}

// begin begins a flood and returns when the database has as much to do as it will get. The result ends it.
func (f *flood) begin(ctx context.Context) (end func() error) {
	ctx, stop := context.WithCancel(ctx)
	errs := make([]error, attackers)
	var wg sync.WaitGroup
	full := f.store.all.Load() + attackers
	for i := range attackers {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				key := f.invented.Text(int(f.next.Add(1)) % f.invented.Len())
				_, err := f.checks.Check(ctx, keyset.Call(key))
				if !errors.Is(err, userkeys.InvalidAccess) && !errors.Is(err, userkeys.Unavailable) {
					errs[i] = errors.Join(errors.New("an unknown key was not refused"), err)
				}
			}
		})
	}
	for f.store.all.Load() < full && ctx.Err() == nil {
		time.Sleep(lookUpTakes)
	}
	return func() error {
		stop()
		wg.Wait()
		return errors.Join(errs...)
	}
}
