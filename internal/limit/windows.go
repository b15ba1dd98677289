package limit

import "time"

// inlineStamps is how many requests of the last minute fit into [windows] itself.
const inlineStamps = 11

// windows are both windows of one account: 56 bytes without pointers. The minute is a ring of stamps. The day is the
// count of the newest step and, as soon as there are older ones, a ring with the count of each.
type windows struct {
	touched  int64  // stamp of the newest request; when the account was made, if there was none yet
	step     uint32 // the newest step
	total    uint32 // requests of the day that still count
	newest   uint32 // how many of them are in the newest step
	older    uint32 // the block with the ring of older steps; 0: there is none
	n, head  uint16 // how many stamps there are, and where the oldest is
	class    uint8  // 0: the stamps are here; otherwise in a block of this class
	state    uint8
	dayClass uint8 // of the block with the older steps
	days     uint8 // how many older steps there are
	dayHead  uint8 // where the oldest is
	// stamps are the low 16 bits of each: all are within a minute of touched. If class is not 0, the first two are the
	// number of the block.
	stamps [inlineStamps]uint16
}

// What state says.
const (
	taken = 1 << iota // there is such an account
	kept              // see [Account.Keep]
)

func (w *windows) is(state uint8) bool { return w.state&state != 0 }

func (w *windows) block() uint32 { return uint32(w.stamps[0]) | uint32(w.stamps[1])<<16 }

func (w *windows) ring(p *pool) []uint16 {
	if w.class == 0 {
		return w.stamps[:]
	}
	return p.stamps[w.class].at(w.block())
}

// at returns the i-th oldest stamp of a ring.
func (w *windows) at(ring []uint16, i int) *uint16 {
	if i += int(w.head); i >= len(ring) {
		i -= len(ring)
	}
	return &ring[i]
}

// stamp returns the i-th oldest stamp of the minute as a time.
func (w *windows) stamp(ring []uint16, i int) int64 {
	return w.touched - int64(uint16(w.touched)-*w.at(ring, i))
}

// settle adjusts the windows after the clock was set back. What lies in the future is moved to now, so that nothing
// counts for longer or for less than a window from now.
func (w *windows) settle(p *pool, at *Moment) {
	if w.touched > at.floor+1 { // one ahead is rounding
		ring := w.ring(p)
		for i := int(w.n) - 1; i >= 0 && w.stamp(ring, i) > at.stamp; i-- {
			*w.at(ring, i) = uint16(at.stamp)
		}
		w.touched = at.stamp
	}
	if w.step > at.step {
		a := w.ages(p, at.step)
		w.setAges(p, &a, at.step)
	}
}

// trim removes what has left the windows.
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

// advance makes now the newest step.
func (w *windows) advance(p *pool, now uint32) {
	if !stepLive(w.step, now) {
		w.forgetDay(p)
	}
	if w.newest > 0 {
		w.push(p, dayWord(w.step, w.newest))
	}
	for ring := w.dayRing(p); w.days > 0; w.days-- {
		step, count := w.stepAt(ring, 0)
		if stepLive(step, now) {
			break
		}
		w.dayHead = (w.dayHead + 1) & uint8(len(ring)-1)
		w.total -= count
	}
	w.step, w.newest = now, 0
}

// A word of the day is the low 8 bits of a step and the count of its requests.
const countBits = 24

// fullStep is a count that no limit allows: the day is used up.
const fullStep = 1<<countBits - 1

func dayWord(step, count uint32) uint32 { return step<<countBits | count }

func (w *windows) dayRing(p *pool) []uint32 {
	if w.older == 0 {
		return nil
	}
	return p.days[w.dayClass].at(w.older)
}

// stepAt returns the i-th oldest step before the newest, and its count.
func (w *windows) stepAt(ring []uint32, i int) (step, count uint32) {
	word := ring[(int(w.dayHead)+i)&(len(ring)-1)]
	return w.step - uint32(uint8(w.step)-uint8(word>>countBits)), word & fullStep
}

// push adds the newest of the older steps.
func (w *windows) push(p *pool, word uint32) {
	ring := w.dayRing(p)
	if int(w.days) == len(ring) {
		class := w.dayClass
		if ring != nil {
			class++
		}
		block := p.days[class].take()
		bigger := p.days[class].at(block)
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

func (w *windows) forgetDay(p *pool) {
	if w.older != 0 {
		p.days[w.dayClass].put(w.older)
	}
	w.older, w.dayClass, w.days, w.dayHead = 0, 0, 0, 0
	w.total, w.newest = 0, 0
}

// forgetMinute removes all stamps, and returns their block.
func (w *windows) forgetMinute(p *pool) {
	if w.class > 0 {
		p.stamps[w.class].put(w.block())
	}
	w.class, w.n, w.head = 0, 0, 0
}

// ask returns whether one more request passes.
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

// stepThatFrees returns the step with whose end more than over requests have left the day. Whole steps leave it.
func (w *windows) stepThatFrees(p *pool, over int) uint32 {
	ring := w.dayRing(p)
	for i := range int(w.days) {
		step, count := w.stepAt(ring, i)
		if over -= int(count); over < 0 {
			return step
		}
	}
	return w.step
}

// charge counts the request that ask has allowed, in both windows.
func (w *windows) charge(p *pool, at *Moment) {
	w.touched = max(w.touched, at.stamp)
	ring := w.ring(p)
	if int(w.n) == len(ring) {
		ring = w.grow(p, ring)
	}
	w.n++
	*w.at(ring, int(w.n)-1) = uint16(w.touched)
	w.total++
	w.newest++
}

// grow moves a full ring into the block of the next class.
func (w *windows) grow(p *pool, ring []uint16) []uint16 {
	n, block := w.n, p.stamps[w.class+1].take()
	bigger := p.stamps[w.class+1].at(block)
	k := copy(bigger, ring[w.head:])
	copy(bigger[k:], ring[:w.head])
	class := w.class + 1
	w.forgetMinute(p)
	w.class, w.n = class, n
	w.stamps[0], w.stamps[1] = uint16(block), uint16(block>>16)
	return bigger
}

// move moves the windows of another pool to w, which is empty.
func (w *windows) move(p *pool, from *windows, in *pool) {
	state := w.state
	*w = *from
	w.state = state
	if w.class > 0 {
		block := p.stamps[w.class].take()
		copy(p.stamps[w.class].at(block), from.ring(in))
		w.stamps[0], w.stamps[1] = uint16(block), uint16(block>>16)
	}
	if w.older != 0 {
		w.older = p.days[w.dayClass].take()
		copy(w.dayRing(p), from.dayRing(in))
	}
}

// ages are the counts of a day by how many steps ago.
type ages [daySteps + 1]uint32

// add counts n requests of a step. A step after now counts as now. A count stops at fullStep, which refuses as much
// as any greater number.
func (a *ages) add(step, now, n uint32) {
	age := now - min(step, now)
	if age <= daySteps {
		a[age] = min(a[age]+n, fullStep)
	}
}

func (w *windows) ages(p *pool, now uint32) ages {
	var a ages
	a.add(w.step, now, w.newest)
	ring := w.dayRing(p)
	for i := range int(w.days) {
		step, count := w.stepAt(ring, i)
		a.add(step, now, count)
	}
	return a
}

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
