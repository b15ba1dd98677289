package limit

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrSnapshot is the error of [Shard.Restore] for bytes that [Shard.Day] did not write.
var ErrSnapshot = errors.New("limit: unreadable snapshot of a day window")

// snapshotVersion is the first byte of a snapshot. Then come, as varints, the
// newest step, its count, and for each older step its distance and count.
const snapshotVersion = 1

// Day appends a snapshot of the day of an account to b, for the database: at most 500 bytes, none if the day is empty.
// It holds steps of the calendar, not ages, so it means the same after any pause.
func (s *Shard[T]) Day(b []byte, a *Account[T], at *Moment) []byte {
	a.settle(&s.pool, at)
	a.trim(&s.pool, at)
	return a.snapshot(&s.pool, b)
}

// snapshot appends the steps of a trimmed day.
func (w *windows) snapshot(p *pool, b []byte) []byte {
	if w.total == 0 {
		return b
	}
	b = append(b, snapshotVersion)
	last := uint32(0)
	put := func(step, count uint32) {
		switch {
		case count == 0:
			return
		case last == 0: // the newest, with its own number
			b = binary.AppendUvarint(b, uint64(step))
		default:
			b = binary.AppendUvarint(b, uint64(last-step))
		}
		b = binary.AppendUvarint(b, uint64(count))
		last = step
	}
	put(w.step, w.newest)
	ring := w.dayRing(p)
	for i := int(w.days) - 1; i >= 0; i-- {
		put(w.stepAt(ring, i))
	}
	return b
}

// Restore adds what [Shard.Day] saved to the day of an account that was just made. Steps ahead of now, as saved before
// a clock was set back, count as of now.
//
// Bytes that Day did not write are refused on the safe side: they may have said
// that nothing is left, so the day counts as used up until it has passed, and
// the error is [ErrSnapshot]. To pardon the account, delete what is saved and
// restart.
func (s *Shard[T]) Restore(a *Account[T], day []byte, at *Moment) error {
	a.settle(&s.pool, at)
	a.trim(&s.pool, at)
	counts := a.ages(&s.pool, at.step)
	err := counts.read(day, at.step)
	if err != nil {
		counts[0] = fullStep
	}
	a.setAges(&s.pool, &counts, at.step)
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
