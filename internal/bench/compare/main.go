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
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"userkeys/internal/bench"
	"userkeys/internal/bench/inside"
	"userkeys/internal/bench/table"
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
	only := flag.String("only", "", "run only groups whose name contains this: "+names(groups))
	flag.StringVar(&p.oauth2Proxy, "oauth2-proxy", "", "the program oauth2-proxy, for the groups nginx and peers")
	flag.BoolVar(&p.long, "long", false, "also check 10,000,000 keys, which takes 5 GB of memory and some minutes")
	strict := flag.Bool("strict", false, "exit with 1 if a goal is missed")
	markdown := flag.Bool("markdown", false, "write the table into "+document)
	flag.Parse()
	if flag.NArg() > 0 {
		return errors.New("there are no arguments, only flags; see -help")
	}
	if *markdown && *only != "" {
		return errors.New("-markdown writes all groups, so it does not go with -only")
	}

	chosen := groupsNamed(*only)
	if len(chosen) == 0 {
		return fmt.Errorf("no group has %q in its name; see -help", *only)
	}
	var text strings.Builder
	out := io.MultiWriter(os.Stdout, &text)
	if err := describe(ctx, out, p); err != nil {
		return err
	}
	stopProfile, err := startProfile("compare") // the load, and what is measured without HTTP
	if err != nil {
		return err
	}
	missed, err := measure(ctx, out, chosen, p)
	stopProfile()
	if err != nil {
		return err
	}
	if *markdown {
		if err := table.WriteInto(document, text.String()); err != nil {
			return err
		}
	}
	if missed > 0 && *strict {
		return fmt.Errorf("%d goals missed", missed)
	}
	return nil
}

// document has the table, between two marks.
const document = "docs/performance.md"

// groupsNamed returns the groups with part in their names.
func groupsNamed(part string) []group {
	return slices.DeleteFunc(slices.Clone(groups), func(g group) bool { return !strings.Contains(g.name, part) })
}

func names(groups []group) string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return strings.Join(names, ", ")
}

// describe writes what is measured, where, and what else the machine has done in the minute before.
func describe(ctx context.Context, w io.Writer, p plan) error {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil { // not in a clone
		commit = []byte("unknown")
	}
	busy := "unknown"
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		busy, _, _ = strings.Cut(string(b), " ")
	}
	_, err = fmt.Fprintf(w, "%s, commit %s, %s on %s/%s, %d cores, load average %s before it, %d blocks:\n\n",
		time.Now().UTC().Format("2 January 2006 15:04 UTC"), strings.TrimSpace(string(commit)),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), busy, p.Blocks)
	return err
}

// measure runs groups, prints their table and returns how many goals were missed. It returns an error if a group
// cannot be measured, or if a server gave a wrong answer or its process failed, after it has measured the others.
func measure(ctx context.Context, w io.Writer, chosen []group, p plan) (int, error) {
	var missed int
	var err error
	fmt.Fprintln(w, table.Header)
	for _, g := range chosen {
		lines, groupErr := g.run(ctx, p)
		if groupErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", g.name, groupErr))
		}
		for _, l := range lines {
			fmt.Fprintln(w, l)
			if !l.Met() {
				missed++
			}
			if l.Wrong != "" {
				err = errors.Join(err, fmt.Errorf("%s: %s: %s", g.name, l.What, l.Wrong))
			}
		}
	}
	fmt.Fprintf(w, "\n%d goals missed.\n", missed)
	return missed, err
}

// A plan says how much is measured.
type plan struct {
	bench.Options
	few, many, most int // keys of a usual site, of one with many keys, and of the greatest
	long            bool
	oauth2Proxy     string // a program; empty: there is none
	checks          int    // how many checks without HTTP are timed together
}

var full = plan{few: 1000, many: 1_000_000, most: 10_000_000, checks: 100_000}

func (p plan) inside() inside.Plan {
	return inside.Plan{Blocks: p.Blocks, Checks: p.checks, Few: p.few, Many: p.many, Most: p.most, Long: p.long}
}
