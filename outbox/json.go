package outbox

import (
	"time"
)

// DeliveryJSON is a delivery as the admin API and the command write it. What is not there is null.
type DeliveryJSON struct {
	ID             int64      `json:"id"`
	UserID         int64      `json:"user_id"`
	Username       *string    `json:"username"`        // null: the user is gone
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

// NewDeliveryJSON writes a delivery for the user of that name; empty: the user is gone.
func NewDeliveryJSON(d Delivery, username string) DeliveryJSON {
	out := DeliveryJSON{
		ID: d.ID, UserID: d.UserID, Username: known(username), NotificationID: known(d.NotificationID), KeyID: known(d.KeyID),
		PushURL: d.PushURL, Host: d.Host, CreatedAt: JSONTime(d.CreatedAt), QueuedAt: JSONTime(d.QueuedAt),
		Attempts: d.Attempt, DeadAt: JSONTime(d.DeadAt), Problem: known(string(d.Problem)),
	}
	if d.DeadAt.IsZero() {
		out.NextAt = JSONTime(d.NextAt)
	}
	return out
}

// PushHostJSON is a host as the admin API and the command write it.
type PushHostJSON struct {
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

// NewPushHostJSON writes how pushing to a host goes at a moment.
func NewPushHostJSON(h Host, now time.Time) PushHostJSON {
	out := PushHostJSON{
		Host: h.Host, Queued: h.Queued, Dead: h.Dead, Off: h.Off, Delivered: h.Delivered, Failed: h.Failed, Failures: h.Failures,
		DeliveredAt: JSONTime(h.DeliveredAt), FailedAt: JSONTime(h.FailedAt), Problem: known(string(h.CurrentProblem())), DueAt: JSONTime(h.DueAt),
	}
	if h.ClosedUntil.After(now) {
		out.ClosedUntil = JSONTime(h.ClosedUntil)
	}
	return out
}

// KeyPushJSON is how pushing to a key goes, as the admin API and the command write it.
type KeyPushJSON struct {
	DeliveredAt  *time.Time `json:"delivered_at"` // last; null: never
	FailedAt     *time.Time `json:"failed_at"`
	FailingSince *time.Time `json:"failing_since"` // null: the last attempt went well
	Problem      *string    `json:"problem"`
	OffAt        *time.Time `json:"off_at"` // null: it is on
}

// NewKeyPushJSON writes how pushing to a key goes.
func NewKeyPushJSON(p KeyState) *KeyPushJSON {
	return &KeyPushJSON{
		DeliveredAt: JSONTime(p.DeliveredAt), FailedAt: JSONTime(p.FailedAt), FailingSince: JSONTime(p.FailingSince),
		Problem: known(string(p.Problem)), OffAt: JSONTime(p.OffAt),
	}
}

// JSONTime is a time for JSON; null for the zero time.
func JSONTime(t time.Time) *time.Time { return known(t.UTC()) }

// known is nil, null in JSON, for what is not there.
func known[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
