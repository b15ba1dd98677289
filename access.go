package userkeys

import "context"

// Access is who calls with a key that was found good, and what they may do.
type Access struct {
	KeyID    int64
	KeyHash  KeyHash
	ClientID string
	UserID   int64
	Username string
	// ExternalID is what the provider through which the user signs in calls them, such as the id of an account of a
	// website that signs its people in here. Empty: the user signs in here only.
	ExternalID string
	*Standing
}

// Standing is what many keys have in common; it is shared between them and must not be changed.
type Standing struct {
	Scopes     Scopes
	TrustLevel int
	Admin      bool
	Moderator  bool
	Groups     []string
	Login      string // the login through which the user signs in, beside ExternalID
	// Name and Email are only known to a site that needs them; see authority.Config.
	Name, Email string
}

// accessContext carries an Access in one allocation; a value in a plain
// context would be two, on the path of every request.
type accessContext struct {
	context.Context
	access Access
}

type contextKey struct{}

// Value implements [context.Context].
func (c *accessContext) Value(key any) any {
	if _, ours := key.(contextKey); ours {
		return &c.access
	}
	return c.Context.Value(key)
}

// NewContext puts a into ctx.
func NewContext(ctx context.Context, a Access) context.Context {
	return &accessContext{Context: ctx, access: a}
}

// noStanding lets code that forgets to look at ok ask a stranger's scopes and
// be told none.
var noStanding = &Standing{}

// FromContext tells who calls; ok is false for a request without a key, and
// the access is then one without name, scopes or groups.
func FromContext(ctx context.Context) (a Access, ok bool) {
	if p, found := ctx.Value(contextKey{}).(*Access); found {
		a, ok = *p, true
	}
	if a.Standing == nil {
		a.Standing = noStanding
	}
	return a, ok
}
