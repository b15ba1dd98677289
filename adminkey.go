package userkeys

import "time"

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
	UserID      int64 // acts as this user only; 0: as anybody
	CreatedAt   time.Time
	LastUsedAt  time.Time // zero: never
	RevokedAt   time.Time // zero: not revoked
}
