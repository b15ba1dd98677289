package authority

import (
	"context"
	"time"

	"userkeys"
	"userkeys/site"
)

// A reply is a user's yes to a request, and what is written with the key in the same transaction.
type reply struct {
	by        site.Caller
	choice    site.Choice
	consentID string                                   // consumed; empty: there was no page
	device    func(sealed string) *site.DeviceApproval // the device authorization that is answered; nil: none
}

// answerYes makes the key of a checked request, seals it and stores it.
// Size and sealing come before any write.
func (a *Authority) answerYes(ctx context.Context, r site.CheckedRequest, y reply) (Granted, error) {
	s, now := a.Settings(), a.now().UTC()
	r, err := r.Narrow(s, y.choice)
	if err != nil {
		return Granted{}, err
	}
	key := userkeys.NewKey(s.UserAPIKeyPrefix)
	payload := userkeys.Payload{Key: key, Nonce: r.Nonce, Push: r.Push}
	row := site.UserAPIKey{
		UserID: y.by.User.ID, ClientID: r.ClientID, ApplicationName: r.Name, Hash: key.Hash(),
		Scopes: r.Scopes, PushURL: r.PushURL, CreatedAt: now, LastUsedAt: now,
		PublicKey: r.KeyText, Padding: r.Pad, Lifetime: r.Lifetime,
	}
	if y.choice.Lifetime > 0 { // an end that the user set is no app's to move
		row.Lifetime = 0
	}
	if r.Ends > 0 {
		row.ExpiresAt = now.Add(r.Ends)
	}
	if r.Lifetime > 0 {
		payload.ExpiresAt = row.ExpiresAt
	}
	g := Granted{}
	if g.Payload, err = payload.Seal(r.Key, r.Pad); err != nil {
		return Granted{}, err
	}
	grant := site.Grant{
		Key: row, ConsentID: y.consentID, Caller: y.by, MaxKeys: s.MaxUserAPIKeysPerUser,
		MaxRecent: s.MaxUserAPIKeyGrantsPerHour, RecentSince: now.Add(-time.Hour),
	}
	if r.Redirect == nil && y.consentID != "" {
		grant.Shown = &site.ShownAnswer{Session: y.by.Session.ID, Payload: g.Payload, Until: now.Add(ConsentLifetime)}
	}
	if y.device != nil {
		grant.Device = y.device(g.Payload)
	}
	answer := []string{r.AnswerName(), g.Payload}
	if r.Scopes.Has(userkeys.ScopeOneTimePassword) {
		var sealed string
		if grant.OneTimePassword, sealed, err = a.newOneTimePassword(r, y.by); err != nil {
			return Granted{}, err
		}
		answer = append(answer, "oneTimePassword", sealed)
	}
	if g.Key, err = a.store.Grant(ctx, grant); err != nil {
		return Granted{}, err
	}
	if r.Redirect != nil {
		g.Location = r.Redirect.With(answer...)
	}
	return g, nil
}

// newOneTimePassword makes a password that signs the user in, and seals it to the app.
func (a *Authority) newOneTimePassword(r site.CheckedRequest, by site.Caller) (*site.OneTimePassword, string, error) {
	now := a.now().UTC()
	p := &site.OneTimePassword{
		Password: userkeys.NewOneTimePassword(), UserID: by.User.ID, ApplicationName: r.Name,
		CreatedAt: now, ExpiresAt: now.Add(site.OneTimeLifetime),
	}
	sealed, err := userkeys.SealOneTimePassword(r.Key, r.Pad, p.Password)
	return p, sealed, err
}
