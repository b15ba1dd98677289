package client

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"userkeys"
)

const sha256Size = sha256.Size

// ErrPushSeen says that everything in a push was handled before: a site sends a push again if it did not receive
// the answer, and so may somebody who has a copy. Answer it like a success. The value is shared; do not change it.
var ErrPushSeen = &userkeys.Error{
	Code: userkeys.Conflict, Reason: "seen already", Public: "this push was here before",
}

// Bounds of a ReplayGuard.
const (
	maxSeenPushes = 100_000
	seenPushFor   = 2 * userkeys.PushTolerance // from the earliest clock that is borne with to the latest
)

// A ReplayGuard makes an app act on a push once for each client. It remembers at most 100,000 pushes, each as long
// as a copy of it would verify, and refuses more with [userkeys.Unavailable] rather than forget one. A site
// repeats a push that was not answered for a day: what must not happen twice even then, the app notes by the
// push's ID in its own database. [NewReplayGuard] makes one, for all requests of the app.
type ReplayGuard struct {
	Now func() time.Time // nil: the clock

	mu         sync.Mutex
	young, old map[[sha256Size]byte]bool // true: done; false: somebody is at it
	turned     time.Time                 // when young began
}

// NewReplayGuard returns a ReplayGuard that has seen no push.
func NewReplayGuard() *ReplayGuard {
	return &ReplayGuard{young: map[[sha256Size]byte]bool{}}
}

// Once calls do with those notifications of p whose clients it was not called for before. There may be some in a
// repeated push, if a second key has got the same push URL since. If do fails, the push is not remembered, so that
// the site's next try succeeds. Once calls do for every unsigned push.
//
// Errors: [ErrPushSeen] if nothing in p is new, [userkeys.Unavailable] while another request handles the same push
// or if too many pushes are remembered, the error of do.
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

// begin notes that p is being handled, and returns what is new in it.
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

// turn forgets old pushes: each is remembered for seenPushFor at least, and for twice as long at most.
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

// markOf returns the mark of a push for a client, by a secret that has signed it. The mark depends on the secret,
// so that one site cannot use up the ids of another.
func markOf(s userkeys.PushSecret, id, clientID string) pushMark {
	return pushMark{clientID, sha256.Sum256([]byte(s.Reveal() + "." + id + "." + clientID))} // no dot is in the first two
}

// without returns p without the notifications of some clients. p itself is not changed.
func (p Push) without(clients map[string]bool) Push {
	if len(clients) == 0 {
		return p
	}
	p.Notifications = slices.DeleteFunc(slices.Clone(p.Notifications),
		func(n PushNotification) bool { return clients[n.ClientID] })
	p.marks = slices.DeleteFunc(slices.Clone(p.marks), func(m pushMark) bool { return clients[m.clientID] })
	return p
}
