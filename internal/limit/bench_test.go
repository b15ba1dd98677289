package limit_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"userkeys/internal/limit"
)

// trimmed is the usual code: a slice of every time, trimmed on each call.
type trimmed struct{ minute, day []int64 }

func (w *trimmed) take(now int64, l limit.Limits) bool {
	w.minute = trim(w.minute, now-60e9)
	w.day = trim(w.day, now-86400e9)
	if len(w.minute) >= l.Minute || len(w.day) >= l.Day {
		return false
	}
	w.minute, w.day = append(w.minute, now), append(w.day, now)
	return true
}

func trim(times []int64, until int64) []int64 {
	kept := times[:0]
	for _, t := range times {
		if t > until {
			kept = append(kept, t)
		}
	}
	return kept
}

// fixed is the cheapest there is: two windows of the calendar, which let twice
// the limit through around each edge.
type fixed struct {
	minute, day     int64
	inMinute, inDay int
}

func (w *fixed) take(now int64, l limit.Limits) bool {
	if m := now / 60e9; m != w.minute {
		w.minute, w.inMinute = m, 0
	}
	if d := now / 86400e9; d != w.day {
		w.day, w.inDay = d, 0
	}
	if w.inMinute >= l.Minute || w.inDay >= l.Day {
		return false
	}
	w.inMinute++
	w.inDay++
	return true
}

// each is how long one call took.
func each(n int, f func()) float64 {
	start := time.Now()
	for range n {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// One key whose day is full and turns: a request every 30 seconds. The baselines
// run in slices between, so that all see the same machine.
func BenchmarkTakeHot(b *testing.B) {
	m := newMemory(0)
	var log trimmed
	var calendar fixed
	var clocks [3]time.Time
	next := func(i int) time.Time { clocks[i] = clocks[i].Add(30 * time.Second); return clocks[i] }
	ours := func() { m.Take(1, next(0), usual) }
	usualCode := func() { log.take(next(1).UnixNano(), usual) }
	cheapest := func() { calendar.take(next(2).UnixNano(), usual) }
	for i := range clocks {
		clocks[i] = epoch
	}
	for range 6000 {
		ours()
		usualCode()
	}
	const slice = 1000
	var ns, naive, cheap float64
	b.ReportAllocs()
	b.ResetTimer()
	rounds := 0
	for ; rounds*slice < b.N; rounds++ {
		ns += each(slice, ours)
		b.StopTimer()
		naive += each(slice/10, usualCode)
		cheap += each(slice, cheapest)
		b.StartTimer()
	}
	n := float64(rounds)
	b.ReportMetric(ns/n, "ns/take")
	b.ReportMetric(naive/n, "ns/trimmed-log")
	b.ReportMetric(cheap/n, "ns/fixed-window")
	b.ReportMetric(ns/naive, "x-trimmed-log")
	b.ReportMetric(ns/cheap, "x-fixed-window")
}

// A refusal must not be dearer than what it saves.
func BenchmarkTakeRefused(b *testing.B) {
	for _, tt := range []struct {
		name string
		l    limit.Limits
	}{
		{"minute", limit.Limits{Minute: 20, Day: 2880}},
		{"day", limit.Limits{Minute: 1000, Day: 100}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			m := newMemory(0)
			for i := range 100 {
				m.Take(1, epoch.Add(time.Duration(i)*dayStep), tt.l)
			}
			now := epoch.Add(100 * dayStep)
			takeMany(m, 1, 20, now, tt.l)
			b.ReportAllocs()
			for b.Loop() {
				if m.Take(1, now, tt.l).OK {
					b.Fatal("passed")
				}
			}
		})
	}
}

// Each request a random key; a key has one about every ten minutes.
func BenchmarkTakeRandomKey(b *testing.B) {
	for _, keys := range []int64{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			m := newMemory(int(keys) * 2)
			r := rand.New(rand.NewPCG(1, 1))
			now := epoch
			gap := 10 * time.Minute / time.Duration(keys)
			take := func() {
				now = now.Add(gap)
				m.Take(r.Int64N(keys), now, usual)
			}
			for range 2 * keys {
				take()
			}
			b.ReportAllocs()
			for b.Loop() {
				take()
			}
		})
	}
}

func BenchmarkTakeParallel(b *testing.B) {
	m := newMemory(0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(rand.Uint64(), 1))
		now := time.Now()
		for pb.Next() {
			now = now.Add(time.Millisecond)
			m.Take(r.Int64N(1000), now, limit.Limits{Minute: 10_000, Day: limit.MaxDay})
		}
	})
}

func BenchmarkMemoryPerKey(b *testing.B) {
	for _, keys := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			for range b.N {
				m, heap := heapOf(func() *limit.Memory {
					m := newMemory(keys * 2)
					for id := range int64(keys) {
						m.Take(id, epoch, usual)
					}
					return m
				})
				b.ReportMetric(heap/float64(keys), "bytes/key")
				runtime.KeepAlive(m)
			}
		})
	}
}

func BenchmarkDaySnapshot(b *testing.B) {
	m := newShard(0)
	for i := range 101 {
		m.Take(1, epoch.Add(time.Duration(i)*dayStep), usual)
	}
	now := epoch.Add(100 * dayStep)
	b.ReportAllocs()
	for b.Loop() {
		m.Day(1, now)
	}
}
