package keycheck

import (
	"encoding/binary"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/keycheck/memory"
	"userkeys/internal/limit"
)

// The table of keys in use has 64 shards, each under a lock of its own. An account of a shard is all that a check needs
// of a key, with the windows of its limits: 128 bytes without pointers, so that a million keys are cheap to keep and
// touch few cache lines each.
const shardCount = 64

// place is the part of a key's hash by which it is found. It is long enough to be the only one.
type place [2]uint64

func placeOf(h *userkeys.KeyHash) place {
	return place{binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])}
}

func (p *place) shard() int  { return int(p[0] % shardCount) }
func (p *place) tag() uint32 { return uint32(p[1]) }

// record is what the check of a key needs to know about it.
type record struct {
	place
	keyID    int64
	userID   int64
	ends     int64  // unix microseconds, when the key ends or, with ownerPauses, when it pauses; 0: never
	lastUsed int64  // unix microseconds; 0: not since it was loaded
	written  uint32 // unix seconds, when it was last taken to be written to the database
	standing uint32 // in the shard's standings
	text     uint32 // in the shard's texts: username, client_id, external id
	user     uint32 // where the owner's account was found the last time
	nameLen  uint16
	idLen    uint16
	extLen   uint16
	state    state
}

// state is what is so about a record; one byte, so that a record stays small.
type state uint8

const (
	fresh       state = 1 << iota // nothing has changed since it was loaded; otherwise only its windows count
	dirty                         // lastUsed is to be written
	ownerMayAct                   // the owner may use keys
	ownerPauses                   // at its end the key waits for its owner to sign in
)

func (r *record) is(s state) bool { return r.state&s != 0 }

func over(ends int64, now time.Time) bool { return ends != 0 && now.UnixMicro() >= ends }

// expired reports whether the key has ended.
func (r *record) expired(now time.Time) bool { return !r.is(ownerPauses) && over(r.ends, now) }

// paused reports whether the key waits for its owner to sign in.
func (r *record) paused(now time.Time) bool { return r.is(ownerPauses) && over(r.ends, now) }

func (r *record) textLen() int { return int(r.nameLen) + int(r.idLen) + int(r.extLen) }

// alias is what is known about the hash that a key had before it was renewed.
type alias struct {
	to   userkeys.KeyHash // the hash that the key has now
	ends int64            // unix microseconds
}

type account = limit.Account[record]

type shard struct {
	limit.Shard[record]
	texts     memory.Texts
	standings memory.Shared[standing]
	dirty     []uint32 // numbers of accounts whose last use is to be written
	aliases   map[place]alias
	unknown   memory.Unknown
	flights   map[userkeys.KeyHash]*flight
}

type table struct {
	shards [shardCount]shard
	mu     sync.Mutex
	left   map[int64]place // by key id: accounts that were forgotten by their hash, and still have the windows
}

func newTable(maxKeys int) *table {
	t := &table{left: make(map[int64]place)}
	for i := range t.shards {
		s := &t.shards[i]
		s.aliases = make(map[place]alias)
		s.flights = make(map[userkeys.KeyHash]*flight)
		// Shards fill unevenly: with an eighth and 64 more in each there is room for maxKeys together.
		most := maxKeys/shardCount + maxKeys/shardCount/8 + 64
		s.Init(most, func(r *record) uint32 { return r.tag() }, func(r *record) { t.release(s, r) })
	}
	return t
}

func (t *table) shard(p *place) *shard { return &t.shards[p.shard()] }

// find returns an account and its number, or nil.
func (s *shard) find(p *place) (*account, uint32) {
	tag := p.tag()
	for number, next := s.Next(tag, s.First(tag)); number != 0; number, next = s.Next(tag, next) {
		if a := s.At(number); a.Data.place == *p {
			return a, number
		}
	}
	return nil, 0
}

// release frees what a record holds of its shard and of the table.
func (t *table) release(s *shard, r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.left[r.keyID]; ok && p == r.place {
		delete(t.left, r.keyID)
	}
	s.texts.Drop(r.textLen())
	s.standings.Release(r.standing)
}

// loaded is what was read about a key, in the form of a record.
type loaded struct {
	record
	name, id, ext string // of the owner, the client, and the owner outside
	standing      *standing
	old           userkeys.KeyHash // the hash before the last renewal; zero: none
	day           []byte           // of the limits, as it was saved
}

// keep stores what was read, and returns how long there is no room for it. A key that is known already keeps its
// windows; one that was renewed gets those that it had under its old hash. Otherwise its day continues as it was
// saved.
//
// Errors: [limit.ErrSnapshot] for a saved day that is not readable. The key is stored all the same.
func (t *table) keep(f *flight, l *loaded, now time.Time) (wait time.Duration, err error) {
	before := t.windowsOf(l)
	s, old := t.shard(&l.place), t.shard(&before)
	first, second := s, old
	if old == s {
		second = nil
	} else if before.shard() < l.shard() { // everybody takes two locks in this order
		first, second = old, s
	}
	first.Lock()
	defer first.Unlock()
	if second != nil {
		second.Lock()
		defer second.Unlock()
	}
	if !s.landed(f) {
		return 0, nil
	}
	at := s.Begin(now)
	a, _ := s.find(&l.place)
	if a == nil {
		number, wait := s.Add(record{place: l.place, keyID: l.keyID, standing: memory.None}, &at)
		if wait > 0 {
			return wait, nil
		}
		if a = s.At(number); !s.moveFrom(old, &before, a, number) {
			err = s.Restore(a, l.day, &at)
		}
	}
	s.fill(a, l)
	return 0, err
}

// windowsOf returns where a key may have its windows: under the hash that was forgotten last, because the key was
// renewed here or elsewhere, or else under the one that it had before a renewal.
func (t *table) windowsOf(l *loaded) place {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch p, ok := t.left[l.keyID]; {
	case ok:
		return p
	case l.old != (userkeys.KeyHash{}):
		return placeOf(&l.old)
	}
	return l.place
}

// moveFrom gives a, which is new, the windows and the last use of the same key under its old hash.
func (s *shard) moveFrom(old *shard, p *place, a *account, number uint32) bool {
	b, i := old.find(p)
	if b == nil || b == a || b.Data.keyID != a.Data.keyID {
		return false
	}
	a.Data.lastUsed, a.Data.written = b.Data.lastUsed, b.Data.written
	if b.Data.lastUsed != 0 { // which may be on its way to the database, and not arrive
		s.soil(a, number)
	}
	s.Move(a, &old.Shard, i)
	return true
}

// fill stores what was read in an account. What it says about uses stays.
func (s *shard) fill(a *account, l *loaded) {
	r := &a.Data
	s.standings.Release(r.standing)
	r.standing = s.standings.Hold(l.standing)
	r.userID, r.ends = l.userID, l.ends
	r.state = r.state&dirty | l.state | fresh
	text := l.name + l.id + l.ext
	if s.textOf(r) != text {
		s.texts.Drop(r.textLen())
		r.nameLen, r.idLen, r.extLen = 0, 0, 0
		if s.texts.Wasteful() {
			s.repack()
		}
		r.text = s.texts.Put(text)
	}
	r.nameLen, r.idLen, r.extLen = uint16(len(l.name)), uint16(len(l.id)), uint16(len(l.ext))
}

func (s *shard) textOf(r *record) string { return s.texts.At(r.text, r.textLen()) }

// repack moves all texts to new memory, without the gaps.
func (s *shard) repack() {
	var packed memory.Texts
	s.All(func(_ uint32, a *account) {
		a.Data.text = packed.Put(s.textOf(&a.Data))
	})
	s.texts = packed
}

// access returns what the key gives.
func (f *found) access() userkeys.Access {
	r, text := &f.Data, f.textOf(&f.Data)
	return userkeys.Access{
		KeyID: r.keyID, KeyHash: f.hash, ClientID: text[r.nameLen : r.nameLen+r.idLen], UserID: r.userID,
		Username: text[:r.nameLen], ExternalID: text[r.nameLen+r.idLen:], Standing: &f.standings.At(r.standing).Standing,
	}
}

// used notes that a key was used.
func (s *shard) used(a *account, number uint32, now time.Time) {
	a.Data.lastUsed = now.UnixMicro()
	if !a.Data.is(dirty) {
		s.soil(a, number)
	}
}

// soil notes that the last use of an account is to be written.
func (s *shard) soil(a *account, number uint32) {
	a.Data.state |= dirty
	a.Keep(true)
	s.dirty = append(s.dirty, number)
}

// forget makes sure that h is looked up again before it is used, also if a look-up is under way. Its windows stay.
func (t *table) forget(h userkeys.KeyHash) {
	p := placeOf(&h)
	s := t.shard(&p)
	s.Lock()
	defer s.Unlock()
	if a, _ := s.find(&p); a != nil {
		s.stale(a)
		t.mu.Lock()
		t.left[a.Data.keyID] = p
		t.mu.Unlock()
	}
	delete(s.aliases, p)
	s.unknown.Forget(&h)
	s.cancel(h)
}

// forgetAll is forget for every key.
func (t *table) forgetAll() {
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		s.All(func(_ uint32, a *account) { s.stale(a) })
		clear(s.aliases)
		s.unknown = memory.Unknown{}
		for h := range s.flights {
			s.cancel(h)
		}
		s.Unlock()
	}
}

func (s *shard) stale(a *account) {
	a.Data.state &^= fresh
	s.standings.Release(a.Data.standing)
	a.Data.standing = memory.None
}

func (t *table) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		n += s.Len()
		s.Unlock()
	}
	return n
}
