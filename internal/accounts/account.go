package accounts

import (
	"context"
	"time"

	"userkeys"
	"userkeys/internal/password"
	"userkeys/site"
)

// NewUser is an account to be made.
type NewUser = site.NewUser

type userChange = func(*site.User)

// Create makes an account. Errors: [userkeys.InvalidParameters] with what is
// wrong, [userkeys.Conflict] for a name or e-mail address that is taken.
func (ac *Accounts) Create(ctx context.Context, n NewUser, by site.Caller) (site.User, error) {
	a := site.Account{User: site.User{
		Username: n.Username, Name: n.Name, Email: n.Email, TrustLevel: n.TrustLevel,
		Admin: n.Admin, Moderator: n.Moderator, Active: !n.Inactive, Groups: n.Groups,
		CreatedAt: ac.now().UTC(),
	}}
	if err := checkUser(&a.User); err != nil {
		return site.User{}, err
	}
	if n.Password != "" {
		hash, err := ac.hashNew(ctx, n.Password)
		if err != nil {
			return site.User{}, err
		}
		a.PasswordHash = hash
	}
	u, err := ac.users.CreateUser(ctx, a, by)
	return u, coded(err)
}

// hashNew hashes a password that an administrator sets.
func (ac *Accounts) hashNew(ctx context.Context, text string) (string, error) {
	if err := password.CheckText(text); err != nil {
		return "", err
	}
	release, err := ac.hasher.Acquire(ctx, "")
	if err != nil {
		return "", err
	}
	defer release()
	return ac.hasher.Hash(text), nil
}

// User reads one user by id.
func (ac *Accounts) User(ctx context.Context, id int64) (site.User, error) {
	u, err := ac.users.User(ctx, id)
	return u, coded(err)
}

// FindUser reads one user by user name or e-mail address, however spelled.
func (ac *Accounts) FindUser(ctx context.Context, name string) (site.User, error) {
	a, err := ac.find(ctx, canonical(name))
	if err == nil && a.ID == 0 {
		err = userkeys.Errorf(userkeys.NotFound, "there is no user of that name")
	}
	return a.User, err
}

// FindUsers lists the users that f selects, in the order of their ids.
func (ac *Accounts) FindUsers(ctx context.Context, f site.UserFilter) ([]site.User, error) {
	users, err := ac.users.FindUsers(ctx, f)
	return users, coded(err)
}

// Update calls change with the user as stored now, and writes what change left
// if it is valid. A user who may no longer act, or whose rights as administrator
// or moderator changed, has to sign in again.
//
// Errors: [userkeys.Conflict] if the name is taken, or if the site would be left
// without an active administrator.
func (ac *Accounts) Update(ctx context.Context, id int64, change userChange, by site.Caller) (site.User, error) {
	for range 5 {
		u, err := ac.update(ctx, id, change, by)
		if err == nil || userkeys.AsError(err).Reason != changedMeanwhile {
			return u, err
		}
	}
	return site.User{}, userkeys.Errorf(userkeys.Unavailable, "this user is being changed all the time; try again")
}

// changedMeanwhile is the store's reason for a change that came too late.
const changedMeanwhile = "changed meanwhile"

func (ac *Accounts) update(ctx context.Context, id int64, change userChange, by site.Caller) (site.User, error) {
	old, err := ac.users.User(ctx, id)
	if err != nil {
		return site.User{}, coded(err)
	}
	u := old
	change(&u)
	u.ID, u.CreatedAt = old.ID, old.CreatedAt
	if err := checkUser(&u); err != nil {
		return site.User{}, err
	}
	if err := ac.users.ReplaceUser(ctx, old, u, by.At(ac.now().UTC())); err != nil {
		return site.User{}, coded(err)
	}
	if !u.MayAct() || u.Admin != old.Admin || u.Moderator != old.Moderator {
		if err := ac.store.DeleteUserSessions(ctx, id); err != nil {
			return site.User{}, coded(err)
		}
	}
	return u, nil
}

// Suspend stops a user and all their keys until [Accounts.Unsuspend].
func (ac *Accounts) Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	return ac.Update(ctx, id, func(u *site.User) {
		if u.SuspendedAt.IsZero() {
			u.SuspendedAt = ac.now().UTC()
		}
	}, by)
}

// Unsuspend lets a user act again, also one who was locked out by wrong passwords.
func (ac *Accounts) Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	u, err := ac.Update(ctx, id, func(u *site.User) { u.SuspendedAt = time.Time{} }, by)
	if err != nil {
		return site.User{}, err
	}
	return u, coded(ac.guesses.Forget(ctx, id))
}

// SetPassword gives a user a new password, ends their sessions and lets one
// who was locked out by wrong passwords try again.
func (ac *Accounts) SetPassword(ctx context.Context, id int64, password string, by site.Caller) error {
	hash, err := ac.hashNew(ctx, password)
	if err != nil {
		return err
	}
	if err := ac.users.SetPassword(ctx, id, hash, by.At(ac.now().UTC())); err != nil {
		return coded(err)
	}
	// Whoever knew the old password may still be signed in with it.
	if err := ac.store.DeleteUserSessions(ctx, id); err != nil {
		return coded(err)
	}
	return coded(ac.guesses.Forget(ctx, id))
}

// Delete removes a user with their keys, consents and sessions.
func (ac *Accounts) Delete(ctx context.Context, id int64, by site.Caller) error {
	if err := ac.users.DeleteUser(ctx, id, by.At(ac.now().UTC())); err != nil {
		return coded(err)
	}
	return coded(ac.guesses.Forget(ctx, id))
}
