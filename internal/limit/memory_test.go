package limit_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/limit"
)

var usual = limit.Limits{Minute: 20, Day: 2880}

func newMemory(maxKeys int) *limit.Memory {
	return limit.NewMemory(limit.MemoryConfig{MaxKeys: maxKeys})
}

type taker interface {
	Take(id int64, now time.Time, l limit.Limits) limit.Decision
}

// takeMany takes n times and tells how many passed.
func takeMany(m taker, id int64, n int, now time.Time, l limit.Limits) int {
	passed := 0
	for range n {
		if m.Take(id, now, l).OK {
			passed++
		}
	}
	return passed
}

func TestRL14LimitsThatLetNothingOrMuchThrough(t *testing.T) {
	t.Parallel()
	minute := limit.Decision{Window: limit.Minute, RetryAfter: time.Minute}
	day := limit.Decision{Window: limit.Day, RetryAfter: 24 * time.Hour}
	for _, tt := range []struct {
		name string
		l    limit.Limits
		want limit.Decision
	}{
		{"RL14 minute 0", limit.Limits{Minute: 0, Day: 1}, minute},
		{"RL14 minute negative", limit.Limits{Minute: math.MinInt, Day: 1}, minute},
		{"RL14 day 0", limit.Limits{Minute: 1, Day: 0}, day},
		{"RL14 day negative", limit.Limits{Minute: 1, Day: -5}, day},
		{"RL14 both 0", limit.Limits{}, day},
		{"RL14 both huge", limit.Limits{Minute: math.MaxInt, Day: math.MaxInt}, limit.Decision{OK: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(0)
			if diff := cmp.Diff(tt.want, m.Take(1, epoch, tt.l)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !tt.want.OK && m.Len() != 0 {
				t.Errorf("a refusal that needs no memory took some")
			}
		})
	}
}

func TestHugeLimitsCountAsTheGreatest(t *testing.T) {
	t.Parallel()
	m := newMemory(0)
	huge := limit.Limits{Minute: math.MaxInt, Day: math.MaxInt}
	if n := takeMany(m, 1, limit.MaxMinute+10, epoch, huge); n != limit.MaxMinute {
		t.Errorf("%d passed in a minute, want %d", n, limit.MaxMinute)
	}
	if n := takeMany(m, 1, 10, epoch.Add(time.Minute), huge); n != 10 {
		t.Errorf("%d of 10 passed in the next minute", n)
	}
}

func TestDayRefusesAtItsGreatest(t *testing.T) {
	t.Parallel()
	m := newShard(0)
	// version, step, a count just below the greatest
	if err := m.Restore(1, []byte{1, 0x80, 0x89, 0x7a, 0xfd, 0xff, 0xff, 0x07}, epoch); err != nil {
		t.Fatal(err)
	}
	huge := limit.Limits{Minute: 10, Day: math.MaxInt}
	if !m.Take(1, epoch, huge).OK {
		t.Error("the last request of the greatest day is refused")
	}
	want := limit.Decision{Window: limit.Day, RetryAfter: 24*time.Hour + dayStep}
	if diff := cmp.Diff(want, m.Take(1, epoch, huge)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRL15LimitsChangeAtOnceWithoutReset(t *testing.T) {
	t.Parallel()
	second := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	t.Run("RL15 raised", func(t *testing.T) {
		t.Parallel()
		m := newMemory(0)
		takeMany(m, 1, 30, epoch, limit.Limits{Minute: 20, Day: 100})
		if n := takeMany(m, 1, 30, epoch, limit.Limits{Minute: 25, Day: 100}); n != 5 {
			t.Errorf("%d more passed, want 5", n)
		}
	})
	t.Run("RL15 lowered: so many must leave", func(t *testing.T) {
		t.Parallel()
		m := newMemory(0)
		for i := range 10 {
			m.Take(1, second(i), limit.Limits{Minute: 10, Day: 100})
		}
		// Of the stamps 0..9, 0..7 have to leave before there are fewer than 3.
		d := m.Take(1, second(10), limit.Limits{Minute: 3, Day: 100})
		want := limit.Decision{Window: limit.Minute, RetryAfter: 57 * time.Second}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if m.Take(1, second(67).Add(-1), limit.Limits{Minute: 3, Day: 100}).OK {
			t.Error("passes a nanosecond early")
		}
		if n := takeMany(m, 1, 5, second(67), limit.Limits{Minute: 3, Day: 100}); n != 1 {
			t.Errorf("%d passed, want 1", n)
		}
	})
	t.Run("RL15 day lowered: whole steps leave", func(t *testing.T) {
		t.Parallel()
		m := newMemory(0)
		for i := range 4 {
			takeMany(m, 1, 2, epoch.Add(time.Duration(i)*dayStep), limit.Limits{Minute: 10, Day: 100})
		}
		// Counts 2, 2, 2, 2: three steps have to leave before there are fewer than 3.
		now := epoch.Add(4 * dayStep)
		d := m.Take(1, now, limit.Limits{Minute: 10, Day: 3})
		want := limit.Decision{Window: limit.Day, RetryAfter: 24*time.Hour - dayStep}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestBothWindowsRefuse(t *testing.T) {
	t.Parallel()
	l := limit.Limits{Minute: 2, Day: 2}
	m := newMemory(0)
	takeMany(m, 1, 2, epoch, l)
	if d := m.Take(1, epoch, l); d.Window != limit.Day || d.RetryAfter != 24*time.Hour+dayStep {
		t.Errorf("the window that refuses longer is not the one named: %+v", d)
	}
	m = newMemory(0)
	takeMany(m, 1, 1, epoch, l)
	now := epoch.Add(24*time.Hour + dayStep - time.Second)
	takeMany(m, 1, 1, now, l)
	l.Minute = 1
	if d := m.Take(1, now, l); d.Window != limit.Minute || d.RetryAfter != time.Minute {
		t.Errorf("the window that refuses longer is not the one named: %+v", d)
	}
}

func TestRefusedRequestsAreChargedToNeitherWindow(t *testing.T) {
	t.Parallel()
	m := newMemory(0)
	l := limit.Limits{Minute: 1, Day: 5}
	takeMany(m, 1, 1000, epoch, l) // one passes, 999 are refused by the minute
	passed := 1
	for i := range 10 {
		passed += takeMany(m, 1, 1000, epoch.Add(time.Duration(i+1)*time.Minute), l)
	}
	if passed != 5 {
		t.Errorf("%d passed in the day, want 5", passed)
	}
	// 6000 refused by the day left the minute as it was: the raise is good at once.
	if n := takeMany(m, 1, 10, epoch.Add(10*time.Minute), limit.Limits{Minute: 3, Day: 100}); n != 3 {
		t.Errorf("%d passed in a minute in which all were refused, want 3", n)
	}
}

func TestStampsRoundUpToTheMillisecond(t *testing.T) {
	t.Parallel()
	l := limit.Limits{Minute: 1, Day: 100}
	m := newMemory(0)
	m.Take(1, epoch.Add(1), l)
	now := epoch.Add(time.Second + 999)
	d := m.Take(1, now, l)
	if want := 59*time.Second + time.Millisecond - 999; d.RetryAfter != want {
		t.Errorf("RetryAfter %v, want %v", d.RetryAfter, want)
	}
	if m.Take(1, now.Add(d.RetryAfter-1), l).OK {
		t.Error("passes a nanosecond before RetryAfter")
	}
	if !m.Take(1, now.Add(d.RetryAfter), l).OK {
		t.Error("refused exactly at RetryAfter")
	}
}

func TestTimesOutsideTheCalendar(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		now  time.Time
	}{
		{"zero time", time.Time{}},
		{"before 1970", time.Unix(-1e9, 0)},
		{"first step of all", time.Unix(10, 0)},
		{"2038", time.Unix(1<<31, 0)},
		{"2100", time.Date(2100, 2, 28, 23, 59, 60, 0, time.UTC)},
		{"after int64 of nanoseconds", time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"after the last step", time.Date(200000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newShard(0)
			if n := takeMany(m, 1, 50, tt.now, usual); n != 20 {
				t.Errorf("%d passed, want 20", n)
			}
			if d := m.Take(1, tt.now, usual); d.RetryAfter != time.Minute {
				t.Errorf("RetryAfter %v", d.RetryAfter)
			}
			n := newShard(0)
			if err := n.Restore(1, m.Day(1, tt.now), tt.now); err != nil {
				t.Error(err)
			}
			// Then the clock is put right.
			if n := takeMany(n, 1, 50, epoch, limit.Limits{Minute: 20, Day: 35}); n > 20 || n < 15 {
				t.Errorf("%d passed after the clock was put right", n)
			}
		})
	}
}

func TestClockSetBackByHours(t *testing.T) {
	t.Parallel()
	m := newMemory(0)
	l := limit.Limits{Minute: 5, Day: 12}
	takeMany(m, 1, 5, epoch, l)
	takeMany(m, 1, 5, epoch.Add(2*time.Hour), l)
	back := epoch.Add(-6 * time.Hour)
	d := m.Take(1, back, l)
	if d.OK || d.RetryAfter != 70*time.Second {
		t.Errorf("after the setback: %+v, want a wait of a window and ten seconds", d)
	}
	if n := takeMany(m, 1, 9, back.Add(70*time.Second), l); n != 2 {
		t.Errorf("%d passed, want the 2 that are left of the day", n)
	}
	d = m.Take(1, back.Add(2*time.Minute), l)
	if d.OK || d.Window != limit.Day || d.RetryAfter > 24*time.Hour+dayStep {
		t.Errorf("the day after the setback: %+v", d)
	}
}

func TestWindowNamesAndLengths(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(limit.Minute, limit.Minute.Length(), limit.Day, limit.Day.Length())
	if want := "minute 1m0s day 24h0m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
