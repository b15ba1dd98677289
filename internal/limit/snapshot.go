package limit

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrSnapshot is the error of [Memory.Restore] for bytes that [Memory.Day] did not write.
var ErrSnapshot = errors.New("limit: unreadable snapshot of a day window")

// snapshotVersion is the first byte of a snapshot. Then come, as varints, the
// newest step, its count, and for each older step its distance and count.
const snapshotVersion = 1

// Day is a snapshot of a key's day window for the database, at most 500 bytes;
// nil if the key is unknown or its day is empty. It holds steps of the calendar,
// not ages, so it means the same after any pause. What was counted while the
// key was not restored is part of it from now on, so a later Restore is not needed.
func (m *Memory) Day(id int64, now time.Time) []byte {
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, i := s.index.find(id, s)
	if i == 0 {
		return nil
	}
	k := s.key(i)
	k.known = true
	return k.snapshot(&s.pool, stepOf(momentOf(now).now))
}

// snapshot leaves out the steps that no longer count.
func (k *key) snapshot(p *pool, now uint32) []byte {
	ring := p.ring(&k.day)
	var b []byte
	var last uint32
	for i := int(k.day.n) - 1; i >= 0; i-- {
		step, count := k.stepAt(ring, i)
		if step < now && !stepLive(step, now) {
			break
		}
		if b == nil {
			b = append(make([]byte, 0, 8+3*int(k.day.n)), snapshotVersion)
			b = binary.AppendUvarint(b, uint64(step))
		} else {
			b = binary.AppendUvarint(b, uint64(last-step))
		}
		b = binary.AppendUvarint(b, uint64(count))
		last = step
	}
	return b
}

// Restore loads what [Memory.Day] saved, unless it is in the key already. Call
// it before Take for a key that is not [Memory.Known], with nil if nothing was
// saved. Requests taken before it are kept and added to. Steps ahead of now, as
// saved before a clock was set back, count as of now.
//
// Bytes that Day did not write are refused on the safe side: they may have said
// that nothing is left, so the day counts as used up until it has passed, and
// the error is [ErrSnapshot]. To pardon the key, delete what is saved and
// restart.
func (m *Memory) Restore(id int64, day []byte, now time.Time) error {
	t := momentOf(now)
	at := &t
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(at)
	i, wait := s.find(id, at)
	if wait > 0 {
		return nil // Take refuses for the same reason, and the key stays unknown
	}
	k := s.key(i)
	if k.known {
		return nil
	}
	k.known = true
	k.settle(&s.pool, at)
	a := k.ages(&s.pool, at.step)
	err := a.read(day, at.step)
	if err != nil {
		a[0] = fullStep
	}
	k.setAges(&s.pool, &a, at.step)
	return err
}

// read adds a snapshot, or nothing of it if it cannot be read.
func (a *ages) read(b []byte, now uint32) error {
	if len(b) == 0 {
		return nil
	}
	if b[0] != snapshotVersion {
		return ErrSnapshot
	}
	r := reader{b: b[1:]}
	newest := r.next(0, math.MaxUint32)
	sum, span := *a, uint64(0)
	for {
		sum.add(uint32(newest-span), now, uint32(r.next(1, fullStep)))
		if len(r.b) == 0 || r.bad {
			break
		}
		if span += r.next(1, daySteps); span > min(daySteps, newest) {
			return ErrSnapshot
		}
	}
	if r.bad {
		return ErrSnapshot
	}
	*a = sum
	return nil
}

// reader reads varints until one is bad.
type reader struct {
	b   []byte
	bad bool
}

// next returns the next number, which must be from least to most.
func (r *reader) next(least, most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v < least || v > most {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
