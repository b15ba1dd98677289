// Package accounts is who is at the browser: accounts and sessions. It knows users, not keys.
package accounts

import (
	"context"
	"time"

	"userkeys/site"
)

// UserStore remembers users. Names and e-mail addresses are compared
// without case. Errors: [userkeys.NotFound], [userkeys.Conflict].
type UserStore interface {
	CreateUser(ctx context.Context, a site.Account, by site.Caller) (site.User, error)
	// ReplaceUser writes every field of u but ID and CreatedAt, if the user is
	// still as was. It raises the epoch for the user's keys.
	// [userkeys.Conflict]: the name is taken, no active administrator would be
	// left, or somebody else changed the user meanwhile (reason "changed meanwhile").
	ReplaceUser(ctx context.Context, was, u site.User, act site.Act) error
	SetPassword(ctx context.Context, userID int64, hash string, act site.Act) error
	// ReplacePassword writes hash in place of old if old is still what is
	// stored, and tells whether it was: hashing an old password anew must
	// not undo a change of password made meanwhile. It is no event of its own.
	ReplacePassword(ctx context.Context, userID int64, old, hash string) (bool, error)
	// DeleteUser removes the user with keys, consents and sessions; not the last administrator.
	DeleteUser(ctx context.Context, userID int64, act site.Act) error
	User(ctx context.Context, id int64) (site.User, error)
	// Account finds by username or, if name has an '@', by e-mail address.
	Account(ctx context.Context, name string) (site.Account, error)
	// FindUsers lists the users that f selects, in the order of their ids.
	FindUsers(ctx context.Context, f site.UserFilter) ([]site.User, error)
	TouchUser(ctx context.Context, userID int64, seenAt time.Time) error
}

// SessionStore remembers browser sessions by the hash of their token, and
// one-time tokens likewise.
type SessionStore interface {
	Session(ctx context.Context, tokenHash []byte, now time.Time) (data []byte, ok bool, err error)
	SaveSession(ctx context.Context, row site.SessionRow) error
	// BindSession notes that an app began the session, and which key it ends with.
	// [userkeys.ConsentGone] if that key, or all the user's sign-ins, were ended meanwhile.
	BindSession(ctx context.Context, tokenHash []byte, a site.AppSession) error
	// RenewSession writes data, end and visit of a session that is still there, and
	// tells whether it was. One that was deleted meanwhile stays deleted: a
	// request in flight must not bring back what a logout ended.
	RenewSession(ctx context.Context, row site.SessionRow) (bool, error)
	DeleteSession(ctx context.Context, tokenHash []byte) error
	DeleteUserSessions(ctx context.Context, userID int64) error
	// CreateToken replaces every token of that kind, and writes events.
	CreateToken(ctx context.Context, token site.Token, events ...site.AuditEvent) error
	// TokenGood reports whether ConsumeToken would find the token good, and leaves it.
	TokenGood(ctx context.Context, token site.Token, now time.Time) (bool, error)
	// ConsumeToken deletes the token and tells whether it was there and good. It writes events if it was.
	ConsumeToken(ctx context.Context, token site.Token, now time.Time, events ...site.AuditEvent) (bool, error)
}

// OwnStore has what users see and change of their own account.
type OwnStore interface {
	// UserSessions lists the sessions of a user that are not over, the one that was used last first.
	UserSessions(ctx context.Context, userID int64, now time.Time) ([]site.UserSession, error)
	// EndSession ends the session of a user that has the id. Errors: [userkeys.NotFound].
	EndSession(ctx context.Context, userID int64, id string) error
	// EndOtherSessions ends all sessions of a user but the one whose token has the hash keep.
	EndOtherSessions(ctx context.Context, userID int64, keep []byte) error
	// ChangePassword stores a password, and ends the user's other sessions.
	// Errors: [userkeys.Conflict] if another was set meanwhile.
	ChangePassword(ctx context.Context, p site.PasswordChange, act site.Act) error
	// Identities lists who a user is to providers.
	Identities(ctx context.Context, userID int64) ([]site.Identity, error)
}
