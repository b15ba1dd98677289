// Package authority decides: may this app have a key, and is this key good for
// this request now. Every door asks it; no door decides by itself.
package authority

import (
	"context"
	"log/slog"
	"time"

	"userkeys"
)

// Config is what an [Authority] is made of.
type Config struct {
	Store   Store
	Catalog *userkeys.Catalog // nil: Discourse's scopes
	// Pinned site settings, by name, win over those in the store and cannot be changed while running.
	Pinned map[string]string
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
}

// Authority decides. Make one with [New] and keep [Authority.Run] running.
type Authority struct{ cfg Config }

// New makes an authority and loads the settings.
func New(ctx context.Context, cfg Config) (*Authority, error) { panic("stub") }

// Run reads the epoch, writes what was gathered and runs the daily jobs, until ctx ends; then it writes once more.
func (a *Authority) Run(ctx context.Context) error { panic("stub") }

// Ready tells whether requests can be decided now.
func (a *Authority) Ready(ctx context.Context) error { panic("stub") }

// Settings are the settings in force.
func (a *Authority) Settings() userkeys.Settings { panic("stub") }

// Catalog is the site's catalog of scopes.
func (a *Authority) Catalog() *userkeys.Catalog { panic("stub") }

// Pinned tells whether a setting is set by the configuration and cannot be changed here.
func (a *Authority) Pinned(name string) bool { panic("stub") }

// ChangeSetting validates and stores a setting; it is in force when this returns.
// Names may be aliases. [userkeys.Conflict] if it is pinned.
func (a *Authority) ChangeSetting(ctx context.Context, name, value string, by userkeys.Actor) error {
	panic("stub")
}

// ResetSetting gives a setting its default back.
func (a *Authority) ResetSetting(ctx context.Context, name string, by userkeys.Actor) error {
	panic("stub")
}

// Browser is who answers a question, and in which session.
type Browser struct {
	User    userkeys.User
	Session string
	IP      string
}

// Question is what a consent page asks.
type Question struct {
	ID string // of the consent record: the only thing that the form carries
	userkeys.CheckedRequest
	ExpiresAt time.Time // until when it may be answered
}

// Granted is a grant that was made.
type Granted struct {
	Key      userkeys.UserAPIKey
	Payload  string // sealed, base64 in lines of 60 with a final newline
	Location string // the composed way back; empty: show the payload instead
}

// Examine tells whether the site would put this request to a user, before anybody signed in.
func (a *Authority) Examine(ctx context.Context, r userkeys.AuthorizationRequest) (userkeys.CheckedRequest, error) {
	panic("stub")
}

// Prepare examines r, checks that the user may grant, and keeps the question for ten minutes.
func (a *Authority) Prepare(ctx context.Context, r userkeys.AuthorizationRequest, b Browser) (Question, error) {
	panic("stub")
}

// Grant answers a question with yes: makes the key, seals it, stores it.
// [userkeys.ConsentGone] if the question was answered, is too old, or was put to another user or session.
func (a *Authority) Grant(ctx context.Context, consentID string, b Browser) (Granted, error) {
	panic("stub")
}

// Deny answers a question with no. The app is not told.
func (a *Authority) Deny(ctx context.Context, consentID string, b Browser) error { panic("stub") }

// Apps are the user's keys for the apps page, newest first: live ones, and those the user can still undo the revocation of.
func (a *Authority) Apps(ctx context.Context, userID int64) ([]userkeys.UserAPIKey, error) {
	panic("stub")
}

// CanUndo tells whether the owner of k may still undo its revocation.
func (a *Authority) CanUndo(k userkeys.UserAPIKey) bool { panic("stub") }

// Keys lists keys for administrators, newest first.
func (a *Authority) Keys(ctx context.Context, f userkeys.KeyFilter) ([]userkeys.UserAPIKey, error) {
	panic("stub")
}

// Revoke revokes one key: its owner's, by the key itself, or anybody's by an administrator (by.Admin).
// The next check on this process refuses it. [userkeys.NotFound], [userkeys.InvalidAccess].
func (a *Authority) Revoke(ctx context.Context, keyID int64, by userkeys.Actor) error { panic("stub") }

// RevokeAll revokes all live keys of a user and returns how many.
func (a *Authority) RevokeAll(ctx context.Context, userID int64, by userkeys.Actor) (int, error) {
	panic("stub")
}

// UndoRevoke makes a key live again: by its owner what the owner revoked in
// the last 24 hours, by an administrator any. [userkeys.NotFound], [userkeys.InvalidAccess].
func (a *Authority) UndoRevoke(ctx context.Context, keyID int64, by userkeys.Actor) error {
	panic("stub")
}

// Check charges and decides one request with a key.
func (a *Authority) Check(ctx context.Context, c userkeys.Call) (userkeys.Access, error) {
	panic("stub")
}

// Holds tells whether an access given earlier would still be given; it charges nothing.
func (a *Authority) Holds(ctx context.Context, acc userkeys.Access) error { panic("stub") }
