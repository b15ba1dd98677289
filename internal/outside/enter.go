package outside

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"userkeys"
	"userkeys/internal/identity"
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

// An entry is somebody who comes in through a login.
type entry struct {
	*People
	in  In
	who Person
	by  site.Caller
}

// enter signs in whomever a provider has named, and makes their account if they have none. It is the only way in
// through a provider of any kind: the gates and the rules of the login are here.
//
// Errors: [userkeys.InvalidCredentials] for somebody who may not sign in; [userkeys.Conflict] with
// [site.ReasonChooseName].
func (p *People) enter(r *http.Request, in In, who Person) error {
	e := entry{p, in, who, site.Caller{As: site.CallerSystem, Address: p.cfg.ClientIP(r)}}
	u, err := e.admit(r.Context())
	if err == nil {
		err = p.accounts.Arrive(r, identity.Arrival{
			User: u, Login: in.Name, Subject: who.Subject, Lasts: in.GoneAfter, Fresh: who.Fresh,
		})
	}
	if err != nil {
		p.cfg.Logger.InfoContext(r.Context(), "login refused", "through", in.Name, "subject", who.Subject,
			"ip", e.by.Address, "err", err)
	}
	return err
}

var errNotInvited = userkeys.Errorf(userkeys.InvalidCredentials,
	"only members of certain groups may sign in at this site, and you are in none of them")

// admit finds or makes the account of e.who, and gives it what the rules say.
func (e *entry) admit(ctx context.Context) (site.User, error) {
	if err := e.who.check(); err != nil {
		return site.User{}, err
	}
	if !e.in.Rules.let(e.who) {
		return site.User{}, errNotInvited
	}
	id, err := e.cfg.Store.Identity(ctx, e.in.Issuer, e.who.Subject)
	if errors.Is(err, userkeys.NotFound) {
		return e.newcomer(ctx)
	}
	if err != nil {
		return site.User{}, err
	}
	u, err := e.accounts.User(ctx, id.UserID)
	if err != nil {
		return site.User{}, err
	}
	if !u.MayAct() {
		return site.User{}, identity.ErrMayNotAct
	}
	if u, err = e.renew(ctx, u); err != nil {
		return site.User{}, err
	}
	id.Username, id.SignedInAt = e.who.Username, e.cfg.Now().UTC()
	return u, e.cfg.Store.NoteSignIn(ctx, site.SignIn{Identity: id, Login: e.in.Name, Pauses: e.in.GoneAfter > 0})
}

// check refuses somebody whom a provider did not name properly, and drops what cannot be kept.
func (o *Person) check() error {
	if o.Subject == "" || o.Subject == "0" || len(o.Subject) > maxSubjectBytes || !identity.IsOneLine(o.Subject) ||
		strings.TrimSpace(o.Subject) != o.Subject {
		return userkeys.Errorf(userkeys.InvalidCredentials, "the place where you signed in did not say who you are")
	}
	if !identity.IsOneLine(o.Username) {
		o.Username = ""
	}
	o.Username = strings.ToValidUTF8(o.Username[:min(len(o.Username), maxName)], "")
	if !identity.IsEmail(o.Email) {
		o.Email = ""
	}
	return nil
}

// renew gives a user what the provider and the rules say today. A user who would be the last active administrator
// stays one.
func (e *entry) renew(ctx context.Context, u site.User) (site.User, error) {
	want := u
	e.in.Rules.apply(&want, e.who)
	if name := e.who.fullName(); name != "" {
		want.Name = name
	}
	if e.who.Email != "" {
		want.Email = strings.ToLower(e.who.Email)
	}
	if sameUser(want, u) {
		return u, nil
	}
	change := func() (site.User, error) {
		return e.accounts.Update(ctx, u.ID, func(now *site.User) {
			now.Name, now.Email, now.Groups = want.Name, want.Email, want.Groups
			now.TrustLevel, now.Admin, now.Moderator = want.TrustLevel, want.Admin, want.Moderator
		}, e.by)
	}
	got, err := change()
	if errors.Is(err, userkeys.Conflict) && want.Email != u.Email { // perhaps the address is another user's
		want.Email = u.Email
		got, err = change()
	}
	if errors.Is(err, userkeys.Conflict) && u.Admin { // this is the last administrator
		e.cfg.Logger.WarnContext(ctx, "login: the last administrator stays one, whatever the provider says",
			"user", u.ID, "through", e.in.Name)
		want.Admin = true
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
		if s = strings.TrimSpace(norm.NFC.String(s)); s != "" && len(s) <= maxName && identity.IsOneLine(s) {
			return s
		}
	}
	return ""
}

// newcomer makes the account of somebody who signs in for the first time.
func (e *entry) newcomer(ctx context.Context) (site.User, error) {
	id := site.Identity{
		Issuer: e.in.Issuer, Subject: e.who.Subject, Username: e.who.Username, Login: e.in.Name,
		SignedInAt: e.cfg.Now().UTC(),
	}
	made, err := e.create(ctx, id)
	if errors.Is(err, userkeys.Conflict) {
		if _, again := e.cfg.Store.Identity(ctx, e.in.Issuer, e.who.Subject); again == nil {
			return e.admit(ctx) // made by another sign-in of the same person meanwhile
		}
	}
	if err != nil {
		return site.User{}, err
	}
	id.UserID = made.ID
	err = e.cfg.Store.NoteSignIn(ctx, site.SignIn{Identity: id, Login: e.in.Name, Pauses: e.in.GoneAfter > 0})
	if err != nil {
		return site.User{}, err
	}
	if !made.MayAct() {
		return site.User{}, identity.ErrMayNotAct
	}
	return made, nil
}

// create makes an account without a password. The name is the provider's; one that the person chose counts only where
// that is taken or cannot be a user name here, so that nobody takes another's name before they come.
//
// Errors: [userkeys.Conflict] with [site.ReasonChooseName].
func (e *entry) create(ctx context.Context, id site.Identity) (site.User, error) {
	name, taken := e.who.Username, false
	if identity.IsUsername(name) && !reserved[strings.ToLower(name)] {
		u, err := e.createAs(ctx, name, id)
		if !errors.Is(err, userkeys.Conflict) {
			return u, err
		}
		taken = true
	}
	switch chosen := e.who.Chosen; {
	case chosen == "" && taken:
		return site.User{}, chooseName("The user name %s is taken at this site. Choose another one; "+
			"if that account is yours, ask an administrator to link it with this sign-in.", name)
	case chosen == "":
		return site.User{}, chooseName("Choose the user name that you want to have here.")
	case !identity.IsUsername(chosen):
		return site.User{}, chooseName("This cannot be a user name.")
	case reserved[strings.ToLower(chosen)]:
		return site.User{}, chooseName("The user name %s is kept for the site itself. Choose another one.", chosen)
	}
	u, err := e.createAs(ctx, e.who.Chosen, id)
	if errors.Is(err, userkeys.Conflict) {
		err = chooseName("The user name %s is taken at this site. Choose another one.", e.who.Chosen)
	}
	return u, err
}

// reserved are user names that people take for the site's own. An administrator can give them.
var reserved = map[string]bool{"admin": true, "administrator": true, "root": true, "system": true, "moderator": true}

// createAs makes an account of that user name.
func (e *entry) createAs(ctx context.Context, name string, id site.Identity) (site.User, error) {
	u := site.User{
		Username: name, Name: e.who.fullName(), Email: e.who.Email,
		TrustLevel: e.in.Rules.TrustLevel, Active: !e.in.Rules.Approve,
	}
	e.in.Rules.apply(&u, e.who)
	made, err := e.accounts.CreateOutsider(ctx, u, id, e.by)
	if errors.Is(err, userkeys.Conflict) && u.Email != "" { // perhaps it is the address that somebody else has
		u.Email = ""
		made, err = e.accounts.CreateOutsider(ctx, u, id, e.by)
	}
	return made, err
}

func chooseName(format string, args ...any) error {
	e := userkeys.Errorf(userkeys.Conflict, format, args...)
	e.Reason = site.ReasonChooseName
	return e
}
