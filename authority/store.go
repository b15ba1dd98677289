package authority

import (
	"context"
	"time"

	"userkeys/internal/jobs"
	"userkeys/internal/keycheck"
	"userkeys/site"
)

// Store is what an authority remembers: the sum of what its parts need. The type Store of package store is one.
type Store interface {
	CheckStore
	GrantStore
	DeviceStore
	OneTimeStore
	KeyStore
	AdminStore
	SettingStore
	CleanUpStore
	QuotaStore
}

// CheckStore is what the checks of user API keys read and write.
type CheckStore = keycheck.Store

// GrantStore remembers clients, open questions to users by the hash of their id, and what was granted.
// Errors: [userkeys.NotFound] for a client, [userkeys.ConsentGone] for a question that it does not have.
type GrantStore interface {
	// Client finds a client by its client_id.
	Client(ctx context.Context, clientID string) (site.Client, error)
	// ClientByPublicKey finds the client that registered exactly this key and, if there are several, this redirect.
	ClientByPublicKey(ctx context.Context, publicKey, authRedirect string) (site.Client, error)
	// CreateClient registers a client. Errors: [userkeys.InvalidAccess] if its client_id is in use.
	CreateClient(ctx context.Context, c site.Client, by site.Caller) error
	CreateConsent(ctx context.Context, c site.Consent) error
	Consent(ctx context.Context, id string) (site.Consent, error)
	// DeleteConsent consumes a consent without a grant.
	DeleteConsent(ctx context.Context, id string, act site.Act) error
	// Grant writes a grant in one transaction: the consent is consumed, the bounds are held, the client is found or
	// made, the user's other keys on that client are removed, the key and its audit event are written.
	Grant(ctx context.Context, g site.Grant) (site.UserAPIKey, error)
	// ShownAnswer finds the answer that a grant stored for its page.
	ShownAnswer(ctx context.Context, consentID string, now time.Time) (site.ShownAnswer, error)
	User(ctx context.Context, id int64) (site.User, error)
	// SpendOnce notes that what has this token, such as a form, was used. Errors: [userkeys.Conflict] if it was before.
	SpendOnce(ctx context.Context, token string, until time.Time) error
}

// DeviceStore remembers device authorizations, by the hashes of their codes.
// Errors: [userkeys.ConsentGone] for what is not known, over, or answered.
type DeviceStore interface {
	CreateDeviceGrant(ctx context.Context, d site.DeviceGrant) error
	DeviceGrantByRequest(ctx context.Context, token string, now time.Time) (site.DeviceGrant, error)
	DeviceGrantByApproval(ctx context.Context, token string, now time.Time) (site.DeviceGrant, error)
	// BindDeviceGrant binds an open one to the user who typed its code.
	BindDeviceGrant(ctx context.Context, codes site.TypedCode, act site.Act) (site.DeviceGrant, error)
	DenyDeviceGrant(ctx context.Context, approval string, act site.Act) error
	// PollDeviceGrant returns a device authorization. One that was answered is consumed.
	PollDeviceGrant(ctx context.Context, deviceCode string, now time.Time) (site.DeviceGrant, error)
}

// OneTimeStore remembers one-time passwords by their hashes, one of a user.
// Errors: [userkeys.ConsentGone] for those that are not known, used or over.
type OneTimeStore interface {
	CreateOneTimePassword(ctx context.Context, p site.OneTimePassword, consentID string, by site.Caller) error
	OneTimePassword(ctx context.Context, password string, now time.Time) (site.OneTimePassword, error)
	ConsumeOneTimePassword(ctx context.Context, password string, act site.Act) (site.OneTimePassword, error)
	// AppSessions lists the sessions of a user that apps began and that are not over, newest first.
	AppSessions(ctx context.Context, userID int64, now time.Time) ([]site.AppSession, error)
}

// KeyStore remembers keys. Errors: [userkeys.NotFound] for a key that it does not have.
type KeyStore interface {
	// Key finds a key by its id.
	Key(ctx context.Context, id int64) (site.UserAPIKey, error)
	// Keys lists keys, newest first.
	Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error)
	// Apps returns a page of a user's apps.
	Apps(ctx context.Context, f site.AppFilter) (site.AppList, error)
	// VisitApps notes that a user looks at their apps, and returns when the visit before ended; zero: there was none.
	VisitApps(ctx context.Context, userID int64, at time.Time) (time.Time, error)
	// Revoke revokes keys and returns how many it changed. A key that is revoked already stays as it was, except that
	// the revocation of an administrator replaces any other, and that of the owner replaces the app's. Sessions that
	// apps began end with their keys, but not if the app itself revokes its key.
	Revoke(ctx context.Context, r site.Revocation) (int, error)
	// UndoRevoke makes a revoked key live again. It counts the live keys of the owner in the same transaction.
	UndoRevoke(ctx context.Context, u site.Undo) error
	// RebindKey moves a key to another client, and removes the other key of the user on that client.
	RebindKey(ctx context.Context, keyID int64, clientID string, act site.Act) error
	// RenewKey replaces a key.
	RenewKey(ctx context.Context, r site.Renewal) error
}

// AdminStore remembers admin API keys and the audit log, and finds the users that admin API keys act as.
// Errors: [userkeys.NotFound] for what it does not have.
type AdminStore interface {
	keycheck.AdminStore
	CreateAdminKey(ctx context.Context, k site.AdminAPIKey, by site.Caller) (site.AdminAPIKey, error)
	// AdminKeys lists them newest first, revoked ones too, before an id (0: from the newest on), at most limit.
	AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error)
	RevokeAdminKey(ctx context.Context, id int64, act site.Act) error
	// AuditEvents lists the events that f selects, newest first.
	AuditEvents(ctx context.Context, f site.AuditFilter) ([]site.AuditEvent, error)
}

// SettingStore remembers the settings that differ from their defaults. Every
// change raises the epoch with [site.Changes] All, and writes an audit event.
type SettingStore interface {
	SetSetting(ctx context.Context, name, value string, act site.Act) error
	ResetSetting(ctx context.Context, name string, act site.Act) error
}

// CleanUpStore is what cleaning up reads and writes.
type CleanUpStore interface {
	jobs.Store
	// RevokeStale revokes live keys last used before unusedBefore and those
	// created before createdBefore; a zero time revokes none. It returns how many.
	RevokeStale(ctx context.Context, unusedBefore, createdBefore, at time.Time) (int, error)
	// ReleaseClients deletes registered clients that were made and last used before unusedSince, with their keys.
	ReleaseClients(ctx context.Context, unusedSince, at time.Time) (int, error)
	// Purge removes what has expired: consents, shown answers, sent forms and sessions past their end, attempts that no
	// longer count, changes older than an hour, and keys revoked or expired for 90 days.
	Purge(ctx context.Context, at time.Time) error
}

// QuotaStore counts what a restart must not forget: attempts at codes, registrations, renewals.
type QuotaStore interface {
	// ChargeAttempt adds one to a count within its window and returns the count and when the window began.
	ChargeAttempt(ctx context.Context, name string, window time.Duration, at time.Time) (int, time.Time, error)
}
