package limit

import "time"

// key is what is remembered of one key: 64 bytes, one cache line, and the words
// of two queues. A word of the minute is a request's stamp; a word of the day is
// a step with the number of requests in it.
type key struct {
	id      int64
	touched int64 // stamp of the newest request; of the restore if there was none yet
	minute  queue // stamps, their low 32 bits: all are within a minute of touched
	day     queue // steps, their low 8 bits above a count of 24
	total   uint32
	step    uint32 // the newest step of day
	// prev and next are the neighbours in the list this key is in.
	prev, next uint32
	known      bool // what was saved of the day is in it
}

const (
	countBits = 24
	// fullStep is a count that no limit allows: the day is used up.
	fullStep = 1<<countBits - 1
)

// stampAt returns the i-th oldest stamp of the minute.
func (k *key) stampAt(ring []uint32, i int) int64 {
	return k.touched - int64(uint32(k.touched)-*k.minute.at(ring, i))
}

// stepAt returns the i-th oldest step of the day and its count.
func (k *key) stepAt(ring []uint32, i int) (step, count uint32) {
	word := *k.day.at(ring, i)
	return k.step - uint32(uint8(k.step)-uint8(word>>countBits)), word & fullStep
}

// settle adjusts a key after the clock was set back. What lies in the future is moved to now, so that nothing counts
// for longer or for less than a window from now.
func (k *key) settle(p *pool, at *moment) {
	if k.touched > at.floor+1 { // one ahead is rounding
		ring := p.ring(&k.minute)
		for i := int(k.minute.n) - 1; i >= 0 && k.stampAt(ring, i) > at.stamp; i-- {
			*k.minute.at(ring, i) = uint32(at.stamp)
		}
		k.touched = at.stamp
	}
	if k.day.n > 0 && k.step > at.step {
		a := k.ages(p, at.step)
		k.setAges(p, &a, at.step)
	}
}

// trim removes what has left the windows.
func (k *key) trim(p *pool, at *moment) {
	if k.touched+minuteLen <= at.floor {
		k.minute.clear()
	}
	ring := p.ring(&k.minute)
	for k.minute.n > 0 && k.stampAt(ring, 0)+minuteLen <= at.floor {
		k.minute.drop()
	}
	if !stepLive(k.step, at.step) {
		k.day.clear()
		k.total = 0
	}
	ring = p.ring(&k.day)
	for k.day.n > 0 {
		step, count := k.stepAt(ring, 0)
		if stepLive(step, at.step) {
			return
		}
		k.day.drop()
		k.total -= count
	}
}

// minuteWait returns how long the trimmed minute refuses one more request: until fewer than limit requests remain in
// it.
func (k *key) minuteWait(p *pool, limit int, at *moment) time.Duration {
	over := int(k.minute.n) - min(limit, MaxMinute)
	if over < 0 {
		return 0
	}
	return at.until(k.stampAt(p.ring(&k.minute), over) + minuteLen)
}

// dayWait returns how long the trimmed day refuses one more request. Whole steps leave the day.
func (k *key) dayWait(p *pool, limit int, at *moment) time.Duration {
	over := int(k.total) - min(limit, MaxDay)
	if over < 0 {
		return 0
	}
	ring := p.ring(&k.day)
	for i := 0; ; i++ {
		step, count := k.stepAt(ring, i)
		if over -= int(count); over < 0 {
			return at.until(stepEnds(step))
		}
	}
}

// charge counts one request in both windows.
func (k *key) charge(p *pool, at *moment) {
	k.touched = max(k.touched, at.stamp)
	p.push(&k.minute, uint32(k.touched))
	k.total++
	if k.day.n > 0 && k.step == at.step {
		*k.day.at(p.ring(&k.day), int(k.day.n)-1)++
		return
	}
	k.step = at.step
	p.push(&k.day, dayWord(at.step, 1))
}

func dayWord(step, count uint32) uint32 { return step<<countBits | count }

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

func (k *key) ages(p *pool, now uint32) ages {
	var a ages
	ring := p.ring(&k.day)
	for i := range int(k.day.n) {
		step, count := k.stepAt(ring, i)
		a.add(step, now, count)
	}
	return a
}

func (k *key) setAges(p *pool, a *ages, now uint32) {
	k.day.clear()
	k.total = 0
	for age := daySteps; age >= 0; age-- {
		if n := a[age]; n > 0 {
			k.step = now - uint32(age)
			k.total += n
			p.push(&k.day, dayWord(k.step, n))
		}
	}
}
