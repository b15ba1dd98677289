package memory

import (
	"time"

	"userkeys"
)

const (
	unknownSets = 64
	unknownWays = 4
	// unknownFor is how long a key counts as unknown. It may be long, because every change that could make the key
	// known raises the epoch.
	unknownFor = 10 * time.Minute
)

// unknownKey is the hash of an unknown key, and the time until which the key counts as unknown.
type unknownKey struct {
	hash  userkeys.KeyHash
	until int64 // unix nanoseconds
}

// Unknown remembers the hashes of keys that are not in the database, or are not good. It is a set-associative cache:
// the hash of a key decides in which of 64 sets the key is, and in a set there is room for four keys. So a key that is
// asked for again and again is not replaced because of one or two others.
type Unknown [unknownSets][unknownWays]unknownKey

func (u *Unknown) set(h *userkeys.KeyHash) *[unknownWays]unknownKey { return &u[h[9]%unknownSets] }

// Add remembers for ten minutes that h is no good key.
func (u *Unknown) Add(h userkeys.KeyHash, now time.Time) {
	set := u.set(&h)
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
	oldest.hash, oldest.until = h, now.Add(unknownFor).UnixNano()
}

// Has reports whether h is remembered as no good key. If the clock was set back, it is not remembered for longer.
func (u *Unknown) Has(h *userkeys.KeyHash, now time.Time) bool {
	for _, k := range u.set(h) {
		if k.hash == *h {
			left := k.until - now.UnixNano()
			return 0 < left && left <= int64(unknownFor)
		}
	}
	return false
}

// Forget forgets h.
func (u *Unknown) Forget(h *userkeys.KeyHash) {
	set := u.set(h)
	for i := range set {
		if set[i].hash == *h {
			set[i].until = 0
		}
	}
}
