package authority

import (
	"context"
	"strconv"
	"time"

	"userkeys"
	"userkeys/limit"
)

// Check charges and decides one request with a key, in the order of Discourse
// (wire 7.2): an unknown, revoked or expired key is refused and charged
// nothing; then both windows, together; then the scopes; then the owner.
//
// Errors: [userkeys.ErrInvalidKey], [userkeys.InvalidAccess] with the missing
// scope as its reason, [userkeys.RateLimited], [userkeys.Unavailable].
func (a *Authority) Check(ctx context.Context, c userkeys.Call) (userkeys.Access, error) {
	key, err := userkeys.ParseKey(c.Key)
	if err != nil {
		return userkeys.Access{}, err
	}
	h := key.Hash()
	now := a.now()
	rec, place, err := a.find(ctx, &h, now)
	if err != nil {
		return userkeys.Access{}, err
	}
	p := a.policy.Load()
	// The charge is made whether or not the caller still waits for the answer.
	if d := a.limiter.Take(rec.keyID, now, p.limits); !d.OK {
		return userkeys.Access{}, limited(d, p.limits)
	}
	if !c.ManagesItself && !rec.standing.covers(c.Method, c.Path) {
		return userkeys.Access{}, a.missingScope(p, c)
	}
	if !rec.mayAct {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	a.cache.used(&h, place, now)
	return rec.access(), nil
}

// Holds tells whether an access given earlier would still be given; it charges
// nothing. It is for streams that outlive the check.
func (a *Authority) Holds(ctx context.Context, acc userkeys.Access) error {
	rec, _, err := a.find(ctx, &acc.KeyHash, a.now())
	if err != nil {
		return err
	}
	for _, n := range acc.Scopes {
		if !rec.standing.Scopes.Has(n) {
			return userkeys.ErrInvalidKey
		}
	}
	if !rec.mayAct {
		return userkeys.ErrInvalidKey
	}
	return nil
}

// missingScope says which scope would help. Only the holder of a live key
// gets this far, so it tells a stranger nothing.
func (a *Authority) missingScope(p *policy, c userkeys.Call) error {
	name := a.catalog.Missing(p.settings.AllowUserAPIKeyScopes, c.Method, c.Path)
	if name == "" { // perhaps one that the site allows to no app now
		name = a.catalog.Missing(a.allScopes(), c.Method, c.Path)
	}
	reason := "missing scope: " + name
	if name == "" {
		reason = "no scope of this site allows this request"
	}
	return &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: reason}
}

func (a *Authority) allScopes() userkeys.Scopes {
	var names userkeys.Scopes
	for _, s := range a.catalog.Scopes() {
		names = append(names, s.Name)
	}
	return names
}

// limited is the refusal of a window, with the wire's code for it (13.1).
func limited(d limit.Decision, l limit.Limits) error {
	n, code := l.Minute, "user_api_key_limiter_60_secs"
	if d.Window == limit.Day {
		n, code = l.Day, "user_api_key_limiter_1_day"
	}
	e := &userkeys.Error{
		Code: userkeys.RateLimited, RetryAfter: d.RetryAfter, LimitCode: code,
		Reason: "limit: " + strconv.Itoa(max(n, 0)) + " per " + strconv.Itoa(int(d.Window.Length()/time.Second)) + " s",
	}
	e.Public = "This key was used too many times. Please wait " + e.TimeLeft() + " before trying again."
	return e
}
