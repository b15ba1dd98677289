package authority

import (
	"context"
	"errors"
	"strings"
	"time"

	"userkeys"
	"userkeys/internal/keycheck"
	"userkeys/internal/limit"
	"userkeys/site"
)

// adminKeys makes and checks admin API keys.
type adminKeys struct {
	*core
	store  AdminStore
	counts *limit.Memory // by id
}

// maxAdminKeys bounds how many admin API keys are counted at once.
const maxAdminKeys = 1 << 14

const (
	touchPatience   = 300 * time.Millisecond // how long a request waits for a write that it can do without
	maxDescription  = 255                    // bytes
	touchAdminEvery = time.Minute            // how exactly an admin API key's last use is known
)

// CreateAdminKey makes an admin API key. The text is given here once and never again. No key makes one: what may do
// little could else make what may do everything, and outlives it.
// Errors: [userkeys.InvalidAccess], [userkeys.MissingParameter], [userkeys.InvalidParameters], [userkeys.NotFound] for the user.
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
		u, err := a.userNamed(ctx, name)
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

// userNamed finds a user by user name alone.
func (a *adminKeys) userNamed(ctx context.Context, name string) (site.User, error) {
	if strings.Contains(name, "@") { // an address, which is no name to act under
		return site.User{}, userkeys.Errorf(userkeys.NotFound,
			"there is no such user; give the user name, not an e-mail address")
	}
	account, err := a.store.Account(ctx, name)
	return account.User, err
}

// AdminKeys lists admin API keys for administrators, newest first.
func (a *adminKeys) AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error) {
	return a.store.AdminKeys(ctx, before, limit)
}

// RevokeAdminKey stops an admin API key; the next request with it is refused.
// Errors: [userkeys.NotFound], and [userkeys.InvalidAccess] for who is no administrator.
func (a *adminKeys) RevokeAdminKey(ctx context.Context, id int64, by site.Caller) error {
	if !by.Admin() {
		return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return a.store.RevokeAdminKey(ctx, id, by.At(a.now()))
}

// AuditEvents lists the audit log for administrators, newest first.
func (a *adminKeys) AuditEvents(ctx context.Context, before int64, limit int) ([]site.AuditEvent, error) {
	return a.store.AuditEvents(ctx, before, limit)
}

// CheckAdminKey charges and decides one request with an admin API key, and
// tells as whom it acts and which key it is: as the one user that it is for, or the
// one that username names. An unknown, revoked or expired key is refused and charged
// nothing. What the key's permissions allow is the caller's to ask. The database is asked each time, so that what was revoked is refused at once.
//
// Errors: [site.ErrInvalidAdminKey], [userkeys.InvalidAccess] for a user
// who is missing or may not act, [userkeys.RateLimited], [userkeys.Unavailable].
func (a *adminKeys) CheckAdminKey(ctx context.Context, key, username string) (site.User, site.AdminAPIKey, error) {
	none, noKey := site.User{}, site.AdminAPIKey{}
	text, err := site.ParseAdminKey(key)
	if err != nil {
		return none, noKey, err
	}
	// A database that only follows another one may not know what was revoked.
	if err := a.Ready(ctx); err != nil {
		return none, noKey, err
	}
	k, err := a.store.AdminKeyByHash(ctx, text.Hash())
	now := a.now()
	switch {
	case errors.Is(err, userkeys.NotFound) || err == nil && !k.Live(now):
		return none, noKey, site.ErrInvalidAdminKey
	case err != nil:
		return none, noKey, err
	}
	if err := a.chargeAdminKey(k.ID, now); err != nil {
		return none, noKey, err
	}
	u, err := a.actsAs(ctx, k, username)
	if err != nil {
		return none, noKey, err
	}
	if now.Sub(k.LastUsedAt) >= touchAdminEvery {
		// The request goes on without it: neither an error nor a locked database may hold it up.
		touch, cancel := context.WithTimeout(ctx, touchPatience)
		defer cancel()
		if err := a.store.TouchAdminKey(touch, k.ID, now); err != nil {
			a.log.WarnContext(ctx, "the last use of an admin API key was not written", "admin_key", k.ID, "err", err)
		}
	}
	return u, k, nil
}

// IsAdminKey reports whether text is an admin API key of this site, or was one
// before it was revoked. If the database cannot be asked, it is taken for one.
func (a *adminKeys) IsAdminKey(ctx context.Context, text string) bool {
	key, err := site.ParseAdminKey(strings.TrimSpace(text))
	if err != nil {
		return false
	}
	_, err = a.store.AdminKeyByHash(ctx, key.Hash())
	return !errors.Is(err, userkeys.NotFound)
}

func (a *adminKeys) chargeAdminKey(id int64, now time.Time) error {
	most := a.Settings().MaxAdminAPIReqsPerMinute
	d := a.counts.Take(id, now, limit.Limits{Minute: most, Day: limit.MaxDay})
	if d.OK {
		return nil
	}
	e := keycheck.RateLimited("This admin API key was used too many times.", most, time.Minute, d.RetryAfter)
	e.LimitCode = "admin_api_key_rate_limit"
	return e
}

// actsAs is the user that a good key acts as in this request. Who holds the
// key may learn what is wrong with the name beside it.
func (a *adminKeys) actsAs(ctx context.Context, k site.AdminAPIKey, username string) (site.User, error) {
	no := func(why string) (site.User, error) {
		return site.User{}, &userkeys.Error{
			Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted + " " + why, Reason: "invalid Api-Username",
		}
	}
	var u site.User
	var err error
	switch {
	case k.UserID != 0:
		u, err = a.store.User(ctx, k.UserID)
		if err == nil && username != "" && !strings.EqualFold(username, u.Username) {
			return no("This admin API key acts as one user only, and Api-Username names another; leave it out.")
		}
	case username == "":
		return no("This admin API key acts as anybody: name the user in the header Api-Username.")
	default:
		u, err = a.userNamed(ctx, username)
	}
	switch {
	case errors.Is(err, userkeys.NotFound) || errors.Is(err, userkeys.InvalidParameters):
		return no("There is no user of the name in Api-Username.")
	case err != nil:
		return site.User{}, err
	case !u.MayAct():
		return no("The user that this admin API key acts as is suspended or not active.")
	}
	return u, nil
}
