package site

import (
	"net/url"
	"time"
)

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

// SyncedUser is a user of a website that signs its people in here, as the website tells of them without their being
// there. Everything but Suspended counts, as at a sign-in: the user is in no group that is not named.
type SyncedUser struct {
	ExternalID string   `json:"external_id"` // what the website calls the user; never another's
	Username   string   `json:"username"`
	Name       string   `json:"name"`
	Email      string   `json:"email"`
	Groups     []string `json:"groups"`
	Admin      bool     `json:"admin"`
	Moderator  bool     `json:"moderator"`
	// Suspended says whether the user is suspended here; absent leaves it as it is.
	Suspended *bool `json:"suspended"`
}

// Sync is a list of users from a website.
type Sync struct {
	Login string       `json:"login"` // through which they sign in; may be empty where the site has one login
	Users []SyncedUser `json:"users"`
	// SparesAdmins refuses to make, change or suspend administrators.
	SparesAdmins bool `json:"-"`
}

// SyncOutcome is what became of one user of a [Sync].
type SyncOutcome struct {
	ExternalID string `json:"external_id"`
	Username   string `json:"username"` // here
	// Outcome is created, changed, unchanged or refused.
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"` // why it was refused
}

// LoginChoice is a way to sign in through a provider, as people choose it.
type LoginChoice struct {
	Name  string // in addresses
	Title string // that people read
	// Issuer is that of its identities.
	Issuer string
	// To is an address of the provider that browsers are sent to; nil: they stay here.
	To *url.URL
}

// LoginWish is what somebody wants who begins to sign in through a provider.
type LoginWish struct {
	Back     string // where the browser goes in the end, an address on this site
	Username string // which they want here if they have no account yet; empty: the provider's
	// Again asks somebody who is signed in at the provider to prove who they are once more, as far as its protocol can
	// say so.
	Again bool
}

// ReasonChooseName says that somebody who signs in through a provider has no account here yet, and that the user name
// which they would get is taken or is none: they have to choose one.
const ReasonChooseName = "choose a user name"
