package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/bench"
)

// measureDecision: the check alone, without HTTP.
func measureDecision(ctx context.Context, o bench.Options) ([]line, error) {
	heap, err := heapPerKey(ctx)
	if err != nil {
		return nil, err
	}
	statements, err := statementsPerRequest(ctx)
	if err != nil {
		return nil, err
	}
	keys := newKeys(1000)
	a, err := inMemory(ctx, keys, plenty, nil)
	if err != nil {
		return nil, err
	}
	if err := warm(ctx, a, keys); err != nil {
		return nil, err
	}
	cost, allocs, err := decisionCost(ctx, a, keys, o.Blocks)
	if err != nil {
		return nil, err
	}
	return []line{
		{what: "the decision alone, 1,000 keys", got: fmt.Sprintf("%.0f/%.0f/%.0f ns CPU", cost.Min, cost.Median, cost.Max), value: cost.Median, goal: 1000, unit: "ns"},
		{what: "allocations of an accepted request's decision", got: fmt.Sprintf("%.3f", allocs), value: float64(int(allocs + 0.5)), goal: 0},
		{what: "SQL statements of an accepted request, steady state", got: fmt.Sprint(statements), value: statements, goal: 0},
		{what: "heap per cached and limited key after one call", got: fmt.Sprintf("%.0f B", heap), value: heap, goal: 300, unit: "B"},
	}, nil
}

// decisionCost is the CPU time of a check of a random key, and its allocations.
func decisionCost(ctx context.Context, a *authority.Authority, keys keyList, rounds int) (bench.Spread, float64, error) {
	const n = 200_000
	texts := make([]string, keys.len())
	for i := range texts {
		texts[i] = string(keys.text(i))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var costs []float64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		began, err := bench.ProcessCPU(os.Getpid())
		if err != nil {
			return bench.Spread{}, 0, err
		}
		for range n {
			call := userkeys.Call{Key: texts[rng.IntN(len(texts))], Method: "GET", Path: requestPath}
			if _, err := a.Check(ctx, call); err != nil {
				return bench.Spread{}, 0, err
			}
		}
		ended, err := bench.ProcessCPU(os.Getpid())
		if err != nil {
			return bench.Spread{}, 0, err
		}
		costs = append(costs, float64(ended-began)/n)
	}
	runtime.ReadMemStats(&after)
	return bench.NewSpread(costs), float64(after.Mallocs-before.Mallocs) / float64(n*rounds), nil
}

// heapPerKey is what a key costs to remember once it was used.
func heapPerKey(ctx context.Context) (float64, error) {
	const n = 200_000
	keys := newKeys(n)
	// All keys here are one user's, who could not use so many.
	a, err := inMemory(ctx, keys, map[string]string{"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0"}, nil)
	if err != nil {
		return 0, err
	}
	before := heapInUse()
	if err := warm(ctx, a, keys); err != nil {
		return 0, err
	}
	per := float64(heapInUse()-before) / n
	if got := a.Statistics(); got.CachedKeys != n || got.LimitedKeys != n {
		return 0, fmt.Errorf("%d keys are cached and %d limited, want %d", got.CachedKeys, got.LimitedKeys, n)
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

// statementsPerRequest counts what the store is asked while known keys are
// checked on SQLite. The clock stands, so nothing of the background runs meanwhile.
func statementsPerRequest(ctx context.Context) (per float64, err error) {
	dir, err := os.MkdirTemp("", "userkeys-bench-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st, err := openStore(ctx, dir)
	if err != nil {
		return 0, err
	}
	keys := newKeys(100)
	if err := grantAll(ctx, st, keys); err != nil {
		return 0, err
	}
	now := time.Now()
	a, err := authority.New(ctx, authority.Config{Store: st, Pinned: plenty, Now: func() time.Time { return now }})
	if err != nil {
		return 0, err
	}
	if err := warm(ctx, a, keys); err != nil {
		return 0, err
	}
	const rounds = 50
	before := st.Statements()
	for range rounds {
		if err := warm(ctx, a, keys); err != nil {
			return 0, err
		}
	}
	return float64(st.Statements()-before) / float64(rounds*keys.len()), nil
}
