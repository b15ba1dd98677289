package rows

import (
	"time"

	"userkeys/site"
)

// Session is a browser session of a user.
type Session struct {
	ID        string     `json:"id"`
	Current   bool       `json:"current"` // the one that asks
	Device    string     `json:"device"`
	UserAgent string     `json:"user_agent"`
	Address   string     `json:"address"`
	Login     string     `json:"login"` // through which a provider signed the user in; empty: another way
	App       string     `json:"application_name"`
	BeganAt   *time.Time `json:"began_at"`
	SeenAt    *time.Time `json:"last_seen_at"`
}

// NewSessions returns the rows of list; current is the id of the session that asks.
func NewSessions(list []site.UserSession, current string) []Session {
	out := make([]Session, len(list))
	for i, s := range list {
		out[i] = Session{
			ID: s.ID, Current: s.ID != "" && s.ID == current, Device: s.Device(), UserAgent: s.UserAgent,
			Address: s.Address, Login: s.Login, App: s.App, BeganAt: Time(s.BeganAt), SeenAt: Time(s.SeenAt),
		}
	}
	return out
}

// Identity is who a user is to a provider that signs people in.
type Identity struct {
	Issuer     string     `json:"issuer"`
	Subject    string     `json:"subject"`
	Username   string     `json:"username"` // as the provider spells it
	CreatedAt  *time.Time `json:"created_at"`
	SignedInAt *time.Time `json:"signed_in_at"`
}

// NewIdentities returns the rows of list.
func NewIdentities(list []site.Identity) []Identity {
	out := make([]Identity, len(list))
	for i, id := range list {
		out[i] = Identity{id.Issuer, id.Subject, id.Username, Time(id.CreatedAt), Time(id.SignedInAt)}
	}
	return out
}
