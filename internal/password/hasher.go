// Package password hashes passwords, a few at a time, bounds how often somebody may guess one, and has the rule for
// those that people choose.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"userkeys"
)

// Cost is what one argon2id hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultCost takes about 50 ms of one core: dear to who guesses, and two at
// once leave the rest of a small machine free.
var DefaultCost = Cost{Memory: 19 * 1024, Time: 2, Threads: 1}

// sane bounds what we are willing to compute, also for a hash that somebody
// wrote into the database.
func (c Cost) sane() bool {
	return 8*uint32(c.Threads) <= c.Memory && c.Memory <= 128*1024 &&
		1 <= c.Time && c.Time <= 10 && 1 <= c.Threads && c.Threads <= 4
}

const (
	saltBytes = 16
	hashBytes = 32

	// AtOnce is how many hashes a Hasher computes at one time.
	AtOnce = 2
	// Queued is how many hashes wait for their turn; more are refused.
	Queued = 32

	networkTurns = 8 // held or waited for by one network
)

// A Hasher hashes passwords, a few at a time: each takes memory and a core, and
// without a bound a burst of logins would stop everything else.
type Hasher struct {
	cost    Cost
	dummy   phc
	tickets chan struct{} // running and queued
	slots   chan struct{} // running
	mu      sync.Mutex
	turns   map[string]int // tickets by whom they are for
	// Derive is argon2id. Tests put another in its place, to count and to hold up its calls.
	Derive func(password, salt []byte, c Cost, n uint32) []byte
}

// NewHasher returns a Hasher that makes hashes at the cost c; the zero value is [DefaultCost].
func NewHasher(c Cost) (*Hasher, error) {
	if c == (Cost{}) {
		c = DefaultCost
	}
	if !c.sane() {
		return nil, errors.New("the cost of a password hash is out of bounds")
	}
	h := &Hasher{
		cost:    c,
		tickets: make(chan struct{}, AtOnce+Queued),
		slots:   make(chan struct{}, AtOnce),
		turns:   make(map[string]int),
		Derive: func(password, salt []byte, c Cost, n uint32) []byte {
			return argon2.IDKey(password, salt, c.Time, c.Memory, c.Threads, n)
		},
	}
	// Nobody's password: the result of hashing is never known.
	h.dummy = phc{cost: c, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes)}
	return h, nil
}

// Acquire waits for a turn to hash; the caller must release it. With too many
// waiting already, in all or for the same network, it refuses at once with
// [userkeys.Unavailable]; an empty network stands for nobody in particular.
func (h *Hasher) Acquire(ctx context.Context, network string) (func(), error) {
	if !h.ticket(network) {
		return nil, busy(nil)
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; h.giveBack(network) }, nil
	case <-ctx.Done():
		h.giveBack(network)
		return nil, busy(ctx.Err())
	}
}

// ticket takes a place in the queue, if there is one for network: one that
// sends many tries at once must not take all.
func (h *Hasher) ticket(network string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if network != "" && h.turns[network] >= networkTurns {
		return false
	}
	select {
	case h.tickets <- struct{}{}:
		if network != "" {
			h.turns[network]++
		}
		return true
	default:
		return false
	}
}

func (h *Hasher) giveBack(network string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	<-h.tickets
	if h.turns[network]--; h.turns[network] <= 0 {
		delete(h.turns, network)
	}
}

func busy(cause error) error {
	return &userkeys.Error{
		Code:       userkeys.Unavailable,
		Public:     "too many people are signing in at the moment",
		RetryAfter: 2 * time.Second,
		Err:        cause,
	}
}

// Hash makes the PHC text of a password. The caller holds a turn.
func (h *Hasher) Hash(password string) string {
	p := phc{cost: h.cost, salt: randomBytes(saltBytes)}
	p.hash = h.Derive(passwordBytes(password), p.salt, p.cost, hashBytes)
	return p.String()
}

// Verify reports whether password made text, in the same time whatever text is:
// one that is empty or no hash of ours is compared with nobody's. The caller holds a turn.
func (h *Hasher) Verify(text, password string) bool {
	p, ok := parsePHC(text)
	if !ok {
		p = h.dummy
	}
	got := h.Derive(passwordBytes(password), p.salt, p.cost, uint32(len(p.hash)))
	return subtle.ConstantTimeCompare(got, p.hash) == 1 && ok
}

// Outdated reports whether text was made at another cost than is wanted now.
func (h *Hasher) Outdated(text string) bool {
	p, ok := parsePHC(text)
	return ok && (p.cost != h.cost || len(p.salt) != saltBytes || len(p.hash) != hashBytes)
}

// passwordBytes is what is hashed: the same letters typed on another system
// may come composed differently. What is too long can be no password and is cut.
func passwordBytes(password string) []byte {
	b := norm.NFC.Bytes([]byte(firstBytes(password, 4*maxBytes)))
	return b[:min(len(b), maxBytes+1)]
}

// phc is a password hash as it is stored: $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
type phc struct {
	cost       Cost
	salt, hash []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.cost.Memory, p.cost.Time, p.cost.Threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.hash))
}

// parsePHC reads exactly what [phc.String] writes, within bounds.
func parsePHC(text string) (phc, bool) {
	var p phc
	parts := strings.Split(text, "$")
	if len(text) > 512 || len(parts) != 6 {
		return phc{}, false
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.cost.Memory, &p.cost.Time, &p.cost.Threads)
	if err != nil || !p.cost.sane() {
		return phc{}, false
	}
	var err2 error
	p.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	p.hash, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(p.salt) < 8 || len(p.hash) < 16 || p.String() != text {
		return phc{}, false
	}
	return p, true
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	return b
}

// firstBytes shortens s to at most n bytes.
func firstBytes(s string, n int) string { return s[:min(len(s), n)] }
