package site

import (
	"net/url"

	"userkeys"
)

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

// ReasonLastAdmin says that a change would leave the site without an active administrator.
const ReasonLastAdmin = "last administrator"

// ReasonChooseName says that somebody who signs in through a provider has no account here yet, and that the user name
// which they would get is taken or is none: they have to choose one.
const ReasonChooseName = "choose a user name"

// Why somebody cannot have a user name, as it stands after the name.
const (
	NameUnfit = "cannot be a user name here"
	NameTaken = "is taken here"
	NameKept  = "is kept for the site itself"
)

// NameQuestion is the error of a sign-in that goes on once somebody has chosen a user name. It is a
// [userkeys.Conflict] with [ReasonChooseName].
type NameQuestion struct {
	Theirs  string // what the provider calls them; empty: it does not say
	Trouble string // why they cannot have that here
	Chosen  string // what they have chosen; empty: nothing yet
	Wrong   string // why they cannot have that either
	Near    string // a name that they can have, to propose; empty: none is like theirs
}

// Error says that a user name has to be chosen.
func (q *NameQuestion) Error() string { return q.Unwrap().Error() }

// Unwrap is q as programs read it.
func (q *NameQuestion) Unwrap() error {
	name, why := q.Theirs, q.Trouble
	if q.Chosen != "" {
		name, why = q.Chosen, q.Wrong
	}
	e := userkeys.Errorf(userkeys.Conflict, "choose a user name: %q %s", userkeys.Printable(name), why)
	e.Reason = ReasonChooseName
	return e
}
