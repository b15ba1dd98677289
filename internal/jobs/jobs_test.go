package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a store of jobs for the nodes of one test.
type memory struct {
	mu  sync.Mutex
	due map[string]time.Time
}

func (m *memory) ClaimJob(_ context.Context, name string, at, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.Before(m.due[name]) {
		return false, nil
	}
	m.due[name] = until
	return true, nil
}

func (m *memory) FinishJob(_ context.Context, name string, due time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due[name] = due
	return nil
}

// Of several nodes one does the job in each interval; after a failure it is done again sooner, and the log tells it once.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := Runner{Store: &memory{due: map[string]time.Time{}}, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		began := time.Now()
		var runs []time.Duration
		job := Job{Name: "test", Every: time.Hour, Do: func(context.Context) error {
			at := time.Since(began)
			if runs = append(runs, at); at == 2*time.Hour {
				return errors.New("out of order")
			}
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var nodes sync.WaitGroup
		for range 3 {
			nodes.Go(func() { r.Run(ctx, job) })
		}
		time.Sleep(3*time.Hour + 30*time.Minute)
		cancel()
		nodes.Wait()
		want := []time.Duration{0, time.Hour, 2 * time.Hour, 2*time.Hour + lease, 3*time.Hour + lease}
		if len(runs) != len(want) {
			t.Fatalf("ran at %v, want %v", runs, want)
		}
		for i := range want {
			if runs[i] != want[i] {
				t.Errorf("ran at %v, want %v", runs, want)
			}
		}
		if n := strings.Count(log.String(), "the job test fails"); n != 1 {
			t.Errorf("the log tells of %d failures:\n%s", n, log.String())
		}
	})
}

func TestRepeatEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		n := 0
		Repeat(ctx, 3*time.Second, NewFailureLog(slog.New(slog.DiscardHandler), "counting"), func(context.Context) error { n++; return nil })
		if n != 3 {
			t.Errorf("%d calls in ten seconds, want 3", n)
		}
	})
}
