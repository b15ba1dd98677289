package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"userkeys/authority"
	"userkeys/internal/bench"
	"userkeys/site"
)

// measureDecision measures the check alone, without HTTP.
func measureDecision(ctx context.Context, p plan) ([]line, error) {
	dir, err := os.MkdirTemp("", "userkeys-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	heap, err := heapPerKey(ctx, order{keys: newKeys(p.cached), dir: dir})
	if err != nil {
		return nil, err
	}
	statements, err := statementsPerRequest(ctx, order{keys: newKeys(100), dir: dir})
	if err != nil {
		return nil, err
	}
	keys := newKeys(p.few)
	a, err := inMemory(ctx, order{keys: keys, dir: dir}, plenty)
	if err != nil {
		return nil, err
	}
	if err := warm(ctx, a, keys); err != nil {
		return nil, err
	}
	cost, allocs, err := decisionCost(ctx, a, keys, p)
	if err != nil {
		return nil, err
	}
	return []line{
		{
			what: "the decision alone, 1,000 keys", got: fmt.Sprintf("%.0f/%.0f/%.0f ns CPU", cost.Min, cost.Median, cost.Max),
			value: cost.Median, goal: 1000, unit: "ns",
		},
		{
			what: "allocations of an accepted request's decision", got: fmt.Sprintf("%.3f", allocs),
			value: float64(int(allocs + 0.5)), goal: 0,
		},
		{
			what: "SQL statements of an accepted request, steady state", got: fmt.Sprint(statements), value: statements,
			goal: 0,
		},
		{
			what: "heap per key and owner, cached and limited, after one call", got: fmt.Sprintf("%.0f B", heap), value: heap,
			goal: 400, unit: "B",
		},
	}, nil
}

// decisionCost measures the CPU time and the allocations of checking a random key.
func decisionCost(ctx context.Context, a *authority.Authority, keys keyList, p plan) (bench.Spread, float64, error) {
	texts := make([]string, keys.len())
	for i := range texts {
		texts[i] = string(keys.text(i))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var costs []float64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range p.Blocks {
		began, err := bench.ProcessCPU(os.Getpid())
		if err != nil {
			return bench.Spread{}, 0, err
		}
		for range p.checks {
			call := site.Call{Key: texts[rng.IntN(len(texts))], Method: "GET", Path: requestPath}
			if _, err := a.Check(ctx, call); err != nil {
				return bench.Spread{}, 0, err
			}
		}
		ended, err := bench.ProcessCPU(os.Getpid())
		if err != nil {
			return bench.Spread{}, 0, err
		}
		costs = append(costs, float64(ended-began)/float64(p.checks))
	}
	runtime.ReadMemStats(&after)
	return bench.NewSpread(costs), float64(after.Mallocs-before.Mallocs) / float64(p.checks*p.Blocks), nil
}

// heapPerKey measures the memory that a key and its owner take in the cache after the key was used.
func heapPerKey(ctx context.Context, o order) (float64, error) {
	n := o.keys.len()
	a, err := inMemory(ctx, o, plenty)
	if err != nil {
		return 0, err
	}
	before := heapInUse()
	if err := warm(ctx, a, o.keys); err != nil {
		return 0, err
	}
	per := float64(heapInUse()-before) / float64(n)
	if got := a.Statistics(); got.Keys != n || got.Users != n {
		return 0, fmt.Errorf("%d keys and %d users are held, want %d of both", got.Keys, got.Users, n)
	}
	return per, nil
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // the second one sweeps what the first has marked
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// statementsPerRequest counts the statements that the store runs while known keys are checked on SQLite. The clock
// stands still, so that no background work runs meanwhile.
func statementsPerRequest(ctx context.Context, o order) (float64, error) {
	st, err := openStore(ctx, o.dir)
	if err != nil {
		return 0, err
	}
	if err := grantAll(ctx, st, o.keys); err != nil {
		return 0, err
	}
	now := time.Now()
	cfg := authority.Config{Store: st}
	cfg.Pinned, cfg.Now = plenty, func() time.Time { return now }
	a, err := newAuthority(ctx, cfg)
	if err != nil {
		return 0, err
	}
	if err := warm(ctx, a, o.keys); err != nil {
		return 0, err
	}
	const rounds = 50
	before := st.Statements()
	for range rounds {
		if err := warm(ctx, a, o.keys); err != nil {
			return 0, err
		}
	}
	return float64(st.Statements()-before) / float64(rounds*o.keys.len()), nil
}
