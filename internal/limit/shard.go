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
	chunks []*[chunkKeys]key
	made   uint32 // keys ever made, free ones included
	free   uint32 // first of the free keys, linked by next; 0: none
	pool   pool
}

func (s *shard) init(most int) {
	s.most = most
	s.index = newIndex(4)
	s.chunks = []*[chunkKeys]key{{}}
	s.made = lists
	for _, list := range []uint32{hot, idle} {
		k := s.key(list)
		k.prev, k.next = list, list
	}
}

func (s *shard) key(i uint32) *key { return &s.chunks[i/chunkKeys][i%chunkKeys] }

// follow moves a moment to the clock of the shard, which is the latest time seen. The clock does not go back while
// callers are less than [forgiven] behind it, so that a caller who is charged late does not move a window. If a
// caller is further behind, the clock goes back to ten seconds after that caller's time, so that a clock that was set
// back does not stop anybody for long.
func (s *shard) follow(at *moment) {
	at.notBefore(min(s.clock, at.floor+forgiven))
}

// sweep tidies up twice as much as one request can leave behind.
func (s *shard) sweep(at *moment) {
	for range 2 {
		if i := s.key(hot).prev; i != hot && s.hotUntil(i, at) <= at.floor {
			s.pool.release(&s.key(i).minute)
			s.move(i, idle)
		}
		if i := s.key(idle).prev; i != idle && s.dayOver(i, at) {
			s.forget(i)
		}
	}
}

// hotUntil returns when the minute of a key ends.
func (s *shard) hotUntil(i uint32, at *moment) int64 {
	k := s.key(i)
	k.settle(&s.pool, at)
	return k.touched + minuteLen
}

// dayOver reports whether nothing in the day of a key counts any more.
func (s *shard) dayOver(i uint32, at *moment) bool {
	k := s.key(i)
	k.settle(&s.pool, at)
	return k.day.n == 0 || !stepLive(k.step, at.step)
}

// find returns a key, which it makes if necessary. If there is no room and no key may be forgotten, it returns how
// long it takes until one may.
func (s *shard) find(id int64, at *moment) (uint32, time.Duration) {
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

// evict forgets the key that was idle for the longest time. It keeps a key with a request in the last minute, because
// forgetting that key would let it through twice; the new key has to wait.
func (s *shard) evict(at *moment) time.Duration {
	if i := s.key(idle).prev; i != idle {
		s.forget(i)
		return 0
	}
	i := s.key(hot).prev
	if t := s.hotUntil(i, at); t > at.floor {
		return at.until(t)
	}
	s.forget(i)
	return 0
}

func (s *shard) create(id int64, at *moment) uint32 {
	i := s.free
	if i != 0 {
		s.free = s.key(i).next
	} else {
		i = s.made
		s.made++
		if int(i/chunkKeys) == len(s.chunks) {
			s.chunks = append(s.chunks, new([chunkKeys]key))
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
