package userkeys

import "time"

// OneTimePassword signs a user in once (wire 10.2). A user has one at a time,
// the newest, bound to the user and not to the name.
type OneTimePassword struct {
	Password        string // secret, 32 hex digits; only its hash is stored
	UserID          int64
	ApplicationName string // whom it was made for
	CreatedAt       time.Time
	ExpiresAt       time.Time
}
