// Package rows has the records that scripts read, one struct for each kind:
// the admin API answers with them, and the commands print them with --json.
// What a record does not have is null.
package rows

import (
	"time"

	"userkeys/site"
)

// User is an account of the site.
type User struct {
	ID          int64      `json:"id"`
	Username    string     `json:"username"`
	Name        string     `json:"name"`
	Email       string     `json:"email"`
	TrustLevel  int        `json:"trust_level"`
	Admin       bool       `json:"admin"`
	Moderator   bool       `json:"moderator"`
	Active      bool       `json:"active"`
	Groups      []string   `json:"groups"`
	SuspendedAt *time.Time `json:"suspended_at"`
	CreatedAt   *time.Time `json:"created_at"`
	LastSeenAt  *time.Time `json:"last_seen_at"`
	ExternalID  string     `json:"external_id"`
	Login       string     `json:"login"`
	SignedInAt  *time.Time `json:"signed_in_at"`
}

// NewUser returns the row of u.
func NewUser(u site.User) User {
	return User{
		ID: u.ID, Username: u.Username, Name: u.Name, Email: u.Email, TrustLevel: u.TrustLevel,
		Admin: u.Admin, Moderator: u.Moderator, Active: u.Active, Groups: append([]string{}, u.Groups...),
		SuspendedAt: Time(u.SuspendedAt), CreatedAt: Time(u.CreatedAt), LastSeenAt: Time(u.LastSeenAt),
		ExternalID: u.ExternalID, Login: u.Login, SignedInAt: Time(u.SignedInAt),
	}
}

// Key is a user API key.
type Key struct {
	ID              int64      `json:"id"`
	UserID          int64      `json:"user_id"`
	Username        string     `json:"username,omitempty"`
	ClientID        string     `json:"client_id"`
	ApplicationName string     `json:"application_name"`
	ByHand          bool       `json:"by_hand,omitempty"` // its user made it, and no app asked for it
	Scopes          []string   `json:"scopes"`
	PushURL         string     `json:"push_url,omitempty"`
	CreatedAt       *time.Time `json:"created_at"`
	LastUsedAt      *time.Time `json:"last_used_at"` // null: never
	ExpiresAt       *time.Time `json:"expires_at"`
	RevokedAt       *time.Time `json:"revoked_at"`
	RevokedBy       string     `json:"revoked_by,omitempty"`
	// EndsAt is when the first rule ends the key, if it is not used before; of a key
	// that has ended, when it did.
	EndsAt      *time.Time `json:"ends_at"`
	EndsBecause string     `json:"ends_because,omitempty"`
	Push        *KeyPush   `json:"push,omitempty"` // of a key with a push URL
}

// NewKey returns the row of k as it stands at now, on a site with the settings
// s. The caller fills in Username and Push.
func NewKey(k site.UserAPIKey, s site.Settings, now time.Time) Key {
	row := Key{
		ID: k.ID, UserID: k.UserID, ClientID: k.ClientID, ApplicationName: k.ApplicationName, ByHand: k.ByHand(),
		Scopes: append([]string{}, k.Scopes...), PushURL: k.PushURL, CreatedAt: Time(k.CreatedAt),
		ExpiresAt: Time(k.ExpiresAt), RevokedAt: Time(k.RevokedAt), RevokedBy: string(k.RevokedBy),
	}
	if k.Used() {
		row.LastUsedAt = Time(k.LastUsedAt)
	}
	at, why := s.EndOf(k, now)
	row.EndsAt, row.EndsBecause = Time(at), string(why)
	return row
}

// AdminKey is an admin API key.
type AdminKey struct {
	ID          int64      `json:"id"`
	Key         string     `json:"key,omitempty"` // the text of a key that was just created, and of no other
	Description string     `json:"description"`
	Username    *string    `json:"username"`    // null: acts as anybody
	Permissions []string   `json:"permissions"` // empty: everything
	CreatedAt   *time.Time `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	ExpiresAt   *time.Time `json:"expires_at"` // null: never
	RevokedAt   *time.Time `json:"revoked_at"`
}

// NewAdminKey returns the row of k, without the text of the key.
func NewAdminKey(k site.AdminAPIKey) AdminKey {
	row := AdminKey{
		ID: k.ID, Description: k.Description, Permissions: []string{}, CreatedAt: Time(k.CreatedAt),
		LastUsedAt: Time(k.LastUsedAt), ExpiresAt: Time(k.ExpiresAt), RevokedAt: Time(k.RevokedAt),
	}
	for _, p := range k.Permissions {
		row.Permissions = append(row.Permissions, string(p))
	}
	if k.UserID != 0 {
		row.Username = &k.Username
	}
	return row
}

// Setting is a site setting. A list is written a|b; the value of a secret is
// never written.
type Setting struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Kind    string   `json:"kind"`
	Value   *string  `json:"value"` // null of a secret
	Set     bool     `json:"set"`   // whether it has a value, for secrets
	Default string   `json:"default"`
	Min     *int     `json:"min,omitempty"` // of a number
	Max     *int     `json:"max,omitempty"`
	Changed bool     `json:"changed"`
	Pinned  bool     `json:"pinned"` // set by the configuration, which alone can change it
	Summary string   `json:"summary"`
}

// NewSetting returns the row of the setting d with its value in s. The caller
// fills in Pinned.
func NewSetting(d site.Setting, s site.Settings) Setting {
	value, _ := s.Value(d.Name) // a setting of the table has a value
	row := Setting{
		Name: d.Name, Aliases: append([]string{}, d.Aliases...), Kind: string(d.Kind), Set: value != "",
		Default: d.Default, Changed: value != d.Default, Summary: d.Summary,
	}
	if !d.Secret {
		row.Value = &value
	}
	if d.Kind == site.SettingInt {
		row.Min, row.Max = &d.Min, &d.Max
	}
	return row
}

// Time is t in UTC for a row; nil, which is written as null, for the zero time.
func Time(t time.Time) *time.Time { return known(t.UTC()) }

// known is a pointer to v; nil for the zero value.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
