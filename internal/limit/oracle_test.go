package limit_test

import (
	"slices"
	"time"

	"userkeys/internal/limit"
)

const dayStep = 864 * time.Second

// epoch begins a step, so that tests can speak of its edges.
var epoch = time.Unix(0, 0).Add(2_000_000 * dayStep).UTC()

// oracle is the limiter as the promise reads: it keeps every time and counts
// anew each time.
type oracle struct{ minute, day []time.Time }

func (o *oracle) accept(now time.Time) {
	o.minute = append(o.minute, now)
	o.day = append(o.day, now)
}

func minuteLeaves(t time.Time) time.Time { return t.Add(time.Minute) }

func dayLeaves(t time.Time) time.Time { return t.Truncate(dayStep).Add(dayStep + 24*time.Hour) }

// counting is how many have not left by now.
func counting(times []time.Time, leaves func(time.Time) time.Time, now time.Time) int {
	n := 0
	for _, t := range times {
		if leaves(t).After(now) {
			n++
		}
	}
	return n
}

// wait is how long until fewer than most are counting, found by trying.
func wait(times []time.Time, leaves func(time.Time) time.Time, now time.Time, most int) time.Duration {
	moments := []time.Time{now}
	for _, t := range times {
		if l := leaves(t); l.After(now) {
			moments = append(moments, l)
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, m := range moments {
		if counting(times, leaves, m) < most {
			return m.Sub(now)
		}
	}
	panic("most is not positive")
}

// decide is what Take has to answer.
func (o *oracle) decide(now time.Time, l limit.Limits) limit.Decision {
	if l.Day <= 0 {
		return limit.Decision{Window: limit.Day, RetryAfter: 24 * time.Hour}
	}
	if l.Minute <= 0 {
		return limit.Decision{Window: limit.Minute, RetryAfter: time.Minute}
	}
	minute := wait(o.minute, minuteLeaves, now, l.Minute)
	day := wait(o.day, dayLeaves, now, l.Day)
	switch {
	case minute == 0 && day == 0:
		return limit.Decision{OK: true}
	case day > minute:
		return limit.Decision{Window: limit.Day, RetryAfter: day}
	}
	return limit.Decision{Window: limit.Minute, RetryAfter: minute}
}

// mostWithin is the most times in any span of that length.
func mostWithin(times []time.Time, span time.Duration) int {
	most, from := 0, 0
	for i, t := range times {
		for t.Sub(times[from]) >= span {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
