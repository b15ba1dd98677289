package authority

import "userkeys/store"

// ConfigOf returns a Config over st, as changed by change.
func ConfigOf(st *store.Store, change ...func(*Config)) Config {
	c := Config{Store: st}
	for _, f := range change {
		f(&c)
	}
	return c
}
