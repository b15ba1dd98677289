package site

import (
	"time"
)

// Announcement is what a site tells some of its users: one notification for each of them.
type Announcement struct {
	Usernames    []string     // whatever their case; each is told once
	Notification Notification // ID, UserID and Read are the store's
	Message      Message      // what goes into Notification, see [Message.Notification]; zero: nothing
	Caller       Caller
	// Push says whether it is pushed; nil: as [PushedType] says of its type.
	Push *bool
	// IdempotencyKey names the call: repeated within [IdempotencyLifetime] it
	// writes nothing, and is answered with the ids of the first time. Empty: it is never a repetition.
	IdempotencyKey string
	// PushBy are the site settings that say to which keys it is pushed, and when; nil: it is not pushed.
	PushBy *Settings
}

// IdempotencyLifetime is how long a repeated call is known.
const IdempotencyLifetime = 7 * 24 * time.Hour

// Announced is what became of an [Announcement].
type Announced struct {
	IDs      []int64 // of the notifications, in the order of the names, each user once
	UserIDs  []int64 // whose they are; of a repeated call it is not told
	Repeated bool    // nothing was written: the ids are those of the first time
	Queued   int     // deliveries written
}

// Inbox is the state of a user's notifications, for whoever waits for a change.
type Inbox struct {
	UserID int64
	// Version is raised by every change to the notifications, read marks and the
	// marker; 0: there never was one. It is at least the time of the change, in
	// milliseconds since 1970, so that a database which was brought back as an older
	// copy does not give a version again that somebody has read already.
	Version int64
	// Newest is the id of the newest notification, and Position its position; 0: none.
	Newest, Position int64
	Counts           NotificationCounts
	// QuietUntil is when pushes go on after "do not disturb"; zero: it is not set.
	QuietUntil time.Time
}
