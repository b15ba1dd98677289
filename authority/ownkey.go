package authority

import (
	"context"
	"errors"
	"time"

	"userkeys"
	"userkeys/site"
)

var (
	rebinds  = perMinute("rebind", 5)
	moves    = stored("rebind", 20, 24*time.Hour) // each costs a line of the log for good
	renewals = stored("renewal", 10, time.Hour)
	secrets  = perMinute("push secret", 10)
)

// Rebind moves a key that was found good to the client that its app names (W7.4), and returns the access with the
// client that the key then has. A move that is not allowed is ignored and does not fail the request, because the
// header is only a hint. The limits of the key go on as they were (RL3).
func (a *userKeys) Rebind(ctx context.Context, acc userkeys.Access, clientID string) userkeys.Access {
	if !site.MayRebind(acc.ClientID, clientID) || a.charge(ctx, rebinds, keySubject(acc)) != nil {
		return acc
	}
	if a.charge(ctx, moves, keySubject(acc)) != nil {
		return acc
	}
	if err := a.store.RebindKey(ctx, acc.KeyID, clientID, site.KeyCaller(acc, "").At(a.now().UTC())); err != nil {
		if !errors.Is(err, userkeys.InvalidAccess) {
			a.log.WarnContext(ctx, "a key could not be moved to another client", "key", acc.KeyID, "err", err)
		}
		return acc
	}
	acc.ClientID = clientID
	return acc
}

// ChargePushSecret counts that an app asks for the push secret of its key, which takes the work of an encryption.
//
// Errors: [userkeys.RateLimited] if it asks too often.
func (a *userKeys) ChargePushSecret(acc userkeys.Access) error {
	return a.chargeHere(secrets, keySubject(acc))
}

// Renewed is the key that replaces another one.
type Renewed struct {
	Payload   string    // sealed to the key of the grant
	ExpiresAt time.Time // zero: no end of its own
}

// Renew replaces a key that was found good by one with the same grant. The new key is encrypted to the public key of
// the grant, so that only the app that was approved can open it. Scopes, limits and the time of the approval stay the
// same. The old key works for ten more minutes.
//
// Errors: [userkeys.Conflict] if the user must be asked again, [userkeys.RateLimited].
func (a *userKeys) Renew(ctx context.Context, acc userkeys.Access, nonce, ip string) (Renewed, error) {
	if err := a.charge(ctx, renewals, keySubject(acc)); err != nil {
		return Renewed{}, err
	}
	k, err := a.store.Key(ctx, acc.KeyID)
	if err != nil {
		return Renewed{}, err
	}
	s, now := a.Settings(), a.now().UTC()
	end, err := s.RenewedEnd(k, now)
	if err != nil {
		return Renewed{}, err
	}
	public, err := userkeys.ParsePublicKey(k.PublicKey)
	if err != nil {
		return Renewed{}, err
	}
	key := userkeys.NewKey(s.UserAPIKeyPrefix)
	payload := userkeys.Payload{Key: key, Nonce: nonce, Push: s.Pushes(k.Scopes, k.PushURL)}
	out := Renewed{ExpiresAt: end}
	if out.Payload, err = payload.Seal(public, k.Padding); err != nil {
		return Renewed{}, err
	}
	err = a.store.RenewKey(ctx, site.Renewal{
		KeyID: k.ID, Presented: acc.KeyHash, Hash: key.Hash(), ExpiresAt: end, OldUntil: now.Add(site.RenewedKeyGrace),
		At: now, Caller: site.KeyCaller(acc, ip),
	})
	if err != nil {
		return Renewed{}, err
	}
	return out, nil
}
