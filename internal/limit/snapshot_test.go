package limit_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/limit"
)

// The bytes are a format on disk: they may not change under version 1.
func TestSnapshotBytes(t *testing.T) {
	t.Parallel()
	m := newShard(0)
	takeMany(m, 1, 3, epoch, usual)
	takeMany(m, 1, 2, epoch.Add(2*dayStep), usual)
	// version 1; step 2000002, 2 requests; 2 steps earlier, 3 requests
	if got, want := hex.EncodeToString(m.Day(1, epoch.Add(3*dayStep))), "01"+"82897a"+"02"+"02"+"03"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(m.Day(1, epoch.Add(101*dayStep))), "01"+"82897a"+"02"; got != want {
		t.Errorf("with the first step over: got %s, want %s", got, want)
	}
	if got := m.Day(1, epoch.Add(103*dayStep)); got != nil {
		t.Errorf("with all over: got %x, want nil", got)
	}
	if got := m.Day(2, epoch); got != nil {
		t.Errorf("of an unknown key: got %x, want nil", got)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	saved := func(n int) []byte {
		m := newShard(0)
		takeMany(m, 1, n, epoch, usual)
		return m.Day(1, epoch)
	}
	l := limit.Limits{Minute: 100, Day: 10}
	for _, tt := range []struct {
		name  string
		steps func(m *shard) error
		left  int
	}{
		{"nothing was saved", func(m *shard) error { return m.Restore(1, nil, epoch) }, 10},
		{"four were saved", func(m *shard) error { return m.Restore(1, saved(4), epoch) }, 6},
		{"requests before the load are added", func(m *shard) error {
			takeMany(m, 1, 3, epoch, l)
			return m.Restore(1, saved(4), epoch)
		}, 3},
		{"saved two days ago", func(m *shard) error {
			return m.Restore(1, saved(4), epoch.Add(48*time.Hour))
		}, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newShard(0)
			if err := tt.steps(m); err != nil {
				t.Fatal(err)
			}
			if n := takeMany(m, 1, 50, epoch, l); n != tt.left {
				t.Errorf("%d passed, want %d", n, tt.left)
			}
		})
	}
}

func TestSavedAheadOfAClockSetBack(t *testing.T) {
	t.Parallel()
	old, m := newShard(0), newShard(0)
	takeMany(old, 1, 4, epoch, usual)
	takeMany(old, 1, 4, epoch.Add(5*time.Hour), usual)
	back := epoch.Add(-50 * time.Hour)
	if err := m.Restore(1, old.Day(1, epoch.Add(5*time.Hour)), back); err != nil {
		t.Fatal(err)
	}
	l := limit.Limits{Minute: 20, Day: 10}
	if n := takeMany(m, 1, 20, back, l); n != 2 {
		t.Errorf("%d passed, want 2", n)
	}
	if d := m.Take(1, back, l); d.RetryAfter > 24*time.Hour+dayStep {
		t.Errorf("a wait of %v", d.RetryAfter)
	}
}

// One Take in the far future must not make the days that are loaded next look old.
func TestRestoreAfterAGlitchOfTheClock(t *testing.T) {
	t.Parallel()
	old := newShard(0)
	takeMany(old, 1, 10, epoch, usual)
	m := newShard(10) // one shard: the keys share a clock
	m.Take(2, epoch.AddDate(100, 0, 0), usual)
	if err := m.Restore(1, old.Day(1, epoch), epoch); err != nil {
		t.Fatal(err)
	}
	if d := m.Take(1, epoch, limit.Limits{Minute: 20, Day: 10}); d.OK || d.Window != limit.Day {
		t.Errorf("the day that was used up: %+v", d)
	}
}

var garbage = map[string]string{
	"other version":              "02" + "80897a" + "01",
	"version only":               "01",
	"no count":                   "01" + "80897a",
	"count zero":                 "01" + "80897a" + "00",
	"count over 24 bits":         "01" + "80897a" + "80808008",
	"step over 32 bits":          "01" + "8080808010" + "01",
	"varint without end":         "01" + "80897a" + "ffffffffffffffffffff",
	"distance zero":              "01" + "80897a" + "01" + "00" + "01",
	"distance over a day":        "01" + "80897a" + "01" + "65" + "01",
	"distances over a day":       "01" + "80897a" + "01" + "3c" + "01" + "3c" + "01",
	"distance without a count":   "01" + "80897a" + "01" + "01",
	"steps before the first":     "01" + "05" + "01" + "06" + "01",
	"text":                       "7b7d",
	"a second snapshot after it": "01" + "80897a" + "01" + "01" + "80897a" + "01",
}

func TestGarbageIsADayUsedUp(t *testing.T) {
	t.Parallel()
	for name, text := range garbage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			m := newShard(0)
			takeMany(m, 1, 3, epoch, usual)
			if err := m.Restore(1, b, epoch); !errors.Is(err, limit.ErrSnapshot) {
				t.Errorf("error %v", err)
			}
			want := limit.Decision{Window: limit.Day, RetryAfter: 24*time.Hour + dayStep}
			l := limit.Limits{Minute: limit.MaxMinute, Day: limit.MaxDay}
			if diff := cmp.Diff(want, m.Take(1, epoch, l)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			again := newShard(0)
			if err := again.Restore(1, m.Day(1, epoch), epoch); err != nil {
				t.Errorf("the day used up cannot be saved: %v", err)
			}
			if diff := cmp.Diff(want, again.Take(1, epoch, l)); diff != "" {
				t.Errorf("after another restart: -want +got:\n%s", diff)
			}
			if !m.Take(1, epoch.Add(want.RetryAfter), l).OK {
				t.Error("refused after the day has passed")
			}
		})
	}
}

func FuzzRestore(f *testing.F) {
	for _, text := range garbage {
		b, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int64(0))
	}
	m := newShard(0)
	for i := range 200 {
		now := epoch.Add(time.Duration(i) * dayStep / 2)
		takeMany(m, 1, i%30, now, usual)
		f.Add(m.Day(1, now), int64(i)*1e9)
	}
	f.Fuzz(func(t *testing.T, b []byte, after int64) {
		now := epoch.Add(time.Duration(after))
		m := newShard(64)
		err := m.Restore(1, b, now)
		saved := m.Day(1, now)
		d := m.Take(1, now, limit.Limits{Minute: 1, Day: limit.MaxDay})
		if err != nil && d.OK {
			t.Fatal("garbage lets a request through")
		}
		if !d.OK && (d.RetryAfter <= 0 || d.RetryAfter > 24*time.Hour+dayStep) {
			t.Fatalf("a wait of %v", d.RetryAfter)
		}
		again := newShard(64)
		if err := again.Restore(1, saved, now); err != nil {
			t.Fatalf("%x was saved as %x: %v", b, saved, err)
		}
		if diff := cmp.Diff(saved, again.Day(1, now)); diff != "" {
			t.Fatalf("a snapshot changes when it is loaded:\n%s", diff)
		}
		if diff := cmp.Diff(d, again.Take(1, now, limit.Limits{Minute: 1, Day: limit.MaxDay})); diff != "" {
			t.Fatalf("a snapshot decides otherwise:\n%s", diff)
		}
	})
}
