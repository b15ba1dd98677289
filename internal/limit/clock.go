package limit

import (
	"math"
	"time"
)

// All arithmetic is in whole milliseconds since 1970.
const (
	minuteLen int64 = 60_000
	stepLen   int64 = 864_000 // a hundredth of a day
	daySteps        = 100

	// forgiven is how far the time of a caller may be behind the latest time seen before the clock is taken to have
	// been set back. Requests wait for locks and for the database between reading the clock and being charged.
	forgiven int64 = 10_000

	maxTime = (math.MaxUint32 - 2*daySteps) * stepLen // about the year 119000; the steps fit into 32 bits
)

// Moment is the time of a caller as the windows of a shard see it. A request gets the time rounded up as its stamp,
// and windows end by the time rounded down, so that rounding never shortens a window.
type Moment struct {
	now   int64         // the caller's time, rounded down
	part  time.Duration // what rounding down has removed
	floor int64         // the time by which requests leave the windows
	stamp int64         // the time from which a request counts
	step  uint32        // the step of the day that floor is in
}

// millis returns a time in whole milliseconds, and what rounding down has removed.
func millis(t time.Time) (now int64, part time.Duration) {
	return min(max(t.UnixMilli(), 0), maxTime), time.Duration(t.Nanosecond()) % time.Millisecond
}

// set sets m to the time of a caller, as windows see it that have seen the time latest.
func (m *Moment) set(now int64, part time.Duration, latest int64) {
	m.now, m.part = now, part
	m.floor = max(now, min(latest, now+forgiven))
	if part > 0 {
		now++
	}
	m.stamp, m.step = max(m.floor, now), stepOf(m.floor)
}

// until returns how long the caller has to wait for t.
func (m *Moment) until(t int64) time.Duration {
	return time.Duration(t-m.now)*time.Millisecond - m.part
}

// stepOf returns the step of the day that a time is in.
func stepOf(t int64) uint32 { return uint32(t / stepLen) }

// stepEnds returns when the requests of a step no longer count: 24 hours after its end.
func stepEnds(step uint32) int64 { return (int64(step) + daySteps + 1) * stepLen }

// stepLive reports whether a step that is not later than now still counts.
func stepLive(step, now uint32) bool { return now-step <= daySteps }
