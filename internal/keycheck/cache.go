package keycheck

import (
	"encoding/binary"
	"sync"
	"time"

	"userkeys"
)

// The cache of checked keys: 64 shards, each a map from eight bytes of the
// hash to a place in a slab of records. A record costs some 190 bytes and one
// pointer to text, so that a million keys are cheap to keep and to collect.
const (
	shardCount = 64
	slabSize   = 256
	// Unknown keys are remembered in 64 sets of 4 per shard: bounded, and a key
	// asked for again and again is not pushed out by a neighbour or two.
	negativeSets = 64
	negativeWays = 4
	// What could make an unknown key known raises the epoch, so this may be long.
	negativeFor = 10 * time.Minute
)

// negative is the hash of an unknown key, and the time until which the key counts as unknown.
type negative struct {
	hash  userkeys.KeyHash
	until int64 // unix nanoseconds
}

// record is what the check of a key needs to know about it.
type record struct {
	hash     userkeys.KeyHash
	keyID    int64
	userID   int64
	text     string // username, client_id, external id: one allocation, one header
	standing *standing
	ends     int64  // unix microseconds, when the key ends or, with ownerPauses, when it pauses; 0: never
	nameLen  uint16 // of the username, in text
	idLen    uint16 // of the client_id, in text
	owner    ownerState
	slotState
}

// ownerState is what a key's owner may do; one byte, so that a record stays small.
type ownerState uint8

const (
	ownerMayAct ownerState = 1 << iota // use keys
	ownerPauses                        // at its end the key waits for its owner to sign in
)

// slotState is the state of a record in its shard. It is part of the record because it fills the gap beside owner.
type slotState struct {
	taken  bool // in use, not free
	dirty  bool // on the shard's dirty list
	recent bool // used since the clock hand passed
}

func (r *record) over(now time.Time) bool { return r.ends != 0 && now.UnixMicro() >= r.ends }

func (r *record) mayAct() bool { return r.owner&ownerMayAct != 0 }
func (r *record) pauses() bool { return r.owner&ownerPauses != 0 }

// expired reports whether the key has ended.
func (r *record) expired(now time.Time) bool { return !r.pauses() && r.over(now) }

// paused reports whether the key waits for its owner to sign in.
func (r *record) paused(now time.Time) bool { return r.pauses() && r.over(now) }

func (r *record) access() userkeys.Access {
	return userkeys.Access{
		KeyID: r.keyID, KeyHash: r.hash, ClientID: r.text[r.nameLen : r.nameLen+r.idLen], UserID: r.userID,
		Username: r.text[:r.nameLen], ExternalID: r.text[r.nameLen+r.idLen:], Standing: &r.standing.Standing,
	}
}

type slot struct {
	record
	lastUsed int64 // unix microseconds; 0: not since loaded
	written  int64 // when lastUsed was last written to the database
}

type shard struct {
	mu        sync.Mutex
	index     map[uint64]uint32
	slabs     []*[slabSize]slot
	free      []uint32
	hand      uint32
	capacity  int
	dirty     []uint32
	pending   map[int64]int64 // last uses, by key id, of records that were forgotten before they were written
	negatives [negativeSets][negativeWays]negative
	// generation counts what was forgotten. A look-up that began before a
	// change must not be kept after it.
	generation uint64
	flights    map[userkeys.KeyHash]*flight

	_ [64]byte // shards do not share a cache line
}

type cache struct {
	shards [shardCount]shard
}

func newCache(maxKeys int) *cache {
	c := &cache{}
	for i := range c.shards {
		s := &c.shards[i]
		s.index = make(map[uint64]uint32)
		s.flights = make(map[userkeys.KeyHash]*flight)
		// Shards fill unevenly: an eighth more each keeps maxKeys together.
		s.capacity = max(1, maxKeys/shardCount+maxKeys/shardCount/8)
	}
	return c
}

func (c *cache) shard(h *userkeys.KeyHash) *shard { return &c.shards[h[8]%shardCount] }

func place(h *userkeys.KeyHash) uint64 { return binary.LittleEndian.Uint64(h[:8]) }

func (s *shard) at(i uint32) *slot { return &s.slabs[i/slabSize][i%slabSize] }

// find returns the slot of h. It compares the whole hash, because the index knows only eight bytes of it.
func (s *shard) find(h *userkeys.KeyHash) (*slot, uint32, bool) {
	i, ok := s.index[place(h)]
	if !ok {
		return nil, 0, false
	}
	sl := s.at(i)
	return sl, i, sl.hash == *h
}

type lookup int

const (
	absent  lookup = iota // must be loaded
	known                 // here it is
	refused               // known to be no good key
)

// get looks h up in memory. The second result is the place at which [cache.used] notes its use.
func (c *cache) get(h *userkeys.KeyHash, now time.Time) (record, uint32, lookup) {
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sl, i, ok := s.find(h); ok {
		sl.recent = true
		return sl.record, i, known
	}
	if n := s.unknown(h); n != nil && n.holds(now) {
		return record{}, 0, refused
	}
	return record{}, 0, absent
}

// used notes that h, which was at place i, was used. If the record was moved meanwhile it is looked for; if it was
// forgotten nothing is noted.
func (c *cache) used(h *userkeys.KeyHash, i uint32, now time.Time) {
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	var sl *slot
	if i < uint32(len(s.slabs)*slabSize) {
		sl = s.at(i)
	}
	if sl == nil || !sl.taken || sl.hash != *h {
		var ok bool
		if sl, i, ok = s.find(h); !ok {
			return
		}
	}
	sl.lastUsed = now.UnixMicro()
	if !sl.dirty {
		sl.dirty = true
		s.dirty = append(s.dirty, i)
	}
}

// keep stores a record. The caller holds the lock of the shard.
func (s *shard) keep(r record) {
	if _, _, ok := s.find(&r.hash); ok {
		return
	}
	if i, ok := s.index[place(&r.hash)]; ok { // eight bytes in common with another: the newer stays
		s.drop(i)
	}
	if len(s.index) >= s.capacity {
		s.evict()
	}
	if len(s.free) == 0 {
		base := uint32(len(s.slabs) * slabSize)
		s.slabs = append(s.slabs, new([slabSize]slot))
		for i := uint32(slabSize); i > 0; i-- {
			s.free = append(s.free, base+i-1)
		}
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	sl := s.at(i)
	// A stale place on the dirty list stays there; flush looks at lastUsed.
	r.slotState = slotState{taken: true, dirty: sl.dirty}
	*sl = slot{record: r}
	s.index[place(&r.hash)] = i
}

// evict drops a record that was not used since the clock hand last passed it (the CLOCK algorithm).
func (s *shard) evict() {
	n := uint32(len(s.slabs) * slabSize)
	for range 2 * n {
		s.hand = (s.hand + 1) % n
		sl := s.at(s.hand)
		if sl.taken && !sl.recent {
			s.drop(s.hand)
			return
		}
		sl.recent = false
	}
}

// drop frees a place. A use that was not written yet moves to pending.
func (s *shard) drop(i uint32) {
	sl := s.at(i)
	if sl.lastUsed > sl.written {
		s.postpone(sl.keyID, sl.lastUsed)
	}
	delete(s.index, place(&sl.hash))
	*sl = slot{record: record{slotState: slotState{dirty: sl.dirty}}}
	s.free = append(s.free, i)
}

func (s *shard) postpone(keyID, lastUsed int64) {
	if s.pending == nil {
		s.pending = make(map[int64]int64)
	}
	s.pending[keyID] = max(s.pending[keyID], lastUsed)
}

// refuse remembers for a while that h is no good key. The caller holds the lock of the shard.
func (s *shard) refuse(h userkeys.KeyHash, now time.Time) {
	set := s.negativesOf(&h)
	oldest := &set[0]
	for i := range set {
		if set[i].hash == h {
			oldest = &set[i]
			break
		}
		if set[i].until < oldest.until {
			oldest = &set[i]
		}
	}
	oldest.hash, oldest.until = h, now.Add(negativeFor).UnixNano()
}

func (s *shard) negativesOf(h *userkeys.KeyHash) *[negativeWays]negative {
	return &s.negatives[h[9]%negativeSets]
}

// unknown returns what is remembered about h as an unknown key, or nil.
func (s *shard) unknown(h *userkeys.KeyHash) *negative {
	set := s.negativesOf(h)
	for i := range set {
		if set[i].hash == *h {
			return &set[i]
		}
	}
	return nil
}

// holds reports whether n still counts. A clock that was set back does not prolong it.
func (n *negative) holds(now time.Time) bool {
	left := n.until - now.UnixNano()
	return 0 < left && left <= int64(negativeFor)
}

// forget drops what is known about h, and prevents a look-up that is under way from being kept.
func (c *cache) forget(h userkeys.KeyHash) {
	s := c.shard(&h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	if _, i, ok := s.find(&h); ok {
		s.drop(i)
	}
	if n := s.unknown(&h); n != nil {
		n.until = 0
	}
	delete(s.flights, h)
}

// forgetAll drops everything.
func (c *cache) forgetAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.generation++
		for _, i := range s.index {
			s.drop(i)
		}
		clear(s.negatives[:])
		clear(s.flights)
		s.mu.Unlock()
	}
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.index)
		s.mu.Unlock()
	}
	return n
}
