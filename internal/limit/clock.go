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

	// forgiven is how far behind the latest time seen a caller may be before the
	// clock is taken to have been set back: requests wait for locks and loads
	// between reading the clock and being charged.
	forgiven int64 = 10_000

	latest = (math.MaxUint32 - 2*daySteps) * stepLen // steps fit 32 bits: about the year 119000
)

// Moment is the time of a caller as the windows see it. A request gets the time rounded up as its stamp, and windows
// end by the time rounded down, so that rounding never shortens a window. It is good for the shard whose
// [Shard.Begin] has returned it, until the lock of that shard is given back.
type Moment struct {
	now   int64         // the caller's time, rounded down
	part  time.Duration // what rounding took off
	floor int64         // windows end by this
	stamp int64         // a request counts from this
	step  uint32        // the day's step of floor
}

// momentOf returns t as a moment.
func momentOf(t time.Time) Moment {
	now := min(max(t.UnixMilli(), 0), latest)
	part := time.Duration(t.Nanosecond()) % time.Millisecond
	m := Moment{now: now, part: part}
	return m.anew()
}

// anew returns the caller's time as other windows see it.
func (m *Moment) anew() Moment {
	n := Moment{now: m.now, part: m.part, floor: m.now, stamp: m.now, step: stepOf(m.now)}
	if m.part > 0 {
		n.stamp++
	}
	return n
}

// notBefore moves the windows forward to floor. The time of the caller stays.
func (m *Moment) notBefore(floor int64) {
	if floor > m.floor {
		m.floor, m.stamp, m.step = floor, max(m.stamp, floor), stepOf(floor)
	}
}

// until returns how long the caller has to wait for t.
func (m *Moment) until(t int64) time.Duration {
	return time.Duration(t-m.now)*time.Millisecond - m.part
}

func stepOf(t int64) uint32 { return uint32(t / stepLen) }

// stepEnds returns when a step no longer counts because its end has left the window.
func stepEnds(step uint32) int64 { return (int64(step) + daySteps + 1) * stepLen }

// stepLive reports whether a step that is not later than now still counts.
func stepLive(step, now uint32) bool { return now-step <= daySteps }
