package keyset

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/internal/bench/minimum"
	"userkeys/site"
)

// scopes of every key.
var scopes = userkeys.Scopes{userkeys.ScopeRead, userkeys.ScopeNotifications}

// since is when users and keys in memory were made.
var since = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func userName(i int) string { return fmt.Sprintf("user%d", i) }

// A Memory is what checks of keys read and write, in memory, so that a million keys can be made in seconds. Each key
// belongs to another user. Uses are counted and discarded. It has no pointers to keys, so that the garbage collector
// does not scan it.
type Memory struct {
	Table    *minimum.Table    // which has the keys
	Settings map[string]string // those that differ from their defaults
	Uses     atomic.Int64      // how many were recorded
}

// KeyByHash finds a key.
func (m *Memory) KeyByHash(_ context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	i := m.Table.Find(h)
	if i < 0 {
		return site.StoredKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	id := int64(i + 1)
	return site.StoredKey{
		UserAPIKey: site.UserAPIKey{
			ID: id, UserID: id, ClientID: "0a1b2c3d-0000-4000-8000-000000000001", ApplicationName: "bench",
			Hash: h, Scopes: scopes, CreatedAt: since, LastUsedAt: since,
		},
		Owner: site.User{ID: id, Username: userName(i), TrustLevel: 1, Active: true, CreatedAt: since},
	}, nil
}

// RecordUses counts uses.
func (m *Memory) RecordUses(_ context.Context, uses []site.KeyUse) error {
	m.Uses.Add(int64(len(uses)))
	return nil
}

// RecordSeen does nothing.
func (m *Memory) RecordSeen(context.Context, []site.UserSeen) error { return nil }

// Changes returns that there was none.
func (m *Memory) Changes(context.Context, site.Mark) (site.Changes, error) {
	return site.Changes{}, nil
}

// OnChange does nothing, because nothing changes.
func (m *Memory) OnChange(func(site.Changes)) {}

// SettingValues returns m.Settings.
func (m *Memory) SettingValues(context.Context) (map[string]string, error) { return m.Settings, nil }
