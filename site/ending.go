package site

import (
	"time"

	"userkeys"
)

// Ending says why a key ends, or ended.
type Ending string

// The ways in which keys end.
const (
	EndNever    Ending = ""         // by itself: never
	EndLifetime Ending = "lifetime" // the lifetime that was granted
	EndUnused   Ending = "unused"   // revoke_user_api_keys_unused_days without use
	EndMaxLife  Ending = "max life" // revoke_user_api_keys_maxlife_days since the consent
	EndByOwner  Ending = "owner"    // revoked by its owner
	EndByApp    Ending = "app"      // revoked by the app itself
	EndByAdmin  Ending = "administrator"
)

// EndOf returns when and why k ended. For a live key it returns when the first rule will end it if it is not
// used before then; the zero time means never.
func (s Settings) EndOf(k UserAPIKey, now time.Time) (time.Time, Ending) {
	if !k.Live(now) {
		return k.ended()
	}
	at, why := k.ExpiresAt, EndLifetime
	if at.IsZero() {
		why = EndNever
	}
	for _, rule := range []struct {
		days int
		from time.Time
		why  Ending
	}{
		{s.RevokeUserAPIKeysUnusedDays, k.LastUsedAt, EndUnused},
		{s.RevokeUserAPIKeysMaxlifeDays, k.CreatedAt, EndMaxLife},
	} {
		if rule.days <= 0 {
			continue
		}
		if end := rule.from.AddDate(0, 0, rule.days); at.IsZero() || end.Before(at) {
			at, why = end, rule.why
		}
	}
	return at, why
}

func (k UserAPIKey) ended() (time.Time, Ending) {
	if k.RevokedAt.IsZero() {
		return k.ExpiresAt, EndLifetime
	}
	why := map[RevokedBy]Ending{
		RevokedByOwner: EndByOwner, RevokedByApp: EndByApp, RevokedByAdmin: EndByAdmin,
		RevokedByUnused: EndUnused, RevokedByMaxLife: EndMaxLife,
	}[k.RevokedBy]
	return k.RevokedAt, why
}

// RenewedEnd is when k ends if it is renewed now: the lifetime that the app
// asked for from now on, but never later than max_user_api_key_expiry_days after the consent,
// and where the user set an end, that end. A renewal that would not
// move the end is refused with [userkeys.Conflict], as is one of a key that was given before renewal was known.
func (s Settings) RenewedEnd(k UserAPIKey, now time.Time) (time.Time, error) {
	refuse := func(reason, public string) (time.Time, error) {
		return time.Time{}, &userkeys.Error{Code: userkeys.Conflict, Reason: reason, Public: public}
	}
	switch {
	case !s.AllowUserAPIKeys:
		return time.Time{}, s.givesKeys()
	case k.ByHand():
		return refuse("not renewable", "this key was made by hand and is not renewed; make another one")
	case k.PublicKey == "":
		return refuse("not renewable", "this key was given before renewal was known; ask the user to approve the app again")
	case k.Lifetime == 0: // the end that is there, if there is one, was set by the user
		return k.ExpiresAt, nil
	}
	end := now.Add(k.Lifetime)
	if last := k.CreatedAt.AddDate(0, 0, s.MaxUserAPIKeyExpiryDays); end.After(last) {
		end = last
	}
	if !end.After(k.ExpiresAt) {
		return refuse("maximum life reached", "this key cannot be prolonged any more; ask the user to approve the app again")
	}
	return end, nil
}
