package authority

import (
	"context"
	"strings"

	"userkeys"
	"userkeys/internal/keycheck"
	"userkeys/site"
)

// adminKeys makes, lists and revokes admin API keys. Its AdminChecker checks them.
type adminKeys struct {
	*core
	*keycheck.AdminChecker
	store AdminStore
}

const maxDescription = 255 // bytes

// CreateAdminKey makes an admin API key and returns its text, which is not stored. A key cannot make another one: a
// key with few rights could make one with all rights, which would also outlive it.
//
// Errors: [userkeys.InvalidAccess], [userkeys.MissingParameter], [userkeys.InvalidParameters], [userkeys.NotFound] if
// there is no such user.
func (a *adminKeys) CreateAdminKey(
	ctx context.Context, n site.NewAdminAPIKey, by site.Caller,
) (userkeys.Key, site.AdminAPIKey, error) {
	none := site.AdminAPIKey{}
	if by.AdminKey != 0 || by.Kind() == site.CallerKey {
		return "", none, &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: "not for keys",
			Public: userkeys.NotPermitted + " No key makes admin API keys: " +
				"the command userkeys admin-keys add does, or an administrator at a browser.",
		}
	}
	if !by.Admin() {
		return "", none, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	now := a.now()
	n.Description = strings.TrimSpace(n.Description)
	switch {
	case n.Description == "":
		return "", none, userkeys.Errorf(userkeys.MissingParameter,
			"param is missing or the value is empty: description; "+
				"say what the key is for, so that others know whether it may be revoked")
	case len(n.Description) > maxDescription || !userkeys.IsText(n.Description):
		return "", none, userkeys.Errorf(userkeys.InvalidParameters,
			"the description must be text of at most %d bytes", maxDescription)
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now):
		return "", none, userkeys.Errorf(userkeys.InvalidParameters, "the key would have ended already")
	}
	permissions, err := site.ParseAdminPermissions(n.Permissions.String())
	if err != nil {
		return "", none, err
	}
	key := site.NewAdminKey()
	k := site.AdminAPIKey{
		Description: n.Description, Hash: key.Hash(), Permissions: permissions, CreatedAt: now, ExpiresAt: n.ExpiresAt,
	}
	if name := strings.TrimSpace(n.Username); name != "" {
		u, err := keycheck.UserNamed(ctx, a.store, name)
		if err != nil {
			return "", none, err
		}
		k.UserID = u.ID
	}
	if k, err = a.store.CreateAdminKey(ctx, k, by); err != nil {
		return "", none, err
	}
	return key, k, nil
}

// AdminKeys lists admin API keys for administrators, newest first.
func (a *adminKeys) AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error) {
	return a.store.AdminKeys(ctx, before, limit)
}

// RevokeAdminKey revokes an admin API key. The next request with it is refused.
//
// Errors: [userkeys.NotFound] if there is no such key, [userkeys.InvalidAccess] if by is no administrator.
func (a *adminKeys) RevokeAdminKey(ctx context.Context, id int64, by site.Caller) error {
	if !by.Admin() {
		return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return a.store.RevokeAdminKey(ctx, id, by.At(a.now()))
}

// AuditEvents lists the audit log for administrators, newest first.
func (a *adminKeys) AuditEvents(ctx context.Context, f site.AuditFilter) ([]site.AuditEvent, error) {
	return a.store.AuditEvents(ctx, f)
}
