package limit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"userkeys/internal/limit"
)

const (
	micro = time.Microsecond
	milli = time.Millisecond
)

// system is a limiter and its oracle, for a few keys under one clock.
type system struct {
	m      *shard
	keys   [3]oracle
	limits limit.Limits
	now    time.Time
}

func drawLimits(t *rapid.T) limit.Limits {
	return limit.Limits{
		Minute: rapid.IntRange(-1, 12).Draw(t, "minute"),
		Day:    rapid.IntRange(-1, 60).Draw(t, "day"),
	}
}

func (s *system) take(t *rapid.T, id int) {
	want := s.keys[id].decide(s.now, s.limits)
	got := s.m.Take(int64(id), s.now, s.limits)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("key %d at %v with %+v (-oracle +limiter):\n%s", id, s.now, s.limits, diff)
	}
	if got.OK {
		s.keys[id].accept(s.now)
	}
}

// gap draws a pause, often one that ends next to an edge.
func (s *system) gap(t *rapid.T) time.Duration {
	edge := rapid.SampledFrom([]time.Duration{-milli, 0, milli}).Draw(t, "edge")
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * milli
	case 1:
		return time.Duration(rapid.Int64Range(0, 20e3).Draw(t, "ms")) * milli
	case 2:
		return time.Minute + edge
	case 3:
		return max(0, s.now.Truncate(dayStep).Add(dayStep).Sub(s.now)+edge)
	case 4:
		return time.Duration(rapid.Int64Range(0, 26*3600e3).Draw(t, "ms")) * milli
	default:
		return 24*time.Hour + time.Duration(rapid.IntRange(0, 1).Draw(t, "step"))*dayStep + edge
	}
}

// restart saves the days, loses the process and loads them into a new one.
func (s *system) restart(t *rapid.T) {
	next := newShard(0)
	for id := range s.keys {
		saved := s.m.Day(int64(id), s.now)
		if err := next.Restore(int64(id), saved, s.now); err != nil {
			t.Fatalf("restore %x: %v", saved, err)
		}
		if !next.Known(int64(id)) {
			t.Fatalf("key %d is unknown after its restore", id)
		}
		s.keys[id].minute = nil // the minute is not saved
	}
	s.m = next
}

func TestTakeIsExactlyTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &system{m: newShard(0), limits: drawLimits(t), now: epoch}
		key := rapid.IntRange(0, 2)
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) { s.take(t, key.Draw(t, "key")) },
			"burst": func(t *rapid.T) {
				id := key.Draw(t, "key")
				for range rapid.IntRange(1, 30).Draw(t, "takes") {
					s.take(t, id)
				}
			},
			"wait":   func(t *rapid.T) { s.now = s.now.Add(s.gap(t)) },
			"limits": func(t *rapid.T) { s.limits = drawLimits(t) },
			"retry":  func(t *rapid.T) { s.retry(t, key.Draw(t, "key")) },
			"restart": func(t *rapid.T) {
				s.restart(t)
			},
		})
	})
}

// retry holds the limiter to its RetryAfter, without asking the oracle.
func (s *system) retry(t *rapid.T, id int) {
	if s.limits.Minute <= 0 || s.limits.Day <= 0 {
		return
	}
	d := s.m.Take(int64(id), s.now, s.limits)
	if d.OK {
		s.keys[id].accept(s.now)
		return
	}
	if d.RetryAfter > milli {
		if early := s.m.Take(int64(id), s.now.Add(d.RetryAfter-milli), s.limits); early.OK {
			t.Fatalf("passes before RetryAfter %v", d.RetryAfter)
		}
	}
	s.now = s.now.Add(d.RetryAfter)
	if again := s.m.Take(int64(id), s.now, s.limits); !again.OK {
		t.Fatalf("a retry exactly after %v is refused: %+v", d.RetryAfter, again)
	}
	s.keys[id].accept(s.now)
}

// Nanoseconds, where the limiter rounds: never more than the limit, and never a
// refusal a millisecond beyond what it owes.
func TestNoWindowEverLetsMoreThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limit.Limits{Minute: rapid.IntRange(1, 6).Draw(t, "minute"), Day: rapid.IntRange(1, 40).Draw(t, "day")}
		m := newShard(0)
		now := epoch
		var passed []time.Time
		for _, gap := range rapid.SliceOfN(rapid.Int64Range(0, 40e9), 1, 200).Draw(t, "gaps") {
			now = now.Add(time.Duration(gap))
			d := m.Take(1, now, l)
			if d.OK {
				passed = append(passed, now)
				continue
			}
			minute := counting(passed, func(t time.Time) time.Time { return t.Add(time.Minute + milli) }, now)
			day := counting(passed, func(t time.Time) time.Time { return t.Add(24*time.Hour + dayStep) }, now)
			if minute < l.Minute && day < l.Day {
				t.Fatalf("refused below the limits %+v: %d in the minute, %d in the day", l, minute, day)
			}
			now = now.Add(time.Duration(rapid.SampledFrom([]int64{0, 0, int64(d.RetryAfter)}).Draw(t, "wait")))
		}
		checkWindows(t, passed, l)
	})
}

func checkWindows(t *rapid.T, passed []time.Time, l limit.Limits) {
	if n := mostWithin(passed, time.Minute); n > l.Minute {
		t.Fatalf("%d passed within a minute, the limit is %d", n, l.Minute)
	}
	if n := mostWithin(passed, 24*time.Hour); n > l.Day {
		t.Fatalf("%d passed within a day, the limit is %d", n, l.Day)
	}
}

// Callers read the clock and then wait for their turn. They count as made at the
// latest time seen.
func TestLateCallersDoNotMoveAWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limit.Limits{Minute: rapid.IntRange(1, 6).Draw(t, "minute"), Day: rapid.IntRange(1, 40).Draw(t, "day")}
		m := newShard(0)
		clock, latest := epoch, time.Time{}
		var passed []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "takes") {
			clock = clock.Add(time.Duration(rapid.Int64Range(0, 20e6).Draw(t, "gap")) * micro)
			now := clock.Add(-time.Duration(rapid.Int64Range(0, 5e6).Draw(t, "late")) * micro)
			if now.After(latest) {
				latest = now
			}
			if m.Take(1, now, l).OK {
				passed = append(passed, latest)
			}
		}
		checkWindows(t, passed, l)
	})
}

// In real time, whatever the clock's setbacks, no window lets more through, and
// nobody waits much longer than a window.
func TestClockSetBackIsSafeAndBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limit.Limits{Minute: rapid.IntRange(1, 6).Draw(t, "minute"), Day: rapid.IntRange(1, 40).Draw(t, "day")}
		m := newShard(0)
		real := epoch
		var back time.Duration
		var passed []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "takes") {
			real = real.Add(time.Duration(rapid.Int64Range(0, 30e6).Draw(t, "gap")) * micro)
			if rapid.IntRange(0, 9).Draw(t, "set back") == 0 {
				back += time.Duration(rapid.Int64Range(0, 48*3600e6).Draw(t, "by")>>rapid.IntRange(0, 30).Draw(t, "scale")) * micro
			}
			d := m.Take(1, real.Add(-back), l)
			if !d.OK {
				checkWait(t, d)
				real = real.Add(d.RetryAfter)
				d = m.Take(1, real.Add(-back), l)
			}
			if !d.OK {
				t.Fatalf("a retry at RetryAfter is refused: %+v", d)
			}
			passed = append(passed, real)
		}
		checkWindows(t, passed, l)
	})
}

func checkWait(t *rapid.T, d limit.Decision) {
	most := d.Window.Length() + 10*time.Second
	if d.Window == limit.Day {
		most += dayStep
	}
	if d.RetryAfter <= 0 || d.RetryAfter > most {
		t.Fatalf("%v window: wait of %v, at most %v", d.Window, d.RetryAfter, most)
	}
}

// A process that dies and comes back any number of times, with what it saved at
// random moments, has never handed out more than a day's number.
func TestRestoredDayNeverHandsOutMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limit.Limits{Minute: limit.MaxMinute, Day: rapid.IntRange(1, 50).Draw(t, "day")}
		m := newShard(0)
		now := epoch
		var passed []time.Time
		for range rapid.IntRange(1, 100).Draw(t, "rounds") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 3*3600e6).Draw(t, "gap")) * micro)
			saved := m.Day(1, now)
			if len(saved) > 500 {
				t.Fatalf("a snapshot of %d bytes", len(saved))
			}
			m = newShard(0)
			if rapid.Bool().Draw(t, "take before restore") && m.Take(1, now, l).OK {
				// It began a new day, as told; the restore must still add both up.
				passed = append(passed, now)
			}
			if err := m.Restore(1, saved, now); err != nil {
				t.Fatal(err)
			}
			room := l.Day - counting(passed, dayLeaves, now)
			n := 0
			for m.Take(1, now, l).OK {
				passed = append(passed, now)
				n++
			}
			if n != max(0, room) {
				t.Fatalf("%d passed where %d of %d were left", n, room, l.Day)
			}
		}
	})
}
