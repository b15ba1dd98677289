package authority

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
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

// Examine tells whether the site would put this request to a user, before anybody signed in.
func (a *Authority) Examine(ctx context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	client, err := a.store.Client(ctx, r.ClientID)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return site.CheckedRequest{}, err
	}
	return r.Check(a.Settings(), a.catalog, client)
}

// Prepare examines r, checks that the user may grant, and keeps the question for ten minutes.
func (a *Authority) Prepare(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (Question, error) {
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Question{}, err
	}
	if err := a.mayGrant(ctx, b); err != nil {
		return Question{}, err
	}
	return a.ask(ctx, r, checked, b)
}

// ask keeps the question for ten minutes.
func (a *Authority) ask(ctx context.Context, r site.AuthorizationRequest, checked site.CheckedRequest, b site.Caller) (Question, error) {
	var id [32]byte
	_, _ = rand.Read(id[:])
	now := a.now()
	c := site.Consent{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), UserID: b.User.ID, Session: b.Session.ID,
		Request: r, CreatedAt: now, ExpiresAt: now.Add(ConsentLifetime),
	}
	if err := a.store.CreateConsent(ctx, c); err != nil {
		return Question{}, err
	}
	return Question{ID: c.ID, CheckedRequest: checked}, nil
}

// Grant answers a question with yes: makes the key, seals it, stores it. What
// counts is the question as it was kept, judged by the rules of now, and
// narrowed by the user's choice. In one transaction the question is consumed,
// the user's old key for that client goes, the new one comes.
//
// An answer that has no way back is given again to the session that approved, for ten minutes: its page can be loaded
// again. Nothing is made then, and it is sealed to the app.
//
// [userkeys.ConsentGone] if the question was answered, is too old, or was put to another user or session.
func (a *Authority) Grant(ctx context.Context, consentID string, b site.Caller, choice site.Choice) (Granted, error) {
	g, err := a.grant(ctx, consentID, b, choice)
	if !errors.Is(err, userkeys.ConsentGone) {
		return g, err
	}
	shown, again := a.store.ShownAnswer(ctx, consentID, a.now())
	switch {
	case again != nil && !errors.Is(again, userkeys.ConsentGone):
		return Granted{}, again
	case again != nil, shown.Key.UserID != b.User.ID, subtle.ConstantTimeCompare([]byte(shown.Session), []byte(b.Session.ID)) != 1:
		return Granted{}, err
	}
	return Granted{Key: shown.Key, Payload: shown.Payload}, nil
}

func (a *Authority) grant(ctx context.Context, consentID string, b site.Caller, choice site.Choice) (Granted, error) {
	c, err := a.consent(ctx, consentID, b)
	if err != nil {
		return Granted{}, err
	}
	checked, err := a.Examine(ctx, c.Request)
	if err != nil {
		return Granted{}, err
	}
	if err := a.mayGrant(ctx, b); err != nil {
		return Granted{}, err
	}
	return a.answerYes(ctx, checked, reply{by: b, choice: choice, consentID: c.ID})
}

// ReasonMayNotAct is the reason of a refusal of a user whose keys would all be refused.
const ReasonMayNotAct = "owner may not act"

// mayGrant refuses a user who may not give keys.
// Errors: [userkeys.UserNotAllowed], with [ReasonMayNotAct] where no key of theirs would work.
func (a *Authority) mayGrant(ctx context.Context, b site.Caller) error {
	if err := a.mayAct(ctx, b); err != nil {
		return err
	}
	return a.Settings().CheckGrantor(b.User)
}

// mayAct refuses a user none of whose keys would work. The stored user counts, as in the check of a key: an embedder's
// session may tell less of the user.
func (a *Authority) mayAct(ctx context.Context, b site.Caller) error {
	u, err := a.store.User(ctx, b.User.ID)
	refuse := func(why string) error {
		return &userkeys.Error{Code: userkeys.UserNotAllowed, Reason: ReasonMayNotAct, Public: why + ", so no key for it would work"}
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
	}
	return nil
}

// SpendForm notes that a page's form was sent, by its token.
// Errors: [userkeys.Conflict] if it was sent before.
func (a *Authority) SpendForm(ctx context.Context, token string, until time.Time) error {
	return a.store.SpendForm(ctx, token, until)
}

// consent finds an open question that was put to b.
func (a *Authority) consent(ctx context.Context, id string, b site.Caller) (site.Consent, error) {
	c, err := a.store.Consent(ctx, id)
	switch {
	case err != nil:
		return c, err
	case c.UserID != b.User.ID,
		subtle.ConstantTimeCompare([]byte(c.Session), []byte(b.Session.ID)) != 1,
		!a.now().Before(c.ExpiresAt):
		return c, errConsentGone
	}
	return c, nil
}

var errConsentGone = userkeys.Errorf(userkeys.ConsentGone,
	"this request was answered already, or has expired; go back to the app and start again")

// GrantDirect answers a request that came whole, without a page before it: from
// the user's own program with the secret of their session, or from the site's
// program with an admin API key. The same rules hold as for [Authority.Grant].
func (a *Authority) GrantDirect(ctx context.Context, r site.AuthorizationRequest, b site.Caller) (Granted, error) {
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Granted{}, err
	}
	if err := a.mayGrant(ctx, b); err != nil {
		return Granted{}, err
	}
	return a.answerYes(ctx, checked, reply{by: b})
}

// Deny answers a question with no. It gives the address by which a program on the user's own machine
// is told, so that it need not wait; empty for any other app, which is not told.
func (a *Authority) Deny(ctx context.Context, consentID string, b site.Caller) (string, error) {
	c, err := a.consent(ctx, consentID, b)
	if err != nil {
		return "", err
	}
	if err := a.store.DeleteConsent(ctx, consentID, b.At(a.now())); err != nil {
		return "", err
	}
	return c.Request.DeniedLocation(), nil
}
