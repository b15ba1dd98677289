package rows

import (
	"time"

	"userkeys/site"
)

// Event is a line of the audit log.
type Event struct {
	ID       int64      `json:"id"`
	At       *time.Time `json:"at"`
	Caller   Caller     `json:"actor"`
	Action   string     `json:"action"`
	UserID   int64      `json:"user_id,omitempty"`
	KeyID    int64      `json:"key_id,omitempty"`
	ClientID string     `json:"client_id,omitempty"`
	Detail   string     `json:"detail"`
}

// Caller is who did something.
type Caller struct {
	Kind   string `json:"kind"`
	UserID int64  `json:"user_id,omitempty"`
	IP     string `json:"ip,omitempty"`
	Admin  bool   `json:"admin"`
}

// NewEvent returns the row of e.
func NewEvent(e site.AuditEvent) Event {
	c := e.Caller
	return Event{
		ID: e.ID, At: Time(e.At), Action: e.Action, UserID: e.UserID, KeyID: e.KeyID, ClientID: e.ClientID, Detail: e.Detail,
		Caller: Caller{Kind: string(c.Kind()), UserID: c.User.ID, IP: c.Address, Admin: c.Admin()},
	}
}
