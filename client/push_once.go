package client

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"userkeys"
)

const sha256Size = sha256.Size

// ErrPushSeen is a push that was here before, all of it: a site that did not hear our answer sends it again,
// and so does whoever kept a copy. Answer it as a success. It is shared; do not change it.
var ErrPushSeen = &userkeys.Error{
	Code: userkeys.Conflict, Reason: "seen already", Public: "this push was here before",
}

// Bounds of a ReplayGuard.
const (
	maxSeenPushes = 100_000
	seenPushFor   = 2 * userkeys.PushTolerance // from the earliest clock that is borne with to the latest
)

// A ReplayGuard sees to it that a push is acted on once for each client, for as long as a copy of it would
// verify. A site that does not reach the app tries the same push again for a day, and later than that nothing
// is remembered: what must not happen twice even then is kept by the app beside the push's id. It remembers at
// most 100,000 pushes of the last minutes, each once for every client and every secret that signed for it, and
// refuses more with [userkeys.Unavailable] rather than forget one. Make one with [NewReplayGuard] for all
// requests.
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

// Once acts on a push by calling do with what is new in it: the notifications of clients that it was not done
// for before. A try after the first may have some, as where a second key has got the same address since. If
// there is nothing new that is [ErrPushSeen], and while some of it is being done it is [userkeys.Unavailable].
// If do fails the push is not remembered, so that the site's next try comes through. An unsigned push is always
// acted on.
func (g *ReplayGuard) Once(p Push, do func(Push) error) error {
	fresh, err := g.begin(p)
	if err != nil {
		return err
	}
	done := false
	defer func() { g.end(fresh, done) }() // also where do panics
	err = do(fresh)
	done = err == nil
	return err
}

// begin notes that somebody is at p, and gives what is new in it.
func (g *ReplayGuard) begin(p Push) (Push, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	known := map[string]bool{} // clients
	for _, m := range p.marks {
		done, ok := g.young[m.sum]
		if !ok {
			done, ok = g.old[m.sum]
		}
		if ok && !done {
			return Push{}, &userkeys.Error{
				Code: userkeys.Unavailable, Public: "this push is being handled now",
				RetryAfter: time.Second,
			}
		}
		if done {
			known[m.clientID] = true
		}
	}
	fresh := p.without(known)
	if len(p.marks) > 0 && len(fresh.marks) == 0 {
		return Push{}, ErrPushSeen
	}
	if len(g.young)+len(fresh.marks) > maxSeenPushes {
		return Push{}, &userkeys.Error{
			Code: userkeys.Unavailable, Public: "there are too many pushes to remember",
			RetryAfter: time.Minute,
		}
	}
	for _, m := range fresh.marks {
		g.young[m.sum] = false
	}
	return fresh, nil
}

func (g *ReplayGuard) end(p Push, done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range p.marks {
		delete(g.old, m.sum)
		if done {
			g.young[m.sum] = true
		} else {
			delete(g.young, m.sum)
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

// pushMark is what a push is remembered by for one client.
type pushMark struct {
	clientID string
	sum      [sha256Size]byte
}

// markOf is the mark of a push for a client, by a secret that signed for it. The secret is in it: no site can
// use up another one's ids.
func markOf(s userkeys.PushSecret, id, clientID string) pushMark {
	return pushMark{clientID, sha256.Sum256([]byte(s.Reveal() + "." + id + "." + clientID))} // no dot is in the first two
}

// without is p without what it has for some clients. p itself stays as it is.
func (p Push) without(clients map[string]bool) Push {
	if len(clients) == 0 {
		return p
	}
	p.Notifications = slices.DeleteFunc(slices.Clone(p.Notifications),
		func(n PushNotification) bool { return clients[n.ClientID] })
	p.marks = slices.DeleteFunc(slices.Clone(p.marks), func(m pushMark) bool { return clients[m.clientID] })
	return p
}
