// Package bench compares servers on a machine whose speed varies.
//
// Long runs of one server after the other differ by tens of percent though nothing has changed. So all servers of a
// comparison take turns in short slices, in the order A B C ... C B A, and a slow second hits all of them. Each is
// charged the CPU time of its own processes. A result is the ratio of two of them: the median over several blocks.
// `make bench` runs the comparisons.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A Target is a server that is compared with others.
type Target struct {
	Name string
	Addr string // host:port
	// Request appends a whole HTTP/1.1 request to buf; random requests draw from rng.
	Request func(buf []byte, rng *rand.Rand) []byte
	Status  int // that every answer must have
	// CPU reads the CPU time that the server has used so far; see [ProcessCPU].
	CPU func() (time.Duration, error)
}

// Options say how a comparison is run. Zero values mean the defaults.
type Options struct {
	Blocks int           // how many ratios the median is taken of; default 9
	Passes int           // turns of each target in a block; default 8
	Slice  time.Duration // length of a turn; default 150 ms
	Conns  int           // connections, each with one request at a time; default 16
	Now    func() time.Time
}

func (o *Options) defaults() {
	if o.Blocks == 0 {
		o.Blocks = 9
	}
	if o.Passes == 0 {
		o.Passes = 8
	}
	if o.Slice == 0 {
		o.Slice = 150 * time.Millisecond
	}
	if o.Conns == 0 {
		o.Conns = 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// A Spread is the least, the median and the greatest value of the blocks.
type Spread struct{ Min, Median, Max float64 }

// String writes min/median/max.
func (s Spread) String() string { return fmt.Sprintf("%.2f/%.2f/%.2f", s.Min, s.Median, s.Max) }

// Result is what one target did.
type Result struct {
	Name     string
	PerReq   time.Duration // CPU time per request, median; only ratios are quotable
	Requests int
	Bad      int    // answers with another status, and broken connections; must be 0
	FirstBad string // what the first of them was
	blocks   []sample
}

// Over returns the CPU time per request and the requests per second, block by block as multiples of those of base,
// which is of the same report.
func (r Result) Over(base Result) (cpu, rate Spread) {
	var cpus, rates []float64
	for i, b := range r.blocks {
		cpus = append(cpus, b.perRequest()/base.blocks[i].perRequest())
		rates = append(rates, b.rate()/base.blocks[i].rate())
	}
	return NewSpread(cpus), NewSpread(rates)
}

// Compare runs the targets against each other and returns the result of each. It takes about
// Blocks * Passes * Slice for each.
func Compare(ctx context.Context, targets []Target, o Options) ([]Result, error) {
	if len(targets) < 2 {
		return nil, errors.New("bench: a comparison needs two targets")
	}
	o.defaults()
	drivers := make([]*driver, len(targets))
	for i, t := range targets {
		drivers[i] = newDriver(t, o)
		defer drivers[i].close()
	}
	// One turn each that does not count: connections, caches, the first garbage.
	if err := pass(ctx, drivers); err != nil {
		return nil, err
	}
	order := slices.Clone(drivers)
	for _, d := range drivers {
		d.turn = sample{}
	}
	for range o.Blocks {
		for range o.Passes {
			if err := pass(ctx, order); err != nil {
				return nil, err
			}
			slices.Reverse(order) // the next pass goes back: C B A
		}
		for _, d := range drivers {
			d.blocks = append(d.blocks, d.turn)
			d.turn = sample{}
		}
	}
	return sum(drivers), nil
}

// pass gives every driver one turn.
func pass(ctx context.Context, drivers []*driver) error {
	for _, d := range drivers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.slice(ctx); err != nil {
			return fmt.Errorf("bench: %s: %w", d.target.Name, err)
		}
	}
	return nil
}

// sample is what was counted of a target in some turns.
type sample struct {
	cpu      time.Duration
	wall     time.Duration
	requests int
}

func (s sample) perRequest() float64 { return float64(s.cpu) / float64(max(s.requests, 1)) }
func (s sample) rate() float64       { return float64(s.requests) / max(s.wall.Seconds(), 1e-9) }

func sum(drivers []*driver) []Result {
	var results []Result
	for _, d := range drivers {
		res := Result{Name: d.target.Name, Bad: d.bad, FirstBad: d.firstBad, blocks: d.blocks}
		var per []float64
		for _, b := range d.blocks {
			res.Requests += b.requests
			per = append(per, b.perRequest())
		}
		res.PerReq = time.Duration(NewSpread(per).Median)
		results = append(results, res)
	}
	return results
}

// NewSpread sorts what blocks gave.
func NewSpread(v []float64) Spread {
	v = slices.Sorted(slices.Values(v))
	return Spread{v[0], v[len(v)/2], v[len(v)-1]}
}
