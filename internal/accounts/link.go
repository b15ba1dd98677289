package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// linkLifetime is how long an administrator's link is good.
const linkLifetime = 10 * time.Minute

// linkKind is the kind of the token in the link of a user, who has one link at a time.
func linkKind(userID int64) string { return "sign-in link " + strconv.FormatInt(userID, 10) }

// errLinkGone is one text for every reason.
var errLinkGone = userkeys.Errorf(userkeys.ConsentGone, "this link has been used, is older than ten minutes or is not "+
	"complete; userkeys user sign-in-link NAME makes a new one on the machine")

// SignInLink makes the token for [Accounts.SignInByLink], with which an administrator signs in where no provider
// answers. It is good for ten minutes, once, and takes the place of any before. Who made it is in the audit log.
//
// Errors: [userkeys.NotFound]; [userkeys.InvalidParameters] for a user who is no administrator or may not act.
func (ac *Accounts) SignInLink(ctx context.Context, userID int64, by site.Caller) (string, error) {
	u, err := ac.User(ctx, userID)
	if err != nil {
		return "", err
	}
	if !u.Admin || !u.MayAct() {
		return "", invalid("%s is no administrator who may sign in; a link is for administrators alone", u.Username)
	}
	secret := base64.RawURLEncoding.EncodeToString(randomBytes(tokenBytes))
	now := ac.now().UTC()
	link := site.Token{Kind: linkKind(userID), Hash: hashToken(secret), Expires: now.Add(linkLifetime)}
	err = ac.store.CreateToken(ctx, link,
		site.AuditEvent{At: now, Caller: by, Action: "sign-in link made", UserID: userID})
	if err != nil {
		return "", coded(err)
	}
	return strconv.FormatInt(userID, 10) + "." + secret, nil
}

// CheckSignInLink tells whom [Accounts.SignInByLink] would sign in now, and leaves the link as it is.
//
// Errors: [userkeys.ConsentGone], as for SignInByLink.
func (ac *Accounts) CheckSignInLink(r *http.Request, token string) (site.User, error) {
	return ac.byLink(r, token, func(userID int64, tokenHash []byte, now time.Time) (bool, error) {
		return ac.store.TokenGood(r.Context(), site.Token{Kind: linkKind(userID), Hash: tokenHash}, now)
	})
}

// SignInByLink signs in the administrator for whom [Accounts.SignInLink] made token. The request must have passed
// Sessions.
//
// Errors: [userkeys.ConsentGone] if the token is used, old or wrong, or its user is no administrator any more.
func (ac *Accounts) SignInByLink(r *http.Request, token string) (site.User, error) {
	ctx := r.Context()
	v := ac.visitOf(ctx)
	if v == nil {
		return site.User{}, errNoSession
	}
	u, err := ac.byLink(r, token, func(userID int64, tokenHash []byte, now time.Time) (bool, error) {
		return ac.store.ConsumeToken(ctx, site.Token{Kind: linkKind(userID), Hash: tokenHash}, now, site.AuditEvent{
			At: now, Caller: site.Caller{User: site.User{ID: userID}, Address: ac.clientIP(r)},
			Action: "sign-in link used", UserID: userID,
		})
	})
	if err != nil {
		return site.User{}, err
	}
	a, err := ac.find(ctx, canonical(u.Username))
	if err != nil {
		return site.User{}, err
	}
	v.early = ac.earlyOf(r)
	if err := ac.signIn(ctx, v, a, beginning{}); err != nil {
		return site.User{}, err
	}
	ac.log.WarnContext(ctx, "login by a link that was made on the machine", "user", u.ID, "ip", ac.clientIP(r))
	return u, nil
}

// byLink returns the administrator of a link whose token look finds good.
func (ac *Accounts) byLink(
	r *http.Request, token string, look func(userID int64, tokenHash []byte, now time.Time) (bool, error),
) (site.User, error) {
	id, secret, _ := strings.Cut(token, ".")
	userID, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(userID, 10) != id || secret == "" {
		return site.User{}, errLinkGone
	}
	u, err := ac.users.User(r.Context(), userID)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return site.User{}, coded(err)
	}
	if err != nil || !u.Admin || !u.MayAct() { // before the link is used: the audit log tells of sign-ins only
		return site.User{}, errLinkGone
	}
	good, err := look(userID, hashToken(secret), ac.now().UTC())
	if err != nil {
		return site.User{}, coded(err)
	}
	if !good {
		return site.User{}, errLinkGone
	}
	return u, nil
}
