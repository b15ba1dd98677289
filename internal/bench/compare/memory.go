package main

import (
	"bytes"
	"context"
	"slices"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
)

// A memoryStore looks keys up in memory, so that a million keys can be made in seconds, and discards uses.
// Everything else it passes to a real database without keys. A check of a known key asks no store, so that the
// ratios are those of any store. The table has no pointers, so that the garbage collector does not scan it.
type memoryStore struct {
	authority.Store
	hashes []userkeys.KeyHash
}

func newMemoryStore(st authority.Store, keys keyList) *memoryStore {
	m := &memoryStore{st, make([]userkeys.KeyHash, keys.len())}
	for i := range m.hashes {
		m.hashes[i] = keys.key(i).Hash()
	}
	slices.SortFunc(m.hashes, compareHashes)
	return m
}

func compareHashes(a, b userkeys.KeyHash) int { return bytes.Compare(a[:], b[:]) }

var userSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// KeyByHash finds a key; each belongs to another user.
func (m *memoryStore) KeyByHash(_ context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	i, ok := slices.BinarySearchFunc(m.hashes, h, compareHashes)
	if !ok {
		return site.StoredKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	id := int64(i + 1)
	return site.StoredKey{
		UserAPIKey: site.UserAPIKey{
			ID: id, UserID: id, ClientID: "0a1b2c3d-0000-4000-8000-000000000001", ApplicationName: "bench",
			Hash: h, Scopes: scopes, CreatedAt: userSince, LastUsedAt: userSince,
		},
		Owner: site.User{ID: id, Username: userName(i), TrustLevel: 1, Active: true, CreatedAt: userSince},
	}, nil
}

// RecordUses discards them.
func (m *memoryStore) RecordUses(context.Context, []site.KeyUse) error { return nil }

// inMemory returns an authority whose keys are in memory; for everything else it has a database in dir.
func inMemory(ctx context.Context, o order, limits map[string]string) (*authority.Authority, error) {
	st, err := openStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	cfg := authority.Config{Store: st}
	cfg.Store, cfg.Pinned = newMemoryStore(st, o.keys), limits
	return newAuthority(ctx, cfg)
}
