package limit

import (
	"sync"
	"time"
)

const chunkKeys = 64 // keys come in chunks of 4 KiB

// The first two of a shard's keys are none, but the ends of two circular lists,
// newest first. Hot keys made a request in the last minute; idle ones have only
// their day. A key at the idle end is the first to be forgotten.
const (
	hot = iota
	idle
	lists
)

// shard is a part of the keys under one lock.
type shard struct {
	mu     sync.Mutex
	most   int
	clock  int64 // the latest time seen
	index  index
	chunks [][]key
	made   uint32 // keys ever made, free ones included
	free   uint32 // first of the free keys, linked by next; 0: none
	pool   pool
}

func (s *shard) init(most int) {
	s.most = most
	s.index = newIndex(4)
	s.chunks = [][]key{make([]key, chunkKeys)}
	s.made = lists
	for _, list := range []uint32{hot, idle} {
		k := s.key(list)
		k.prev, k.next = list, list
	}
}

func (s *shard) key(i uint32) *key { return &s.chunks[i/chunkKeys][i%chunkKeys] }

// tick is [shard.moment], and remembers how late it is.
func (s *shard) tick(now time.Time) moment {
	at := s.moment(now)
	s.clock = at.floor
	return at
}

// moment is now by the shard's clock. That clock does not go back while callers
// are less than [forgiven] behind it, so that one who was late to be charged does
// not move a window; further behind it follows them, so that a clock set back
// stops nobody for long.
func (s *shard) moment(now time.Time) moment {
	at := momentOf(now)
	return at.notBefore(min(s.clock, at.floor+forgiven))
}

// sweep does two requests' worth of tidying, which is more than a request can
// leave behind.
func (s *shard) sweep(at moment) {
	for range 2 {
		s.cool(at)
		s.forgetExpired(at)
	}
}

// cool moves the oldest hot key to the idle ones if its minute is over, and
// takes its minute's block.
func (s *shard) cool(at moment) {
	i := s.key(hot).prev
	if i == hot || s.hotFor(i, at) > 0 {
		return
	}
	s.pool.release(&s.key(i).minute)
	s.move(i, idle)
}

// forgetExpired frees the oldest idle key if its day is over.
func (s *shard) forgetExpired(at moment) {
	i := s.key(idle).prev
	if i == idle {
		return
	}
	k := s.key(i)
	k.settle(&s.pool, at)
	if k.day.n == 0 || !stepLive(k.step, at.step) {
		s.forget(i)
	}
}

// hotFor is for how long a key's minute is not over.
func (s *shard) hotFor(i uint32, at moment) time.Duration {
	k := s.key(i)
	k.settle(&s.pool, at)
	if k.touched+minuteLen <= at.floor {
		return 0
	}
	return at.until(k.touched + minuteLen)
}

// find returns a key, making it if need be. If there is no room and no key that
// may be forgotten, it says how long until there is one.
func (s *shard) find(id int64, at moment) (uint32, time.Duration) {
	if _, i := s.index.find(id, s); i != 0 {
		return i, 0
	}
	if s.index.n >= s.most {
		if wait := s.evict(at); wait > 0 {
			return 0, wait
		}
	}
	return s.create(id, at), 0
}

// evict forgets the key that was idle longest. One with a request in the last
// minute stays: to forget it would let it through twice, and it is for the
// newcomer to wait.
func (s *shard) evict(at moment) time.Duration {
	if i := s.key(idle).prev; i != idle {
		s.forget(i)
		return 0
	}
	i := s.key(hot).prev
	wait := s.hotFor(i, at)
	if wait == 0 {
		s.forget(i)
	}
	return wait
}

func (s *shard) create(id int64, at moment) uint32 {
	i := s.free
	if i != 0 {
		s.free = s.key(i).next
	} else {
		i = s.made
		s.made++
		if int(i/chunkKeys) == len(s.chunks) {
			s.chunks = append(s.chunks, make([]key, chunkKeys))
		}
	}
	*s.key(i) = key{id: id, touched: at.stamp, prev: i, next: i}
	s.move(i, hot)
	s.index.add(id, i, s)
	return i
}

func (s *shard) forget(i uint32) {
	k := s.key(i)
	s.index.remove(k.id, s)
	s.unlink(i)
	s.pool.release(&k.minute)
	s.pool.release(&k.day)
	k.next, s.free = s.free, i
}

// move puts a key at the new end of a list.
func (s *shard) move(i, list uint32) {
	head := s.key(list)
	if head.next == i {
		return
	}
	s.unlink(i)
	k := s.key(i)
	k.prev, k.next = list, head.next
	s.key(head.next).prev = i
	head.next = i
}

func (s *shard) unlink(i uint32) {
	k := s.key(i)
	s.key(k.prev).next, s.key(k.next).prev = k.next, k.prev
}
