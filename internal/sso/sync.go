package sso

import (
	"context"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json"

	"userkeys"
	"userkeys/site"
)

// The outcomes of a sync for one user.
const (
	created   = "created"
	changed   = "changed"
	unchanged = "unchanged"
	failed    = "refused"
)

// ParseSync calls [ParseSync], for those who know Logins by an interface.
func (ls *Logins) ParseSync(text []byte) (site.Sync, error) { return ParseSync(text) }

// ParseSync reads a list of users as JSON. A member that is not known, comes twice or has another type is an error, so
// that no user gets half of what was meant.
//
// Errors: [userkeys.InvalidParameters].
func ParseSync(text []byte) (site.Sync, error) {
	var s site.Sync
	if err := json.Unmarshal(text, &s, json.RejectUnknownMembers(true)); err != nil {
		return s, &userkeys.Error{
			Code: userkeys.InvalidParameters, Err: err,
			Public: "the list must be a JSON object with login and users, and each user has external_id, username, name, " +
				"email, groups, admin, moderator and suspended: " + userkeys.Printable(err.Error()),
		}
	}
	if len(s.Users) == 0 {
		return s, userkeys.Errorf(userkeys.InvalidParameters, "the list has no users")
	}
	return s, nil
}

// Sync makes, changes and suspends users as a website tells of its own, by the rules of the login through which they
// sign in. What is wrong with one user holds up no other.
//
// Errors: [userkeys.InvalidParameters] if there is no such login; [userkeys.Unavailable].
func (ls *Logins) Sync(ctx context.Context, s site.Sync, by site.Caller) ([]site.SyncOutcome, error) {
	l, err := ls.syncedThrough(s.Login)
	if err != nil {
		return nil, err
	}
	l.Rules.Approve = false // the website answers for them
	outcomes := make([]site.SyncOutcome, 0, len(s.Users))
	for _, told := range s.Users {
		a := &admission{ls, l, Person{
			Subject: told.ExternalID, Username: told.Username, Name: told.Name, Email: told.Email,
			Groups: told.Groups, Admin: told.Admin, Moderator: told.Moderator,
		}, by}
		o := site.SyncOutcome{ExternalID: told.ExternalID}
		var u site.User
		u, o.Outcome, err = a.sync(ctx, told.Suspended, s.SparesAdmins)
		o.Username = u.Username
		if err != nil {
			if code := userkeys.AsError(err).Code; code == userkeys.Unavailable || code == userkeys.Internal {
				return outcomes, err
			}
			o.Outcome, o.Error = failed, userkeys.AsError(err).Public
			if userkeys.AsError(err).Reason == site.ReasonChooseName {
				o.Error = "the user name is taken at this site or cannot be one; if the account is theirs, link it with " +
					"userkeys user link NAME " + l.Name + " " + strconv.QuoteToASCII(told.ExternalID)
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func (ls *Logins) syncedThrough(name string) (Login, error) {
	if name == "" && len(ls.logins) == 1 {
		return ls.logins[0].Login, nil
	}
	l, err := ls.login(name)
	if err != nil {
		err = userkeys.Errorf(userkeys.InvalidParameters,
			"login must name a login of the configuration file; there is none called %s", strconv.QuoteToASCII(name))
	}
	return l.Login, err
}

var errSpared = userkeys.Errorf(userkeys.InvalidAccess,
	"administrators are changed by an administrator, or by an admin API key without permissions, "+
		"a user or an end of its own")

// sync does to one user what the website tells.
func (a *admission) sync(ctx context.Context, suspended *bool, spares bool) (site.User, string, error) {
	if err := a.who.check(); err != nil {
		return site.User{}, "", err
	}
	id, err := a.cfg.Store.Identity(ctx, a.login.Issuer, a.who.Subject)
	if errors.Is(err, userkeys.NotFound) {
		return a.syncNew(ctx, suspended, spares)
	}
	if err != nil {
		return site.User{}, "", err
	}
	u, err := a.cfg.Accounts.User(ctx, id.UserID)
	if err != nil {
		return site.User{}, "", err
	}
	now := u
	a.login.Rules.apply(&now, a.who)
	if spares && (u.Admin || now.Admin) {
		return u, "", errSpared
	}
	if !a.login.Rules.allows(a.who) { // who may not sign in any more is one who is gone
		gone := true
		suspended = &gone
	}
	// The suspension comes first: nothing that is wrong with the rest may hold it up.
	if now, err = a.suspend(ctx, u, suspended); err != nil {
		return u, "", err
	}
	if now, err = a.renew(ctx, now); err != nil {
		return u, "", err
	}
	if sameUser(now, u) && now.SuspendedAt.IsZero() == u.SuspendedAt.IsZero() {
		return now, unchanged, nil
	}
	return now, changed, nil
}

func (a *admission) syncNew(ctx context.Context, suspended *bool, spares bool) (site.User, string, error) {
	if !a.login.Rules.allows(a.who) {
		return site.User{}, "", errNotInvited
	}
	var probe site.User
	a.login.Rules.apply(&probe, a.who)
	if spares && probe.Admin {
		return site.User{}, "", errSpared
	}
	u, err := a.create(ctx, site.Identity{
		Issuer: a.login.Issuer, Subject: a.who.Subject, Username: a.who.Username, Login: a.login.Name,
	})
	if err == nil {
		u, err = a.suspend(ctx, u, suspended)
	}
	return u, created, err
}

// suspend suspends or unsuspends a user, if that changes anything; nil leaves what is.
func (a *admission) suspend(ctx context.Context, u site.User, suspended *bool) (site.User, error) {
	switch {
	case suspended == nil:
		return u, nil
	case *suspended && u.SuspendedAt.IsZero():
		return a.cfg.Accounts.Suspend(ctx, u.ID, a.by)
	case !*suspended && !u.SuspendedAt.IsZero():
		return a.cfg.Accounts.Unsuspend(ctx, u.ID, a.by)
	}
	return u, nil
}
