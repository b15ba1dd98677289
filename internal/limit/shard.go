package limit

import (
	"sync"
	"time"
)

// Account is what requests are charged to, and what the caller keeps with it. Data must have no pointers, so that the
// garbage collector has nothing to follow in a million of them.
type Account[T any] struct {
	Data T
	windows
}

// Keep says whether the account must be kept although its windows are empty, because something of it has to be saved.
func (a *Account[T]) Keep(keep bool) {
	if keep {
		a.state |= kept
	} else {
		a.state &^= kept
	}
}

const chunkAccounts = 128

// Shard is a part of the accounts under one lock. Use [Shard.Init] before anything else. All methods but Lock need the
// lock.
type Shard[T any] struct {
	mu     sync.Mutex
	most   int
	tag    func(*T) uint32
	forget func(*T)

	latest int64 // the latest time seen
	full   int64 // until when no account may be forgotten, if none could be at the last look
	calls  uint32
	hand   uint32 // the account that was looked at last
	index  index
	chunks []*[chunkAccounts]Account[T]
	made   uint32 // the highest number of an account
	free   []uint32
	pool   pool

	_ [64]byte // shards do not share a cache line
}

// Init makes an empty shard of at most so many accounts. tag returns a hash of the part of Data by which an account
// is found. forget, which may be nil, is called before an account is forgotten.
func (s *Shard[T]) Init(most int, tag func(*T) uint32, forget func(*T)) {
	if forget == nil {
		forget = func(*T) {}
	}
	s.most, s.tag, s.forget, s.index, s.pool = most, tag, forget, newIndex(4), newPool()
}

// Lock locks the shard.
func (s *Shard[T]) Lock() { s.mu.Lock() }

// Unlock unlocks the shard.
func (s *Shard[T]) Unlock() { s.mu.Unlock() }

// Len returns how many accounts there are.
func (s *Shard[T]) Len() int { return s.index.n }

// At returns the account of a number, or nil if there is none.
func (s *Shard[T]) At(number uint32) *Account[T] {
	if number == 0 || number > s.made {
		return nil
	}
	if a := s.at(number); a.is(taken) {
		return a
	}
	return nil
}

func (s *Shard[T]) at(number uint32) *Account[T] {
	return &s.chunks[number/chunkAccounts][number%chunkAccounts]
}

// First returns where [Shard.Next] has to begin to find the accounts with a tag.
func (s *Shard[T]) First(tag uint32) int { return s.index.first(tag) }

// Next returns the number of an account with this tag, and where to go on; 0 if there are no more.
func (s *Shard[T]) Next(tag uint32, from int) (number uint32, next int) {
	return s.index.next(tag, from)
}

// Begin returns the time of a caller as the windows of this shard see it. It is the latest time seen: the clock does
// not go back while callers are less than ten seconds behind it, so that a caller who is charged late does not move a
// window. If a caller is further behind, the clock goes back to ten seconds after that caller's time, so that a clock
// that was set back does not stop anybody for long.
//
// Begin also tidies up what one request can leave behind, and may forget accounts: those found
// before are no longer good.
func (s *Shard[T]) Begin(now time.Time) Moment {
	return s.begin(momentOf(now))
}

func (s *Shard[T]) begin(at Moment) Moment {
	at.notBefore(min(s.latest, at.floor+forgiven))
	s.latest = at.floor
	if s.calls++; s.calls%sweepEvery == 0 {
		s.sweep(&at)
	}
	return at
}

// A sweep looks at some accounts in a row, which are cheap to read. It is at twice as many as there were calls.
const (
	sweepEvery = 8
	sweepLook  = 2 * sweepEvery
)

func (s *Shard[T]) sweep(at *Moment) {
	for range min(sweepLook, s.made) {
		s.turn()
		if a := s.at(s.hand); a.is(taken) && a.idle(&s.pool, at) >= 0 {
			a.forgetMinute(&s.pool)
			if !a.is(kept) && (a.total == 0 || !stepLive(a.step, at.step)) {
				s.Forget(s.hand)
			}
		}
	}
}

func (s *Shard[T]) turn() {
	if s.hand++; s.hand > s.made {
		s.hand = 1
	}
}

// idle returns for how long the minute of a has been over, in milliseconds; negative if it is not.
func (a *Account[T]) idle(p *pool, at *Moment) int64 {
	a.settle(p, at)
	return at.floor - a.touched - minuteLen
}

// Take charges one request of a to both windows, or to neither; then the decision says why.
func (s *Shard[T]) Take(a *Account[T], at *Moment, l Limits) Decision {
	if d, ok := l.refuseAll(); ok {
		return d
	}
	d := a.ask(&s.pool, at, l)
	if d.OK {
		a.charge(&s.pool, at)
	}
	return d
}

// Add makes an account with empty windows and returns its number. If there is no room and no account may be forgotten,
// it returns how long it takes until one may.
func (s *Shard[T]) Add(data T, at *Moment) (number uint32, wait time.Duration) {
	if s.index.n >= s.most {
		if wait := s.evict(at); wait > 0 {
			return 0, wait
		}
	}
	if n := len(s.free); n > 0 {
		number, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.made++
		number = s.made
		if int(number/chunkAccounts) >= len(s.chunks) {
			s.chunks = append(s.chunks, new([chunkAccounts]Account[T]))
		}
	}
	*s.at(number) = Account[T]{Data: data, windows: windows{touched: at.stamp, step: at.step, state: taken}}
	s.index.add(s.tag(&data), number)
	return number, 0
}

const (
	// evictLook is among how many accounts the one is chosen that is forgotten when the shard is full.
	evictLook = 32
	// retryKept is how long to wait, in milliseconds, for an account that has to be saved before it may be forgotten.
	retryKept = 1000
)

// evict forgets an account whose last request is long ago. It keeps an account with a request in the last minute,
// because forgetting that account would let it through twice; the new account has to wait. It also keeps one of which
// something has to be saved.
func (s *Shard[T]) evict(at *Moment) time.Duration {
	if at.floor < s.full && s.full <= at.floor+minuteLen {
		return at.until(s.full)
	}
	most, oldest, ends := int64(-1), uint32(0), at.floor+minuteLen
	for looked := uint32(1); looked <= s.made && (looked <= evictLook || oldest == 0); looked++ {
		s.turn()
		a := s.at(s.hand)
		if !a.is(taken) {
			continue
		}
		idle := a.idle(&s.pool, at)
		switch {
		case idle < 0:
			ends = min(ends, at.floor-idle)
		case a.is(kept):
			ends = min(ends, at.floor+retryKept)
		case idle > most:
			most, oldest = idle, s.hand
		}
	}
	if oldest == 0 {
		s.full = ends
		return at.until(ends)
	}
	s.Forget(oldest)
	return 0
}

// Forget forgets the account of a number.
func (s *Shard[T]) Forget(number uint32) {
	a := s.at(number)
	s.forget(&a.Data)
	s.index.remove(s.tag(&a.Data), number)
	a.forgetMinute(&s.pool)
	a.forgetDay(&s.pool)
	*a = Account[T]{}
	s.free = append(s.free, number)
	s.full = 0
}

// Move gives a, which is new, the windows of an account in another shard or in the same one, and forgets that. The
// caller holds both locks.
func (s *Shard[T]) Move(a *Account[T], from *Shard[T], number uint32) {
	s.latest = max(s.latest, from.latest)
	a.move(&s.pool, &from.at(number).windows, &from.pool)
	from.Forget(number)
}

// All calls f with each account and its number.
func (s *Shard[T]) All(f func(number uint32, a *Account[T])) {
	for number := uint32(1); number <= s.made; number++ {
		if a := s.at(number); a.is(taken) {
			f(number, a)
		}
	}
}
