package outside

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

// ParseSync calls [ParseSync], for those who know People by an interface.
func (p *People) ParseSync(text []byte) (site.Sync, error) { return ParseSync(text) }

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
func (p *People) Sync(ctx context.Context, s site.Sync, by site.Caller) ([]site.SyncOutcome, error) {
	in, err := p.syncedThrough(s.Login)
	if err != nil {
		return nil, err
	}
	in.Rules.Approve = false // the website answers for them
	outcomes := make([]site.SyncOutcome, 0, len(s.Users))
	for _, told := range s.Users {
		e := &entry{p, in, Person{
			Subject: told.ExternalID, Username: told.Username, Name: told.Name, Email: told.Email,
			Groups: told.Groups, Admin: told.Admin, Moderator: told.Moderator,
		}, by}
		o := site.SyncOutcome{ExternalID: told.ExternalID}
		var u site.User
		u, o.Outcome, err = e.sync(ctx, told.Suspended, s.SparesAdmins)
		o.Username = u.Username
		if err != nil {
			if code := userkeys.AsError(err).Code; code == userkeys.Unavailable || code == userkeys.Internal {
				return outcomes, err
			}
			o.Outcome, o.Error = failed, userkeys.AsError(err).Public
			if userkeys.AsError(err).Reason == site.ReasonChooseName {
				o.Error = "the user name is taken at this site or cannot be one; if the account is theirs, link it with " +
					"userkeys user link NAME " + in.Name + " " + strconv.QuoteToASCII(told.ExternalID)
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func (p *People) syncedThrough(login string) (In, error) {
	if login == "" && len(p.ways) == 1 {
		return p.ways[0].In, nil
	}
	for _, w := range p.ways {
		if w.In.Name == login {
			return w.In, nil
		}
	}
	return In{}, userkeys.Errorf(userkeys.InvalidParameters,
		"login must name a login of the configuration file; there is none called %s", strconv.QuoteToASCII(login))
}

var errSpared = userkeys.Errorf(userkeys.InvalidAccess,
	"administrators are changed by an administrator, or by an admin API key without permissions, "+
		"a user or an end of its own")

// sync does to one user what the website tells.
func (e *entry) sync(ctx context.Context, suspended *bool, spares bool) (site.User, string, error) {
	if err := e.who.check(); err != nil {
		return site.User{}, "", err
	}
	id, err := e.cfg.Store.Identity(ctx, e.in.Issuer, e.who.Subject)
	if errors.Is(err, userkeys.NotFound) {
		return e.syncNew(ctx, suspended, spares)
	}
	if err != nil {
		return site.User{}, "", err
	}
	u, err := e.accounts.User(ctx, id.UserID)
	if err != nil {
		return site.User{}, "", err
	}
	now := u
	e.in.Rules.apply(&now, e.who)
	if spares && (u.Admin || now.Admin) {
		return u, "", errSpared
	}
	if !e.in.Rules.let(e.who) { // who may not sign in any more is one who is gone
		gone := true
		suspended = &gone
	}
	// The suspension comes first: nothing that is wrong with the rest may hold it up.
	if now, err = e.suspend(ctx, u, suspended); err != nil {
		return u, "", err
	}
	if now, err = e.renew(ctx, now); err != nil {
		return u, "", err
	}
	if sameUser(now, u) && now.SuspendedAt.IsZero() == u.SuspendedAt.IsZero() {
		return now, unchanged, nil
	}
	return now, changed, nil
}

func (e *entry) syncNew(ctx context.Context, suspended *bool, spares bool) (site.User, string, error) {
	if !e.in.Rules.let(e.who) {
		return site.User{}, "", errNotInvited
	}
	var probe site.User
	e.in.Rules.apply(&probe, e.who)
	if spares && probe.Admin {
		return site.User{}, "", errSpared
	}
	u, err := e.create(ctx, site.Identity{
		Issuer: e.in.Issuer, Subject: e.who.Subject, Username: e.who.Username, Login: e.in.Name,
	})
	if err == nil {
		u, err = e.suspend(ctx, u, suspended)
	}
	return u, created, err
}

// suspend suspends or unsuspends a user, if that changes anything; nil leaves what is.
func (e *entry) suspend(ctx context.Context, u site.User, suspended *bool) (site.User, error) {
	switch {
	case suspended == nil:
		return u, nil
	case *suspended && u.SuspendedAt.IsZero():
		return e.accounts.Suspend(ctx, u.ID, e.by)
	case !*suspended && !u.SuspendedAt.IsZero():
		return e.accounts.Unsuspend(ctx, u.ID, e.by)
	}
	return u, nil
}
