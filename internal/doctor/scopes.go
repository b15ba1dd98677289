package doctor

import (
	"context"
	"errors"

	"userkeys"
)

// lookAtScopes asks for all scopes at once, and one by one where the site does not say which it refuses.
func (e *examination) lookAtScopes(ctx context.Context) {
	s := scopeCheck{e}
	if e.closed {
		e.find(CheckScope, Skipped, gaveNoKeys)
		return
	}
	err := e.ask(ctx, e.cfg.Scopes, nil)
	switch {
	case errors.Is(err, userkeys.UserNotAllowed):
		e.trustErr = err
		s.allowAll()
	case err == nil:
		s.allowAll()
	case !isRefusal(err):
		e.unsure = true
		e.unasked(CheckScope, err)
	case errors.Is(err, userkeys.KeysNotAllowed):
		e.closed = true
		e.find(CheckScope, Problem, "%s", userkeys.AsError(err).Public).
			advise("an administrator can set allow_user_api_keys to true")
	case e.userkeysSite() && errors.Is(err, userkeys.ScopeNotAllowed):
		s.asDescribed()
	default:
		s.oneByOne(ctx, err)
	}
}

// A scopeCheck finds out which of the scopes the site allows.
type scopeCheck struct{ *examination }

// allowAll notes that the site allows all scopes that were asked for.
func (e scopeCheck) allowAll() {
	e.allowed = e.cfg.Scopes
	for _, name := range e.cfg.Scopes {
		e.find(CheckScope, OK, "%s: allowed", name)
	}
}

// asDescribed compares the scopes with those that the site describes.
func (e scopeCheck) asDescribed() {
	var names userkeys.Scopes
	for _, s := range e.support.Description.Scopes {
		names = append(names, s.Name)
	}
	for _, name := range e.cfg.Scopes {
		if names.Has(name) {
			e.isAllowed(name)
			continue
		}
		e.find(CheckScope, Problem, "%s: not allowed; the site allows %s", name, names).advise(addScope(name))
	}
}

func (e scopeCheck) isAllowed(name string) {
	e.allowed = append(e.allowed, name)
	e.find(CheckScope, OK, "%s: allowed", name)
}

func addScope(name string) string {
	return "ask without it, or have an administrator add it to the setting " + scopeSetting + ": " + name
}

// oneByOne finds out which scope it is that a site refuses without a reason; refusal is its no to all of them.
func (e scopeCheck) oneByOne(ctx context.Context, refusal error) {
	var refused userkeys.Scopes
	for i, name := range e.cfg.Scopes {
		if i == maxScopesOneByOne {
			e.find(CheckScope, Skipped, "%s: not asked; only %d are tried one by one", e.cfg.Scopes[i:], maxScopesOneByOne).
				advise("ask for fewer")
			break
		}
		err := refusal
		if len(e.cfg.Scopes) > 1 {
			err = e.ask(ctx, userkeys.Scopes{name}, nil)
		}
		switch {
		case err == nil:
			e.isAllowed(name)
		case isRefusal(err):
			refused = append(refused, name)
		default:
			e.unsure = true
			e.unasked(CheckScope, err)
			return
		}
	}
	if len(refused) == 0 {
		if len(e.allowed) > 0 {
			e.find(CheckScope, Warning, "each scope is allowed alone, but not all of them together").
				advise("ask for fewer scopes")
		}
		return
	}
	if len(e.allowed) == 0 && (e.cfg.Scopes.Has(userkeys.ScopeRead) ||
		e.ask(ctx, userkeys.Scopes{userkeys.ScopeRead}, nil) != nil) {
		e.find(CheckScope, Problem, "%s: refused without a reason; nothing else is allowed either, so it may be the whole "+
			"feature that is off", refused).
			advise("have an administrator look at " + scopeSetting + " and, of older sites, allow_user_api_keys")
		return
	}
	for _, name := range refused {
		e.find(CheckScope, Problem, "%s: not allowed", name).advise(addScope(name))
	}
}
