package authority

import (
	"context"
	"strconv"
	"time"

	"userkeys"
	"userkeys/site"
)

// userKeys lists and revokes keys, and undoes revocations.
type userKeys struct {
	*core
	store KeyStore
}

// UndoWindow is how long the owner of a key can undo its revocation.
const UndoWindow = 24 * time.Hour

// Apps returns a page of a user's apps.
func (a *userKeys) Apps(ctx context.Context, f site.AppFilter) (site.AppList, error) {
	f.Now = a.now()
	return a.store.Apps(ctx, f)
}

// VisitApps notes that a user looks at their apps, and returns when the visit before ended; the zero time: there was
// none.
func (a *userKeys) VisitApps(ctx context.Context, userID int64) (time.Time, error) {
	return a.store.VisitApps(ctx, userID, a.now())
}

// CanUndo reports whether the owner of k can undo its revocation. That is so for a day, if the owner revoked the key
// and it has not expired meanwhile. An app that gave its key back has forgotten it.
func (a *userKeys) CanUndo(k site.UserAPIKey) bool {
	now := a.now()
	return k.RevokedBy == site.RevokedByOwner && now.Sub(k.RevokedAt) <= UndoWindow &&
		(k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// byItsOwner reports whether k was revoked by its owner, or by the app on their behalf.
func byItsOwner(k site.UserAPIKey) bool {
	return k.RevokedBy == site.RevokedByOwner || k.RevokedBy == site.RevokedByApp
}

// Keys lists keys for administrators, newest first.
func (a *userKeys) Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error) {
	f.Now = a.now()
	return a.store.Keys(ctx, f)
}

// Revoke revokes one key. Its owner and the key itself may, and an administrator may revoke anybody's. The next check
// on this process refuses the key.
// Errors: [userkeys.NotFound] if there is no such key, [userkeys.InvalidAccess] if by may not revoke it.
func (a *userKeys) Revoke(ctx context.Context, keyID int64, by site.Caller) error {
	k, err := a.own(ctx, keyID, by)
	if err != nil {
		return err
	}
	_, err = a.revoke(ctx, site.Revocation{IDs: []int64{keyID}, By: revoker(k.UserID, by), Caller: by})
	return err
}

// RevokeAll revokes all live keys of a user and returns how many.
func (a *userKeys) RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error) {
	if by.User.ID != userID && !by.Admin() {
		return 0, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return a.revoke(ctx, site.Revocation{UserID: userID, By: revoker(userID, by), Caller: by})
}

func (a *userKeys) revoke(ctx context.Context, r site.Revocation) (int, error) {
	r.At = a.now()
	return a.store.Revoke(ctx, r)
}

// own returns a key that by may manage.
func (a *userKeys) own(ctx context.Context, keyID int64, by site.Caller) (site.UserAPIKey, error) {
	k, err := a.store.Key(ctx, keyID)
	if err != nil {
		return k, err
	}
	if k.UserID != by.User.ID && !by.Admin() {
		return k, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return k, nil
}

// revoker returns who revokes the key of an owner. It distinguishes owners from administrators because the owner
// cannot undo what an administrator revoked.
func revoker(owner int64, by site.Caller) site.RevokedBy {
	switch {
	case by.Kind() == site.CallerKey:
		return site.RevokedByApp
	case owner == by.User.ID:
		return site.RevokedByOwner
	}
	return site.RevokedByAdmin
}

// UndoRevoke makes a revoked key live again. The owner may undo a revocation of their own within 24 hours.
// An administrator may undo one by an administrator or a job. The key then counts against max_user_api_keys_per_user.
// A user may do this thirty times a minute.
//
// Errors: [userkeys.NotFound] if there is no such key, [userkeys.InvalidAccess] if by may not undo it,
// [userkeys.Conflict] if the owner has as many keys as allowed, [userkeys.RateLimited].
func (a *userKeys) UndoRevoke(ctx context.Context, keyID int64, by site.Caller) error {
	k, err := a.own(ctx, keyID, by)
	if err != nil {
		return err
	}
	if k.RevokedAt.IsZero() {
		return nil
	}
	// What its owner revoked is perhaps in wrong hands: nobody else restarts it.
	byAdmin := by.Admin() && !byItsOwner(k)
	byOwner := by.User.ID == k.UserID && a.CanUndo(k)
	if by.Admin() && by.User.ID != k.UserID && !byAdmin {
		return userkeys.Errorf(userkeys.InvalidAccess,
			"%s The key's owner revoked it, or its app gave it back, so that no administrator may undo it.",
			userkeys.NotPermitted)
	}
	if !byAdmin && !byOwner {
		return userkeys.Errorf(userkeys.InvalidAccess,
			"%s Only what you revoked yourself in the last 24 hours can be undone; give the app a new key instead.",
			userkeys.NotPermitted)
	}
	if err := a.charge(ctx, undos, strconv.FormatInt(k.UserID, 10)); err != nil {
		return err
	}
	undo := site.Undo{Key: k, MaxKeys: a.Settings().MaxUserAPIKeysPerUser, At: a.now(), Caller: by}
	return a.store.UndoRevoke(ctx, undo)
}

// undos limits undoing, since each time adds a line to the audit log and makes every node look the key up again.
var undos = perMinute("revocation undone", 30)
