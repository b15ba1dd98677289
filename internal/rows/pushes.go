package rows

import (
	"time"

	"userkeys/outbox"
)

// Delivery is a notification on its way to a push URL.
type Delivery struct {
	ID             int64      `json:"id"`
	UserID         int64      `json:"user_id"`
	Username       *string    `json:"username"`        // null: the user was deleted
	NotificationID *int64     `json:"notification_id"` // null: a test
	KeyID          *int64     `json:"key_id"`          // null: all of the user's keys with this address
	PushURL        string     `json:"push_url"`
	Host           string     `json:"host"`
	CreatedAt      *time.Time `json:"created_at"`
	QueuedAt       *time.Time `json:"queued_at"` // since when it may be tried; in the future: it is held back for its user
	NextAt         *time.Time `json:"next_at"`   // null: it was given up
	Attempts       int        `json:"attempts"`
	DeadAt         *time.Time `json:"dead_at"` // null: it is still tried
	Problem        *string    `json:"problem"`
}

// NewDelivery returns the row of d for the user with that name, which is empty
// if the user was deleted.
func NewDelivery(d outbox.Delivery, username string) Delivery {
	row := Delivery{
		ID: d.ID, UserID: d.UserID, Username: known(username),
		NotificationID: known(d.NotificationID), KeyID: known(d.KeyID), PushURL: d.PushURL, Host: d.Host,
		CreatedAt: Time(d.CreatedAt), QueuedAt: Time(d.QueuedAt),
		Attempts: d.Attempt, DeadAt: Time(d.DeadAt), Problem: known(string(d.Problem)),
	}
	if d.DeadAt.IsZero() {
		row.NextAt = Time(d.NextAt)
	}
	return row
}

// PushHost is a host with push URLs, and how pushing to it goes.
type PushHost struct {
	Host        string     `json:"host"`
	Queued      int        `json:"queued"`
	Dead        int        `json:"dead"`
	Off         int        `json:"off"` // live keys that pushing is switched off to
	Delivered   int64      `json:"delivered"`
	Failed      int64      `json:"failed"`
	Failures    int        `json:"failures"`     // in a row
	ClosedUntil *time.Time `json:"closed_until"` // null: all of it is open
	DeliveredAt *time.Time `json:"delivered_at"`
	FailedAt    *time.Time `json:"failed_at"`
	Problem     *string    `json:"problem"` // null: nothing fails now
	DueAt       *time.Time `json:"due_at"`  // of what is due first; null: nothing waits
}

// NewPushHost returns the row of h as it stands at now.
func NewPushHost(h outbox.Host, now time.Time) PushHost {
	row := PushHost{
		Host: h.Host, Queued: h.Queued, Dead: h.Dead, Off: h.Off, Delivered: h.Delivered, Failed: h.Failed,
		Failures: h.Failures, DeliveredAt: Time(h.DeliveredAt), FailedAt: Time(h.FailedAt),
		Problem: known(string(h.CurrentProblem())), DueAt: Time(h.DueAt),
	}
	if h.ClosedUntil.After(now) {
		row.ClosedUntil = Time(h.ClosedUntil)
	}
	return row
}

// KeyPush is how pushing to a key goes.
type KeyPush struct {
	DeliveredAt  *time.Time `json:"delivered_at"` // last; null: never
	FailedAt     *time.Time `json:"failed_at"`
	FailingSince *time.Time `json:"failing_since"` // null: the last attempt went well
	Problem      *string    `json:"problem"`
	OffAt        *time.Time `json:"off_at"` // null: it is on
}

// NewKeyPush returns the row of p.
func NewKeyPush(p outbox.KeyState) *KeyPush {
	return &KeyPush{
		DeliveredAt: Time(p.DeliveredAt), FailedAt: Time(p.FailedAt), FailingSince: Time(p.FailingSince),
		Problem: known(string(p.Problem)), OffAt: Time(p.OffAt),
	}
}
