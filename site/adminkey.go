package site

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"userkeys"
)

// The headers of a request with an admin API key.
const (
	AdminKeyHeader      = "Api-Key"
	AdminUsernameHeader = "Api-Username"
)

// AdminAPIKey is what is remembered of an admin API key: a key of the site's
// own, that acts as one user or as any, for everything or for what its permissions name. Never its text, only the hash.
type AdminAPIKey struct {
	ID          int64
	Description string
	Hash        userkeys.KeyHash
	UserID      int64  // acts as this user only; 0: as anybody
	Username    string // of UserID, when read; empty: anybody
	Permissions AdminPermissions
	CreatedAt   time.Time
	LastUsedAt  time.Time // zero: never
	ExpiresAt   time.Time // zero: no end of its own
	RevokedAt   time.Time // zero: not revoked
}

// Live reports whether the key is neither revoked nor expired at now.
func (k AdminAPIKey) Live(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Narrow reports whether the key may do less than an administrator: it acts as one user only, its permissions are
// named, or it ends by itself. Such a key must not make itself an administrator who could make a wider one.
func (k AdminAPIKey) Narrow() bool {
	return k.UserID != 0 || len(k.Permissions) > 0 || !k.ExpiresAt.IsZero()
}

// NewAdminAPIKey is an admin API key to be made.
type NewAdminAPIKey struct {
	Description string           // what it is for; required
	Username    string           // acts as this user only; empty: as anybody
	Permissions AdminPermissions // empty: everything
	ExpiresAt   time.Time        // zero: no end of its own
}

// AdminPermission names what an admin API key may be limited to.
type AdminPermission string

// The permissions of admin API keys. Whatever none of them names is for keys without named permissions.
const (
	AdminUsers      AdminPermission = "users"      // read and change accounts that are no administrators'
	AdminKeys       AdminPermission = "keys"       // list and revoke users' keys
	AdminClients    AdminPermission = "clients"    // registered clients; no address asks for it yet
	AdminSettings   AdminPermission = "settings"   // read and change settings
	AdminAudit      AdminPermission = "audit"      // read the audit log
	AdminDeliveries AdminPermission = "deliveries" // list, replay and discard pushes
	AdminNotify     AdminPermission = "notify"     // tell users, and read what they are told
	AdminIntrospect AdminPermission = "introspect" // ask about keys, and have requests of others checked
	AdminGrant      AdminPermission = "grant"      // ask and answer for a user, list and revoke their keys
)

// AllAdminPermissions lists every permission.
func AllAdminPermissions() AdminPermissions {
	return AdminPermissions{
		AdminUsers, AdminKeys, AdminClients, AdminSettings, AdminAudit, AdminDeliveries,
		AdminNotify, AdminGrant, AdminIntrospect,
	}
}

// AdminPermissions are those of one key, in the order of [AllAdminPermissions]; none named is all of them, and
// everything else.
type AdminPermissions []AdminPermission

// ParseAdminPermissions reads names that are separated by commas, spaces or '|', each once; an empty text names none.
// Errors: [userkeys.InvalidParameters] with the name that is not known.
func ParseAdminPermissions(text string) (AdminPermissions, error) {
	names := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '|' || c == ' ' })
	var out AdminPermissions
	for _, p := range AllAdminPermissions() {
		if slices.Contains(names, string(p)) {
			out = append(out, p)
		}
	}
	for _, name := range names {
		if !slices.Contains(out, AdminPermission(name)) {
			return nil, invalid("there is no permission %q; there is %s", cutText(name, 60),
				strings.ReplaceAll(AllAdminPermissions().String(), ",", ", "))
		}
	}
	if text != "" && len(out) == 0 { // an odd text must not make a key for everything
		return nil, invalid("no permission is named; leave the permissions out for a key that may do everything")
	}
	return out, nil
}

// Has reports whether a key with these permissions may do what p names.
func (s AdminPermissions) Has(p AdminPermission) bool {
	return len(s) == 0 || slices.Contains(s, p)
}

// String is the names with commas between.
func (s AdminPermissions) String() string {
	names := make([]string, len(s))
	for i, p := range s {
		names[i] = string(p)
	}
	return strings.Join(names, ",")
}

// adminKeyBytes make 64 hex digits: as long as Discourse's, and of no length that a user's key has.
const adminKeyBytes = 32

// NewAdminKey makes the text of an admin API key from the system's randomness.
func NewAdminKey() userkeys.Key {
	var secret [adminKeyBytes]byte
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails
	return userkeys.Key(hex.EncodeToString(secret[:]))
}

// ParseAdminKey checks the shape of an admin API key's text; every failure is [ErrInvalidAdminKey].
func ParseAdminKey(s string) (userkeys.Key, error) {
	if len(s) != 2*adminKeyBytes || strings.Trim(s, "0123456789abcdef") != "" {
		return "", ErrInvalidAdminKey
	}
	return userkeys.Key(s), nil
}

// ErrInvalidAdminKey is the one refusal of an admin API key that is unknown or
// revoked or expired. Its words differ from those of [userkeys.ErrInvalidKey] (W11). It is shared; do not change it.
var ErrInvalidAdminKey = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "invalid admin API key",
	Public: userkeys.NotPermitted + " The key in the header Api-Key is not valid.",
}

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
