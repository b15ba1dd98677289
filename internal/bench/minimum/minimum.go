// Package minimum is the least work that the check of a key can be, as a base that checks are compared with: the
// SHA-256 of the key, a look-up in a flat table, a bit for the scope, two fixed windows, and the time of the last use.
// It has no owners, no expiry, no revocation and no checksum, and serves no site.
package minimum

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// The limits of the windows, which no bench reaches.
const (
	mostInMinute = 1 << 30
	mostInDay    = 1 << 31
)

// read is the bit of the scope that every key has.
const read = 1

// Table is the keys of a bench. Make one with [New].
type Table struct {
	locks [64]lock
	// index has for each key the upper half of its fingerprint and, in the lower half, its place in records; 0 is a
	// free place. At most three quarters are taken.
	index   []uint64
	records []record // the first is not used
}

// lock has a cache line of its own.
type lock struct {
	sync.Mutex
	_ [56]byte
}

// record is a key, and fills a cache line.
type record struct {
	hash        fingerprint
	scopes      uint64
	minute, day window
	lastUsed    int64    // unix microseconds
	_           [16]byte // the ids of the key and its user
}

type window struct{ number, count uint32 }

// fingerprint is the first half of a hash, which tells keys apart.
type fingerprint [2]uint64

func fingerprintOf(h [sha256.Size]byte) fingerprint {
	return fingerprint{binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])}
}

func (f fingerprint) tag() uint64 { return f[0] >> 32 << 32 }

// New returns a table of n different keys, whose texts are text(0) to text(n-1).
func New(n int, text func(i int) string) *Table {
	size := 16
	for size*3 < n*4 {
		size *= 2
	}
	t := &Table{index: make([]uint64, size), records: make([]record, n+1)}
	for i := range n {
		f := fingerprintOf(sha256.Sum256([]byte(text(i))))
		t.records[i+1] = record{hash: f, scopes: read}
		p := t.start(f)
		for t.index[p] != 0 {
			p = t.next(p)
		}
		t.index[p] = f.tag() | uint64(i+1)
	}
	return t
}

func (t *Table) start(f fingerprint) int { return int(f[1]) & (len(t.index) - 1) }
func (t *Table) next(p int) int          { return (p + 1) & (len(t.index) - 1) }

// find returns the record of a key, and its place.
func (t *Table) find(f fingerprint) (*record, int) {
	for p := t.start(f); t.index[p] != 0; p = t.next(p) {
		e := t.index[p]
		if e>>32<<32 != f.tag() {
			continue
		}
		if r := &t.records[uint32(e)]; r.hash == f {
			return r, int(uint32(e)) - 1
		}
	}
	return nil, -1
}

// Find returns which key has a hash: i of [New], or -1 if none has.
func (t *Table) Find(h [sha256.Size]byte) int {
	_, i := t.find(fingerprintOf(h))
	return i
}

// Check charges a key and reports whether it is good at a time.
func (t *Table) Check(key string, now time.Time) bool {
	var text [64]byte
	f := fingerprintOf(sha256.Sum256(text[:copy(text[:], key)]))
	l := &t.locks[f[0]%uint64(len(t.locks))]
	l.Lock()
	defer l.Unlock()
	r, _ := t.find(f)
	if r == nil || r.scopes&read == 0 {
		return false
	}
	unix := now.Unix()
	if !r.minute.take(uint32(unix/60), mostInMinute) || !r.day.take(uint32(unix/86400), mostInDay) {
		return false
	}
	r.lastUsed = now.UnixMicro()
	return true
}

// take counts one in the window with a number, of which at most most may be.
func (w *window) take(number, most uint32) bool {
	if w.number != number {
		*w = window{number: number}
	}
	if w.count >= most {
		return false
	}
	w.count++
	return true
}
