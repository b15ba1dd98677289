// Command compare measures what checking a key costs, compares it with the goals of docs/performance.md, and prints a
// table. `make bench` runs it.
//
// The servers are this program itself, started again with an environment variable that names the variant: see
// [variants].
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	p := full
	flag.IntVar(&p.Blocks, "blocks", 9, "ratios that the median is taken of")
	flag.IntVar(&p.Passes, "passes", 8, "turns of each server in a block")
	flag.DurationVar(&p.Slice, "slice", 150*time.Millisecond, "length of a turn")
	flag.IntVar(&p.Conns, "conns", 16, "connections to each server")
	only := flag.String("only", "",
		"run only groups whose name contains this: decision, guard, growth, proxy, refusals, carriers, asked, nginx")
	flag.StringVar(&p.oauth2Proxy, "oauth2-proxy", "", "the program oauth2-proxy, which the group nginx compares with")
	flag.BoolVar(&p.long, "long", false, "also check 10,000,000 keys, which takes 6 GB of memory and some minutes")
	strict := flag.Bool("strict", false, "exit with 1 if a goal is missed")
	flag.Parse()
	if flag.NArg() > 0 {
		return errors.New("there are no arguments, only flags; see -help")
	}

	var chosen []group
	for _, g := range groups {
		if strings.Contains(g.name, *only) {
			chosen = append(chosen, g)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no group has %q in its name; see -help", *only)
	}
	missed, err := measure(ctx, os.Stdout, chosen, p)
	if err != nil {
		return err
	}
	if missed > 0 && *strict {
		return fmt.Errorf("%d goals missed", missed)
	}
	return nil
}

// measure runs groups, prints their table and returns how many goals were missed. It returns an error if a group
// cannot be measured, or if a server gave a wrong answer or its process failed, after it has measured the others.
func measure(ctx context.Context, w io.Writer, chosen []group, p plan) (int, error) {
	var missed int
	var err error
	fmt.Fprintln(w, "| what | min/median/max | goal | met |")
	fmt.Fprintln(w, "|---|---|---|---|")
	for _, g := range chosen {
		lines, groupErr := g.run(ctx, p)
		if groupErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", g.name, groupErr))
		}
		for _, l := range lines {
			fmt.Fprintln(w, l)
			if !l.met() {
				missed++
			}
			if l.wrong != "" {
				err = errors.Join(err, fmt.Errorf("%s: %s: %s", g.name, l.what, l.wrong))
			}
		}
	}
	fmt.Fprintf(w, "\n%d goals missed\n", missed)
	return missed, err
}

// A plan says how much is measured.
type plan struct {
	bench.Options
	few, many, most int  // keys of a usual site, of one with many keys, and of the greatest
	long            bool // measure that with most, too
	// oauth2Proxy is a program that nginx asks in our place; empty: that is not measured.
	oauth2Proxy string
	checks      int // how many checks without HTTP are timed together
}

var full = plan{few: 1000, many: 1_000_000, most: 10_000_000, checks: 100_000}

// A group is a set of measurements that are made together.
type group struct {
	name string
	run  func(context.Context, plan) ([]line, error)
}

// groups are measured in this order: the decision first, while the heap is still empty.
var groups = []group{
	{"decision", measureDecision},
	{"guard", compareGuard},
	{"growth", compareGrowth},
	{"proxy", compareProxy},
	{"refusals", compareRefusals},
	{"asked", compareAsked},
	{"nginx", compareNginx},
	{"carriers", compareCarriers},
}

// A line is a line of the table.
type line struct {
	what string
	got  string
	note string // after the figure; may be empty
	// wrong says why the figure is not valid; empty if it is.
	wrong string
	// value is compared with goal; below 0 there is no goal, and the line only informs.
	value, goal float64
	unit        string
}

func (l line) met() bool { return l.wrong == "" && (l.goal < 0 || l.value <= l.goal) }

// String returns the line in Markdown.
func (l line) String() string {
	goal, met := "-", "-"
	if l.goal >= 0 {
		goal, met = strings.TrimSpace(fmt.Sprintf("<= %g %s", l.goal, l.unit)), "yes"
	}
	if !l.met() {
		met = "NO"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", l.what, strings.TrimSpace(l.got+" "+l.note), goal, met)
}

// ratio returns the line about the CPU time of a request to target i, as a multiple of that to the base. It is not
// valid if the target or the base gave wrong answers.
func ratio(what string, report bench.Report, i int, goal float64) line {
	r, base := report.Results[i], report.Results[0]
	l := line{what: what, got: r.CPU.String(), value: r.CPU.Median, goal: goal}
	l.note = fmt.Sprintf("(%v a request; requests/s %s)", r.PerReq.Round(100*time.Nanosecond), r.Rate)
	for _, r := range []bench.Result{base, r} {
		if r.Bad > 0 {
			l.wrong = fmt.Sprintf("%d of %d answers of %q were wrong: %s", r.Bad, r.Requests, r.Name, r.FirstBad)
			l.note += " WRONG"
		}
	}
	return l
}
