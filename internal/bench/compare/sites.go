package main

import (
	"context"
	"log/slog"
	"os"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/minimum"
	"userkeys/site"
	"userkeys/store"
)

// always is limits that every request but the first of a minute reaches.
var always = map[string]string{"max_user_api_reqs_per_minute": "1", "max_user_api_reqs_per_day": "1"}

// onSQLite returns an authority with a database of its own that has the order's keys.
func onSQLite(ctx context.Context, o order, limits map[string]string) (*authority.Authority, error) {
	st, err := keyset.OpenStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	if err := keyset.GrantAll(ctx, st, o.keys); err != nil {
		return nil, err
	}
	return newAuthority(ctx, authority.Config{Store: st, Pinned: limits})
}

// memoryStore is a real database without keys, beside which the keys are in memory. A check of a known key asks no
// store, so the ratios are those of any store.
type memoryStore struct {
	*store.Store
	keys *keyset.Memory
}

// KeyByHash finds a key in memory.
func (m memoryStore) KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	return m.keys.KeyByHash(ctx, h)
}

// RecordUses discards them.
func (m memoryStore) RecordUses(ctx context.Context, uses []site.KeyUse) error {
	return m.keys.RecordUses(ctx, uses)
}

// inMemory returns an authority whose keys are in memory; for everything else it has a database in o.dir.
func inMemory(ctx context.Context, o order, limits map[string]string) (*authority.Authority, error) {
	st, err := keyset.OpenStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	keys := &keyset.Memory{Table: minimum.New(o.keys.Len(), o.keys.Text)}
	return newAuthority(ctx, authority.Config{Store: memoryStore{st, keys}, Pinned: limits})
}

// newAuthority returns an authority that writes errors of its background work to standard error.
func newAuthority(ctx context.Context, cfg authority.Config) (*authority.Authority, error) {
	cfg.Logger = logger()
	return authority.New(ctx, cfg)
}

func logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
