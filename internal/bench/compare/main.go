// Command compare measures what a key check costs, against the goals of
// docs/performance.md, and prints a table. It is `make bench`.
//
// The servers are this same program, started again with a variable that names
// the variant: see [variants].
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"userkeys/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if name := os.Getenv(variantVariable); name != "" {
		return serveVariant(ctx, name)
	}
	var o bench.Options
	flag.IntVar(&o.Blocks, "blocks", 9, "ratios that the median is taken of")
	flag.IntVar(&o.Passes, "passes", 8, "turns of each server in a block")
	flag.DurationVar(&o.Slice, "slice", 150*time.Millisecond, "length of a turn")
	flag.IntVar(&o.Conns, "conns", 16, "connections to each server")
	only := flag.String("only", "", "run only groups whose name contains this: decision, guard, growth, proxy, refusals")
	strict := flag.Bool("strict", false, "exit with 1 if a goal is missed")
	flag.Parse()
	if flag.NArg() > 0 {
		return errors.New("there are no arguments, only flags; see -help")
	}

	fmt.Println("| what | min/median/max | goal | met |")
	fmt.Println("|---|---|---|---|")
	missed := 0
	for _, g := range groups {
		if !strings.Contains(g.name, *only) {
			continue
		}
		lines, err := g.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		for _, l := range lines {
			fmt.Println(l)
			if !l.met() {
				missed++
			}
		}
	}
	if missed > 0 && *strict {
		return fmt.Errorf("%d goals missed", missed)
	}
	return nil
}

// A group is a set of measurements that are made together.
type group struct {
	name string
	run  func(context.Context, bench.Options) ([]line, error)
}

// In this order: the decision is measured first, while the heap is still empty.
var groups = []group{
	{"decision", measureDecision},
	{"guard", compareGuard},
	{"growth", compareGrowth},
	{"proxy", compareProxy},
	{"refusals", compareRefusals},
}

// A line of the table.
type line struct {
	what string
	got  string
	note string // behind the figure; may be empty
	// value is held against goal; a goal below 0 is none, the line only informs.
	value, goal float64
	unit        string
}

func (l line) met() bool { return l.goal < 0 || l.value <= l.goal }

// String is the line in Markdown.
func (l line) String() string {
	goal, met := "-", "-"
	if l.goal >= 0 {
		goal, met = strings.TrimSpace(fmt.Sprintf("<= %g %s", l.goal, l.unit)), "yes"
		if !l.met() {
			met = "NO"
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", l.what, strings.TrimSpace(l.got+" "+l.note), goal, met)
}

// ratio is a line about the CPU time of a request, as a multiple of the base's.
func ratio(what string, r bench.Result, goal float64) line {
	l := line{what: what, got: r.CPU.String(), value: r.CPU.Median, goal: goal}
	l.note = fmt.Sprintf("(%v a request; requests/s %s)", r.PerReq.Round(100*time.Nanosecond), r.Rate)
	if r.Bad > 0 {
		l.note += fmt.Sprintf(" BAD: %d of %d answers: %s", r.Bad, r.Requests, r.FirstBad)
		l.value = 1e9 // a fast wrong answer is no result
	}
	return l
}
