package authority

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"

	"userkeys"
)

// ConsentLifetime is how long a question to a user stays open.
const ConsentLifetime = 10 * time.Minute

// Browser is who answers a question, and in which session.
type Browser struct {
	User    userkeys.User
	Session string
	IP      string
	Kind    userkeys.ActorKind // what speaks for the user; empty: they themselves
	// AdminKey is the id of the admin API key that speaks as User; 0: none.
	AdminKey int64
	// KeyID is the id of the app's key that speaks for the user; 0: none.
	KeyID int64
}

// actor is b as the audit log knows it.
func (b Browser) actor() userkeys.Actor {
	by := b.User.Actor(b.IP)
	if b.Kind != "" {
		by.Kind, by.AdminKey = b.Kind, b.AdminKey
	}
	return by
}

// Question is what a consent page asks.
type Question struct {
	ID string // of the consent record: the only thing that the form carries
	userkeys.CheckedRequest
}

// Granted is a grant that was made.
type Granted struct {
	Key      userkeys.UserAPIKey
	Payload  string // sealed, base64 in lines of 60 with a final newline
	Location string // the composed way back; empty: show the payload instead
}

// Examine tells whether the site would put this request to a user, before anybody signed in.
func (a *Authority) Examine(ctx context.Context, r userkeys.AuthorizationRequest) (userkeys.CheckedRequest, error) {
	client, err := a.store.Client(ctx, r.ClientID)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return userkeys.CheckedRequest{}, err
	}
	return r.Check(a.Settings(), a.catalog, client)
}

// Prepare examines r, checks that the user may grant, and keeps the question for ten minutes.
func (a *Authority) Prepare(ctx context.Context, r userkeys.AuthorizationRequest, b Browser) (Question, error) {
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Question{}, err
	}
	if err := a.Settings().CheckGrantor(b.User); err != nil {
		return Question{}, err
	}
	return a.ask(ctx, r, checked, b)
}

// ask keeps the question for ten minutes.
func (a *Authority) ask(ctx context.Context, r userkeys.AuthorizationRequest, checked userkeys.CheckedRequest, b Browser) (Question, error) {
	var id [32]byte
	_, _ = rand.Read(id[:])
	now := a.now()
	c := userkeys.Consent{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), UserID: b.User.ID, Session: b.Session,
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
// [userkeys.ConsentGone] if the question was answered, is too old, or was put to another user or session.
func (a *Authority) Grant(ctx context.Context, consentID string, b Browser, choice userkeys.Choice) (Granted, error) {
	c, err := a.consent(ctx, consentID, b)
	if err != nil {
		return Granted{}, err
	}
	checked, err := a.Examine(ctx, c.Request)
	if err != nil {
		return Granted{}, err
	}
	if err := a.Settings().CheckGrantor(b.User); err != nil {
		return Granted{}, err
	}
	return a.answerYes(ctx, checked, reply{by: b, choice: choice, consentID: c.ID})
}

// consent finds an open question that was put to b.
func (a *Authority) consent(ctx context.Context, id string, b Browser) (userkeys.Consent, error) {
	c, err := a.store.Consent(ctx, id)
	switch {
	case err != nil:
		return c, err
	case c.UserID != b.User.ID,
		subtle.ConstantTimeCompare([]byte(c.Session), []byte(b.Session)) != 1,
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
func (a *Authority) GrantDirect(ctx context.Context, r userkeys.AuthorizationRequest, b Browser) (Granted, error) {
	checked, err := a.Examine(ctx, r)
	if err != nil {
		return Granted{}, err
	}
	if err := a.Settings().CheckGrantor(b.User); err != nil {
		return Granted{}, err
	}
	return a.answerYes(ctx, checked, reply{by: b})
}

// Deny answers a question with no. It gives the address by which a program on the user's own machine
// is told, so that it need not wait; empty for any other app, which is not told.
func (a *Authority) Deny(ctx context.Context, consentID string, b Browser) (string, error) {
	c, err := a.consent(ctx, consentID, b)
	if err != nil {
		return "", err
	}
	if err := a.store.DeleteConsent(ctx, consentID, b.actor(), a.now()); err != nil {
		return "", err
	}
	return c.Request.DeniedLocation(), nil
}
