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
	shards []shard
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
	m := &Memory{shards: make([]shard, 1<<width), shift: uint(64 - width)}
	for i := range m.shards {
		m.shards[i].init(most >> width)
	}
	return m
}

// shard returns the shard of a key. Consecutive ids are distributed evenly.
func (m *Memory) shard(id int64) *shard {
	return &m.shards[hash(id)>>m.shift]
}

// Take charges one request of a key to both windows, or to neither; then the decision says why. A key that is not
// known begins with empty windows: see [Memory.Restore]. The limits are those of this moment, and what was counted
// under others stays counted. Read now just before the call; a delay of up to ten seconds does no harm.
func (m *Memory) Take(id int64, now time.Time, l Limits) Decision {
	if d, ok := l.refuseAll(); ok {
		return d
	}
	t := momentOf(now)
	at := &t
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, d := s.ask(id, at, l)
	if d.OK {
		s.charge(i, at)
	}
	return d
}

// ask returns what the windows of a key decide about one more request, and the number of the key.
func (s *shard) ask(id int64, at *moment, l Limits) (uint32, Decision) {
	s.follow(at)
	s.clock = at.floor
	s.sweep(at)
	i, wait := s.find(id, at)
	if wait > 0 {
		return 0, Decision{Window: Minute, RetryAfter: wait}
	}
	k := s.key(i)
	k.settle(&s.pool, at)
	k.trim(&s.pool, at)
	return i, decide(k.minuteWait(&s.pool, l.Minute, at), k.dayWait(&s.pool, l.Day, at))
}

// charge counts the request that ask has allowed.
func (s *shard) charge(i uint32, at *moment) {
	s.key(i).charge(&s.pool, at)
	s.move(i, hot)
}

// Known reports whether the key is in memory with the part of its day that was saved, so that [Memory.Restore] is not
// necessary.
func (m *Memory) Known(id int64) bool {
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, i := s.index.find(id, s)
	return i != 0 && s.key(i).known
}

// Len returns how many keys are in memory.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.index.n
		s.mu.Unlock()
	}
	return n
}
