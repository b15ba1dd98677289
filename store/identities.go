package store

import (
	"context"
	"fmt"
	"time"

	"userkeys"
	"userkeys/site"
)

const identityColumns = "issuer, subject, user_id, username, created_at, signed_in_at"

// scanIdentity scans identityColumns.
func scanIdentity(r row) (site.Identity, error) {
	var id site.Identity
	var created, signedIn int64
	err := r.Scan(&id.Issuer, &id.Subject, &id.UserID, &id.Username, &created, &signedIn)
	id.CreatedAt, id.SignedInAt = fromMicros(created), fromMicros(signedIn)
	return id, err
}

func checkIdentity(id site.Identity) error {
	if id.Issuer == "" || id.Subject == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "an identity needs an issuer and a subject")
	}
	if err := checkIndexed(id.Issuer, id.Subject); err != nil {
		return err
	}
	return checkText(id.Username)
}

// Identity finds who a provider's subject is here.
//
// Errors: [userkeys.NotFound] if nobody is.
func (s *Store) Identity(ctx context.Context, issuer, subject string) (site.Identity, error) {
	if err := checkIndexed(issuer, subject); err != nil {
		return site.Identity{}, err
	}
	return read(ctx, s, func(c conn) (site.Identity, error) {
		id, err := one(c, scanIdentity, "SELECT "+identityColumns+" FROM userkeys_identities "+
			"WHERE issuer = $1 AND subject = $2", issuer, subject)
		return id, notFound(err, "identity")
	})
}

// Identities lists who a user is to providers.
func (s *Store) Identities(ctx context.Context, userID int64) ([]site.Identity, error) {
	return read(ctx, s, func(c conn) ([]site.Identity, error) {
		return all(c, scanIdentity, "SELECT "+identityColumns+" FROM userkeys_identities "+
			"WHERE user_id = $1 ORDER BY issuer, subject", userID)
	})
}

// CreateWithIdentity makes a user whom a provider knows, as [Store.CreateUser] does, with the identity.
//
// Errors: [userkeys.Conflict] if the name or the address is taken, with [ReasonIdentityTaken] if the identity is.
func (s *Store) CreateWithIdentity(
	ctx context.Context, a site.Account, id site.Identity, by site.Caller,
) (site.User, error) {
	if err := checkIdentity(id); err != nil {
		return site.User{}, err
	}
	return s.createUser(ctx, a, by, func(c conn, u site.User) error {
		id.UserID = u.ID
		return link(c, id)
	})
}

// ReasonIdentityTaken says that a provider's subject is a user here already.
const ReasonIdentityTaken = "identity taken"

// link stores id. With a login its subject is what the user is called from now on; without one, as when an
// administrator links an account, that changes when the user signs in.
func link(c conn, id site.Identity) error {
	n, err := c.exec(`INSERT INTO userkeys_identities (`+identityColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`,
		id.Issuer, id.Subject, id.UserID, id.Username, micros(id.CreatedAt), micros(id.SignedInAt))
	if err == nil && n == 0 {
		return &userkeys.Error{
			Code: userkeys.Conflict, Reason: ReasonIdentityTaken, Public: "this identity belongs to a user already",
		}
	}
	if err != nil {
		return err
	}
	if id.Login == "" {
		return nil
	}
	_, err = c.exec("UPDATE userkeys_users SET external_id = $1, login = $2 WHERE id = $3",
		id.Subject, id.Login, id.UserID)
	return err
}

// LinkIdentity makes a provider's subject the user id.UserID.
//
// Errors: [userkeys.NotFound] if there is no such user; [userkeys.Conflict] with [ReasonIdentityTaken] if the
// subject is a user here already.
func (s *Store) LinkIdentity(ctx context.Context, id site.Identity, act site.Act) error {
	if err := checkIdentity(id); err != nil {
		return err
	}
	return s.changeIdentity(ctx, id, act, identityChange{actionIdentityLinked, link})
}

// UnlinkIdentity undoes [Store.LinkIdentity], and ends the user's sessions as [Store.DeleteUserSessions] does.
//
// Errors: [userkeys.NotFound] if the subject is not that user.
func (s *Store) UnlinkIdentity(ctx context.Context, id site.Identity, act site.Act) error {
	return s.changeIdentity(ctx, id, act, identityChange{actionIdentityUnlinked, func(c conn, id site.Identity) error {
		n, err := c.exec("DELETE FROM userkeys_identities WHERE issuer = $1 AND subject = $2 AND user_id = $3",
			id.Issuer, id.Subject, id.UserID)
		if err == nil && n == 0 {
			err = userkeys.Errorf(userkeys.NotFound, "the user has no such identity")
		}
		if err != nil {
			return err
		}
		// Who has no identity left and has a password is a user of this site alone. Without a password they keep the
		// login, by which their keys pause. Their sessions end in either case.
		_, err = c.exec(`UPDATE userkeys_users SET login = '' WHERE id = $1 AND password_hash <> ''
			AND NOT EXISTS (SELECT 1 FROM userkeys_identities i WHERE i.user_id = $1)`, id.UserID)
		if err == nil {
			// The subject of another identity would stand beside the wrong login; the next sign-in names both.
			_, err = c.exec("UPDATE userkeys_users SET external_id = '' WHERE id = $1 AND external_id = $2",
				id.UserID, id.Subject)
		}
		if err != nil {
			return err
		}
		return endSessions(c, id.UserID)
	}})
}

// identityChange is what is done to an identity, and how the audit log calls it.
type identityChange struct {
	action string
	do     func(conn, site.Identity) error
}

func (s *Store) changeIdentity(ctx context.Context, id site.Identity, act site.Act, change identityChange) error {
	if err := checkCaller(act.By); err != nil {
		return err
	}
	return s.writeUrgent(ctx, func(c conn) error {
		_, err := one(c, scanInt, "SELECT id FROM userkeys_users WHERE id = $1"+s.diff.lockRow, id.UserID)
		if err != nil {
			return notFound(err, "user")
		}
		if err := change.do(c, id); err != nil {
			return err
		}
		if err := audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: change.action, UserID: id.UserID,
			Detail: fmt.Sprintf("%s at %s", id.Subject, id.Issuer),
		}); err != nil {
			return err
		}
		return raiseForUser(c, id.UserID, act.At)
	})
}

// NoteSignIn notes that a user signed in through a provider: when, through which login, and what the provider calls
// them.
//
// Errors: [userkeys.NotFound] if the identity is not that user's any more.
func (s *Store) NoteSignIn(ctx context.Context, in site.SignIn) error {
	if err := checkText(in.Username, in.Login, in.Subject); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		n, err := c.exec(`UPDATE userkeys_identities SET username = $1, signed_in_at = $2
			WHERE issuer = $3 AND subject = $4 AND user_id = $5`,
			in.Username, micros(in.SignedInAt), in.Issuer, in.Subject, in.UserID)
		if err == nil && n == 0 {
			err = userkeys.Errorf(userkeys.NotFound, "the user has no such identity any more")
		}
		if err != nil {
			return err
		}
		n, err = c.exec(`UPDATE userkeys_users SET external_id = $1, login = $2 WHERE id = $3
			AND (external_id <> $1 OR login <> $2)`, in.Subject, in.Login, in.UserID)
		if err != nil {
			return err
		}
		if err := signedIn(c, in.UserID, in.SignedInAt); err != nil {
			return err
		}
		if n == 0 && in.PauseAfter == 0 {
			return nil
		}
		return raiseForUser(c, in.UserID, in.SignedInAt)
	})
}

// signedIn stores when a user signed in, unless a later time is stored already.
func signedIn(c conn, userID int64, at time.Time) error {
	_, err := c.exec("UPDATE userkeys_users SET signed_in_at = $1 WHERE id = $2 AND signed_in_at < $1", micros(at), userID)
	return err
}
