package authority

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

// policy is the settings in force with what was derived from them. It is
// replaced as a whole; records made under an older one are forgotten.
type policy struct {
	settings site.Settings
	limits   limit.Limits
	// userLimits are those of all keys of a user together; zero: none.
	userLimits limit.Limits
	edge       *site.Edge

	mu        sync.Mutex
	standings map[string]*standing
}

// standing is what many keys have in common, with their routes laid out for the check.
type standing struct {
	userkeys.Standing
	routes []userkeys.Route
}

// maxStandings bounds how many are shared; past it new ones are made anew.
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

// standing is that of a key under p: of its scopes only those that the site
// still allows count (SC5), so that taking a scope off the list takes it from every key.
func (p *policy) standing(c *userkeys.Catalog, k site.StoredKey) *standing {
	scopes := slices.DeleteFunc(slices.Clone(k.Scopes), func(n string) bool {
		return !p.settings.AllowUserAPIKeyScopes.Has(n)
	})
	name := strings.Join([]string{
		scopes.String(), strings.Join(k.Owner.Groups, "|"), strconv.Itoa(k.Owner.TrustLevel),
		strconv.FormatBool(k.Owner.Admin), strconv.FormatBool(k.Owner.Moderator),
	}, "\x00")
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.standings[name]; ok {
		return s
	}
	s := &standing{Standing: userkeys.Standing{
		Scopes: scopes, TrustLevel: k.Owner.TrustLevel, Admin: k.Owner.Admin,
		Moderator: k.Owner.Moderator, Groups: slices.Clone(k.Owner.Groups),
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

// setPinned checks the pinned settings and keeps them under their proper names.
func (a *Authority) setPinned(pinned map[string]string) error {
	a.pinned = make(map[string]string, len(pinned))
	probe := site.DefaultSettings()
	for name, value := range pinned {
		if err := probe.Set(name, value); err != nil {
			return err
		}
		d, err := site.FindSetting(name)
		if err != nil {
			return err
		}
		if err := a.checkScopes(probe, d.Name); err != nil {
			return err
		}
		if a.pinned[d.Name], err = probe.Value(d.Name); err != nil {
			return err
		}
	}
	return nil
}

// loadPolicy reads the settings. A stored value that this version does not
// take (written by another version) is logged and its default stands.
func (a *Authority) loadPolicy(ctx context.Context) error {
	stored, err := a.store.SettingValues(ctx)
	if err != nil {
		return err
	}
	s := site.DefaultSettings()
	maps.Copy(stored, a.pinned)
	for name, value := range stored {
		if err := s.Set(name, value); err != nil {
			a.log.Warn("a stored setting is not used", "setting", name, "err", err)
		}
	}
	a.policy.Store(newPolicy(s))
	return nil
}

// Settings are the settings in force.
func (a *Authority) Settings() site.Settings { return a.policy.Load().settings }

// Edge is what the outer door needs of the settings in force.
func (a *Authority) Edge() *site.Edge { return a.policy.Load().edge }

// Catalog is the site's catalog of scopes.
func (a *Authority) Catalog() *userkeys.Catalog { return a.catalog }

// Pinned tells whether a setting is set by the configuration and cannot be changed here.
func (a *Authority) Pinned(name string) bool {
	d, err := site.FindSetting(name)
	if err != nil {
		return false
	}
	_, ok := a.pinned[d.Name]
	return ok
}

// ChangeSetting validates and stores a setting; it is in force when this returns.
// Names may be aliases. [userkeys.Conflict] if it is pinned.
func (a *Authority) ChangeSetting(ctx context.Context, name, value string, by site.Caller) error {
	s := a.Settings()
	if err := s.Set(name, value); err != nil {
		return err
	}
	d, err := a.changeable(name)
	if err != nil {
		return err
	}
	proper, err := s.Value(d.Name)
	if err != nil {
		return err
	}
	if err := a.checkScopes(s, d.Name); err != nil {
		return err
	}
	if err := a.store.SetSetting(ctx, d.Name, proper, by.At(a.now())); err != nil {
		return err
	}
	return a.renew(ctx)
}

// ReasonUnknownScope is the reason of the error of a setting that names a scope which the site's catalog does not have.
const ReasonUnknownScope = "unknown scope"

// checkScopes refuses, where the setting of that name lists scopes, names that no app could ever be given.
func (a *Authority) checkScopes(s site.Settings, setting string) error {
	var names userkeys.Scopes
	switch setting {
	case "allow_user_api_key_scopes":
		names = s.AllowUserAPIKeyScopes
	case "allow_user_api_key_client_scopes":
		names = s.AllowUserAPIKeyClientScopes
	}
	for _, n := range names {
		if _, ok := a.catalog.Scope(n); !ok {
			err := userkeys.Errorf(userkeys.InvalidParameters, "%s: this site has no scope %s; it has %s", setting, n, strings.Join(a.allScopes(), ", "))
			err.Reason = ReasonUnknownScope
			return err
		}
	}
	return nil
}

// ResetSetting gives a setting its default back.
func (a *Authority) ResetSetting(ctx context.Context, name string, by site.Caller) error {
	d, err := a.changeable(name)
	if err != nil {
		return err
	}
	if err := a.store.ResetSetting(ctx, d.Name, by.At(a.now())); err != nil {
		return err
	}
	return a.renew(ctx)
}

func (a *Authority) changeable(name string) (site.Setting, error) {
	d, err := site.FindSetting(name)
	if err == nil && a.Pinned(d.Name) {
		err = userkeys.Errorf(userkeys.Conflict, "%s is set by the configuration of this server; change it there", d.Name)
	}
	return d, err
}
