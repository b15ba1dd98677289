package site

import (
	"time"

	"userkeys"
)

// Caller is who does something: a user at a browser, an app with a user API key, the site's own program with an admin
// API key, an administrator at the command line, or the site by itself. The zero Caller is nobody.
type Caller struct {
	User    User    // who acts, or in whose name a key acts; the zero User: nobody
	Session Session // of the browser; zero for keys and commands
	// Key is the id of the user API key that speaks for User; 0: none.
	Key int64
	// AdminKey is the id of the admin API key that speaks as User; 0: none.
	AdminKey int64
	Address  string // IP address; may be empty
	Device   string // what a browser calls itself, as [DeviceName] has it; empty: not known
	// As is what acts, where the fields above do not tell it: see [Caller.Kind].
	As CallerKind
}

// Act is who does something, and when: what the audit log says of it.
type Act struct {
	By Caller
	At time.Time
}

// At returns what c does at a time.
func (c Caller) At(t time.Time) Act { return Act{By: c, At: t} }

// Session is the browser session of a [Caller].
type Session struct {
	ID   string // names the session, never its secret; a new login is a new one
	CSRF string // secret of the session that forms must carry; empty: the Origin checks alone protect them
	// EarlyCSRF is a second secret that forms may carry: the one that a program got before it signed in. Empty: none.
	EarlyCSRF string
	// Login is the name of the login through which a provider signed the user in; empty: a password did.
	Login string
	// App is the name of the app that began the session with a one-time password; empty: the user signed in.
	App string
}

// CallerKind says what acts. The audit log keeps it.
type CallerKind string

// The kinds of callers.
const (
	CallerUser     CallerKind = "user"      // at a browser, signed in
	CallerKey      CallerKind = "key"       // an app with a user API key
	CallerCommand  CallerKind = "command"   // an administrator at the command line
	CallerAdminKey CallerKind = "admin key" // the site's own program, with an admin API key
	CallerSystem   CallerKind = "system"    // the site by itself
)

// Kind is c.As or, where that is empty, what the rest of c tells.
func (c Caller) Kind() CallerKind {
	switch {
	case c.As != "":
		return c.As
	case c.AdminKey != 0:
		return CallerAdminKey
	case c.Key != 0:
		return CallerKey
	case c.User.ID != 0:
		return CallerUser
	}
	return CallerSystem
}

// SignedIn reports whether c acts as a user.
func (c Caller) SignedIn() bool { return c.User.ID != 0 }

// Admin reports whether c may act on what belongs to others. An administrator may, but neither an app with a key of
// theirs nor an app in a session that it began with a one-time password.
func (c Caller) Admin() bool { return c.User.Admin && c.Key == 0 && c.Session.App == "" }

// KeyCaller returns the app with the key that a was given for, at an IP address, as far as the check of the key told.
func KeyCaller(a userkeys.Access, address string) Caller {
	u := User{ID: a.UserID, Username: a.Username, Active: true}
	if s := a.Standing; s != nil {
		u.TrustLevel, u.Admin, u.Moderator, u.Groups = s.TrustLevel, s.Admin, s.Moderator, s.Groups
	}
	return Caller{User: u, Key: a.KeyID, Address: address}
}

// Call is what a check of a key looks at.
type Call struct {
	Key    string // the header's value as it came
	Method string
	// Path is the decoded path of a canonical request target; see [userkeys.CanonicalPath].
	Path string
	// ManagesItself marks the requests that every live key may make whatever its
	// scopes: to revoke and to renew itself, and for the secret of its own pushes.
	ManagesItself bool
	// Present says that the app's user is looking at it now (W7.5).
	Present bool
}
