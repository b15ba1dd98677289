package limit_test

import (
	"runtime"
	"testing"
	"time"

	"userkeys/internal/limit"
)

// fill makes keys 1..n, a second apart.
func fill(m taker, n int, from time.Time) time.Time {
	for i := range n {
		from = from.Add(time.Second)
		m.Take(int64(i+1), from, usual)
	}
	return from
}

func TestFullMemoryForgetsTheLongestIdle(t *testing.T) {
	t.Parallel()
	m := newShard(30)
	now := fill(m, 30, epoch)
	m.Take(1, now, usual) // key 1 is no longer the oldest
	now = now.Add(time.Hour)
	for i := range 5 {
		if !m.Take(int64(1000+i), now, usual).OK {
			t.Fatalf("newcomer %d is refused", i)
		}
	}
	if n := m.Len(); n != 30 {
		t.Errorf("%d keys, want 30", n)
	}
	for id := int64(1); id <= 30; id++ {
		gone := m.Day(id, now) == nil
		if want := id >= 2 && id <= 6; gone != want {
			t.Errorf("key %d gone: %v, want %v", id, gone, want)
		}
	}
}

func TestFullMemoryNeverForgetsALiveMinute(t *testing.T) {
	t.Parallel()
	m := newShard(20)
	now := fill(m, 20, epoch)
	d := m.Take(1000, now, usual)
	if d.OK || d.Window != limit.Minute || d.RetryAfter != 41*time.Second {
		t.Fatalf("newcomer: %+v, want a wait until key 1 is idle for a minute", d)
	}
	if m.Take(1000, now.Add(d.RetryAfter-1), usual).OK {
		t.Error("the newcomer passes a nanosecond early")
	}
	if !m.Take(1000, now.Add(d.RetryAfter), usual).OK {
		t.Error("the newcomer is refused exactly at RetryAfter")
	}
	if m.Day(1, now) != nil || m.Day(2, now) == nil {
		t.Error("another key than the oldest was forgotten")
	}
	if n := m.Len(); n != 20 {
		t.Errorf("%d keys, want 20", n)
	}
}

// Without any call in between, the oldest are still among the hot ones.
func TestFullMemoryForgetsBeforeItTidied(t *testing.T) {
	t.Parallel()
	m := newShard(1)
	m.Take(1, epoch, usual)
	later := epoch.Add(time.Hour)
	if err := m.Restore(2, nil, later); err != nil || !m.Known(2) || m.Known(1) || m.Len() != 1 {
		t.Errorf("err %v, known 2: %v, known 1: %v, %d keys", err, m.Known(2), m.Known(1), m.Len())
	}
	// Now there is no room: key 2 was just restored.
	if err := m.Restore(3, nil, later); err != nil || m.Known(3) || m.Len() != 1 {
		t.Errorf("err %v, known 3: %v, %d keys", err, m.Known(3), m.Len())
	}
	if !m.Take(2, later, usual).OK {
		t.Error("the restored key is refused")
	}
}

// A clock that was set back must not keep newcomers out until it has caught up.
func TestFullMemoryAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	m := newMemory(10)
	fill(m, 10, epoch)
	back := epoch.Add(-10 * time.Hour)
	d := m.Take(1000, back, usual)
	if d.OK || d.RetryAfter > 70*time.Second {
		t.Fatalf("newcomer: %+v", d)
	}
	if !m.Take(1000, back.Add(d.RetryAfter), usual).OK {
		t.Error("the newcomer is refused exactly at RetryAfter")
	}
	// And the days from before pass.
	for i := range 20 {
		m.Take(1000, back.Add(36*time.Hour+time.Duration(i)*time.Minute), usual)
	}
	if n := m.Len(); n != 1 {
		t.Errorf("%d keys when all days have passed, want 1", n)
	}
}

func TestExpiredKeysAreForgottenAsOthersCome(t *testing.T) {
	t.Parallel()
	m := newMemory(0)
	const n = 20_000
	for id := range int64(n) {
		m.Take(id, epoch, usual)
	}
	next := epoch.Add(24*time.Hour + dayStep)
	for id := range int64(n) {
		m.Take(n+id, next, usual)
	}
	// Two of the old for each new one: half as many would do.
	if got := m.Len(); got != n {
		t.Errorf("%d keys, want the %d of today", got, n)
	}
}

func TestRestoredKeyWithoutRequestsIsForgotten(t *testing.T) {
	t.Parallel()
	m := newShard(64)
	if err := m.Restore(1, nil, epoch); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		m.Take(2, epoch.Add(time.Minute), usual)
	}
	if m.Known(1) || m.Len() != 1 {
		t.Errorf("known: %v, %d keys", m.Known(1), m.Len())
	}
}

// heapOf is how much the heap grows by what f makes and returns.
func heapOf[T any](f func() T) (T, float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return v, float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// It measures the heap, so nothing else may run: not parallel.
func TestRL19MemoryPerKey(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a million keys")
	}
	const keys = 1_000_000
	t.Run("RL19 one call each", func(t *testing.T) {
		m, heap := heapOf(func() *limit.Memory {
			m := newMemory(keys)
			for id := range int64(keys) {
				m.Take(id, epoch, usual)
			}
			return m
		})
		t.Logf("%.1f bytes a key, %.1f MB in all, %d keys", heap/keys, heap/1e6, m.Len())
		if heap > 100e6 {
			t.Errorf("a million keys take %.1f MB", heap/1e6)
		}
		runtime.KeepAlive(m)
	})
	t.Run("RL19 four times as many keys as there is room", func(t *testing.T) {
		const room = 100_000
		m, heap := heapOf(func() *limit.Memory {
			m := newMemory(room)
			for id := range int64(4 * room) {
				m.Take(id, epoch.Add(time.Duration(id)*10*time.Millisecond), usual)
			}
			return m
		})
		t.Logf("%.1f MB in all, %d keys", heap/1e6, m.Len())
		if heap > 130*room || m.Len() > room {
			t.Errorf("%d keys take %.1f MB", m.Len(), heap/1e6)
		}
		runtime.KeepAlive(m)
	})
	t.Run("RL19 busy all day", func(t *testing.T) {
		const busy = 8000
		m, heap := heapOf(func() *limit.Memory {
			m := newMemory(busy * 2)
			for now := epoch; now.Before(epoch.Add(25 * time.Hour)); now = now.Add(dayStep) {
				for id := range int64(busy) {
					m.Take(id, now, usual)
				}
			}
			for id := range int64(busy) {
				takeMany(m, id, 20, epoch.Add(25*time.Hour), usual)
			}
			return m
		})
		t.Logf("%.1f bytes a key with both windows full", heap/busy)
		if heap/busy > 900 {
			t.Errorf("%.1f bytes a key, want hundreds", heap/busy)
		}
		runtime.KeepAlive(m)
	})
}

func TestTakeDoesNotAllocate(t *testing.T) {
	m := newMemory(0)
	now := epoch
	take := func() {
		takeMany(m, 1, 2, now, usual) // 4 a minute: the day refuses half of them
		now = now.Add(30 * time.Second)
	}
	hours := func() {
		for range 2000 {
			take()
		}
	}
	hours()
	hours() // over a day: both windows are full and turn
	if n := testing.AllocsPerRun(1, hours); n != 0 {
		t.Errorf("%v allocations in 4000 takes", n)
	}
}
