package limit

import "time"

// inlineStamps is how many requests of the last minute fit into [windows] itself.
const inlineStamps = 11

// windows are both windows of one account, in 56 bytes without pointers. The minute is a ring buffer with the stamps
// of its requests. The day is the count of the newest step and, if there are older ones, a ring buffer with their
// counts.
type windows struct {
	touched  int64  // the stamp of the newest request, or of the making of the account if there was no request yet
	step     uint32 // the newest step
	total    uint32 // the requests of the day that still count
	newest   uint32 // how many of them are in the newest step
	older    uint32 // the number of the block with the older steps; 0: there is none
	n, head  uint16 // how many stamps there are, and where in the ring the oldest one is
	class    uint8  // 0: the stamps are in the field stamps; otherwise in a block of this class
	state    uint8  // bits: taken, unsaved
	dayClass uint8  // the class of the block older
	days     uint8  // how many older steps there are
	dayHead  uint8  // where in the ring the oldest one is
	// stamps has the low 16 bits of each stamp, which are enough because all stamps are less than a minute older than
	// touched. If class is not 0, it begins with the two halves of the number of a block instead.
	stamps [inlineStamps]uint16
}

// The bits of state.
const (
	taken   = 1 << iota // the account is in use
	unsaved             // see [Account.MarkUnsaved]
)

func (w *windows) is(state uint8) bool { return w.state&state != 0 }

// block returns the number of the block with the stamps. The class is not 0.
func (w *windows) block() uint32 { return uint32(w.stamps[0]) | uint32(w.stamps[1])<<16 }

// ring returns the ring buffer with the stamps.
func (w *windows) ring(p *pool) []uint16 {
	if w.class == 0 {
		return w.stamps[:]
	}
	return p.minute(w.class).words(w.block())
}

// lowBits returns where a ring has the low 16 bits of the i-th oldest stamp.
func (w *windows) lowBits(ring []uint16, i int) *uint16 {
	if i += int(w.head); i >= len(ring) {
		i -= len(ring)
	}
	return &ring[i]
}

// stamp returns the i-th oldest stamp of a ring as a time.
func (w *windows) stamp(ring []uint16, i int) int64 {
	return w.touched - int64(uint16(w.touched)-*w.lowBits(ring, i))
}

// settle adjusts the windows after the clock was set back. What lies after at is moved to at, so that it counts for
// one window from at on.
func (w *windows) settle(p *pool, at *Moment) {
	if w.touched > at.floor+1 { // a stamp that was rounded up may be one millisecond ahead
		ring := w.ring(p)
		for i := int(w.n) - 1; i >= 0 && w.stamp(ring, i) > at.stamp; i-- {
			*w.lowBits(ring, i) = uint16(at.stamp)
		}
		w.touched = at.stamp
	}
	if w.step > at.step {
		a := w.ages(p, at.step)
		w.setAges(p, &a, at.step)
	}
}

// trim removes what has left the windows, and makes the step of at the newest step.
func (w *windows) trim(p *pool, at *Moment) {
	if w.touched+minuteLen <= at.floor {
		w.n, w.head = 0, 0
	}
	for ring := w.ring(p); w.n > 0 && w.stamp(ring, 0)+minuteLen <= at.floor; w.n-- {
		if w.head++; int(w.head) == len(ring) {
			w.head = 0
		}
	}
	if w.step != at.step {
		w.advance(p, at.step)
	}
}

// advance makes now the newest step, and removes the steps that no longer count.
func (w *windows) advance(p *pool, now uint32) {
	if !stepLive(w.step, now) {
		w.forgetDay(p)
	}
	if w.newest > 0 {
		w.push(p, dayWord(w.step, w.newest))
	}
	for ring := w.dayRing(p); w.days > 0; w.days-- {
		step, count := w.olderStep(ring, 0)
		if stepLive(step, now) {
			break
		}
		w.dayHead = (w.dayHead + 1) & uint8(len(ring)-1)
		w.total -= count
	}
	w.step, w.newest = now, 0
}

// An older step is one word: the low 8 bits of its number above 24 bits with the count of its requests.
const countBits = 24

// fullStep is a count above every limit, so that the day is used up.
const fullStep = 1<<countBits - 1

func dayWord(step, count uint32) uint32 { return step<<countBits | count }

// dayRing returns the ring buffer with the older steps, or nil if there are none. Its length is a power of two.
func (w *windows) dayRing(p *pool) []uint32 {
	if w.older == 0 {
		return nil
	}
	return p.days[w.dayClass].words(w.older)
}

// olderStep returns the i-th oldest step before the newest, and its count.
func (w *windows) olderStep(ring []uint32, i int) (step, count uint32) {
	word := ring[(int(w.dayHead)+i)&(len(ring)-1)]
	return w.step - uint32(uint8(w.step)-uint8(word>>countBits)), word & fullStep
}

// push adds a step that is newer than all older steps in the ring. If the ring is full, they move to a larger block.
func (w *windows) push(p *pool, word uint32) {
	ring := w.dayRing(p)
	if int(w.days) == len(ring) {
		class := w.dayClass
		if ring != nil {
			class++
		}
		block := p.days[class].take()
		bigger := p.days[class].words(block)
		k := copy(bigger, ring[w.dayHead:])
		copy(bigger[k:], ring[:w.dayHead])
		if ring != nil {
			p.days[w.dayClass].put(w.older)
		}
		w.older, w.dayClass, w.dayHead = block, class, 0
		ring = bigger
	}
	ring[(int(w.dayHead)+int(w.days))&(len(ring)-1)] = word
	w.days++
}

// forgetDay removes all steps, and gives their block back to the pool.
func (w *windows) forgetDay(p *pool) {
	if w.older != 0 {
		p.days[w.dayClass].put(w.older)
	}
	w.older, w.dayClass, w.days, w.dayHead = 0, 0, 0, 0
	w.total, w.newest = 0, 0
}

// forgetMinute removes all stamps, and gives their block back to the pool.
func (w *windows) forgetMinute(p *pool) {
	if w.class > 0 {
		p.minute(w.class).put(w.block())
	}
	w.class, w.n, w.head = 0, 0, 0
}

// ask returns whether one more request passes. It charges nothing.
func (w *windows) ask(p *pool, at *Moment, l Limits) Decision {
	w.settle(p, at)
	w.trim(p, at)
	var minute, day time.Duration
	if over := int(w.n) - min(l.Minute, MaxMinute); over >= 0 {
		minute = at.until(w.stamp(w.ring(p), over) + minuteLen)
	}
	if over := int(w.total) - min(l.Day, MaxDay); over >= 0 {
		day = at.until(stepEnds(w.stepThatFrees(p, over)))
	}
	return decide(minute, day)
}

// stepThatFrees returns the earliest step after whose end more than over requests have left the day. Requests leave
// the day by whole steps.
func (w *windows) stepThatFrees(p *pool, over int) uint32 {
	ring := w.dayRing(p)
	for i := range int(w.days) {
		step, count := w.olderStep(ring, i)
		if over -= int(count); over < 0 {
			return step
		}
	}
	return w.step
}

// charge counts a request that ask has allowed in both windows.
func (w *windows) charge(p *pool, at *Moment) {
	w.touched = max(w.touched, at.stamp)
	ring := w.ring(p)
	if int(w.n) == len(ring) {
		ring = w.grow(p, ring)
	}
	w.n++
	*w.lowBits(ring, int(w.n)-1) = uint16(w.touched)
	w.total++
	w.newest++
}

// grow moves a full ring into the block of the next class.
func (w *windows) grow(p *pool, ring []uint16) []uint16 {
	n, block := w.n, p.minute(w.class+1).take()
	bigger := p.minute(w.class + 1).words(block)
	k := copy(bigger, ring[w.head:])
	copy(bigger[k:], ring[:w.head])
	class := w.class + 1
	w.forgetMinute(p)
	w.class, w.n = class, n
	w.stamps[0], w.stamps[1] = uint16(block), uint16(block>>16)
	return bigger
}

// move copies the windows from, whose blocks are in another pool, to w, which is empty.
func (w *windows) move(p *pool, from *windows, fromPool *pool) {
	state := w.state
	*w = *from
	w.state = state
	if w.class > 0 {
		block := p.minute(w.class).take()
		copy(p.minute(w.class).words(block), from.ring(fromPool))
		w.stamps[0], w.stamps[1] = uint16(block), uint16(block>>16)
	}
	if w.older != 0 {
		w.older = p.days[w.dayClass].take()
		copy(w.dayRing(p), from.dayRing(fromPool))
	}
}

// ages are the counts of the requests of a day: element i has those of the step i steps before the newest one.
type ages [daySteps + 1]uint32

// add adds n requests of a step to the counts as of the step now. A step after now counts as now. A count does not
// exceed fullStep, which already refuses everything.
func (a *ages) add(step, now, n uint32) {
	age := now - min(step, now)
	if age <= daySteps {
		a[age] = min(a[age]+n, fullStep)
	}
}

// ages returns the counts of the day of w as of the step now.
func (w *windows) ages(p *pool, now uint32) ages {
	var a ages
	a.add(w.step, now, w.newest)
	ring := w.dayRing(p)
	for i := range int(w.days) {
		step, count := w.olderStep(ring, i)
		a.add(step, now, count)
	}
	return a
}

// setAges replaces the day of w by counts as of the step now.
func (w *windows) setAges(p *pool, a *ages, now uint32) {
	w.forgetDay(p)
	w.step, w.newest, w.total = now, a[0], a[0]
	for age := min(now, daySteps); age > 0; age-- {
		if n := a[age]; n > 0 {
			w.push(p, dayWord(now-age, n))
			w.total += n
		}
	}
}
