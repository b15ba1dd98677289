package authority

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"userkeys"
	"userkeys/site"
)

// ConsentLifetime is how long a question to a user stays open.
const ConsentLifetime = 10 * time.Minute

// Question is what a consent page asks.
type Question struct {
	ID string // of the consent record: the only thing that the form carries
	site.CheckedRequest
}

// Granted is a grant that was made.
type Granted struct {
	Key      site.UserAPIKey
	Payload  string // sealed, base64 in lines of 60 with a final newline
	Location string // the composed way back; empty: show the payload instead
}

// Approval is a user's yes to a request: to one that a page asked about, or to one that came whole.
type Approval struct {
	By site.Caller
	// Consent is the id of the question that [Authority.Prepare] kept, with which a page asked.
	Consent string
	// Kind is what the page asked for; a question of another kind is refused.
	Kind site.RequestKind
	// Device is in place of Consent the approval token that [Authority.ActivateDevice] gave.
	Device string
	// Request is in place of Consent a request that came whole, without a page before it: from the user's own program
	// with the secret of their session, from an app with a key, or from the site's program with an admin API key.
	Request *site.AuthorizationRequest
	Choice  site.Choice // narrows what was asked for
}

// Examine reports whether the site would ask a user about this request. It needs no user.
func (a *Authority) Examine(ctx context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	checked, _, err := a.examine(ctx, r)
	return checked, err
}

// examine checks r, and returns what the site knows of its client.
func (a *Authority) examine(
	ctx context.Context, r site.AuthorizationRequest,
) (site.CheckedRequest, site.Client, error) {
	var client site.Client
	var err error
	if r.Kind == site.KindOneTime {
		client, err = a.store.ClientByPublicKey(ctx, r.PublicKey, r.AuthRedirect)
	} else {
		client, err = a.store.Client(ctx, r.ClientID)
	}
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return site.CheckedRequest{}, client, err
	}
	checked, err := r.Check(a.Settings(), a.Catalog(), client)
	return checked, client, err
}

// Prepare examines r, checks that the user may grant it, and stores the question to the user for ten minutes.
func (a *Authority) Prepare(ctx context.Context, r site.AuthorizationRequest, by site.Caller) (Question, error) {
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Question{}, err
	}
	if err := a.mayGrant(ctx, by.User); err != nil {
		return Question{}, err
	}
	now := a.now()
	c := site.Consent{
		ID: newToken(), UserID: by.User.ID, Session: askedIn(by),
		Request: r, CreatedAt: now, ExpiresAt: now.Add(ConsentLifetime),
	}
	if err := a.store.CreateConsent(ctx, c); err != nil {
		return Question{}, err
	}
	return Question{ID: c.ID, CheckedRequest: checked}, nil
}

// newToken makes a secret of 256 random bits for a page's form.
func newToken() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// Grant carries out what a user has approved: it makes a key or, for a request of [site.KindOneTime], a one-time
// password, encrypts it to the app and stores it. It judges the stored request by the rules that hold now, and
// narrows it by the user's choice. One transaction consumes the question, removes the user's old key for that client,
// stores the new one, and answers a waiting device.
//
// If an answer has no redirect, the session that approved can get it again for ten minutes, so that its page can be
// loaded again. Nothing is made then.
//
// Errors: [userkeys.ConsentGone] if the question was answered, is too old, or was put to another user or session.
func (a *Authority) Grant(ctx context.Context, y Approval) (Granted, error) {
	g, err := a.grant(ctx, y)
	if y.Consent == "" || !errors.Is(err, userkeys.ConsentGone) {
		return g, err
	}
	shown, again := a.store.ShownAnswer(ctx, y.Consent, a.now())
	switch {
	case again != nil && !errors.Is(again, userkeys.ConsentGone):
		return Granted{}, again
	case again != nil, shown.Key.UserID != y.By.User.ID, !sameSession(shown.Session, y.By):
		return Granted{}, err
	}
	return Granted{Key: shown.Key, Payload: shown.Payload}, nil
}

func (a *Authority) grant(ctx context.Context, y Approval) (Granted, error) {
	r, err := a.requested(ctx, y)
	if err != nil {
		return Granted{}, err
	}
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Granted{}, err
	}
	if err := a.mayGrant(ctx, y.By.User); err != nil {
		return Granted{}, err
	}
	if r.Kind == site.KindOneTime {
		return a.grantOneTimePassword(ctx, checked, y)
	}
	return a.grantKey(ctx, checked, y)
}

// requested returns the request that y approves.
func (a *Authority) requested(ctx context.Context, y Approval) (site.AuthorizationRequest, error) {
	switch {
	case y.Request != nil:
		return *y.Request, nil
	case y.Device != "":
		q, err := a.OpenDevice(ctx, y.Device, y.By)
		return q.AuthorizationRequest, err
	}
	c, err := a.OpenConsent(ctx, y.Consent, y.By)
	switch {
	case err != nil || c.Request.Kind == y.Kind:
		return c.Request, err
	}
	return c.Request, userkeys.Errorf(userkeys.InvalidParameters, "this answers a request of another kind than was asked")
}

// askedIn names where a question is put to a user, which is where it must be answered: the session of a browser, or
// the admin API key with which the site's own program asks and answers for the user.
func askedIn(by site.Caller) string {
	if by.AdminKey != 0 {
		return "admin key " + strconv.FormatInt(by.AdminKey, 10)
	}
	return by.Session.ID
}

func sameSession(id string, by site.Caller) bool {
	return subtle.ConstantTimeCompare([]byte(id), []byte(askedIn(by))) == 1
}

// ReasonMayNotAct is the reason of the error for a user who is suspended or inactive, so that all keys of the user
// would be refused.
const ReasonMayNotAct = "owner may not act"

// mayGrant checks that a user may grant keys.
//
// Errors: [userkeys.UserNotAllowed], with [ReasonMayNotAct] if no key of the user would work.
func (a *Authority) mayGrant(ctx context.Context, u site.User) error {
	if err := a.mayAct(ctx, u); err != nil {
		return err
	}
	return a.Settings().CheckGrantor(u)
}

// mayAct checks that keys of a user would work. It looks at the stored user, as the check of a key does, because the
// session of an embedder may know less about the user.
func (a *Authority) mayAct(ctx context.Context, u site.User) error {
	u, err := a.store.User(ctx, u.ID)
	refuse := func(why string) error {
		return &userkeys.Error{
			Code: userkeys.UserNotAllowed, Reason: ReasonMayNotAct, Public: why + ", so no key for it would work",
		}
	}
	switch {
	case errors.Is(err, userkeys.NotFound):
		return refuse("there is no such account among those that may have keys")
	case err != nil:
		return err
	case !u.SuspendedAt.IsZero():
		return refuse("this account is suspended")
	case !u.MayAct():
		return refuse("this account is not active")
	case u.Paused(a.pauseAfter, a.now()):
		return refuse("you have not signed in for too long through the provider of your account; sign in there first")
	}
	return nil
}

// SpendOnce notes that what has this token, such as a form, was used.
//
// Errors: [userkeys.Conflict] if it was sent before.
func (a *Authority) SpendOnce(ctx context.Context, token string, until time.Time) error {
	return a.store.SpendOnce(ctx, token, until)
}

// OpenConsent returns a question that was put to b and is not answered yet.
//
// Errors: [userkeys.ConsentGone] if it was answered, is too old, or was put to somebody else or in another session.
func (a *Authority) OpenConsent(ctx context.Context, id string, b site.Caller) (site.Consent, error) {
	c, err := a.store.Consent(ctx, id)
	switch {
	case err != nil:
		return c, err
	case c.UserID != b.User.ID,
		!sameSession(c.Session, b),
		!a.now().Before(c.ExpiresAt):
		return c, site.ErrConsentGone
	}
	return c, nil
}

// Deny answers a question with no. It returns the address at which a program on the user's own machine is told so,
// and does not wait in vain; for all other apps, which are not told, the address is empty.
func (a *Authority) Deny(ctx context.Context, consentID string, b site.Caller) (string, error) {
	c, err := a.OpenConsent(ctx, consentID, b)
	if err != nil {
		return "", err
	}
	if err := a.store.DeleteConsent(ctx, consentID, b.At(a.now())); err != nil {
		return "", err
	}
	return c.Request.DeniedLocation(), nil
}
