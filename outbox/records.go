package outbox

import (
	"time"

	"userkeys/site"
)

// Delivery is a push that is to be made: one for a notification and a push URL, whatever the number of keys there.
type Delivery struct {
	ID             int64
	UserID         int64
	NotificationID int64 // 0: a test
	KeyID          int64 // 0: all of the user's keys with this push URL; else this one only
	PushURL        string
	Host           string    // see [site.PushHostOf]
	CreatedAt      time.Time // the webhook-id is made of it and the ID, so that it is the same at each attempt
	QueuedAt       time.Time // since when it may be tried; in the future: it is held back
	NextAt         time.Time // when it is due
	Claim          int       // how often it was claimed
	Attempt        int       // how often it was tried and failed
	DeadAt         time.Time // when it was given up; zero: it is still tried
	Problem        Problem
}

// Claim says how many of the deliveries that are due At a node claims, and Until when no other node may claim them.
type Claim struct {
	Most      int
	At, Until time.Time
}

// Details is a delivery with everything that decides about it and that is sent, as the database has it at one moment.
type Details struct {
	Delivery     Delivery
	User         site.User
	PausesAt     time.Time         // when the user's keys pause because they did not sign in again; zero: never
	QuietUntil   time.Time         // when the user's "do not disturb" ends; zero: it is not on
	Notification site.Notification // zero ID: the delivery is a test, or the notification was deleted
	// Keys are the user's keys with the delivery's push URL, live or not; of a test the key that it is for.
	Keys []Key
}

// Key is a key with how pushing to it goes.
type Key struct {
	site.UserAPIKey
	Push KeyState
}

// KeyState is how pushing to a key goes. The zero KeyState is that of a key that nothing was pushed to.
type KeyState struct {
	DeliveredAt  time.Time // last; zero: never
	FailedAt     time.Time // last; zero: never
	FailingSince time.Time // zero: the last attempt succeeded
	Problem      Problem
	OffAt        time.Time // when pushing was switched off; zero: it is on
}

// Address is a push URL and how pushing to it goes. The state of other push URLs on its host says nothing about it;
// Reach says whether the host takes connections at all.
type Address struct {
	PushURL     string
	Host        string    // see [site.PushHostOf]
	Failures    int       // in a row
	ClosedUntil time.Time // nothing is sent before
	DeliveredAt time.Time // last
	FailedAt    time.Time // last
	Problem     Problem
	Delivered   int64 // how many, ever
	Failed      int64
	Reach       Reach
	DueAt       time.Time // when the first of its deliveries is due; zero: none waits
}

// Reach is whether a host takes connections.
type Reach struct {
	Failures    int       // in a row, at whatever push URL
	ClosedUntil time.Time // nothing is sent to any of its push URLs before
}

// Host is how pushing to all push URLs of a host goes, for administrators.
type Host struct {
	Host        string
	Failures    int       // in a row: of the host, or of the push URL that fails most
	ClosedUntil time.Time // nothing is sent before, to at least one of its push URLs
	DeliveredAt time.Time // last
	FailedAt    time.Time // last
	Problem     Problem
	Delivered   int64 // how many, ever
	Failed      int64
	Off         int       // live keys with a push URL there that pushing is switched off for
	Queued      int       // deliveries that wait
	Dead        int       // deliveries that were given up
	DueAt       time.Time // when the first of its deliveries is due; zero: none waits
}

// Outcome is what became of an attempt.
type Outcome int

// The outcomes.
const (
	Delivered Outcome = iota + 1 // it is done
	Dropped                      // nobody is to have it any more
	Retried                      // it is tried again at NextAt
	GivenUp                      // it is not tried again, and kept for an administrator
)

// Result is what became of an attempt, as it is written to the database.
type Result struct {
	ID      int64
	Claim   int // the delivery's when it was claimed; the newer claim wins
	Outcome Outcome
	At      time.Time
	NextAt  time.Time // of Retried
	// Deferred: the delivery is held back until NextAt, and its 24 hours begin then.
	Deferred bool
	Problem  Problem // empty: none
	PushURL  string
	KeyIDs   []int64 // the keys that the attempt was for; their state is written too
	// Off switches pushing to these keys off.
	Off bool
	// Unmade: no request was made. That says nothing about the push URL and the keys, and is not counted.
	Unmade bool
	// Reached: the host took the connection, whatever came of it.
	Reached bool
	// CloseUntil is until when the receiver asked to be left alone; zero: it did not ask.
	CloseUntil time.Time
}

// Filter narrows a list of deliveries. Zero values do not narrow.
type Filter struct {
	Dead   bool // those that were given up; else those that are still tried
	Host   string
	UserID int64
	Before int64 // only ids below this one: the next page, newest first
	Limit  int   // how many at most; 0: 1000
}
