package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// IdentityStore remembers who users are to the providers that sign them in.
type IdentityStore interface {
	// Identity finds who a provider's subject is here. Errors: [userkeys.NotFound].
	Identity(ctx context.Context, issuer, subject string) (site.Identity, error)
	// CreateOutsideUser makes a user with an identity. Errors: [userkeys.Conflict] if the name or the address is
	// taken, with the reason "identity taken" if the identity is.
	CreateOutsideUser(ctx context.Context, a site.Account, id site.Identity, by site.Caller) (site.User, error)
	// NoteSignIn notes a sign-in of in.UserID. Errors: [userkeys.NotFound] if the identity is not theirs any more.
	NoteSignIn(ctx context.Context, in site.SignIn) error
}

// Login is a way to sign in through a provider: what the configuration says of it.
type Login struct {
	Name   string // in the configuration and in addresses
	Issuer string // of all its identities
	Rules  Rules
	// GoneAfter is how long after a sign-in through it a user's keys pause, and how long a session may last; 0: for
	// ever, and as long as any.
	GoneAfter time.Duration
}

// Outsider is somebody as a provider names them.
type Outsider struct {
	Subject   string // never empty, never another's; compared as bytes
	Username  string // as the provider spells it; may be empty
	Name      string // full name; may be empty
	Email     string // empty unless the provider says that it is theirs
	Groups    []string
	Admin     bool
	Moderator bool
	// Chosen is the user name that they chose for themselves here, where theirs was taken; empty: theirs will do.
	Chosen string
}

const maxSubjectBytes = 255

// Enter signs in whomever a provider has named, and makes their account if they have none. It is the only way in
// through a provider of any kind: the gates and the rules of the login are here.
// The request must have passed Sessions.
//
// Errors: [userkeys.InvalidCredentials] for somebody who may not sign in; [userkeys.Conflict] with [site.ReasonChooseName];
// [userkeys.InvalidParameters] for a name that was chosen and will not do.
func (ac *Accounts) Enter(r *http.Request, l Login, o Outsider) (site.User, error) {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return site.User{}, errNoSession
	}
	by := site.Caller{As: site.CallerSystem, Address: ac.clientIP(r)}
	u, err := ac.admit(ctx, l, o, by)
	if err != nil {
		ac.log.InfoContext(ctx, "login refused", "through", l.Name, "subject", o.Subject, "ip", by.Address, "err", err)
		return site.User{}, err
	}
	a, err := ac.find(ctx, canonical(u.Username))
	if err != nil {
		return site.User{}, err
	}
	if a.ID != u.ID || !a.MayAct() {
		return site.User{}, errMayNotAct
	}
	v.early = ac.earlyOf(r)
	how := beginning{login: l.Name, subject: o.Subject, lifetime: l.GoneAfter}
	if err := ac.signIn(ctx, v, a, how); err != nil {
		return site.User{}, err
	}
	ac.log.InfoContext(ctx, "login", "user", a.ID, "through", l.Name, "ip", by.Address)
	return a.User, nil
}

var (
	errMayNotAct = userkeys.Errorf(userkeys.InvalidCredentials,
		"your account at this site is suspended, or an administrator has not approved it yet")
	errNotInvited = userkeys.Errorf(userkeys.InvalidCredentials,
		"only members of certain groups may sign in at this site, and you are in none of them")
)

// admit finds or makes the account of o, and gives it what the rules say.
func (ac *Accounts) admit(ctx context.Context, l Login, o Outsider, by site.Caller) (site.User, error) {
	if err := o.check(); err != nil {
		return site.User{}, err
	}
	if !l.Rules.let(o) {
		return site.User{}, errNotInvited
	}
	id, err := ac.identities.Identity(ctx, l.Issuer, o.Subject)
	if errors.Is(err, userkeys.NotFound) {
		return ac.newOutsider(ctx, l, o, by)
	}
	if err != nil {
		return site.User{}, coded(err)
	}
	u, err := ac.users.User(ctx, id.UserID)
	if err != nil {
		return site.User{}, coded(err)
	}
	if !u.MayAct() {
		return site.User{}, errMayNotAct
	}
	if u, err = ac.renew(ctx, l, o, u, by); err != nil {
		return site.User{}, err
	}
	id.Username, id.SignedInAt = o.Username, ac.now().UTC()
	return u, coded(ac.identities.NoteSignIn(ctx, site.SignIn{Identity: id, Login: l.Name, Pauses: l.GoneAfter > 0}))
}

// check refuses an outsider whom a provider did not name properly.
func (o *Outsider) check() error {
	if o.Subject == "" || o.Subject == "0" || len(o.Subject) > maxSubjectBytes || !isText(o.Subject) ||
		strings.TrimSpace(o.Subject) != o.Subject {
		return userkeys.Errorf(userkeys.InvalidCredentials, "the place where you signed in did not say who you are")
	}
	if !isText(o.Username) {
		o.Username = ""
	}
	o.Username = firstBytes(o.Username, maxNameBytes)
	return nil
}

// renew gives a user what the provider and the rules say today. A user who would be the last active administrator
// stays one.
func (ac *Accounts) renew(
	ctx context.Context, l Login, o Outsider, u site.User, by site.Caller,
) (site.User, error) {
	want := u
	l.Rules.apply(&want, o)
	if name := o.fullName(); name != "" {
		want.Name = name
	}
	if o.Email != "" {
		want.Email = canonical(o.Email)
	}
	if sameUser(want, u) {
		return u, nil
	}
	change := func(keep func(*site.User)) (site.User, error) {
		return ac.Update(ctx, u.ID, func(now *site.User) {
			now.Name, now.Email, now.Groups = want.Name, want.Email, want.Groups
			now.TrustLevel, now.Admin, now.Moderator = want.TrustLevel, want.Admin, want.Moderator
			keep(now)
		}, by)
	}
	got, err := change(func(*site.User) {})
	if !errors.Is(err, userkeys.Conflict) {
		return got, err
	}
	// The address is another user's, or this is the last administrator.
	ac.log.WarnContext(ctx, "login: not all that the provider says was taken over", "user", u.ID, "through", l.Name,
		"err", err)
	return change(func(now *site.User) { now.Email, now.Admin = u.Email, u.Admin })
}

func sameUser(a, b site.User) bool {
	if len(a.Groups) != len(b.Groups) {
		return false
	}
	for i := range a.Groups {
		if a.Groups[i] != b.Groups[i] {
			return false
		}
	}
	return a.Name == b.Name && a.Email == b.Email && a.TrustLevel == b.TrustLevel && a.Admin == b.Admin &&
		a.Moderator == b.Moderator
}

// fullName is what o is shown as: the full name or, without one, the user name as the provider spells it.
func (o Outsider) fullName() string {
	for _, s := range []string{o.Name, o.Username} {
		if s = strings.TrimSpace(s); s != "" && len(s) <= maxNameBytes && isText(s) {
			return s
		}
	}
	return ""
}

// newOutsider makes an account without a password.
func (ac *Accounts) newOutsider(ctx context.Context, l Login, o Outsider, by site.Caller) (site.User, error) {
	now := ac.now().UTC()
	u := site.User{
		Username: o.Chosen, Name: o.fullName(), TrustLevel: l.Rules.TrustLevel, Active: !l.Rules.Approve, CreatedAt: now,
	}
	if u.Username == "" {
		u.Username = ProposedName(o.Username)
	}
	if u.Username == "" {
		return site.User{}, chooseName("Choose the user name that you want to have here.")
	}
	l.Rules.apply(&u, o)
	u.Email = o.Email
	if err := checkUser(&u); err != nil {
		return site.User{}, err
	}
	id := site.Identity{
		Issuer: l.Issuer, Subject: o.Subject, Username: o.Username, CreatedAt: now, SignedInAt: now,
	}
	made, err := ac.identities.CreateOutsideUser(ctx, site.Account{User: u}, id, by)
	if errors.Is(err, userkeys.Conflict) && u.Email != "" { // perhaps it is the address that somebody else has
		u.Email = ""
		made, err = ac.identities.CreateOutsideUser(ctx, site.Account{User: u}, id, by)
	}
	if errors.Is(err, userkeys.Conflict) {
		if _, again := ac.identities.Identity(ctx, l.Issuer, o.Subject); again == nil {
			return ac.admit(ctx, l, o, by) // made by another sign-in of the same person meanwhile
		}
		return site.User{}, chooseName("The user name %s is taken at this site. Choose another one; "+
			"if that account is yours, ask an administrator to link it with this sign-in.", u.Username)
	}
	if err != nil {
		return site.User{}, coded(err)
	}
	id.UserID = made.ID
	err = ac.identities.NoteSignIn(ctx, site.SignIn{Identity: id, Login: l.Name, Pauses: l.GoneAfter > 0})
	if err != nil {
		return site.User{}, coded(err)
	}
	if !made.MayAct() {
		return site.User{}, errMayNotAct
	}
	return made, nil
}

func chooseName(format string, args ...any) error {
	e := userkeys.Errorf(userkeys.Conflict, format, args...)
	e.Reason = site.ReasonChooseName
	return e
}

// ProposedName is the user name that somebody gets here whom a provider calls name: the same where it may be one here,
// of an e-mail address what stands before the '@', and otherwise none.
func ProposedName(name string) string {
	if usernamePattern.MatchString(name) {
		return name
	}
	local, _, address := strings.Cut(name, "@")
	if address && usernamePattern.MatchString(local) {
		return local
	}
	return ""
}
