package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/minimum"
	"userkeys/site"
	"userkeys/store"
)

// The limits of servers where those that are shipped would be reached: one kind that never is, and one that always is.
var (
	plenty = map[string]string{
		"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "10000000",
		"max_user_api_reqs_per_user_per_minute": "10000", "max_user_api_reqs_per_user_per_day": "10000000",
	}
	none = map[string]string{"max_user_api_reqs_per_minute": "1", "max_user_api_reqs_per_day": "1"}
)

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

// carrying is onSQLite for a site that also takes keys as Bearer tokens and as passwords.
func carrying(ctx context.Context, o order) (*authority.Authority, error) {
	st, err := keyset.OpenStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	if err := keyset.GrantAll(ctx, st, o.keys); err != nil {
		return nil, err
	}
	route, err := userkeys.ParseRoute("GET " + requestPath)
	if err != nil {
		return nil, err
	}
	pinned := maps.Clone(plenty)
	pinned["user_api_key_prefix"] = keyset.Prefix
	return newAuthority(ctx, authority.Config{Store: st, Pinned: pinned, Carriers: []site.Carrier{
		{Kind: site.BearerCarrier, Routes: []userkeys.Route{route}},
		{Kind: site.BasicCarrier, Routes: []userkeys.Route{route}},
	}})
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

// checker is what checks keys and writes their last uses.
type checker interface {
	Check(ctx context.Context, c site.Call) (userkeys.Access, error)
	Flush(ctx context.Context) error
}

// warm checks every key once, so that all are in memory, and writes these uses, so that it is not done while others
// are counted.
func warm(ctx context.Context, c checker, keys keyset.Keys) error {
	for i := range keys.Len() {
		if _, err := c.Check(ctx, site.Call{Key: keys.Text(i), Method: "GET", Path: requestPath}); err != nil {
			return fmt.Errorf("warming up key %d: %w", i, err)
		}
	}
	return c.Flush(ctx)
}
