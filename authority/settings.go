package authority

import (
	"context"
	"strings"

	"userkeys"
	"userkeys/site"
)

// settings changes the site's settings.
type settings struct {
	*core
	store  SettingStore
	pinned map[string]string // by proper names
}

// checkPinned checks the settings that the configuration pins, and returns them by their proper names.
func checkPinned(pinned map[string]string, catalog *userkeys.Catalog) (map[string]string, error) {
	proper := make(map[string]string, len(pinned))
	probe := site.DefaultSettings()
	for name, value := range pinned {
		if err := probe.Set(name, value); err != nil {
			return nil, err
		}
		d, err := site.FindSetting(name)
		if err != nil {
			return nil, err
		}
		if err := checkScopes(probe, d.Name, catalog); err != nil {
			return nil, err
		}
		if proper[d.Name], err = probe.Value(d.Name); err != nil {
			return nil, err
		}
	}
	return proper, nil
}

// Pinned reports whether a setting is set by the configuration and cannot be changed here.
func (a *settings) Pinned(name string) bool {
	d, _ := site.FindSetting(name) // pinned has nothing without a name
	_, ok := a.pinned[d.Name]
	return ok
}

// ChangeSetting checks and stores the value of a setting, which is in force when it returns. name may be an alias.
//
// Errors: [userkeys.Conflict] if the setting is pinned, [userkeys.InvalidParameters] for a value that it cannot have.
func (a *settings) ChangeSetting(ctx context.Context, name, value string, by site.Caller) error {
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
	if err := checkScopes(s, d.Name, a.Catalog()); err != nil {
		return err
	}
	if err := a.store.SetSetting(ctx, d.Name, proper, by.At(a.now())); err != nil {
		return err
	}
	return a.Refresh(ctx)
}

// ReasonUnknownScope is the reason of the error for a setting that names a scope which the catalog of the site does
// not have.
const ReasonUnknownScope = "unknown scope"

// checkScopes checks that a setting which lists scopes names only scopes of the catalog.
func checkScopes(s site.Settings, setting string, catalog *userkeys.Catalog) error {
	var names userkeys.Scopes
	switch setting {
	case "allow_user_api_key_scopes":
		names = s.AllowUserAPIKeyScopes
	case "allow_user_api_key_client_scopes":
		names = s.AllowUserAPIKeyClientScopes
	}
	for _, n := range names {
		if _, ok := catalog.Scope(n); !ok {
			var known []string
			for _, scope := range catalog.Scopes() {
				known = append(known, scope.Name)
			}
			err := userkeys.Errorf(userkeys.InvalidParameters,
				"%s: this site has no scope %s; it has %s", setting, n, strings.Join(known, ", "))
			err.Reason = ReasonUnknownScope
			return err
		}
	}
	return nil
}

// ResetSetting resets a setting to its default.
//
// Errors: [userkeys.Conflict] if the setting is pinned.
func (a *settings) ResetSetting(ctx context.Context, name string, by site.Caller) error {
	d, err := a.changeable(name)
	if err != nil {
		return err
	}
	if err := a.store.ResetSetting(ctx, d.Name, by.At(a.now())); err != nil {
		return err
	}
	return a.Refresh(ctx)
}

func (a *settings) changeable(name string) (site.Setting, error) {
	d, err := site.FindSetting(name)
	if err == nil && a.Pinned(d.Name) {
		err = userkeys.Errorf(userkeys.Conflict,
			"%s is set by the configuration of this server; change it there", d.Name)
	}
	return d, err
}
