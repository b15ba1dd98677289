package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/authority"
	"userkeys/internal/bench"
	"userkeys/internal/bench/table"
)

// TestMain is also the servers', which are this program started again.
func TestMain(m *testing.M) {
	if name := os.Getenv(variantVariable); name != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		variants["crashing"] = func(context.Context, order) (http.Handler, *authority.Authority, error) {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { os.Exit(3) }), nil, nil
		}
		if err := serveVariant(ctx, name); err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// small is a plan that takes a second or two and whose figures mean nothing.
var small = plan{
	Options: bench.Options{Blocks: 1, Passes: 1, Slice: time.Millisecond, Conns: 2},
	few:     20, many: 200, most: 400, long: true, checks: 100,
}

func needCPUClock(t *testing.T) {
	t.Helper()
	if _, err := bench.ProcessCPU(os.Getpid()); err != nil {
		t.Skip(err)
	}
}

// TestEveryGroupRuns measures all groups as make bench does, only less: every
// server starts, answers rightly and ends well.
func TestEveryGroupRuns(t *testing.T) {
	t.Parallel()
	needCPUClock(t)
	var table strings.Builder
	if _, err := measure(t.Context(), &table, groups, small); err != nil {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// TestEveryVariantIsMeasured: a variant that no group starts would be one that
// no test starts.
func TestEveryVariantIsMeasured(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		if !strings.Contains(string(source), fmt.Sprintf("{%q, ", name)) &&
			!strings.Contains(string(source), fmt.Sprintf("asking(%q, ", name)) {
			t.Errorf("no group starts the variant %q", name)
		}
	}
}

// TestWhatIsWrongFailsTheRun: a wrong answer, a server that ends before it is
// told to, and one that does not start.
func TestWhatIsWrongFailsTheRun(t *testing.T) {
	t.Parallel()
	needCPUClock(t)
	compareWith := func(base rival, other string) group {
		return group{"test", func(ctx context.Context, p plan) ([]table.Line, error) {
			return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
				base.request = get(f.keys)
				r, err := f.compare(p, []rival{base, {other, p.few, get(f.keys), http.StatusOK}})
				if err != nil {
					return nil, err
				}
				return []table.Line{table.Ratio("other / base", r[1], r[0], table.NoGoal)}, nil
			})
		}}
	}
	bare := rival{variant: "bare"}
	tests := []struct {
		name string
		group
		want string
	}{
		{"wrong answers", compareWith(bare, "limited"), "status 429, want 200"},
		{"wrong answers of the base", compareWith(rival{variant: "bare", status: http.StatusTeapot}, "bare"), "status 200, want 418"},
		{"crashed", compareWith(bare, "crashing"), "exit status 3"},
		{"not started", compareWith(bare, "no such variant"), "did not start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := measure(t.Context(), io.Discard, []group{tt.group}, small)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("measure: %v, want %q", err, tt.want)
			}
		})
	}
}
