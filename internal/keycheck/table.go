package keycheck

import (
	"encoding/binary"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/keycheck/memory"
	"userkeys/internal/limit"
)

// shardCount is how many shards the table of keys has. Each has a lock of its own, so that checks of different keys
// rarely wait for each other.
const shardCount = 64

// fingerprint is the first half of the hash of a key. It is long enough that no two keys have the same.
type fingerprint [2]uint64

func fingerprintOf(h *userkeys.KeyHash) fingerprint {
	return fingerprint{binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])}
}

// shard returns the index of the shard that a key belongs to.
func (p *fingerprint) shard() int { return int(p[0] % shardCount) }

// tag returns what [limit.Shard.Find] needs to find a key in its shard.
func (p *fingerprint) tag() uint32 { return uint32(p[1]) }

// record is what the table has of a key besides the windows of its limits. It has no pointers: a million keys must be
// nothing that the garbage collector has to scan.
type record struct {
	fingerprint
	keyID    int64
	userID   int64
	ends     int64  // unix microseconds: when the key ends or, with ownerPauses, when it pauses; 0: never
	lastUsed int64  // unix microseconds; 0: not since it was loaded
	written  uint32 // unix seconds: when its use was last taken to be written to the database
	standing uint32 // its number in the standings of the shard
	text     uint32 // its position in the texts of the shard: user name, client id, external id
	user     uint32 // the number of the owner's account at the last check
	nameLen  uint16 // bytes of the user name
	idLen    uint16 // bytes of the client id
	extLen   uint16 // bytes of the external id
	state    state
}

// state is a set of bits that say something about a record.
type state uint8

const (
	current     state = 1 << iota // the record is as the database has it; otherwise only its windows and uses count
	dirty                         // its use is to be written to the database
	ownerMayAct                   // its owner may use keys
	ownerPauses                   // when the time ends is reached, the key pauses until its owner signs in
)

func (r *record) is(s state) bool { return r.state&s != 0 }

// over reports whether an end, in unix microseconds, has been reached. The end 0 never is.
func over(ends int64, now time.Time) bool { return ends != 0 && now.UnixMicro() >= ends }

// expired reports whether the key has ended.
func (r *record) expired(now time.Time) bool { return !r.is(ownerPauses) && over(r.ends, now) }

// paused reports whether the key waits for its owner to sign in.
func (r *record) paused(now time.Time) bool { return r.is(ownerPauses) && over(r.ends, now) }

func (r *record) textLen() int { return int(r.nameLen) + int(r.idLen) + int(r.extLen) }

// alias is what the hash that a key had before it was renewed stands for.
type alias struct {
	to   userkeys.KeyHash // the hash that the key has now
	ends int64            // unix microseconds: when the old hash stops being good
}

// account is all that the check of a key needs of it: 128 bytes, two cache lines.
type account = limit.Account[record]

// shard is some of the keys in use, under the lock of [limit.Shard].
type shard struct {
	limit.Shard[record]
	texts     memory.Texts            // the texts of records
	repacked  uint32                  // while texts is repacked: the number of the last account whose text was moved
	standings memory.Shared[standing] // those that records have
	dirty     []uint32                // the numbers of accounts whose use is to be written to the database
	aliases   map[fingerprint]alias
	unknown   memory.Unknown
	lookUps   map[userkeys.KeyHash]*lookUp // those under way
}

// table is the keys in use.
type table struct {
	shards [shardCount]shard
	mu     sync.Mutex // locked while a shard is locked, never the other way round
	// forgotten has, by the id of a key, the fingerprint that the key had when forget was called last. The account of
	// that fingerprint still has the windows of the key.
	forgotten map[int64]fingerprint
}

func newTable(maxKeys int) *table {
	t := &table{forgotten: make(map[int64]fingerprint)}
	for i := range t.shards {
		s := &t.shards[i]
		s.aliases = make(map[fingerprint]alias)
		s.lookUps = make(map[userkeys.KeyHash]*lookUp)
		// Chance fills some shards before others. With an eighth and 64 more in each, maxKeys fit into all together.
		most := maxKeys/shardCount + maxKeys/shardCount/8 + 64
		s.Init(most, func(r *record) uint32 { return r.tag() }, func(r *record) { t.release(s, r) })
	}
	return t
}

func (t *table) shard(p *fingerprint) *shard { return &t.shards[p.shard()] }

// find returns the account of a fingerprint and its number, or nil.
func (s *shard) find(p *fingerprint) (*account, uint32) {
	return s.Find(p.tag(), func(r *record) bool { return r.fingerprint == *p })
}

// release frees what a record, whose account is about to be forgotten, uses of its shard and of the table.
func (t *table) release(s *shard, r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.forgotten[r.keyID]; ok && p == r.fingerprint {
		delete(t.forgotten, r.keyID)
	}
	s.texts.Drop(r.textLen())
	s.standings.Release(r.standing)
}

// loaded is a key as it was read from the database.
type loaded struct {
	record
	name, id, ext string // the user name, the client id and the external id
	standing      *standing
	old           userkeys.KeyHash // the hash before the last renewal; zero: none
	day           []byte           // the saved day of its limits
}

// insert stores a key that f has found in the table. If the shard is full, it stores nothing and returns how long to
// wait. A key that the table has keeps its windows. A key that was renewed gets the windows that it had under its old
// hash. The day of any other key continues as it was saved.
//
// Errors: [limit.ErrSnapshot] for a saved day that cannot be read. The key is stored all the same.
func (t *table) insert(f *lookUp, l *loaded, now time.Time) (wait time.Duration, err error) {
	before := t.windowsOf(l)
	s, old := t.shard(&l.fingerprint), t.shard(&before)
	first, second := s, old
	if old == s {
		second = nil
	} else if before.shard() < l.shard() { // whoever locks two shards locks the one with the lower index first
		first, second = old, s
	}
	first.Lock()
	defer first.Unlock()
	if second != nil {
		second.Lock()
		defer second.Unlock()
	}
	if !s.finish(f) {
		return 0, nil
	}
	at := s.Begin(now)
	a, _ := s.find(&l.fingerprint)
	if a == nil {
		number, wait := s.Add(record{fingerprint: l.fingerprint, keyID: l.keyID, standing: memory.None}, at)
		if wait > 0 {
			return wait, nil
		}
		if a = s.Account(number); !s.moveFrom(old, &before, a, number) {
			err = s.Restore(a, l.day, at)
		}
	}
	s.fill(a, l)
	return 0, err
}

// windowsOf returns the fingerprint of the account that may have the windows of a key: the one that was forgotten
// last, because the key was renewed, or else the one from before its last renewal.
func (t *table) windowsOf(l *loaded) fingerprint {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch p, ok := t.forgotten[l.keyID]; {
	case ok:
		return p
	case l.old != (userkeys.KeyHash{}):
		return fingerprintOf(&l.old)
	}
	return l.fingerprint
}

// moveFrom gives a, which is new, the windows and the last use that the same key has in the shard old under an old
// fingerprint p. It reports whether the key has an account there.
func (s *shard) moveFrom(old *shard, p *fingerprint, a *account, number uint32) bool {
	b, i := old.find(p)
	if b == nil || b == a || b.Data.keyID != a.Data.keyID {
		return false
	}
	a.Data.lastUsed, a.Data.written = b.Data.lastUsed, b.Data.written
	s.Move(a, &old.Shard, i)
	s.markDirty(a, number) // a write of the use of b that is under way may fail
	return true
}

// fill stores what was read in an account. Its last use, and whether that is to be written, stay.
func (s *shard) fill(a *account, l *loaded) {
	r := &a.Data
	s.standings.Release(r.standing)
	r.standing = s.standings.Hold(l.standing)
	r.userID, r.ends = l.userID, l.ends
	r.state = r.state&dirty | l.state | current
	text := l.name + l.id + l.ext
	if s.textOf(r) != text {
		s.texts.Drop(r.textLen())
		r.text = s.texts.Put(text)
	}
	r.nameLen, r.idLen, r.extLen = uint16(len(l.name)), uint16(len(l.id)), uint16(len(l.ext))
	s.repack()
}

func (s *shard) textOf(r *record) string { return s.texts.Text(r.text, r.textLen()) }

// repackStep is how many accounts repack looks at. They take some 0.1 ms, for which the shard is locked.
const repackStep = 256

// repack moves some texts to new memory, if most of the memory of the texts is wasted. It is called for each key that
// is stored, until all texts were moved.
func (s *shard) repack() {
	if !s.texts.Repacking() && !s.texts.BeginRepacking() {
		return
	}
	for last := min(s.repacked+repackStep, s.Made()); s.repacked < last; s.repacked++ {
		if a := s.Account(s.repacked + 1); a != nil {
			a.Data.text = s.texts.Move(a.Data.text, a.Data.textLen())
		}
	}
	if s.repacked == s.Made() {
		s.texts.EndRepacking()
		s.repacked = 0
	}
}

// access sets acc to what the key gives.
func (f *found) access(acc *userkeys.Access) {
	r := &f.account.Data
	text := f.shard.textOf(r)
	*acc = userkeys.Access{
		KeyID: r.keyID, KeyHash: f.hash, ClientID: text[r.nameLen : r.nameLen+r.idLen], UserID: r.userID,
		Username: text[:r.nameLen], ExternalID: text[r.nameLen+r.idLen:],
		Standing: &f.shard.standings.Value(r.standing).Standing,
	}
}

// markDirty notes that the use of an account is to be written to the database, with its day.
func (s *shard) markDirty(a *account, number uint32) {
	if a.Data.is(dirty) {
		return
	}
	a.Data.state |= dirty
	a.MarkUnsaved()
	s.dirty = append(s.dirty, number)
}

// forget makes sure that h is looked up in the database before it is used again. The result of a look-up under way is
// not used. The windows of the key stay.
func (t *table) forget(h userkeys.KeyHash) {
	p := fingerprintOf(&h)
	s := t.shard(&p)
	s.Lock()
	defer s.Unlock()
	if a, _ := s.find(&p); a != nil {
		s.invalidate(a)
		t.mu.Lock()
		t.forgotten[a.Data.keyID] = p
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
		for number := range s.Made() {
			if a := s.Account(number + 1); a != nil {
				s.invalidate(a)
			}
		}
		clear(s.aliases)
		s.unknown = memory.Unknown{}
		for h := range s.lookUps {
			s.cancel(h)
		}
		s.Unlock()
	}
}

// invalidate says that a record is no longer current.
func (s *shard) invalidate(a *account) {
	a.Data.state &^= current
	s.standings.Release(a.Data.standing)
	a.Data.standing = memory.None
}

// len returns how many accounts there are.
func (t *table) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		n += s.Len()
		s.Unlock()
	}
	return n
}
