package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// GrantByHand makes a key that no app asked for, for a user in a session that they began themselves. It returns the
// text of the key, which is not stored. The limits of grants and of live keys hold, and [site.MaxKeysByHand] besides.
//
// Errors: [userkeys.InvalidAccess] for a key or a session of an app, [userkeys.KeysNotAllowed] and
// [userkeys.UserNotAllowed] by the settings, [userkeys.InvalidParameters], [userkeys.Conflict] and
// [userkeys.RateLimited] by the limits.
func (a *Authority) GrantByHand(
	ctx context.Context, n site.NewKeyByHand, by site.Caller,
) (userkeys.Key, site.UserAPIKey, error) {
	none := site.UserAPIKey{}
	if by.Kind() != site.CallerUser || by.Session.App != "" {
		return "", none, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	s, now := a.Settings(), a.now().UTC()
	err := a.mayAct(ctx, by.User)
	if err == nil {
		n, err = n.Check(s, a.Catalog(), by.User)
	}
	if err != nil {
		return "", none, err
	}
	text := userkeys.NewKey(s.UserAPIKeyPrefix)
	key, err := a.store.Grant(ctx, newGrant(s, site.UserAPIKey{
		UserID: by.User.ID, ClientID: site.NewClientIDByHand(), ApplicationName: n.Name, Hash: text.Hash(),
		Scopes: n.Scopes, CreatedAt: now, LastUsedAt: now, ExpiresAt: now.AddDate(0, 0, n.Days),
	}, by))
	if err != nil {
		return "", none, err
	}
	return text, key, nil
}

// newGrant returns the grant of a new key with the limits of the settings.
func newGrant(s site.Settings, key site.UserAPIKey, by site.Caller) site.Grant {
	return site.Grant{
		Key: key, Caller: by, MaxKeys: s.MaxUserAPIKeysPerUser,
		MaxRecent: s.MaxUserAPIKeyGrantsPerHour, RecentSince: key.CreatedAt.Add(-time.Hour),
	}
}
