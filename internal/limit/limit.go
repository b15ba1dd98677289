package limit

import "time"

// The greatest [Limits]; greater ones count as these. With them the stamps of a minute take at most 128 KiB, and the
// count of a step fits into 24 bits.
const (
	MaxMinute = 1<<16 - 1
	MaxDay    = fullStep - 1
)

// Limits are how many requests a key may make in any 60 seconds and in any 24
// hours. Zero or less refuses everything.
type Limits struct{ Minute, Day int }

// Window is one of the two windows that every request is charged to.
type Window int

// The windows, named as in [Limits].
const (
	Minute Window = iota
	Day
)

// Length returns how long a request counts, without the step to which the day is rounded up.
func (w Window) Length() time.Duration {
	if w == Day {
		return 24 * time.Hour
	}
	return time.Minute
}

// String returns the name of the window for logs and metrics: "minute" or "day".
func (w Window) String() string {
	if w == Day {
		return "day"
	}
	return "minute"
}

// Decision is the outcome of one request: see [Memory.Take] and [Shard.Take].
type Decision struct {
	OK bool // charged to both windows; if false, to neither
	// Window is the one that refused: if both did, the one that does so longer.
	Window Window
	// RetryAfter is after how long the same request passes if nothing else is
	// charged meanwhile: not rounded, and not a moment longer than needed. With a
	// limit of zero no wait helps, and it is the window's length.
	RetryAfter time.Duration
}

// refuseAll returns the decision for limits that allow nothing, and reports whether l is such limits.
func (l Limits) refuseAll() (Decision, bool) {
	switch {
	case l.Day <= 0:
		return Decision{Window: Day, RetryAfter: Day.Length()}, true
	case l.Minute <= 0:
		return Decision{Window: Minute, RetryAfter: Minute.Length()}, true
	}
	return Decision{}, false
}

// NoRoom returns the decision about an account that there is no room for yet.
func NoRoom(wait time.Duration) Decision { return Decision{Window: Minute, RetryAfter: wait} }

// decide returns the decision for the waits of both windows. Zero means no wait.
func decide(minute, day time.Duration) Decision {
	switch {
	case day > minute:
		return Decision{Window: Day, RetryAfter: day}
	case minute > 0:
		return Decision{Window: Minute, RetryAfter: minute}
	}
	return Decision{OK: true}
}
