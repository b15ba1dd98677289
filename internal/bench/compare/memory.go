package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/authority"
)

// memoryStore answers look-ups from memory and forgets what it is told, so
// that a million keys can be had in seconds. In steady state a check asks no store, so the
// ratios are those of any. Its table has no pointers, which keeps it out of the collector's way.
type memoryStore struct {
	authority.Store // nil: what is not below is not called here
	hashes          []userkeys.KeyHash
	asked           atomic.Int64
}

func newMemoryStore(keys keyList) *memoryStore {
	m := &memoryStore{hashes: make([]userkeys.KeyHash, keys.len())}
	for i := range m.hashes {
		m.hashes[i] = keys.key(i).Hash()
	}
	slices.SortFunc(m.hashes, compareHashes)
	return m
}

func compareHashes(a, b userkeys.KeyHash) int { return bytes.Compare(a[:], b[:]) }

var userSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// KeyByHash finds a key of one of a thousand users.
func (m *memoryStore) KeyByHash(_ context.Context, h userkeys.KeyHash) (userkeys.StoredKey, error) {
	m.asked.Add(1)
	i, ok := slices.BinarySearchFunc(m.hashes, h, compareHashes)
	if !ok {
		return userkeys.StoredKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	user := int64(i%1000 + 1)
	return userkeys.StoredKey{
		UserAPIKey: userkeys.UserAPIKey{
			ID: int64(i + 1), UserID: user, ClientID: "0a1b2c3d-0000-4000-8000-000000000001", ApplicationName: "bench",
			Hash: h, Scopes: scopes, CreatedAt: userSince, LastUsedAt: userSince,
		},
		Owner: userkeys.User{ID: user, Username: "somebody", TrustLevel: 1, Active: true, CreatedAt: userSince},
	}, nil
}

// Changes tells that nothing ever changes.
func (m *memoryStore) Changes(context.Context, userkeys.Mark) (userkeys.Changes, error) {
	return userkeys.Changes{Mark: userkeys.Mark{N: 1}}, nil
}

// OnChange has nothing to tell.
func (m *memoryStore) OnChange(func(userkeys.Changes)) {}

// SettingValues tells that every setting has its default.
func (m *memoryStore) SettingValues(context.Context) (map[string]string, error) {
	return map[string]string{}, nil
}

// RecordUses forgets them.
func (m *memoryStore) RecordUses(context.Context, []userkeys.KeyUse) error { return nil }

// RevokeStale finds nothing.
func (m *memoryStore) RevokeStale(context.Context, time.Time, time.Time, time.Time) (int, error) {
	return 0, nil
}

// ReleaseClients finds nothing.
func (m *memoryStore) ReleaseClients(context.Context, time.Time, time.Time) (int, error) {
	return 0, nil
}

// Purge has nothing to remove.
func (m *memoryStore) Purge(context.Context, time.Time) error { return nil }

var errNoKeys = errors.New("there are no keys")

// inMemory is an authority over a memoryStore; now may be nil.
func inMemory(ctx context.Context, keys keyList, limits map[string]string, now func() time.Time) (*authority.Authority, error) {
	if keys.len() == 0 {
		return nil, errNoKeys
	}
	return authority.New(ctx, authority.Config{Store: newMemoryStore(keys), Pinned: limits, Now: now})
}
