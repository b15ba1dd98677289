package site

import (
	"time"

	"userkeys"
)

// Renewal puts a new key in the place of one that an app presents. The key
// that it replaces lives on until OldUntil, in case the answer is lost.
type Renewal struct {
	KeyID     int64
	Presented userkeys.KeyHash // the key itself, or the one before it
	Hash      userkeys.KeyHash // of the new key
	ExpiresAt time.Time
	OldUntil  time.Time
	At        time.Time
	Caller    Caller
}

// RenewedKeyGrace is how long the old key can still be used after a renewal.
const RenewedKeyGrace = 10 * time.Minute
