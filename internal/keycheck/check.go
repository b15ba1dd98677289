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
	var f found
	if err := ck.find(ctx, &h, ck.now(), &f); err != nil {
		return userkeys.Access{}, err
	}
	p := ck.policy.Load()
	// The charge is made whether or not the caller still waits for the answer.
	var acc userkeys.Access
	why, d := ck.decide(&f, p, &c, &acc)
	switch why {
	case keyLimit:
		return userkeys.Access{}, keyLimitNames.exceeded(d, p.limits)
	case userLimit:
		return userkeys.Access{}, ownerLimitNames.exceeded(d, p.userLimits)
	case noScope:
		return userkeys.Access{}, ck.missingScope(p, c)
	case suspended:
		return userkeys.Access{}, userkeys.ErrInvalidKey
	case ownerGone:
		return userkeys.Access{}, userkeys.ErrOwnerGone
	}
	if c.Present {
		ck.seen.note(acc.UserID, f.now)
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

// decide charges and decides one request with a live key, and unlocks its shard. If the request is granted, it sets
// acc. If a limit refuses it, the decision says for how long.
func (ck *Checker) decide(f *found, p *policy, c *site.Call, acc *userkeys.Access) (refusal, limit.Decision) {
	s, a := f.shard, f.account
	defer s.Unlock()
	d, byUser := ck.charge(f, p)
	switch {
	case byUser:
		return userLimit, d
	case !d.OK:
		return keyLimit, d
	}
	s.markDirty(a, f.number) // its day has to be saved, also if the request is refused now
	switch {
	case !c.ManagesItself && !s.standings.Value(a.Data.standing).covers(c.Method, c.Path):
		return noScope, d
	case !a.Data.is(ownerMayAct):
		return suspended, d
	case a.Data.paused(f.now):
		return ownerGone, d
	}
	a.Data.lastUsed = f.now.UnixMicro()
	f.access(acc)
	return granted, d
}

// Look returns what a key that is good now gives, and when it ends; the zero time: by itself never. It charges nothing
// and notes no use: it is for questions about a key that no request was made with.
// Errors: [userkeys.ErrInvalidKey], [userkeys.ErrOwnerGone], [userkeys.Unavailable].
func (ck *Checker) Look(ctx context.Context, text string) (userkeys.Access, time.Time, error) {
	none, never := userkeys.Access{}, time.Time{}
	key, err := userkeys.ParseKey(text)
	if err != nil {
		return none, never, err
	}
	h := key.Hash()
	var f found
	if err := ck.find(ctx, &h, ck.now(), &f); err != nil {
		return none, never, err
	}
	defer f.shard.Unlock()
	switch r := &f.account.Data; {
	case !r.is(ownerMayAct):
		return none, never, userkeys.ErrInvalidKey
	case r.paused(f.now):
		return none, never, userkeys.ErrOwnerGone
	}
	var acc userkeys.Access
	f.access(&acc)
	ends := f.account.Data.ends
	if f.ends != 0 && (ends == 0 || f.ends < ends) {
		ends = f.ends
	}
	if ends == 0 {
		return acc, never, nil
	}
	return acc, time.UnixMicro(ends), nil
}

// Holds reports whether an access that was given before would still be given. It charges nothing. It is for streams
// that go on after the check.
func (ck *Checker) Holds(ctx context.Context, acc userkeys.Access) error {
	var f found
	if err := ck.find(ctx, &acc.KeyHash, ck.now(), &f); err != nil {
		return err
	}
	defer f.shard.Unlock()
	r := &f.account.Data
	scopes := f.shard.standings.Value(r.standing).Scopes
	switch {
	case slices.ContainsFunc(acc.Scopes, func(n string) bool { return !scopes.Has(n) }):
		return userkeys.ErrInvalidKey
	case !r.is(ownerMayAct):
		return userkeys.ErrInvalidKey
	case r.paused(f.now):
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
