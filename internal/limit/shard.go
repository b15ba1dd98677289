package limit

import (
	"sync"
	"time"
)

// Account is what requests are charged to: the windows, and Data, which belongs to the caller. Data must have no
// pointers, so that the garbage collector need not scan a million accounts.
type Account[T any] struct {
	Data T
	windows
}

// MarkUnsaved says that something of the account has to be saved. The account is not forgotten before it is marked as
// saved, even if its windows are empty.
func (a *Account[T]) MarkUnsaved() { a.state |= unsaved }

// MarkSaved says that nothing of the account has to be saved.
func (a *Account[T]) MarkSaved() { a.state &^= unsaved }

const chunkAccounts = 128

// Shard is some of the accounts, under one lock. Call [Shard.Init] first. All other methods but Lock are called with
// the lock held.
//
// Accounts have numbers, which begin with 1. The number of an account that was forgotten is given to another one
// later.
type Shard[T any] struct {
	// What every call reads stands together, so that it takes few cache lines.
	mu     sync.Mutex
	latest int64  // the latest time seen
	moment Moment // what Begin returned last
	calls  uint32 // of begin
	made   uint32 // the highest number that an account has had
	chunks []*[chunkAccounts]Account[T]
	index  index

	pool   pool
	most   int
	tag    func(*T) uint32
	forget func(*T)
	hand   uint32   // the number of the account that sweep or evict has looked at last
	free   []uint32 // the numbers up to made that no account has
	full   int64    // if evict found no account to forget: until when it will find none; otherwise 0

	_ [64]byte // shards do not share a cache line
}

// Init makes an empty shard of at most most accounts. tag returns a hash of the part of Data by which an account
// is found. forget is called before an account is forgotten; it may be nil.
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

// Made returns the highest number that an account has had.
func (s *Shard[T]) Made() uint32 { return s.made }

// Account returns the account of a number, or nil if there is none.
func (s *Shard[T]) Account(number uint32) *Account[T] {
	if number == 0 || number > s.made {
		return nil
	}
	if a := s.account(number); a.is(taken) {
		return a
	}
	return nil
}

// account returns the memory of the account with a number up to made, also if no account has that number now.
func (s *Shard[T]) account(number uint32) *Account[T] {
	return &s.chunks[number/chunkAccounts][number%chunkAccounts]
}

// Find returns the account with a tag whose Data is the one that is looked for, and its number; nil and 0 if there is
// none. Several accounts may have the same tag.
func (s *Shard[T]) Find(tag uint32, is func(*T) bool) (*Account[T], uint32) {
	for number, slot := s.index.next(tag, s.index.home(tag)); number != 0; number, slot = s.index.next(tag, slot) {
		if a := s.account(number); is(&a.Data) {
			return a, number
		}
	}
	return nil, 0
}

// Begin returns the time of a caller as the windows of this shard see it: the latest time that any caller of the shard
// had. So a caller who is charged late does not move a window back. A caller whose time is more than ten seconds
// before the latest one shows that the clock was set back: then the time of the shard goes back to ten seconds after
// the time of that caller, so that nobody is refused for long.
//
// The moment may be used until the lock of the shard is given back, and with this shard only. Begin also looks at some
// accounts and forgets those whose windows are empty, so an [Account] that was found before must not be used after it.
func (s *Shard[T]) Begin(now time.Time) *Moment {
	return s.begin(millis(now))
}

func (s *Shard[T]) begin(now int64, part time.Duration) *Moment {
	at := &s.moment // which is here, and not with the caller, because copying it would take longer than making it
	at.set(now, part, s.latest)
	s.latest = at.floor
	if s.calls++; s.calls%sweepEvery == 0 {
		s.sweep(at)
	}
	return at
}

// A sweep comes after each sweepEvery calls and looks at sweepLook accounts, which lie side by side in memory. Rare
// long sweeps are cheaper than many short ones, whose first accounts are never in the cache.
const (
	sweepEvery = 32
	sweepLook  = 2 * sweepEvery
)

// sweep gives back the memory of minutes that are over, and forgets accounts whose day is over.
func (s *Shard[T]) sweep(at *Moment) {
	for range min(sweepLook, s.made) {
		s.turn()
		if a := s.account(s.hand); a.is(taken) && a.idle(&s.pool, at) >= 0 {
			a.forgetMinute(&s.pool)
			if !a.is(unsaved) && (a.total == 0 || !stepLive(a.step, at.step)) {
				s.Forget(s.hand)
			}
		}
	}
}

// turn moves the hand to the next number.
func (s *Shard[T]) turn() {
	if s.hand++; s.hand > s.made {
		s.hand = 1
	}
}

// idle returns for how many milliseconds the minute of a has been over. If it is not over, the result is negative.
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

// Add makes an account with empty windows and returns its number. If the shard is full and no account may be
// forgotten, it makes none and returns how long it takes until one may.
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
	*s.account(number) = Account[T]{Data: data, windows: windows{touched: at.stamp, step: at.step, state: taken}}
	s.index.add(s.tag(&data), number)
	return number, 0
}

const (
	// evictLook is how many accounts evict looks at to choose one. If it may forget none of them, it looks further.
	evictLook = 32
	// retryUnsaved is how many milliseconds to wait for an account that has to be saved before it may be forgotten.
	retryUnsaved = 1000
)

// evict forgets an account whose last request is long ago, or returns how long it takes until it may. It does not
// forget an account with a request in the last minute, because its key could then make twice the requests of a minute.
// It does not forget an account of which something has to be saved either.
func (s *Shard[T]) evict(at *Moment) time.Duration {
	if at.floor < s.full && s.full <= at.floor+minuteLen {
		return at.until(s.full)
	}
	most, oldest, ends := int64(-1), uint32(0), at.floor+minuteLen
	for looked := uint32(1); looked <= s.made && (looked <= evictLook || oldest == 0); looked++ {
		s.turn()
		a := s.account(s.hand)
		if !a.is(taken) {
			continue
		}
		idle := a.idle(&s.pool, at)
		switch {
		case idle < 0:
			ends = min(ends, at.floor-idle)
		case a.is(unsaved):
			ends = min(ends, at.floor+retryUnsaved)
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
	a := s.account(number)
	s.forget(&a.Data)
	s.index.remove(s.tag(&a.Data), number)
	a.forgetMinute(&s.pool)
	a.forgetDay(&s.pool)
	*a = Account[T]{}
	s.free = append(s.free, number)
	s.full = 0
}

// Move gives a, which is new, the windows of another account, which may be in another shard, and forgets that account.
// The caller holds the locks of both shards.
func (s *Shard[T]) Move(a *Account[T], from *Shard[T], number uint32) {
	s.latest = max(s.latest, from.latest)
	a.move(&s.pool, &from.account(number).windows, &from.pool)
	from.Forget(number)
}
