package site

import (
	"slices"
	"time"

	"userkeys"
)

// User is a person of the site. Times are UTC, cut to microseconds; a zero
// time means never.
type User struct {
	ID         int64
	Username   string // ASCII letters, digits, '.', '_', '-'; compared without case
	Name       string // full name; may be empty
	Email      string // may be empty
	TrustLevel int    // 0 to 4
	Admin      bool
	Moderator  bool
	Active     bool // false: not yet, or no longer, allowed to sign in
	Groups     []string

	SuspendedAt time.Time // zero: not suspended
	CreatedAt   time.Time
	LastSeenAt  time.Time

	// What providers that sign people in say of the user; see [Identity].
	ExternalID string    // what the provider of the last sign-in calls the user; empty: none does
	Login      string    // through which login of the configuration the user came last; empty: none
	SignedInAt time.Time // zero: not since it is noted
}

// Pauses returns when the keys of u pause, by how long after a sign-in through each login they do; 0 is never. The zero
// time is never. A login that after does not have was taken out of the configuration, and its users' keys pause at
// once. A nil after is for a site without logins.
func (u User) Pauses(after map[string]time.Duration) time.Time {
	if u.Login == "" || after == nil {
		return time.Time{}
	}
	d, known := after[u.Login]
	switch {
	case !known:
		return time.Unix(1, 0)
	case d > 0:
		return u.SignedInAt.Add(d)
	}
	return time.Time{}
}

// Paused reports whether the keys of u pause at now.
func (u User) Paused(after map[string]time.Duration, now time.Time) bool {
	at := u.Pauses(after)
	return !at.IsZero() && !now.Before(at)
}

// Staff reports whether u is an administrator or a moderator.
func (u User) Staff() bool { return u.Admin || u.Moderator }

// MayAct reports whether u may sign in and use keys: active and not suspended.
func (u User) MayAct() bool { return u.Active && u.SuspendedAt.IsZero() }

// InGroup reports whether u belongs to group, also by the names that Discourse
// gives to trust levels and staff: trust_level_0 to trust_level_4 (of one's own
// level and below), admins, moderators, staff, everyone.
func (u User) InGroup(group string) bool {
	switch group {
	case "everyone":
		return true
	case "admins":
		return u.Admin
	case "moderators":
		return u.Moderator
	case "staff":
		return u.Staff()
	}
	if n, ok := trustLevelGroup(group); ok {
		return u.TrustLevel >= n
	}
	return slices.Contains(u.Groups, group)
}

// trustLevelGroup reads "trust_level_2" as 2.
func trustLevelGroup(group string) (int, bool) {
	const prefix = "trust_level_"
	if len(group) != len(prefix)+1 || group[:len(prefix)] != prefix {
		return 0, false
	}
	n := int(group[len(prefix)]) - '0'
	return n, 0 <= n && n <= 4
}

// AppSession is a browser session that an app began with a one-time password.
type AppSession struct {
	KeyID           int64  // of the key that the session ends with; 0: the app had none
	Password        string // the one-time password that begins it; not kept
	ApplicationName string
	BeganAt         time.Time
	KeyEnded        bool // the app gave its key back, and stays signed in
}

// Client is an app as the site knows it, by its client_id. A grant makes one
// with a name only; a registered client also has a key, a redirect and scopes.
type Client struct {
	ID              int64
	ClientID        string // opaque, compared as bytes
	ApplicationName string
	PublicKey       string          // PEM; empty unless registered
	AuthRedirect    string          // empty unless registered
	Scopes          userkeys.Scopes // empty: any that the site allows
	CreatedAt       time.Time
}

// Registered reports whether c came by registration and not by a grant.
func (c Client) Registered() bool { return c.AuthRedirect != "" }

// UserAPIKey is what is remembered of a key: never its text, only the hash.
type UserAPIKey struct {
	ID              int64
	UserID          int64
	ClientID        string // the client's client_id
	ApplicationName string
	Hash            userkeys.KeyHash
	Scopes          userkeys.Scopes
	PushURL         string
	CreatedAt       time.Time
	LastUsedAt      time.Time // CreatedAt until first used
	ExpiresAt       time.Time // zero: no end of its own
	RevokedAt       time.Time // zero: not revoked
	RevokedBy       RevokedBy // who or what revoked it; empty if nobody did

	// What a renewal needs: the key that the answer was sealed to, how, and the lifetime that was granted.
	PublicKey string // PEM; empty for keys made before renewal was known
	Padding   userkeys.Padding
	Lifetime  time.Duration // that a renewal gives anew; 0: it moves no end
	RenewedAt time.Time     // zero: never
	// OldHash is the key before the last renewal, good until OldUntil. The zero hash: none.
	OldHash  userkeys.KeyHash
	OldUntil time.Time
}

// Used reports whether the key was ever used.
func (k UserAPIKey) Used() bool { return k.LastUsedAt.After(k.CreatedAt) }

// Live reports whether the key is neither revoked nor expired at now.
func (k UserAPIKey) Live(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// RevokedBy says who or what revoked a key.
type RevokedBy string

// The revokers.
const (
	RevokedByOwner   RevokedBy = "owner"    // on the apps page
	RevokedByApp     RevokedBy = "app"      // by the app itself, with the key
	RevokedByAdmin   RevokedBy = "admin"    // only an administrator can undo it
	RevokedByUnused  RevokedBy = "unused"   // revoke_user_api_keys_unused_days
	RevokedByMaxLife RevokedBy = "max life" // revoke_user_api_keys_maxlife_days
)

// ErrConsentGone refuses an answer to a question that is not open: one that was answered, that has expired, or that
// was put to another user or in another session.
var ErrConsentGone = userkeys.Errorf(userkeys.ConsentGone,
	"this request was answered already, or has expired; go back to the app and start again")

// Consent is a consent record: the question to a user, kept on the server while the page is open. One user can
// answer it once, in one session.
type Consent struct {
	ID        string // secret; only its hash is stored
	UserID    int64
	Session   string // names the browser session; never its secret
	Request   AuthorizationRequest
	CreatedAt time.Time
	ExpiresAt time.Time
}

// AuditFilter selects events of the audit log. Zero values select all.
type AuditFilter struct {
	UserID int64 // who did it, or to whom it was done
	KeyID  int64
	Action string
	Since  time.Time
	Before int64 // only events with a smaller id
	Limit  int   // 0: 1000
}

// AuditEvent is a line of the append-only log of who did what.
type AuditEvent struct {
	ID       int64
	At       time.Time
	Caller   Caller
	Action   string // "key granted", "key revoked", "setting changed", ...
	UserID   int64  // whom it concerns; 0: nobody
	KeyID    int64  // which key; 0: none
	ClientID string
	Detail   string // free text without secrets
}

// Grant is everything one grant writes, in one transaction.
type Grant struct {
	Key       UserAPIKey // ID is not set yet
	ConsentID string     // consumed in the same transaction; empty for a grant without a page
	// Destination is where the answer goes, as [App] has it.
	Destination string
	// Device is answered in the same transaction with the sealed payload, if it is not nil.
	Device *DeviceApproval
	// OneTimePassword is stored in the same transaction, if it is not nil.
	OneTimePassword *OneTimePassword
	// Shown is the answer of a grant without a way back, for its page to be loaded again; nil: none is kept.
	Shown  *ShownAnswer
	Caller Caller
	// MaxKeys and MaxRecent bound the user's live keys (the replaced one not
	// counted) and their grants since RecentSince; the store refuses with
	// [userkeys.Conflict] and [userkeys.RateLimited].
	MaxKeys     int
	MaxRecent   int
	RecentSince time.Time
}

// ShownAnswer is the payload of a grant, which a page shows to the session that approved it.
type ShownAnswer struct {
	Session string
	Payload string     // sealed
	Until   time.Time  // when it is not shown any more
	Key     UserAPIKey // as it is read back: id, owner and name of the key that was granted
}

// DeviceApproval is a user's approval of a device authorization, with the payload for the app to fetch.
type DeviceApproval struct {
	Approval string // token of the page that asked
	Session  string
	Payload  string    // sealed
	Until    time.Time // when it is too late to fetch it
}

// Revocation revokes keys: those of IDs, or all live keys of UserID if IDs is empty.
type Revocation struct {
	IDs    []int64
	UserID int64
	By     RevokedBy
	At     time.Time
	Caller Caller
}

// Undo takes a revocation back.
type Undo struct {
	Key     UserAPIKey // as it was when it was decided that its revocation may be undone
	MaxKeys int        // how many live keys its owner may have then; 0: any number
	At      time.Time
	Caller  Caller
}

// UserSeen is when a user was there last.
type UserSeen struct {
	UserID int64
	SeenAt time.Time
}

// KeyUse is what is written now and then of a key's use: when it was used last and, if Day is not nil, the
// state of its day window.
type KeyUse struct {
	KeyID      int64
	LastUsedAt time.Time
	Day        []byte
}

// StoredKey is a key as a check needs it: with its owner and its day window.
type StoredKey struct {
	UserAPIKey
	Owner User
	Day   []byte // as last saved in a [KeyUse]; nil: never
}

// KeyFilter narrows a list of keys. Zero values do not narrow.
type KeyFilter struct {
	UserID   int64
	ClientID string
	Live     bool  // neither revoked nor expired
	Before   int64 // only ids below this one: the next page of a list, newest first
	Limit    int   // at most so many; 0: 1000
	Now      time.Time
}

// Mark is a place in a database's history of changes: the number of a change
// and a random token that this change carries. After a restore from a backup, or
// a failover to a standby that lacked the last changes, a number may come again
// for another change; a mark does not.
type Mark struct{ N, Token int64 }

// Changes is what happened to keys since a mark, for caches.
type Changes struct {
	Mark   Mark               // the newest change
	All    bool               // anything may have changed: forget everything
	Hashes []userkeys.KeyHash // else: forget these
}

// Account is a user with the secret that built-in login compares.
type Account struct {
	User
	PasswordHash string // PHC text; empty: cannot log in with a password
}
