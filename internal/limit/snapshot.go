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

// Day appends a snapshot of the day of an account to b and returns it: at most 500 bytes, none if the day is empty. A
// caller saves it, and gives it to [Shard.Restore] after a restart. It has the times of the steps, not their ages, so
// that it may be restored at any time.
func (s *Shard[T]) Day(b []byte, a *Account[T], at *Moment) []byte {
	a.settle(&s.pool, at)
	a.trim(&s.pool, at)
	return a.snapshot(&s.pool, b)
}

// snapshot appends the steps of a day that was trimmed.
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
		put(w.olderStep(ring, i))
	}
	return b
}

// Restore adds a snapshot that [Shard.Day] has returned to the day of an account that was just made. Steps after now,
// which were saved before the clock was set back, count as of now.
//
// For bytes that Day did not write it returns [ErrSnapshot]. They may have said that nothing is left, so the day
// counts as used up until it has passed. To give the account a new day, delete what was saved and restart.
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

// read adds a snapshot to a as of the step now. If the snapshot cannot be read, it adds nothing.
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

// reader reads varints. After one that cannot be read or is out of range, bad is true.
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
