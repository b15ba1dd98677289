package keycheck

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// AdminStore is what checks of admin API keys read and write. Errors: [userkeys.NotFound] for what it does not have.
type AdminStore interface {
	AdminKeyByHash(ctx context.Context, h userkeys.KeyHash) (site.AdminAPIKey, error)
	// TouchAdminKey stores when an admin API key was used.
	TouchAdminKey(ctx context.Context, id int64, usedAt time.Time) error
	User(ctx context.Context, id int64) (site.User, error)
	// Account finds a user by user name or, if name has an '@', by e-mail address.
	Account(ctx context.Context, name string) (site.Account, error)
}

// AdminChecker checks admin API keys. Make one with [NewAdminChecker].
type AdminChecker struct {
	checks *Checker
	store  AdminStore
	counts *limit.Memory // by id
}

// NewAdminChecker returns a checker of admin API keys beside one of user API keys, whose settings and clock it uses.
func NewAdminChecker(checks *Checker, st AdminStore) *AdminChecker {
	return &AdminChecker{checks, st, limit.NewMemory(limit.MemoryConfig{MaxKeys: maxAdminKeys})}
}

// maxAdminKeys bounds how many admin API keys are counted at once.
const maxAdminKeys = 1 << 14

const (
	touchPatience   = 300 * time.Millisecond // how long a request waits for a write that it can do without
	touchAdminEvery = time.Minute            // how exactly the last use of an admin API key is known
)

// UserNamed finds a user by user name, never by e-mail address.
// Errors: [userkeys.NotFound] if there is no such user.
func UserNamed(ctx context.Context, st AdminStore, name string) (site.User, error) {
	if strings.Contains(name, "@") {
		return site.User{}, userkeys.Errorf(userkeys.NotFound,
			"there is no such user; give the user name, not an e-mail address")
	}
	account, err := st.Account(ctx, name)
	return account.User, err
}

// CheckAdminKey charges and decides one request with an admin API key. It returns the key and the user that it acts
// as: the one user that it is for, or the user that username names. An unknown, revoked or expired key is refused and
// not charged, and neither is one that may do nothing but introspect: strangers decide how often its website asks. The
// caller checks the permissions of the key. The database is asked each time, so that a revoked key
// is refused at once.
//
// Errors: [site.ErrInvalidAdminKey], [userkeys.InvalidAccess] for a user who is missing or may not act,
// [userkeys.RateLimited], [userkeys.Unavailable].
func (c *AdminChecker) CheckAdminKey(ctx context.Context, key, username string) (site.User, site.AdminAPIKey, error) {
	none, noKey := site.User{}, site.AdminAPIKey{}
	text, err := site.ParseAdminKey(key)
	if err != nil {
		return none, noKey, err
	}
	// A database that only follows another one may not know what was revoked.
	if err := c.checks.Ready(ctx); err != nil {
		return none, noKey, err
	}
	k, err := c.store.AdminKeyByHash(ctx, text.Hash())
	now := c.checks.now()
	switch {
	case errors.Is(err, userkeys.NotFound) || err == nil && !k.Live(now):
		return none, noKey, site.ErrInvalidAdminKey
	case err != nil:
		return none, noKey, err
	}
	if !slices.Equal(k.Permissions, site.AdminPermissions{site.AdminIntrospect}) {
		if err := c.chargeAdminKey(k.ID, now); err != nil {
			return none, noKey, err
		}
	}
	u, err := c.actsAs(ctx, k, username)
	if err != nil {
		return none, noKey, err
	}
	if now.Sub(k.LastUsedAt) >= touchAdminEvery {
		// The request goes on without it: neither an error nor a locked database may hold it up.
		touch, cancel := context.WithTimeout(ctx, touchPatience)
		defer cancel()
		if err := c.store.TouchAdminKey(touch, k.ID, now); err != nil {
			c.checks.log.WarnContext(ctx, "the last use of an admin API key was not written", "admin_key", k.ID, "err", err)
		}
	}
	return u, k, nil
}

// IsAdminKey reports whether text is an admin API key of this site, or was one before it was revoked. It returns true
// if the database cannot be asked.
func (c *AdminChecker) IsAdminKey(ctx context.Context, text string) bool {
	key, err := site.ParseAdminKey(strings.TrimSpace(text))
	if err != nil {
		return false
	}
	_, err = c.store.AdminKeyByHash(ctx, key.Hash())
	return !errors.Is(err, userkeys.NotFound)
}

func (c *AdminChecker) chargeAdminKey(id int64, now time.Time) error {
	most := c.checks.Settings().MaxAdminAPIReqsPerMinute
	d := c.counts.Take(id, now, limit.Limits{Minute: most, Day: limit.MaxDay})
	if d.OK {
		return nil
	}
	e := RateLimited("This admin API key was used too many times.", most, time.Minute, d.RetryAfter)
	e.LimitCode = "admin_api_key_rate_limit"
	return e
}

// actsAs returns the user that a good key acts as in this request. Its errors say what is wrong with the user name:
// the caller has a good key, and may know.
func (c *AdminChecker) actsAs(ctx context.Context, k site.AdminAPIKey, username string) (site.User, error) {
	no := func(why string) (site.User, error) {
		return site.User{}, &userkeys.Error{
			Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted + " " + why, Reason: "invalid Api-Username",
		}
	}
	var u site.User
	var err error
	switch {
	case k.UserID != 0:
		u, err = c.store.User(ctx, k.UserID)
		if err == nil && username != "" && !strings.EqualFold(username, u.Username) {
			return no("This admin API key acts as one user only, and Api-Username names another; leave it out.")
		}
	case username == "":
		return no("This admin API key acts as anybody: name the user in the header Api-Username.")
	default:
		u, err = UserNamed(ctx, c.store, username)
	}
	switch {
	case errors.Is(err, userkeys.NotFound) || errors.Is(err, userkeys.InvalidParameters):
		return no("There is no user of the name in Api-Username.")
	case err != nil:
		return site.User{}, err
	case !u.MayAct():
		return no("The user that this admin API key acts as is suspended or not active.")
	case k.UserID != 0 && u.Paused(c.checks.pauseAfter, c.checks.now()):
		return site.User{}, userkeys.ErrOwnerGone
	}
	return u, nil
}
