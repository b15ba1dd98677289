package keycheck

import (
	"context"
	"slices"
	"time"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// Check charges and decides one request with a key, in the order of Discourse (W7.2). A key that is unknown, revoked
// or expired is refused and not charged. Then both windows are charged together. Then the scopes are checked, and
// then the owner.
//
// Errors: [userkeys.ErrInvalidKey], [userkeys.InvalidAccess] with the missing scope as its reason,
// [userkeys.ErrOwnerGone], [userkeys.RateLimited], [userkeys.Unavailable].
func (ck *Checker) Check(ctx context.Context, c site.Call) (userkeys.Access, error) {
	key, err := userkeys.ParseKey(c.Key)
	if err != nil {
		return userkeys.Access{}, err
	}
	h := key.Hash()
	now := ck.now()
	f, err := ck.find(ctx, &h, now)
	if err != nil {
		return userkeys.Access{}, err
	}
	p := ck.policy.Load()
	// The charge is made whether or not the caller still waits for the answer.
	acc, why, d := ck.decide(&f, p, c, now)
	switch why {
	case keyLimit:
		return userkeys.Access{}, keyWindows.exceeded(d, p.limits)
	case userLimit:
		return userkeys.Access{}, userWindows.exceeded(d, p.userLimits)
	case noScope:
		return userkeys.Access{}, ck.missingScope(p, c)
	case suspended:
		return userkeys.Access{}, userkeys.ErrInvalidKey
	case ownerGone:
		return userkeys.Access{}, userkeys.ErrOwnerGone
	}
	if c.Present {
		ck.seen.note(acc.UserID, now)
	}
	return acc, nil
}

// refusal is why a live key is refused.
type refusal int

const (
	granted refusal = iota
	keyLimit
	userLimit
	noScope
	suspended
	ownerGone
)

// decide charges and decides one request with a live key, and unlocks its shard.
func (ck *Checker) decide(f *found, p *policy, c site.Call, now time.Time) (userkeys.Access, refusal, limit.Decision) {
	defer f.Unlock()
	d, byUser := ck.charge(f, p)
	switch {
	case byUser:
		return userkeys.Access{}, userLimit, d
	case !d.OK:
		return userkeys.Access{}, keyLimit, d
	case !c.ManagesItself && !f.standings.At(f.Data.standing).covers(c.Method, c.Path):
		return userkeys.Access{}, noScope, d
	case !f.Data.is(ownerMayAct):
		return userkeys.Access{}, suspended, d
	case f.Data.paused(now):
		return userkeys.Access{}, ownerGone, d
	}
	f.used(f.account, f.number, now)
	return f.access(), granted, d
}

// Look returns what a key that is good now gives, and when it ends; the zero time: by itself never. It charges nothing
// and notes no use: it is for questions about a key that no request was made with.
// Errors: [userkeys.ErrInvalidKey], [userkeys.ErrOwnerGone], [userkeys.Unavailable].
func (ck *Checker) Look(ctx context.Context, text string) (userkeys.Access, time.Time, error) {
	none := userkeys.Access{}
	key, err := userkeys.ParseKey(text)
	if err != nil {
		return none, time.Time{}, err
	}
	h, now := key.Hash(), ck.now()
	f, err := ck.find(ctx, &h, now)
	if err != nil {
		return none, time.Time{}, err
	}
	defer f.Unlock()
	ends := f.Data.ends
	if f.ends != 0 && (ends == 0 || f.ends < ends) {
		ends = f.ends
	}
	switch {
	case !f.Data.is(ownerMayAct):
		return none, time.Time{}, userkeys.ErrInvalidKey
	case f.Data.paused(now):
		return none, time.Time{}, userkeys.ErrOwnerGone
	case ends == 0:
		return f.access(), time.Time{}, nil
	}
	return f.access(), time.UnixMicro(ends), nil
}

// Holds reports whether an access that was given before would still be given. It charges nothing. It is for streams
// that go on after the check.
func (ck *Checker) Holds(ctx context.Context, acc userkeys.Access) error {
	now := ck.now()
	f, err := ck.find(ctx, &acc.KeyHash, now)
	if err != nil {
		return err
	}
	defer f.Unlock()
	scopes := f.standings.At(f.Data.standing).Scopes
	switch {
	case slices.ContainsFunc(acc.Scopes, func(n string) bool { return !scopes.Has(n) }):
		return userkeys.ErrInvalidKey
	case !f.Data.is(ownerMayAct):
		return userkeys.ErrInvalidKey
	case f.Data.paused(now):
		return userkeys.ErrOwnerGone
	}
	return nil
}

// missingScope returns the error that names the scope which would allow the request. Only the holder of a live key
// gets this error, so it reveals nothing to a stranger.
func (ck *Checker) missingScope(p *policy, c site.Call) error {
	name := ck.catalog.Missing(p.settings.AllowUserAPIKeyScopes, c.Method, c.Path)
	if name == "" { // perhaps one that the site allows to no app now
		name = ck.catalog.Missing(ck.allScopes(), c.Method, c.Path)
	}
	reason := "missing scope: " + name
	if name == "" {
		reason = "no scope of this site allows this request"
	}
	return &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: reason}
}

func (ck *Checker) allScopes() userkeys.Scopes {
	var names userkeys.Scopes
	for _, s := range ck.catalog.Scopes() {
		names = append(names, s.Name)
	}
	return names
}
