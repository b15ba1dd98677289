package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

const userColumns = `u.id, u.username, u.name, u.email, u.trust_level, u.admin, u.moderator, u.active, u.group_names,
	u.suspended_at, u.created_at, u.last_seen_at, u.external_id, u.login, u.signed_in_at`

// user scans userColumns.
func (c *columns) user(u *site.User) {
	var admin, moderator, active, suspended, created, seen, signedIn int64
	var groups string
	c.dest = append(c.dest, &u.ID, &u.Username, &u.Name, &u.Email, &u.TrustLevel, &admin, &moderator, &active, &groups,
		&suspended, &created, &seen, &u.ExternalID, &u.Login, &signedIn)
	c.done = append(c.done, func() {
		u.Admin, u.Moderator, u.Active = admin != 0, moderator != 0, active != 0
		u.Groups = splitList(groups, groupSeparator)
		u.SuspendedAt, u.CreatedAt, u.LastSeenAt = fromMicros(suspended), fromMicros(created), fromMicros(seen)
		u.SignedInAt = fromMicros(signedIn)
	})
}

func scanUser(r row) (site.User, error) {
	var u site.User
	var c columns
	c.user(&u)
	return u, c.scan(r)
}

func scanAccount(r row) (site.Account, error) {
	var a site.Account
	var c columns
	c.user(&a.User)
	c.dest = append(c.dest, &a.PasswordHash)
	return a, c.scan(r)
}

func checkUser(u site.User, by site.Caller) error {
	if u.Username == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "a user needs a name")
	}
	if err := checkIndexed(u.Username, u.Email); err != nil {
		return err
	}
	if err := checkList(u.Groups, groupSeparator); err != nil {
		return err
	}
	return checkText(u.Name, string(by.Kind()), by.Address)
}

func nameTaken() error {
	return userkeys.Errorf(userkeys.Conflict, "this user name or e-mail address is taken")
}

// CreateUser makes a user, who may sign in and have keys only if Active is set; [Store.FindOrCreateUser] sets it.
// Errors: [userkeys.Conflict] if the name or the address is taken.
func (s *Store) CreateUser(ctx context.Context, a site.Account, by site.Caller) (site.User, error) {
	return s.createUser(ctx, a, by, func(conn, site.User) error { return nil })
}

// createUser makes a user, and does besides what comes with them in the same transaction.
func (s *Store) createUser(
	ctx context.Context, a site.Account, by site.Caller, besides func(conn, site.User) error,
) (site.User, error) {
	if err := checkUser(a.User, by); err != nil {
		return site.User{}, err
	}
	if err := checkText(a.PasswordHash); err != nil {
		return site.User{}, err
	}
	u := a.User
	err := s.write(ctx, func(c conn) error {
		id, err := one(c, scanInt, `INSERT INTO userkeys_users (username, username_key, name, email, email_key, trust_level,
			admin, moderator, active, group_names, suspended_at, last_seen_at, created_at, password_hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING RETURNING id`,
			append(userValues(u), micros(u.CreatedAt), a.PasswordHash)...)
		if isNoRows(err) {
			return nameTaken()
		}
		if err != nil {
			return err
		}
		u.ID = id
		if err := besides(c, u); err != nil {
			return err
		}
		return audit(c, site.AuditEvent{
			At: u.CreatedAt, Caller: by, Action: actionUserCreated, UserID: id,
			Detail: u.Username,
		})
	})
	if err != nil {
		return site.User{}, err
	}
	u.CreatedAt, u.LastSeenAt, u.SuspendedAt = cut(u.CreatedAt), cut(u.LastSeenAt), cut(u.SuspendedAt)
	return u, nil
}

// FindOrCreateUser returns the user with u's name, or makes one as u who is active. A site with accounts of its
// own calls it when somebody signs in. A user who exists is not changed, suspended or not; [Store.UpdateUser] does
// that.
//
// Errors: those of [Store.CreateUser].
func (s *Store) FindOrCreateUser(ctx context.Context, u site.User, by site.Caller) (site.User, error) {
	found, err := s.UserNamed(ctx, u.Username)
	if !errors.Is(err, userkeys.NotFound) {
		return found, err
	}
	u.Active = true
	made, err := s.CreateUser(ctx, site.Account{User: u}, by)
	if errors.Is(err, userkeys.Conflict) { // made by another sign-in meanwhile, unless it is the address that is taken
		if found, again := s.UserNamed(ctx, u.Username); again == nil {
			return found, nil
		}
	}
	return made, err
}

// userValues are the columns that may change, in the order of both statements that write them.
func userValues(u site.User) []any {
	return []any{
		u.Username, foldCase(u.Username), u.Name, u.Email, foldCase(u.Email), u.TrustLevel,
		flag(u.Admin), flag(u.Moderator), flag(u.Active), strings.Join(u.Groups, groupSeparator),
		micros(u.SuspendedAt), micros(u.LastSeenAt),
	}
}

// UpdateUser writes every field of u but ID and CreatedAt. It raises the epoch for the user's keys in the same
// transaction.
//
// Errors: [userkeys.NotFound] if there is no such user; [userkeys.Conflict] if a name or an address is taken, with
// [site.ReasonLastAdmin] if no active administrator would be left.
func (s *Store) UpdateUser(ctx context.Context, u site.User, act site.Act) error {
	return s.updateUser(ctx, func(site.User) bool { return true }, u, act)
}

// ReplaceUser is [Store.UpdateUser] for a user who is still stored as was: of two changes at the same time neither
// undoes the other. When the user was last seen is not compared.
//
// Errors: those of UpdateUser; [userkeys.Conflict] with [ReasonChanged] if the user was changed meanwhile: read
// the user again, and change that.
func (s *Store) ReplaceUser(ctx context.Context, was, u site.User, act site.Act) error {
	same := func(now site.User) bool {
		now.LastSeenAt = was.LastSeenAt
		return slices.Equal(userValues(now), userValues(was))
	}
	return s.updateUser(ctx, same, u, act)
}

// ReasonChanged says that somebody else changed the row meanwhile.
const ReasonChanged = "changed meanwhile"

func (s *Store) updateUser(ctx context.Context, same func(site.User) bool, u site.User, act site.Act) error {
	if err := checkUser(u, act.By); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		old, err := s.lockForChange(c, u.ID, u.Admin && u.MayAct())
		if err != nil {
			return err
		}
		if !same(old) {
			return &userkeys.Error{
				Code: userkeys.Conflict, Reason: ReasonChanged,
				Public: "somebody else changed this user at the same time; look again",
			}
		}
		n, err := c.exec(`UPDATE userkeys_users SET username = $1, username_key = $2, name = $3, email = $4, email_key = $5,
			trust_level = $6, admin = $7, moderator = $8, active = $9, group_names = $10, suspended_at = $11, last_seen_at = $12
			WHERE id = $13 AND NOT EXISTS (SELECT 1 FROM userkeys_users o WHERE o.id <> $13
				AND (o.username_key = $2 OR (o.email_key = $5 AND o.email_key <> '')))`, append(userValues(u), u.ID)...)
		if err != nil {
			return err
		}
		if n == 0 {
			return nameTaken()
		}
		err = audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionUserUpdated, UserID: u.ID,
			Detail: whatChanged(old, u),
		})
		if err != nil {
			return err
		}
		return raiseForUser(c, u.ID, act.At)
	})
}

const actingAdmin = "u.admin = 1 AND u.active = 1 AND u.suspended_at = 0"

// lockForChange locks the user and, with it, every active administrator, in one order everywhere: if two
// administrators remove each other's rights at once, one must fail. It returns an error if no active administrator
// would be left.
func (s *Store) lockForChange(c conn, id int64, staysAdmin bool) (site.User, error) {
	locked, err := all(c, scanUser, "SELECT "+userColumns+` FROM userkeys_users u
		WHERE u.id = $1 OR (`+actingAdmin+`) ORDER BY u.id`+s.diff.lockRow, id)
	if err != nil {
		return site.User{}, err
	}
	i := slices.IndexFunc(locked, func(u site.User) bool { return u.ID == id })
	if i < 0 {
		return site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	acting := func(u site.User) bool { return u.Admin && u.MayAct() }
	others := slices.ContainsFunc(locked, func(u site.User) bool { return u.ID != id && acting(u) })
	if acting(locked[i]) && !staysAdmin && !others {
		return site.User{}, &userkeys.Error{
			Code: userkeys.Conflict, Reason: site.ReasonLastAdmin,
			Public: "this is the last active administrator; make another one first",
		}
	}
	return locked[i], nil
}

// raiseForUser raises the epoch for all keys of a user.
func raiseForUser(c conn, id int64, at time.Time) error {
	keys, err := all(c, scanKeyRow, "SELECT "+keyRowColumns+" FROM userkeys_keys WHERE user_id = $1", id)
	if err != nil {
		return err
	}
	return raise(c, at, hashes(keys))
}

// whatChanged returns the names of the fields that differ, with the values of those that decide what the user may do.
func whatChanged(old, u site.User) string {
	var out []string
	note := func(changed bool, text string) {
		if changed {
			out = append(out, text)
		}
	}
	note(old.Username != u.Username, "username "+old.Username+" -> "+u.Username)
	note(old.Name != u.Name, "name")
	note(old.Email != u.Email, "email")
	note(old.TrustLevel != u.TrustLevel, fmt.Sprintf("trust level %d -> %d", old.TrustLevel, u.TrustLevel))
	note(old.Admin != u.Admin, fmt.Sprintf("admin %t -> %t", old.Admin, u.Admin))
	note(old.Moderator != u.Moderator, fmt.Sprintf("moderator %t -> %t", old.Moderator, u.Moderator))
	note(old.Active != u.Active, fmt.Sprintf("active %t -> %t", old.Active, u.Active))
	note(!slices.Equal(old.Groups, u.Groups), "groups "+strings.Join(old.Groups, groupSeparator)+" -> "+
		strings.Join(u.Groups, groupSeparator))
	note(old.SuspendedAt.IsZero() && !u.SuspendedAt.IsZero(), "suspended")
	note(!old.SuspendedAt.IsZero() && u.SuspendedAt.IsZero(), "unsuspended")
	return strings.Join(out, ", ")
}

// SetPassword stores the hash of a new password; an empty one removes the password.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) SetPassword(ctx context.Context, userID int64, hash string, act site.Act) error {
	if err := checkText(hash, string(act.By.Kind()), act.By.Address); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		n, err := c.exec("UPDATE userkeys_users SET password_hash = $1 WHERE id = $2", hash, userID)
		if err != nil {
			return err
		}
		if n == 0 {
			return userkeys.Errorf(userkeys.NotFound, "there is no such user")
		}
		return audit(c, site.AuditEvent{At: act.At, Caller: act.By, Action: actionPasswordSet, UserID: userID})
	})
}

// ChangePassword stores a password that its user chose, and ends the user's other sessions.
//
// Errors: [userkeys.Conflict] if another password was set meanwhile: that of an administrator, who may be shutting
// somebody out, is not undone.
func (s *Store) ChangePassword(ctx context.Context, p site.PasswordChange, act site.Act) error {
	if err := checkText(p.Old, p.New, act.By.Address); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		n, err := c.exec("UPDATE userkeys_users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
			p.New, p.UserID, p.Old)
		if err == nil && n == 0 {
			err = userkeys.Errorf(userkeys.Conflict, "the password was changed meanwhile")
		}
		if err != nil {
			return err
		}
		if err := endOtherSessions(c, p.UserID, p.Session); err != nil {
			return err
		}
		return audit(c, site.AuditEvent{At: act.At, Caller: act.By, Action: actionPasswordChanged, UserID: p.UserID})
	})
}

// ReplacePassword stores hash if old is still stored, and reports whether it was: a password that is hashed again
// must not undo a change of the password.
func (s *Store) ReplacePassword(ctx context.Context, userID int64, old, hash string) (bool, error) {
	if err := checkText(old, hash); err != nil {
		return false, err
	}
	return s.changesOne(ctx, "UPDATE userkeys_users SET password_hash = $1 WHERE id = $2 "+
		"AND password_hash = $3", hash, userID, old)
}

// DeleteUser deletes the user with keys, consents and sessions.
//
// Errors: [userkeys.NotFound] if there is no such user; [userkeys.Conflict] for the last active administrator.
func (s *Store) DeleteUser(ctx context.Context, userID int64, act site.Act) error {
	if err := checkCaller(act.By); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		u, err := s.lockForChange(c, userID, false)
		if err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM userkeys_sessions WHERE user_id = $1", userID); err != nil {
			return err
		}
		if err := lockKeys(c, s.diff.lockGone, "user_id = $1", userID); err != nil {
			return err
		}
		keys, err := all(c, scanKeyRow, "DELETE FROM userkeys_keys WHERE user_id = $1 RETURNING "+keyRowColumns, userID)
		if err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM userkeys_users WHERE id = $1", userID); err != nil {
			return err
		}
		detail := fmt.Sprintf("%s, with %d keys", u.Username, len(keys))
		if err := audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionUserDeleted, UserID: userID,
			Detail: detail,
		}); err != nil {
			return err
		}
		return raise(c, act.At, hashes(keys))
	})
}

// User finds a user by id.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) User(ctx context.Context, id int64) (site.User, error) {
	return read(ctx, s, func(c conn) (site.User, error) {
		u, err := one(c, scanUser, "SELECT "+userColumns+" FROM userkeys_users u WHERE u.id = $1", id)
		return u, notFound(err, "user")
	})
}

// Account finds a user with the hash of the password, by user name or, if name has an '@', by e-mail address.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) Account(ctx context.Context, name string) (site.Account, error) {
	if err := checkIndexed(name); err != nil {
		return site.Account{}, err
	}
	column := "username_key"
	if strings.Contains(name, "@") {
		column = "email_key"
	}
	return read(ctx, s, func(c conn) (site.Account, error) {
		a, err := one(c, scanAccount, "SELECT "+userColumns+", u.password_hash FROM userkeys_users u "+
			"WHERE u."+column+" = $1", foldCase(name))
		return a, notFound(err, "user")
	})
}

// UserNamed finds a user by user name, never by e-mail address.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) UserNamed(ctx context.Context, username string) (site.User, error) {
	if err := checkIndexed(username); err != nil {
		return site.User{}, err
	}
	return read(ctx, s, func(c conn) (site.User, error) {
		u, err := one(c, scanUser, "SELECT "+userColumns+" FROM userkeys_users u WHERE u.username_key = $1",
			foldCase(username))
		return u, notFound(err, "user")
	})
}

// FindUsers lists the users that f selects, in the order of their ids.
func (s *Store) FindUsers(ctx context.Context, f site.UserFilter) ([]site.User, error) {
	if err := checkIndexed(f.Text); err != nil {
		return nil, err
	}
	var w conditions
	w.add("u.id > $?", f.After)
	if f.Text != "" {
		// Part of a name, whatever characters a pattern gives a meaning (AD3).
		part := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(foldCase(f.Text)) + "%"
		w.add(`(u.username_key LIKE $? ESCAPE '\' OR u.email_key LIKE $? ESCAPE '\')`, part)
	}
	if f.Admins {
		w.parts = append(w.parts, actingAdmin)
	}
	query := "SELECT " + userColumns + " FROM userkeys_users u" + w.where() + " ORDER BY u.id LIMIT " + listLimit(f.Limit)
	return read(ctx, s, func(c conn) ([]site.User, error) {
		return all(c, scanUser, query, w.args...)
	})
}

// TouchUser stores when a user was seen, unless a later time is stored already.
func (s *Store) TouchUser(ctx context.Context, userID int64, seenAt time.Time) error {
	return s.write(ctx, func(c conn) error {
		_, err := c.exec("UPDATE userkeys_users SET last_seen_at = $1 WHERE id = $2 "+
			"AND last_seen_at < $1", micros(seenAt), userID)
		return err
	})
}
