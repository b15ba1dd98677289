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
// and windows end by the time rounded down, so that rounding never shortens a window. It may be used with the shard
// whose [Shard.Begin] has returned it, while the lock of that shard is held.
type Moment struct {
	now   int64         // the caller's time, rounded down
	part  time.Duration // what rounding down has removed
	floor int64         // the time by which requests leave the windows
	stamp int64         // the time from which a request counts
	step  uint32        // the step of the day that floor is in
}

// momentOf returns t as a moment.
func momentOf(t time.Time) Moment {
	now := min(max(t.UnixMilli(), 0), maxTime)
	part := time.Duration(t.Nanosecond()) % time.Millisecond
	m := Moment{now: now, part: part}
	return m.anew()
}

// anew returns the caller's time as windows see it that have seen no later time.
func (m *Moment) anew() Moment {
	n := Moment{now: m.now, part: m.part, floor: m.now, stamp: m.now, step: stepOf(m.now)}
	if m.part > 0 {
		n.stamp++
	}
	return n
}

// notBefore makes floor the time of the windows if it is later than theirs. The caller's time stays.
func (m *Moment) notBefore(floor int64) {
	if floor > m.floor {
		m.floor, m.stamp, m.step = floor, max(m.stamp, floor), stepOf(floor)
	}
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
