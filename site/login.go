package site

import "net/url"

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
