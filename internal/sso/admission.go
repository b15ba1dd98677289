package sso

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"userkeys"
	"userkeys/internal/accounts"
	"userkeys/site"
)

// Person is somebody as a provider names them.
type Person struct {
	Subject   string // never empty, never another's; compared as bytes
	Username  string // as the provider spells it; may be empty
	Name      string // full name; may be empty
	Email     string // empty unless the provider says that it is theirs
	Groups    []string
	Admin     bool
	Moderator bool
	// Fresh says that they have just proved who they are, as the site asked, and were not only known at the provider.
	Fresh bool
	// Chosen is the user name that they chose for themselves here, where theirs was taken; empty: theirs will do.
	Chosen string
}

const (
	maxSubjectBytes = 255
	maxName         = 255 // bytes
)

// admission is somebody who comes in through a login.
type admission struct {
	*Logins
	login Login
	who   Person
	by    site.Caller
}

// enter signs in whomever a provider has named, and makes their account if they have none. It is the only way in
// through a provider of any kind: the gates and the rules of the login are here.
//
// Errors: [userkeys.InvalidCredentials] for somebody who may not sign in; [site.NameQuestion].
func (ls *Logins) enter(r *http.Request, l Login, who Person) error {
	a := admission{ls, l, who, site.Caller{As: site.CallerSystem, Address: ls.cfg.ClientIP(r)}}
	u, err := a.admit(r.Context())
	if err == nil {
		err = ls.cfg.Accounts.SignInFrom(r, accounts.ProviderSignIn{
			User: u, Login: l.Name, Subject: who.Subject, PauseAfter: l.PauseAfter, Fresh: who.Fresh,
		})
	}
	if err != nil {
		what := "login refused"
		if userkeys.AsError(err).Reason == site.ReasonChooseName {
			what = "login asks for a user name"
		}
		ls.cfg.Logger.InfoContext(r.Context(), what, "through", l.Name, "subject", who.Subject,
			"ip", a.by.Address, "err", err)
	}
	return err
}

var errNotInvited = userkeys.Errorf(userkeys.InvalidCredentials,
	"only members of certain groups may sign in at this site, and you are in none of them; "+
		"an administrator can say which")

// admit finds or makes the account of a.who, and gives it what the rules say.
func (a *admission) admit(ctx context.Context) (site.User, error) {
	if err := a.who.check(); err != nil {
		return site.User{}, err
	}
	if !a.login.Rules.allows(a.who) {
		return site.User{}, errNotInvited
	}
	id, err := a.cfg.Store.Identity(ctx, a.login.Issuer, a.who.Subject)
	if errors.Is(err, userkeys.NotFound) {
		return a.newcomer(ctx)
	}
	if err != nil {
		return site.User{}, err
	}
	u, err := a.cfg.Accounts.User(ctx, id.UserID)
	if err != nil {
		return site.User{}, err
	}
	if !u.MayAct() {
		return site.User{}, accounts.MayNotAct(u)
	}
	if u, err = a.renew(ctx, u); err != nil {
		return site.User{}, err
	}
	id.Login, id.Username, id.SignedInAt = a.login.Name, a.who.Username, a.cfg.Now().UTC()
	return u, a.cfg.Store.NoteSignIn(ctx, site.SignIn{Identity: id, PauseAfter: a.login.PauseAfter})
}

// check refuses somebody whom a provider did not name properly, and drops what cannot be kept. Some
// programs say 0 of somebody who is not signed in.
func (o *Person) check() error {
	if o.Subject == "" || o.Subject == "0" || len(o.Subject) > maxSubjectBytes || !accounts.IsOneLine(o.Subject) ||
		strings.TrimSpace(o.Subject) != o.Subject {
		return userkeys.Errorf(userkeys.InvalidCredentials, "the place where you signed in did not say who you are")
	}
	if !accounts.IsOneLine(o.Username) {
		o.Username = ""
	}
	o.Username = strings.ToValidUTF8(o.Username[:min(len(o.Username), maxName)], "")
	if !accounts.IsEmail(o.Email) {
		o.Email = ""
	}
	return nil
}

// renew gives a user what the provider and the rules say today. A user who would be the last active administrator
// stays one.
func (a *admission) renew(ctx context.Context, u site.User) (site.User, error) {
	want := u
	a.login.Rules.apply(&want, a.who)
	if name := a.who.fullName(); name != "" {
		want.Name = name
	}
	if a.who.Email != "" {
		want.Email = strings.ToLower(a.who.Email)
	}
	if sameUser(want, u) {
		return u, nil
	}
	change := func() (site.User, error) {
		return a.cfg.Accounts.Update(ctx, u.ID, func(now *site.User) {
			now.Name, now.Email, now.Groups = want.Name, want.Email, want.Groups
			now.TrustLevel, now.Admin, now.Moderator = want.TrustLevel, want.Admin, want.Moderator
		}, a.by)
	}
	got, err := change()
	if userkeys.AsError(err).Reason == site.ReasonLastAdmin {
		a.cfg.Logger.WarnContext(ctx, "login: the last administrator stays one, whatever the provider says",
			"user", u.ID, "through", a.login.Name)
		want.Admin = true
		got, err = change()
	}
	if errors.Is(err, userkeys.Conflict) && want.Email != u.Email { // the address is another user's
		want.Email = u.Email
		got, err = change()
	}
	return got, err
}

func sameUser(a, b site.User) bool {
	return a.Name == b.Name && a.Email == b.Email && a.TrustLevel == b.TrustLevel && a.Admin == b.Admin &&
		a.Moderator == b.Moderator && slices.Equal(a.Groups, b.Groups)
}

// fullName is what o is shown as: the full name or, without one, the user name as the provider spells it.
func (o Person) fullName() string {
	for _, s := range []string{o.Name, o.Username} {
		if s = strings.TrimSpace(norm.NFC.String(s)); s != "" && len(s) <= maxName && accounts.IsOneLine(s) {
			return s
		}
	}
	return ""
}

// newcomer makes the account of somebody who signs in for the first time.
func (a *admission) newcomer(ctx context.Context) (site.User, error) {
	id := site.Identity{
		Issuer: a.login.Issuer, Subject: a.who.Subject, Username: a.who.Username, Login: a.login.Name,
		SignedInAt: a.cfg.Now().UTC(),
	}
	made, err := a.create(ctx, id)
	if errors.Is(err, userkeys.Conflict) {
		if _, again := a.cfg.Store.Identity(ctx, a.login.Issuer, a.who.Subject); again == nil {
			return a.admit(ctx) // made by another sign-in of the same person meanwhile
		}
	}
	if err != nil {
		return site.User{}, err
	}
	id.UserID = made.ID
	if err = a.cfg.Store.NoteSignIn(ctx, site.SignIn{Identity: id, PauseAfter: a.login.PauseAfter}); err != nil {
		return site.User{}, err
	}
	if !made.MayAct() {
		return site.User{}, accounts.MayNotAct(made)
	}
	return made, nil
}

// create makes an account without a password. The name is the provider's; one that the person chose counts only where
// that is taken or cannot be a user name here, so that nobody takes another's name before they come.
//
// Errors: [site.NameQuestion].
func (a *admission) create(ctx context.Context, id site.Identity) (site.User, error) {
	q := &site.NameQuestion{Theirs: a.who.Username, Chosen: a.who.Chosen}
	u, trouble, err := a.try(ctx, q.Theirs, id)
	if q.Trouble = trouble; trouble != "" && q.Chosen != "" {
		u, trouble, err = a.try(ctx, q.Chosen, id)
		q.Wrong = trouble
	}
	if err != nil || trouble == "" {
		return u, err
	}
	if q.Near, err = accounts.NearUsername(ctx, a.cfg.Accounts.FindUser, q.Chosen, q.Theirs, a.who.Name); err != nil {
		return site.User{}, err
	}
	return site.User{}, q
}

// try makes an account of that user name, or says why nobody can have it.
func (a *admission) try(ctx context.Context, name string, id site.Identity) (site.User, string, error) {
	switch {
	case !accounts.IsUsername(name):
		return site.User{}, site.NameUnfit, nil
	case accounts.IsReserved(name):
		return site.User{}, site.NameKept, nil
	}
	u, err := a.createAs(ctx, name, id)
	if errors.Is(err, userkeys.Conflict) {
		return site.User{}, site.NameTaken, nil
	}
	return u, "", err
}

// createAs makes an account of that user name.
func (a *admission) createAs(ctx context.Context, name string, id site.Identity) (site.User, error) {
	u := site.User{
		Username: name, Name: a.who.fullName(), Email: a.who.Email,
		TrustLevel: a.login.Rules.TrustLevel, Active: !a.login.Rules.Approve,
	}
	a.login.Rules.apply(&u, a.who)
	made, err := a.cfg.Accounts.CreateWithIdentity(ctx, u, id, a.by)
	if errors.Is(err, userkeys.Conflict) && u.Email != "" { // perhaps it is the address that somebody else has
		u.Email = ""
		made, err = a.cfg.Accounts.CreateWithIdentity(ctx, u, id, a.by)
	}
	return made, err
}
