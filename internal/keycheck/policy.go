package keycheck

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// policy is the settings in force, with what is derived from them. It is never changed, but replaced when settings
// change; then every record of the table is read again.
type policy struct {
	settings site.Settings
	limits   limit.Limits
	// userLimits are the limits of all keys of a user together; zero: there are none.
	userLimits limit.Limits
	edge       *site.Edge
	profiles   bool // see Config.Profiles

	mu        sync.Mutex
	standings map[string]*standing
}

// standing is what keys with the same scopes, whose owners have the same rights, have in common. routes are those that
// the scopes allow.
type standing struct {
	userkeys.Standing
	routes []userkeys.Route
}

// maxStandings bounds how many standings a policy remembers. When there are more, it begins anew with none; records
// keep those that they have.
const maxStandings = 10_000

func newPolicy(s site.Settings) *policy {
	return &policy{
		settings:   s,
		limits:     limit.Limits{Minute: s.MaxUserAPIReqsPerMinute, Day: s.MaxUserAPIReqsPerDay},
		userLimits: userLimits(s),
		edge:       site.NewEdge(s),
		standings:  make(map[string]*standing),
	}
}

// standing returns the standing of a key under p. Only scopes that the site allows now count (SC5), so a scope that is
// removed from the setting is taken from every key.
func (p *policy) standing(c *userkeys.Catalog, k site.StoredKey) *standing {
	scopes := slices.DeleteFunc(slices.Clone(k.Scopes), func(n string) bool {
		return !p.settings.AllowUserAPIKeyScopes.Has(n)
	})
	var fullName, email string // with them, each user has a standing of their own
	if p.profiles {
		fullName, email = k.Owner.Name, k.Owner.Email
	}
	name := strings.Join([]string{
		scopes.String(), strings.Join(k.Owner.Groups, "|"), strconv.Itoa(k.Owner.TrustLevel),
		strconv.FormatBool(k.Owner.Admin), strconv.FormatBool(k.Owner.Moderator), k.Owner.Login, fullName, email,
	}, "\x00")
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.standings[name]; ok {
		return s
	}
	s := &standing{Standing: userkeys.Standing{
		Scopes: scopes, TrustLevel: k.Owner.TrustLevel, Admin: k.Owner.Admin,
		Moderator: k.Owner.Moderator, Groups: slices.Clone(k.Owner.Groups), Login: k.Owner.Login,
		Name: fullName, Email: email,
	}}
	for _, n := range scopes {
		if scope, ok := c.Scope(n); ok {
			s.routes = append(s.routes, scope.Routes...)
		}
	}
	if len(p.standings) >= maxStandings {
		clear(p.standings)
	}
	p.standings[name] = s
	return s
}

func (s *standing) covers(method, path string) bool {
	for i := range s.routes {
		if s.routes[i].Matches(method, path) {
			return true
		}
	}
	return false
}

// loadPolicy reads the settings. A stored value that this version does not accept, because another version wrote it,
// is logged, and the default is used.
func (ck *Checker) loadPolicy(ctx context.Context) error {
	stored, err := ck.store.SettingValues(ctx)
	if err != nil {
		return err
	}
	s := site.DefaultSettings()
	maps.Copy(stored, ck.pinned)
	for name, value := range stored {
		if err := s.Set(name, value); err != nil {
			ck.log.Warn("a stored setting is not used", "setting", name, "err", err)
		}
	}
	p := newPolicy(s)
	p.edge.SetCarriers(ck.carriers, s.UserAPIKeyPrefix)
	p.profiles = ck.profiles
	p.edge.Methods = moreMethods(ck.catalog)
	ck.policy.Store(p)
	return nil
}

// moreMethods returns those of [userkeys.MoreMethods] that some scope names.
func moreMethods(c *userkeys.Catalog) []string {
	var named []string
	for _, s := range c.Scopes() {
		for _, r := range s.Routes {
			method, _, _ := strings.Cut(r.String(), " ")
			if slices.Contains(userkeys.MoreMethods, method) && !slices.Contains(named, method) {
				named = append(named, method)
			}
		}
	}
	return named
}

// Settings returns the settings in force.
func (ck *Checker) Settings() site.Settings { return ck.policy.Load().settings }

// Edge returns what the settings in force say about requests before their keys are checked.
func (ck *Checker) Edge() *site.Edge { return ck.policy.Load().edge }

// Catalog returns the catalog of scopes of the site.
func (ck *Checker) Catalog() *userkeys.Catalog { return ck.catalog }
