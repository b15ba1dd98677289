package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// grantKey makes, encrypts and stores the key of a checked request. It encrypts before it writes anything, so that a
// payload that does not fit loses nothing.
func (a *Authority) grantKey(ctx context.Context, r site.CheckedRequest, y Approval) (Granted, error) {
	s, now := a.Settings(), a.now().UTC()
	r, err := r.Narrow(s, y.Choice)
	if err != nil {
		return Granted{}, err
	}
	text := userkeys.NewKey(s.UserAPIKeyPrefix)
	key := newUserAPIKey(r, y, now)
	key.Hash = text.Hash()
	payload := userkeys.Payload{Key: text, Nonce: r.Nonce, Push: r.Push}
	if r.Lifetime > 0 { // only an app that asked for an end is told one
		payload.ExpiresAt = key.ExpiresAt
	}
	sealed, err := payload.Seal(r.Key, r.Pad)
	if err != nil {
		return Granted{}, err
	}
	grant := newGrant(s, key, y.By)
	grant.ConsentID, grant.Destination = y.Consent, r.Destination()
	switch {
	case y.Device != "":
		grant.Device = &site.DeviceApproval{
			Approval: y.Device, Session: y.By.Session.ID, Payload: sealed, Until: now.Add(site.DevicePayloadFor),
		}
	case y.Consent != "" && r.Redirect == nil:
		grant.Shown = &site.ShownAnswer{Session: askedIn(y.By), Payload: sealed, Until: now.Add(ConsentLifetime)}
	}
	answer := []string{r.AnswerName(), sealed}
	if r.Scopes.Has(userkeys.ScopeOneTimePassword) {
		p, sealedPassword, err := a.newOneTimePassword(r, y.By)
		if err != nil {
			return Granted{}, err
		}
		grant.OneTimePassword = p
		answer = append(answer, "oneTimePassword", sealedPassword)
	}
	g := Granted{Payload: sealed}
	if g.Key, err = a.store.Grant(ctx, grant); err != nil {
		return Granted{}, err
	}
	if r.Redirect != nil {
		g.Location = r.Redirect.With(answer...)
	}
	if y.Device != "" {
		a.logDevice(ctx, "authorized", "approval", y.Device)
	}
	return g, nil
}

// newUserAPIKey returns the key that approval y gives to the app of a request, without its hash.
func newUserAPIKey(r site.CheckedRequest, y Approval, now time.Time) site.UserAPIKey {
	k := site.UserAPIKey{
		UserID: y.By.User.ID, ClientID: r.ClientID, ApplicationName: r.Name,
		Scopes: r.Scopes, PushURL: r.PushURL, CreatedAt: now, LastUsedAt: now,
		PublicKey: r.KeyText, Padding: r.Pad, Lifetime: r.Lifetime,
	}
	if y.Choice.Lifetime > 0 { // an end that the user set is no app's to move
		k.Lifetime = 0
	}
	if r.Ends > 0 {
		k.ExpiresAt = now.Add(r.Ends)
	}
	return k
}
