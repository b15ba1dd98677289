package site

import "time"

// Identity is who a user is to a provider that signs people in. Issuer and Subject together name one person; they
// are compared as bytes.
type Identity struct {
	Issuer     string
	Subject    string
	UserID     int64
	Login      string // the name of the login of a new user or a sign-in; the store keeps it with the user
	Username   string // as the provider spells it; may be empty
	CreatedAt  time.Time
	SignedInAt time.Time // zero: never
}

// SignIn is a sign-in through a provider, as the store notes it.
type SignIn struct {
	Identity
	// PauseAfter is how long after it the user's keys pause; 0: never. A sign-in that puts a pause off reaches every cache
	// that knows when it would begin.
	PauseAfter time.Duration
}
