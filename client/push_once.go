package client

import (
	"crypto/sha256"
	"sync"
	"time"

	"userkeys"
)

const sha256Size = sha256.Size

// ErrPushSeen is a push whose id was here before: a site that did not hear our answer sends it again, and so does
// whoever kept a copy. Answer it as a success. It is shared; do not change it.
var ErrPushSeen = &userkeys.Error{
	Code: userkeys.Conflict, Reason: "seen already", Public: "this push was here before",
}

// Bounds of a ReplayGuard.
const (
	maxSeenPushes = 100_000
	seenPushFor   = 2 * userkeys.PushTolerance // from the earliest clock that is borne with to the latest
)

// A ReplayGuard sees to it that a push is acted on once, for as long as a copy of it would verify. A site that does not reach the app tries
// the same push again for a day, and later than that nothing is remembered: what must not happen
// twice even then is kept by the app beside the push's id. It holds at most 100,000 pushes of the last
// minutes, and refuses more with [userkeys.Unavailable] rather than forget one. Make one with [NewReplayGuard] for all requests.
type ReplayGuard struct {
	Now func() time.Time // nil: the clock

	mu         sync.Mutex
	young, old map[[sha256Size]byte]bool // true: done; false: somebody is at it
	turned     time.Time                 // when young began
}

// NewReplayGuard makes a ReplayGuard that has seen nothing.
func NewReplayGuard() *ReplayGuard {
	return &ReplayGuard{young: map[[sha256Size]byte]bool{}}
}

// Once acts on a push by calling do, unless that was done before, which is [ErrPushSeen], or is being done now, which is
// [userkeys.Unavailable]. If do fails the push is not remembered, so that the site's next try comes through. An unsigned push is always acted on.
func (g *ReplayGuard) Once(p Push, do func() error) error {
	if err := g.begin(p); err != nil {
		return err
	}
	done := false
	defer func() { g.end(p, done) }() // also where do panics
	err := do()
	done = err == nil
	return err
}

func (g *ReplayGuard) begin(p Push) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	for _, s := range p.seen {
		done, ok := g.young[s]
		if !ok {
			done, ok = g.old[s]
		}
		switch {
		case done:
			return ErrPushSeen
		case ok:
			return &userkeys.Error{Code: userkeys.Unavailable, Public: "this push is being handled now", RetryAfter: time.Second}
		}
	}
	if len(g.young)+len(p.seen) > maxSeenPushes {
		return &userkeys.Error{Code: userkeys.Unavailable, Public: "there are too many pushes to remember", RetryAfter: time.Minute}
	}
	for _, s := range p.seen {
		g.young[s] = false
	}
	return nil
}

func (g *ReplayGuard) end(p Push, done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range p.seen {
		delete(g.old, s)
		if done {
			g.young[s] = true
		} else {
			delete(g.young, s)
		}
	}
}

// turn forgets what is old: each push stays for seenPushFor at least, and twice that at most.
func (g *ReplayGuard) turn() {
	now := g.Now
	if now == nil {
		now = time.Now
	}
	at := now()
	switch since := at.Sub(g.turned); {
	case since < seenPushFor:
		return
	case since < 2*seenPushFor:
		g.old = g.young
	default:
		g.old = nil
	}
	g.young, g.turned = map[[sha256Size]byte]bool{}, at
}

// seenBy is what a push is remembered by. The secret is in it: no site can use up another one's ids.
func seenBy(s userkeys.PushSecret, id string) [sha256Size]byte {
	return sha256.Sum256([]byte(s.Reveal() + "." + id))
}
