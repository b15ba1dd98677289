package memory

import (
	"time"

	"userkeys"
)

// Unknown keys are remembered in 64 sets of 4 per shard: bounded, and a key asked for again and again is not pushed out
// by a neighbour or two.
const (
	unknownSets = 64
	unknownWays = 4
	// What could make an unknown key known raises the epoch, so this may be long.
	unknownFor = 10 * time.Minute
)

// unknownKey is the hash of an unknown key, and the time until which the key counts as unknown.
type unknownKey struct {
	hash  userkeys.KeyHash
	until int64 // unix nanoseconds
}

// Unknown are hashes that are known to be of no good key. Their number is bounded.
type Unknown [unknownSets][unknownWays]unknownKey

func (u *Unknown) set(h *userkeys.KeyHash) *[unknownWays]unknownKey { return &u[h[9]%unknownSets] }

// Add remembers for a while that h is no good key.
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

// Has reports whether h is known to be no good key. A clock that was set back does not prolong it.
func (u *Unknown) Has(h *userkeys.KeyHash, now time.Time) bool {
	for _, k := range u.set(h) {
		if k.hash == *h {
			left := k.until - now.UnixNano()
			return 0 < left && left <= int64(unknownFor)
		}
	}
	return false
}

// Forget makes h a hash of which nothing is known.
func (u *Unknown) Forget(h *userkeys.KeyHash) {
	set := u.set(h)
	for i := range set {
		if set[i].hash == *h {
			set[i].until = 0
		}
	}
}
