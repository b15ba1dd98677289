package authority

import "userkeys/store"

// ConfigOf returns a Config whose parts of the database are all st, as changed by change.
func ConfigOf(st *store.Store, change ...func(*Config)) Config {
	c := Config{
		Checks: st, Grants: st, Devices: st, OneTimes: st, Keys: st, Admin: st, Settings: st, CleanUp: st, Quotas: st,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}
