package limit

import (
	"math/bits"
	"time"
)

// defaultMaxKeys is [MemoryConfig.MaxKeys] if that is 0. A memory of so many keys, each with one request, takes less
// than 100 MB.
const defaultMaxKeys = 1 << 20

// maxShardBits allows for 64 shards, so that concurrent callers rarely wait for the same lock.
const maxShardBits = 6

// MemoryConfig is what a [Memory] is made of.
type MemoryConfig struct {
	MaxKeys int // how many keys are remembered at once; 0: 1,048,576
}

// Memory counts the requests of many keys in this process. It is safe for
// concurrent use and starts no goroutine.
type Memory struct {
	shards []Shard[int64]
	shift  uint // a hash of an id shifted right by this is the index of its shard
}

// NewMemory returns a memory without keys.
func NewMemory(cfg MemoryConfig) *Memory {
	most := cfg.MaxKeys
	if most <= 0 {
		most = defaultMaxKeys
	}
	// A small memory has fewer shards, each with room for at least 64 keys, so that chance does not fill one long
	// before the others.
	width := min(maxShardBits, max(0, bits.Len(uint(most/64))-1))
	m := &Memory{shards: make([]Shard[int64], 1<<width), shift: uint(64 - width)}
	for i := range m.shards {
		m.shards[i].Init(most>>width, tag, nil)
	}
	return m
}

// shard returns the shard of a key. Consecutive ids are distributed evenly.
func (m *Memory) shard(id int64) *Shard[int64] { return &m.shards[hash(id)>>m.shift] }

// hash distributes ids, also consecutive ones. The database assigns ids, so nobody can choose ids that collide.
func hash(id int64) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 }

// tag returns the part of the hash by which a shard finds a key. The bits above it choose the shard.
func tag(id *int64) uint32 { return uint32(hash(*id) >> (32 - maxShardBits)) }

// Take charges one request of a key to both windows, or to neither; then the decision says why. A key that is not
// known begins with empty windows. The limits are those of this moment, and what was counted under others stays
// counted. Read now just before the call; a delay of up to ten seconds does no harm.
func (m *Memory) Take(id int64, now time.Time, l Limits) Decision {
	if d, ok := l.refuseAll(); ok {
		return d
	}
	s := m.shard(id)
	s.Lock()
	defer s.Unlock()
	at := s.Begin(now)
	a, _, wait := findOrAdd(s, id, 0, at)
	if wait > 0 {
		return NoRoom(wait)
	}
	return s.Take(a, at, l)
}

// findOrAdd returns the account of an id and its number, or how long there is no room for it. number is where the
// account may be, and saves the search for it; any number will do.
func findOrAdd(s *Shard[int64], id int64, number uint32, at *Moment) (*Account[int64], uint32, time.Duration) {
	if a := s.Account(number); a != nil && a.Data == id {
		return a, number, 0
	}
	if a, number := s.Find(tag(&id), func(other *int64) bool { return *other == id }); a != nil {
		return a, number, 0
	}
	number, wait := s.Add(id, at)
	return s.Account(number), number, wait
}

// Len returns how many keys are in memory.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		n += s.Len()
		s.Unlock()
	}
	return n
}

// Other is the account of a [Memory] that a request is charged to besides the first one.
type Other struct {
	Memory *Memory
	ID     int64
	Limits Limits
	Number uint32 // the number that the account had the last time, which saves the search for it; any number will do
}

// TakeBoth is [Shard.Take] for two accounts, such as those of a key and of its user: one request is charged to both
// or to neither, and nobody sees it charged to one only. If it is refused, the decision is that of the account which
// refuses longer, so that RetryAfter holds for both; byOther reports whether that is the other one.
//
// The caller holds the lock of s, and TakeBoth locks a shard of the memory. So nobody may lock a shard such as s while
// holding a lock of the memory.
func (s *Shard[T]) TakeBoth(a *Account[T], at *Moment, l Limits, o *Other) (d Decision, byOther bool) {
	da, refusedA := l.refuseAll()
	db, refusedB := o.Limits.refuseAll()
	if refusedA || refusedB {
		return longer(da, db, refusedA, refusedB)
	}
	so := o.Memory.shard(o.ID)
	so.Lock()
	defer so.Unlock()
	bt := so.begin(at.now, at.part)
	b, number, wait := findOrAdd(so, o.ID, o.Number, bt)
	da = a.ask(&s.pool, at, l)
	if wait > 0 {
		db = NoRoom(wait)
	} else {
		o.Number = number
		db = b.ask(&so.pool, bt, o.Limits)
	}
	if !da.OK || !db.OK {
		return longer(da, db, !da.OK, !db.OK)
	}
	a.charge(&s.pool, at)
	b.charge(&so.pool, bt)
	return da, false
}

// longer returns the refusal with the longer wait of two decisions, and whether it is b.
func longer(a, b Decision, refusedA, refusedB bool) (Decision, bool) {
	if !refusedA || refusedB && b.RetryAfter > a.RetryAfter {
		return b, true
	}
	return a, false
}
