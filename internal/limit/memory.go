package limit

import (
	"math/bits"
	"time"
)

// defaultMaxKeys keeps a memory in which every key made one call under 100 MB.
const defaultMaxKeys = 1 << 20

// maxShardBits keeps the locks of concurrent callers apart: 64 shards.
const maxShardBits = 6

// MemoryConfig is what a [Memory] is made of.
type MemoryConfig struct {
	MaxKeys int // remembered at once; 0: 1,048,576
}

// Memory counts the requests of many keys in this process. It is safe for
// concurrent use and starts no goroutine.
type Memory struct {
	shards []Shard[int64]
	shift  uint // of a hashed id, to its shard
}

// NewMemory returns a memory without keys.
func NewMemory(cfg MemoryConfig) *Memory {
	most := cfg.MaxKeys
	if most <= 0 {
		most = defaultMaxKeys
	}
	// Fewer shards for a small memory, so that each has room for 64 and chance
	// does not fill one long before the others.
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
	a, _, wait := find(s, id, 0, &at)
	if wait > 0 {
		return NoRoom(wait)
	}
	return s.Take(a, &at, l)
}

// find returns an account, which it makes if necessary, and its number; or how long there is no room for it. The number
// is looked at first: an account that was found before is mostly there still.
func find(s *Shard[int64], id int64, number uint32, at *Moment) (*Account[int64], uint32, time.Duration) {
	if a := s.At(number); a != nil && a.Data == id {
		return a, number, 0
	}
	t := tag(&id)
	for number, next := s.Next(t, s.First(t)); number != 0; number, next = s.Next(t, next) {
		if a := s.At(number); a.Data == id {
			return a, number, 0
		}
	}
	number, wait := s.Add(id, at)
	return s.At(number), number, wait
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
	Number uint32 // where the account was found the last time; any number will do
}

// TakeBoth is [Shard.Take] from two accounts at once, such as a key's and its user's: one request is charged to both,
// or to neither. Nobody sees it charged to one only. If it is refused, byOther reports whose refusal the decision is:
// that of the account which refuses longer, so that RetryAfter holds for both.
//
// The caller holds the lock of s. All callers must take a shard and a memory in the same order: the memory is locked
// while the shard is.
func (s *Shard[T]) TakeBoth(a *Account[T], at *Moment, l Limits, o *Other) (d Decision, byOther bool) {
	da, refusedA := l.refuseAll()
	db, refusedB := o.Limits.refuseAll()
	if refusedA || refusedB {
		return longer(da, db, refusedA, refusedB)
	}
	so := o.Memory.shard(o.ID)
	so.Lock()
	defer so.Unlock()
	bt := so.begin(at.anew())
	b, number, wait := find(so, o.ID, o.Number, &bt)
	da = a.ask(&s.pool, at, l)
	if wait > 0 {
		db = NoRoom(wait)
	} else {
		o.Number = number
		db = b.ask(&so.pool, &bt, o.Limits)
	}
	if !da.OK || !db.OK {
		return longer(da, db, !da.OK, !db.OK)
	}
	a.charge(&s.pool, at)
	b.charge(&so.pool, &bt)
	return da, false
}

// longer returns the longer refusal of two decisions.
func longer(a, b Decision, refusedA, refusedB bool) (Decision, bool) {
	if !refusedA || refusedB && b.RetryAfter > a.RetryAfter {
		return b, true
	}
	return a, false
}
