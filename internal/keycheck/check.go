package keycheck

import (
	"context"
	"time"

	"userkeys/site"

	"userkeys"
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
	rec, place, err := ck.find(ctx, &h, now)
	if err != nil {
		return userkeys.Access{}, err
	}
	p := ck.policy.Load()
	// The charge is made whether or not the caller still waits for the answer.
	if err := ck.chargeKey(&rec, p, now); err != nil {
		return userkeys.Access{}, err
	}
	if !c.ManagesItself && !rec.standing.covers(c.Method, c.Path) {
		return userkeys.Access{}, ck.missingScope(p, c)
	}
	if !rec.mayAct() {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	if rec.paused(now) {
		return userkeys.Access{}, userkeys.ErrOwnerGone
	}
	ck.cache.used(&h, place, now)
	if c.Present {
		ck.seen.note(rec.userID, now)
	}
	return rec.access(), nil
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
	rec, _, err := ck.find(ctx, &h, now)
	switch {
	case err != nil:
		return none, time.Time{}, err
	case !rec.mayAct():
		return none, time.Time{}, userkeys.ErrInvalidKey
	case rec.paused(now):
		return none, time.Time{}, userkeys.ErrOwnerGone
	case rec.ends == 0:
		return rec.access(), time.Time{}, nil
	}
	return rec.access(), time.UnixMicro(rec.ends), nil
}

// Holds reports whether an access that was given before would still be given. It charges nothing. It is for streams
// that go on after the check.
func (ck *Checker) Holds(ctx context.Context, acc userkeys.Access) error {
	now := ck.now()
	rec, _, err := ck.find(ctx, &acc.KeyHash, now)
	if err != nil {
		return err
	}
	for _, n := range acc.Scopes {
		if !rec.standing.Scopes.Has(n) {
			return userkeys.ErrInvalidKey
		}
	}
	if !rec.mayAct() {
		return userkeys.ErrInvalidKey
	}
	if rec.paused(now) {
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
