package userkeys

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// The headers of a request with an admin API key.
const (
	AdminKeyHeader      = "Api-Key"
	AdminUsernameHeader = "Api-Username"
)

// AdminAPIKey is what is remembered of an admin API key: a key of the site's
// own, that acts as one user or as any. Never its text, only the hash.
type AdminAPIKey struct {
	ID          int64
	Description string
	Hash        KeyHash
	UserID      int64  // acts as this user only; 0: as anybody
	Username    string // of UserID, when read; empty: anybody
	CreatedAt   time.Time
	LastUsedAt  time.Time // zero: never
	RevokedAt   time.Time // zero: not revoked
}

// adminKeyBytes make 64 hex digits: as long as Discourse's, and of no length that a user's key has.
const adminKeyBytes = 32

// NewAdminKey makes the text of an admin API key from the system's randomness.
func NewAdminKey() Key {
	var secret [adminKeyBytes]byte
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails
	return Key(hex.EncodeToString(secret[:]))
}

// ParseAdminKey checks the shape of an admin API key's text; every failure is [ErrInvalidAdminKey].
func ParseAdminKey(s string) (Key, error) {
	if len(s) != 2*adminKeyBytes || strings.Trim(s, "0123456789abcdef") != "" {
		return "", ErrInvalidAdminKey
	}
	return Key(s), nil
}

// ErrInvalidAdminKey is the one refusal of an admin API key that is unknown or
// revoked. Its words differ from those of [ErrInvalidKey] (wire 11). It is shared; do not change it.
var ErrInvalidAdminKey = &Error{Code: InvalidAccess, Public: NotPermitted + " The key in the header Api-Key is not valid.", Reason: "invalid admin API key"}

// NewUser is an account to be made.
type NewUser struct {
	Username   string
	Name       string
	Email      string
	TrustLevel int
	Admin      bool
	Moderator  bool
	Inactive   bool // may not sign in until activated
	Groups     []string
	Password   string // empty: cannot sign in with a password
}

// UserFilter narrows a list of users. Zero values do not narrow.
type UserFilter struct {
	Text   string // part of the user name or the e-mail address, without case of ASCII letters
	Admins bool   // only administrators who are active and not suspended
	After  int64  // only ids above this one: the next page of a list by id
	Limit  int    // at most so many; 0: 1000
}
