package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/site"
)

// Store is what the authority needs remembered. The store package has it by
// shape, on SQLite and Postgres.
type Store interface {
	KeyStore
	ConsentStore
	SettingStore
	JobStore
	DeviceStore
	OneTimeStore
	QuotaStore
	ClientStore
	AdminStore
	SeenStore
	FormStore
}

// KeyStore remembers keys. Errors carry codes: [userkeys.NotFound] and those named below.
type KeyStore interface {
	// Grant writes a grant in one transaction: the consent is consumed (or
	// [userkeys.ConsentGone]), the bounds are held, the client is found or
	// made, the user's other keys on that client are removed, the key and its
	// audit event are written. It returns the key with its id, and the hashes of the keys it removed.
	Grant(ctx context.Context, g site.Grant) (site.UserAPIKey, error)
	// KeyByHash finds a key, live or not, with its owner.
	KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error)
	// Key finds a key by its id.
	Key(ctx context.Context, id int64) (site.UserAPIKey, error)
	// Keys lists keys, newest first.
	Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error)
	// Client finds a client by its client_id.
	Client(ctx context.Context, clientID string) (site.Client, error)
	// Revoke revokes keys and returns how many it changed. A key
	// that is revoked already stays as it was, except that an administrator's
	// revocation takes the place of any other, and its owner's that of the app. Sessions that
	// apps began end with their keys, but not by a revocation of the app itself.
	Revoke(ctx context.Context, r site.Revocation) (int, error)
	// UndoRevoke makes a revoked key live again. The owner's
	// live keys are counted where nobody can add one meanwhile.
	UndoRevoke(ctx context.Context, u site.Undo) error
	// RecordUses writes uses in one transaction. A LastUsedAt never goes back.
	RecordUses(ctx context.Context, uses []site.KeyUse) error
	// Changes tells what happened since a mark; a negative number asks for the newest mark only.
	Changes(ctx context.Context, since site.Mark) (site.Changes, error)
	// OnChange has f called with each change that this store writes and that can
	// take access away, whoever asked for it, before the method that wrote it returns.
	OnChange(f func(site.Changes))
}

// ConsentStore remembers open questions to users, by the hash of their id.
// [userkeys.ConsentGone] for those it does not have.
type ConsentStore interface {
	CreateConsent(ctx context.Context, c site.Consent) error
	Consent(ctx context.Context, id string) (site.Consent, error)
	// DeleteConsent consumes a consent without a grant and writes an audit event "consent denied".
	DeleteConsent(ctx context.Context, id string, act site.Act) error
	// ShownAnswer finds the answer that a grant kept for its page.
	ShownAnswer(ctx context.Context, consentID string, now time.Time) (site.ShownAnswer, error)
}

// FormStore remembers which forms were sent.
type FormStore interface {
	// SpendForm notes that the form with this token was sent; [userkeys.Conflict] if it was sent before.
	SpendForm(ctx context.Context, token string, until time.Time) error
}

// SettingStore remembers the settings that differ from their defaults. Every
// change raises the epoch with [site.Changes] All, and writes an audit event.
type SettingStore interface {
	SettingValues(ctx context.Context) (map[string]string, error)
	SetSetting(ctx context.Context, name, value string, act site.Act) error
	ResetSetting(ctx context.Context, name string, act site.Act) error
}

// JobStore is what cleaning up needs.
type JobStore interface {
	jobs.Store
	// RevokeStale revokes live keys last used before unusedBefore and those
	// created before createdBefore; a zero time revokes none. It returns how many.
	RevokeStale(ctx context.Context, unusedBefore, createdBefore, at time.Time) (int, error)
	// Purge removes what is over: consents, shown answers, sent forms and sessions past their end, guesses
	// that no longer count, changes older than an hour, keys revoked or expired for 90 days.
	Purge(ctx context.Context, at time.Time) error
}
