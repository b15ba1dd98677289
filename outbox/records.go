package outbox

import (
	"time"

	"userkeys/site"
)

// Delivery is a push that is to be made: one for a notification and an
// address, whatever the number of keys there.
type Delivery struct {
	ID             int64
	UserID         int64
	NotificationID int64 // 0: a test
	KeyID          int64 // 0: all of the user's keys with this address; else this one only
	PushURL        string
	Host           string    // see [PushHostOf]
	CreatedAt      time.Time // of it and its ID the receiver's webhook-id is made: the same at each attempt
	QueuedAt       time.Time // since when it may be tried
	NextAt         time.Time // when it is due
	Claim          int       // how often it was taken
	Attempt        int       // how often it was tried and failed
	DeadAt         time.Time // zero: it is still tried
	Problem        Problem
}

// Details is a delivery with everything that it is made of, as the
// database has it at one moment.
type Details struct {
	Delivery     Delivery
	User         site.User
	QuietUntil   time.Time
	Notification site.Notification // zero ID: a test, or it is gone
	// Keys are the user's keys with the delivery's address, live or not (of a test: the one that it is for).
	Keys []Key
}

// Key is a key with how pushing to it goes.
type Key struct {
	site.UserAPIKey
	Push KeyState
}

// KeyState is how pushing to a key goes. The zero KeyState is one that nothing was pushed to.
type KeyState struct {
	DeliveredAt  time.Time // last; zero: never
	FailedAt     time.Time // last; zero: never
	FailingSince time.Time // zero: the last attempt went well
	Problem      Problem
	OffAt        time.Time // zero: on. Else nothing is pushed until somebody tries again
}

// Address is how pushing to an address goes. What other addresses of its host
// answer says nothing about it; whether anybody can be reached at the host does.
type Address struct {
	PushURL     string
	Host        string    // see [PushHostOf]
	Failures    int       // in a row
	ClosedUntil time.Time // nothing is sent before
	DeliveredAt time.Time // last
	FailedAt    time.Time // last
	Problem     Problem
	Delivered   int64 // so many, ever
	Failed      int64
	Reach       Reach
	DueAt       time.Time // of what is due first; zero: nothing waits
}

// Reach is whether anybody can be reached at a host.
type Reach struct {
	Failures    int       // in a row, at whatever address
	ClosedUntil time.Time // nothing is sent to any of its addresses before
}

// Host is how pushing to all addresses of a host goes, for administrators.
type Host struct {
	Host        string
	Failures    int       // in a row: of the host, or of the address that fails most
	ClosedUntil time.Time // nothing is sent before, to some address of it at least
	DeliveredAt time.Time // last
	FailedAt    time.Time // last
	Problem     Problem
	Delivered   int64 // so many, ever
	Failed      int64
	Off         int       // live keys with an address there that pushing is switched off to
	Queued      int       // waiting now
	Dead        int       // given up
	DueAt       time.Time // of what is due first; zero: nothing waits
}

// CurrentProblem is why pushing to the host fails; empty if something was delivered since, and every address works.
func (h Host) CurrentProblem() Problem {
	if h.Failures == 0 && !h.FailedAt.After(h.DeliveredAt) {
		return ""
	}
	return h.Problem
}

// Held tells whether a delivery waits for its user, who was just here or does not want to be disturbed: until d.NextAt.
func (d Delivery) Held(now time.Time) bool { return d.DeadAt.IsZero() && d.QueuedAt.After(now) }

// Problem says in a word why a push failed; an app's user is told by
// [Problem.Sentence], which has neither addresses nor statuses (SS27).
type Problem string

// The problems. A status that is no success is written "status 503".
const (
	ProblemConnection Problem = "connection" // nobody listens, or the name is unknown
	ProblemTimeout    Problem = "timeout"
	ProblemTLS        Problem = "tls"
	ProblemAddress    Problem = "address" // it is inside, where nothing is pushed to
	ProblemGone       Problem = "gone"    // 410, or 404 again and again
	ProblemMoved      Problem = "moved"   // 301 or 308
	ProblemOverdue    Problem = "overdue" // it could not be tried in time
	ProblemBusy       Problem = "busy"    // 429, or 503 with Retry-After
	ProblemOff        Problem = "off"     // pushing to the app was switched off meanwhile
)

// Outcome is what became of an attempt.
type Outcome int

// The outcomes.
const (
	Delivered Outcome = iota + 1 // it is done
	Dropped                      // nobody is to have it any more
	Retried                      // it is tried again at NextAt
	GivenUp                      // it is given up, and kept for an administrator
)

// Result is what the sender writes of an attempt.
type Result struct {
	ID      int64
	Claim   int // the delivery's when it was taken; whoever took it later has the say
	Outcome Outcome
	At      time.Time
	NextAt  time.Time // of Retried
	// Deferred: it waits for its user, and its time begins when it is over.
	Deferred bool
	Problem  Problem // empty: none
	PushURL  string
	KeyIDs   []int64 // that it was for; their state is written too
	// Off switches pushing to these keys off.
	Off bool
	// Unmade attempts say nothing about the address and the keys, and are not counted.
	Unmade bool
	// Reached tells that somebody at the host took the connection, whatever came of it.
	Reached bool
	// CloseUntil is until when the address asked to be left alone; zero: it did not.
	CloseUntil time.Time
}

// How long whoever does not answer is left alone: after a few failures in a row
// a little, then longer with each.
const (
	failuresToClose = 5
	closedPerFail   = 2 * time.Second
	closedAtMost    = 10 * time.Minute
)

// Pause is how long nothing is sent after so many failures in a row; 0: it goes on.
func Pause(failures int) time.Duration {
	if failures < failuresToClose {
		return 0
	}
	return min(time.Duration(min(failures, 1000))*closedPerFail, closedAtMost)
}

// Note adds what became of an attempt to what is known of its address. Results come in the order of their times.
func (a *Address) Note(r Result) {
	if r.Unmade {
		return
	}
	if r.Outcome == Delivered {
		a.Failures, a.ClosedUntil, a.DeliveredAt = 0, time.Time{}, r.At
		a.Delivered++
		return
	}
	a.Failures++
	a.Failed++
	a.FailedAt, a.Problem = r.At, r.Problem
	if pause := Pause(a.Failures); pause > 0 {
		a.ClosedUntil = r.At.Add(pause)
	}
	// One user's limit must not stop all others for a day: the delivery waits as long as it was asked to, the address less.
	if until := r.At.Add(closedAtMost); r.CloseUntil.After(until) {
		r.CloseUntil = until
	}
	if r.CloseUntil.After(a.ClosedUntil) {
		a.ClosedUntil = r.CloseUntil
	}
}

// Note does so for its host.
func (h *Reach) Note(r Result) {
	switch {
	case r.Unmade:
	case r.Reached:
		h.Failures, h.ClosedUntil = 0, time.Time{}
	default:
		h.Failures++
		if pause := Pause(h.Failures); pause > 0 {
			h.ClosedUntil = r.At.Add(pause)
		}
	}
}

// OpensAt is when something may be sent; the zero time, or any that has passed: now.
func (a Address) OpensAt() time.Time {
	if a.Reach.ClosedUntil.After(a.ClosedUntil) {
		return a.Reach.ClosedUntil
	}
	return a.ClosedUntil
}

// Troubled tells whether it failed so often that it gets one push at a time, to try.
func (a Address) Troubled() bool { return max(a.Failures, a.Reach.Failures) >= failuresToClose }

// Filter narrows a list of deliveries. Zero values do not narrow.
type Filter struct {
	Dead   bool // given up; else those that are still tried
	Host   string
	UserID int64
	Before int64 // only ids below this one: the next page, newest first
	Limit  int   // at most so many; 0: 1000
}

// Sentence says a problem to the app's user.
func (p Problem) Sentence() string {
	switch p {
	case "":
		return ""
	case ProblemGone:
		return "the app's server says that it wants no more notifications"
	case ProblemMoved:
		return "the app's server has moved; approve the app anew to use its new address"
	case ProblemBusy:
		return "the app's server asked for a pause"
	}
	return "the app's server could not be reached, or did not accept them"
}
