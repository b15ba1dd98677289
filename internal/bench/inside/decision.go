// Package inside measures what can be measured without HTTP, in the process of the bench: checks beside the least that
// one can be, a flood of unknown keys, and grants.
package inside

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"userkeys"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/minimum"
	"userkeys/internal/bench/table"
	"userkeys/internal/keycheck"
)

// Plan says how much is measured.
type Plan struct {
	Blocks          int
	Checks          int  // how many checks are timed together
	Few, Many, Most int  // keys of a usual site, of one with many keys, and of the greatest
	Long            bool // measure that with most, too
}

// callsAMinute is how often each key is used by the clock of a decision, whose limits are those that are shipped.
const callsAMinute = 4

// A decision is the check without HTTP, beside the least work that one can be. Its clock stands still but for
// the steps that it is moved by.
type decision struct {
	keys    keyset.Keys
	store   *keyset.Memory
	checks  *keycheck.Checker
	now     time.Time
	step    time.Duration // between two calls
	rng     *rand.Rand
	calls   int     // of checks since the day began
	heap    float64 // of a key with its owner
	maxKeys int
}

// newDecision makes a site that knows n keys, all of which were used once, and whose settings are as shipped but for
// some.
func newDecision(ctx context.Context, n int, settings map[string]string) (*decision, error) {
	d := &decision{
		keys: keyset.New(n), now: time.Now(), step: time.Minute / time.Duration(callsAMinute*n),
		rng: rand.New(rand.NewPCG(1, 2)), maxKeys: max(defaultMaxKeys, n+n/5),
	}
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		return nil, err
	}
	d.store = &keyset.Memory{Table: minimum.New(n, d.keys.Text), Settings: settings}
	before := heapInUse()
	d.checks, err = keycheck.New(ctx, keycheck.Config{
		Store: d.store, Catalog: catalog, MaxKeys: d.maxKeys, Logger: logger(), Now: func() time.Time { return d.now },
	})
	if err != nil {
		return nil, err
	}
	if err := keyset.Warm(ctx, d.checks, d.keys); err != nil {
		return nil, err
	}
	d.heap = float64(heapInUse()-before) / float64(n)
	if got := d.checks.Statistics(); got.Keys != n {
		return nil, fmt.Errorf("%d keys are in memory, want %d", got.Keys, n)
	}
	return d, nil
}

// defaultMaxKeys is how many keys a site keeps in memory if nothing else is said.
const defaultMaxKeys = 2_000_000

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // the second one sweeps what the first has marked
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// leastCheck does the least that the check of a key can be.
func (d *decision) leastCheck(key string) error {
	if !d.store.Table.Check(key, d.now) {
		return errors.New("the minimum refuses a key")
	}
	return nil
}

// spend returns the CPU time of n calls of check with a random key each.
func (d *decision) spend(n int, check func(key string) error) (time.Duration, error) {
	return spend(func() error {
		for range n {
			d.now = d.now.Add(d.step)
			if err := check(d.keys.Text(d.rng.IntN(d.keys.Len()))); err != nil {
				return err
			}
		}
		return nil
	})
}

// spend returns the CPU time of f.
func spend(f func() error) (time.Duration, error) {
	before, err := bench.ProcessCPU(os.Getpid())
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := bench.ProcessCPU(os.Getpid())
	return after - before, err
}

// newDay moves the clock to another day if n more calls could reach the limit of one.
func (d *decision) newDay(n int) {
	const most = 2500 // a key, on average; 2,880 are allowed
	if d.calls += n; d.calls > most*d.keys.Len() {
		d.calls, d.now = n, d.now.Add(25*time.Hour)
	}
}

// costs is what blocks of a decision cost.
type costs struct {
	check, least []float64 // nanoseconds
	ratio        []float64 // of check to least
	write        []float64 // of a last use, to the check of its key
}

// measure measures blocks of two turns of each kind of check, in the order A B B A, and how long the uses of each
// block then take to be written.
func (d *decision) measure(ctx context.Context, p Plan) (costs, error) {
	checkKey := func(key string) error {
		_, err := d.checks.Check(ctx, keyset.Call(key))
		return err
	}
	var c costs
	for block := range p.Blocks {
		d.newDay(2 * p.Checks)
		runtime.GC()
		least, err1 := d.spend(p.Checks, d.leastCheck)
		check, err2 := d.spend(p.Checks, checkKey)
		again, err3 := d.spend(p.Checks, checkKey)
		leastAgain, err4 := d.spend(p.Checks, d.leastCheck)
		uses := d.store.Uses.Load()
		write, err5 := spend(func() error { return d.checks.Flush(ctx) })
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			return c, err
		}
		n := float64(2 * p.Checks)
		c.check = append(c.check, float64(check+again)/n)
		c.least = append(c.least, float64(least+leastAgain)/n)
		c.ratio = append(c.ratio, float64(check+again)/float64(least+leastAgain))
		written := float64(d.store.Uses.Load() - uses)
		c.write = append(c.write, float64(write)/written/c.check[block])
	}
	return c, nil
}

// sizes are how many keys a decision has, and the goals.
func sizes(p Plan) []size {
	s := []size{{p.Few, "1,000 keys", 3}, {p.Many, "1,000,000 random keys", 3}}
	if p.Long {
		s = append(s, size{p.Most, "10,000,000 random keys", 3.5})
	}
	return s
}

type size struct {
	n    int
	what string
	goal float64
}

// Decision compares the check without HTTP with the least that one can be.
func Decision(ctx context.Context, p Plan) ([]table.Line, error) {
	// Checks allocate nothing, but ten million keys would be made in a heap of twice their size.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var lines []table.Line
	for _, s := range sizes(p) {
		d, err := newDecision(ctx, s.n, nil)
		if err != nil {
			return lines, err
		}
		c, err := d.measure(ctx, p)
		if err != nil {
			return lines, err
		}
		lines = append(lines, d.line(s, c))
		if s.n == p.Many {
			lines = append(lines,
				table.Of("writing the last use of a key, "+s.what+" / its check", bench.NewSpread(c.write), 0.33),
				heapLine("heap for a key in use with its owner", d, 310))
		}
	}
	alone, err := newDecision(ctx, p.Many, map[string]string{
		"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0",
	})
	if err != nil {
		return lines, err
	}
	return append(lines, heapLine("heap for a key in use, without limits of owners", alone, 220)), nil
}

func (d *decision) line(s size, c costs) table.Line {
	what := "check without HTTP, " + s.what + " with owners / minimum"
	if d.maxKeys != defaultMaxKeys {
		what = fmt.Sprintf("%s, MaxKeys %d", what, d.maxKeys)
	}
	l := table.Of(what, bench.NewSpread(c.ratio), s.goal)
	l.Note = fmt.Sprintf("(%.0f / %.0f ns)", bench.NewSpread(c.check).Median, bench.NewSpread(c.least).Median)
	return l
}

func heapLine(what string, d *decision, goal float64) table.Line {
	return table.Line{What: what, Got: fmt.Sprintf("%.0f B", d.heap), Value: d.heap, Goal: goal, Unit: "B"}
}

func logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
