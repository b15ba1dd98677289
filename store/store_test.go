package store_test

import (
	"testing"

	"userkeys/authority"
	"userkeys/internal/identity"
	"userkeys/store"
	"userkeys/store/storetest"
)

// The rooms above name what they need remembered; the store has all of it.
var (
	_ authority.Store = (*store.Store)(nil)
	_ identity.Store  = (*store.Store)(nil)
)

func TestConformance(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { storetest.Run(t, storetest.SQLite) })
	t.Run("Postgres", func(t *testing.T) { storetest.Run(t, storetest.Postgres) })
}
