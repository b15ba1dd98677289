package store

import (
	"cmp"
	"context"

	"userkeys/site"
)

func scanSetting(r row) ([2]string, error) {
	var s [2]string
	err := r.Scan(&s[0], &s[1])
	return s, err
}

// SettingValues returns the settings that were changed, by name.
func (s *Store) SettingValues(ctx context.Context) (map[string]string, error) {
	return read(ctx, s, func(c conn) (map[string]string, error) {
		pairs, err := all(c, scanSetting, "SELECT name, value FROM userkeys_settings")
		if err != nil {
			return nil, err
		}
		values := make(map[string]string, len(pairs))
		for _, p := range pairs {
			values[p[0]] = p[1]
		}
		return values, nil
	})
}

// SetSetting stores the value of a setting, which the caller has validated.
func (s *Store) SetSetting(ctx context.Context, name, value string, act site.Act) error {
	if err := cmp.Or(checkIndexed(name), checkText(value), checkCaller(act.By)); err != nil {
		return err
	}
	return s.changeSetting(ctx, site.AuditEvent{
		At: act.At, Caller: act.By, Action: actionSettingChanged, Detail: settingDetail(name, value),
	}, `INSERT INTO userkeys_settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}

// ResetSetting forgets the value of a setting. Nothing is written to the audit log if the setting was not changed.
func (s *Store) ResetSetting(ctx context.Context, name string, act site.Act) error {
	if err := cmp.Or(checkIndexed(name), checkCaller(act.By)); err != nil {
		return err
	}
	return s.changeSetting(ctx, site.AuditEvent{
		At: act.At, Caller: act.By, Action: actionSettingReset, Detail: name,
	}, "DELETE FROM userkeys_settings WHERE name = $1", name)
}

func (s *Store) changeSetting(ctx context.Context, e site.AuditEvent, query string, args ...any) error {
	return s.writeUrgent(ctx, func(c conn) error {
		n, err := c.exec(query, args...)
		if err != nil || n == 0 {
			return err
		}
		if err := audit(c, e); err != nil {
			return err
		}
		return raiseAll(c, e.At)
	})
}

// settingDetail returns the name of a setting with its value, unless the value may be a secret.
func settingDetail(name, value string) string {
	d, err := site.FindSetting(name)
	if err != nil || d.Secret {
		return name
	}
	return name + " = " + value
}
