package watch

import (
	"cmp"
	"slices"
	"time"

	"userkeys/client"
)

// Limits are how many calls a key may make on its site.
type Limits struct {
	PerMinute int `json:"per_minute"`
	PerDay    int `json:"per_day"`
}

// LimitsOf returns the limits of one key on a site. All keys of a user share the user's limits, which one key must
// not use up.
func LimitsOf(s client.Support) Limits {
	d := s.Limits()
	return Limits{PerMinute: least(d.PerMinute, d.UserPerMinute), PerDay: least(d.PerDay, d.UserPerDay)}
}

// least returns the smaller limit; 0 means no limit of that kind.
func least(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// A Budget counts the calls of one key and keeps them below half of its limits; the other half is for the user's
// other programs. The bound holds for every minute and every day, wherever they begin. A Budget is not safe for
// use by several goroutines.
type Budget struct {
	limits Limits
	calls  []time.Time // of the last day, the oldest first
}

// Bounds of the limits that a site describes, and of the time between calls: a site with enormous limits must not make
// this machine call it all the time.
const (
	mostPerMinute = 60
	mostPerDay    = 20_000
	leastPace     = 15 * time.Second
)

// NewBudget returns a budget for a key with these limits; 0 means the usual limit.
func NewBudget(l Limits) *Budget {
	usual := LimitsOf(client.Support{})
	l.PerMinute = min(cmp.Or(max(l.PerMinute, 0), usual.PerMinute), mostPerMinute)
	l.PerDay = min(cmp.Or(max(l.PerDay, 0), usual.PerDay), mostPerDay)
	return &Budget{limits: l}
}

// half returns the share of a limit that a Budget uses; 1 of a limit of 1.
func half(limit int) int { return max(limit/2, 1) }

const day = 24 * time.Hour

// Wait returns how long no call may be made; 0 if one may be made now.
func (b *Budget) Wait(now time.Time) time.Duration {
	b.forget(now)
	return max(b.until(now, half(b.limits.PerMinute), time.Minute), b.until(now, half(b.limits.PerDay), day))
}

// until returns how long it takes until fewer than most calls lie within the window that ends now.
func (b *Budget) until(now time.Time, most int, window time.Duration) time.Duration {
	if len(b.calls) < most {
		return 0
	}
	// A nanosecond more, because the site may count the border as part of the window.
	return max(0, b.calls[len(b.calls)-most].Add(window).Sub(now)+1)
}

// Spend counts a call.
func (b *Budget) Spend(now time.Time) { b.calls = append(b.calls, now) }

// take counts a call if one may be made now: in the ledger that all programs share, or without a ledger in b
// alone.
func (b *Budget) take(id string, shared Ledger, now time.Time) bool {
	if shared != nil {
		taken := false
		calls, err := shared.Take(id, now, func(calls []time.Time) time.Duration {
			b.calls = calls
			wait := b.Wait(now)
			taken = wait == 0
			return wait
		})
		if err == nil {
			b.calls = calls
			return taken
		}
	}
	if b.Wait(now) > 0 {
		return false
	}
	b.Spend(now)
	return true
}

// Usage is how many calls of a key were made, of those that it may make.
type Usage struct {
	Limits
	Minute int `json:"minute"`
	Day    int `json:"day"`
}

// Used returns how many calls were made up to now.
func (b *Budget) Used(now time.Time) Usage {
	b.forget(now)
	inMinute := len(b.calls) - b.index(now.Add(-time.Minute))
	return Usage{Limits: b.limits, Minute: inMinute, Day: len(b.calls)}
}

// Pace returns the time between two calls that go on all day and leave a fifth of the budget for calls in between.
func (b *Budget) Pace() time.Duration {
	return max(day*5/4/time.Duration(half(b.limits.PerDay)), time.Minute*5/4/time.Duration(half(b.limits.PerMinute)),
		leastPace)
}

func (b *Budget) forget(now time.Time) {
	if i := b.index(now.Add(-day)); i > 0 {
		b.calls = slices.Delete(b.calls, 0, i)
	}
}

// index returns the position of the first call after t.
func (b *Budget) index(t time.Time) int {
	i, _ := slices.BinarySearchFunc(b.calls, t, func(call, t time.Time) int {
		if call.After(t) {
			return 1
		}
		return -1
	})
	return i
}
