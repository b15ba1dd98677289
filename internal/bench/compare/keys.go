package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver of the default database

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
	"userkeys/store"
)

// Keys have a prefix, so that they may also stand in Authorization.
const (
	keyPrefix = "uk"
	keyLength = len(keyPrefix) + 1 + 32
)

// A keyList is the texts of many keys in one piece of memory.
type keyList []byte

func newKeys(n int) keyList {
	k := make(keyList, 0, n*keyLength)
	for range n {
		k = append(k, userkeys.NewKey(keyPrefix).Reveal()...)
	}
	return k
}

func (k keyList) len() int               { return len(k) / keyLength }
func (k keyList) text(i int) []byte      { return k[i*keyLength : (i+1)*keyLength] }
func (k keyList) first(n int) keyList    { return k[:n*keyLength] }
func (k keyList) key(i int) userkeys.Key { return userkeys.Key(k.text(i)) }

// misspelt returns the keys with another last digit, so that their checksums are wrong.
func (k keyList) misspelt() keyList {
	out := append(keyList(nil), k...)
	for i := keyLength - 1; i < len(out); i += keyLength {
		if out[i] == '0' {
			out[i] = '1'
		} else {
			out[i] = '0'
		}
	}
	return out
}

// The limits of the two kinds of server: one that is never reached, and one that always is.
var (
	plenty = map[string]string{
		"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "10000000",
		"max_user_api_reqs_per_user_per_minute": "10000", "max_user_api_reqs_per_user_per_day": "10000000",
	}
	none = map[string]string{"max_user_api_reqs_per_minute": "1", "max_user_api_reqs_per_day": "1"}
)

// scopes of every key here.
var scopes = userkeys.Scopes{userkeys.ScopeRead, userkeys.ScopeNotifications}

// openStore opens a new SQLite database in a folder of its own in dir, like that of a site.
func openStore(ctx context.Context, dir string) (*store.Store, error) {
	dir, err := os.MkdirTemp(dir, "site-*")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(dir, "userkeys.db")))
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, db, store.SQLite)
	if err != nil {
		return nil, err
	}
	_, err = st.Migrate(ctx)
	return st, err
}

// onSQLite returns an authority with a database of its own that has the order's keys.
func onSQLite(ctx context.Context, o order, limits map[string]string) (*authority.Authority, error) {
	st, err := openStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	if err := grantAll(ctx, st, o.keys); err != nil {
		return nil, err
	}
	return newAuthority(ctx, authority.Config{Store: st, Pinned: limits})
}

// carrying is onSQLite for a site that also takes keys as Bearer tokens and as passwords.
func carrying(ctx context.Context, o order) (*authority.Authority, error) {
	st, err := openStore(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	if err := grantAll(ctx, st, o.keys); err != nil {
		return nil, err
	}
	route, err := userkeys.ParseRoute("GET " + requestPath)
	if err != nil {
		return nil, err
	}
	pinned := maps.Clone(plenty)
	pinned["user_api_key_prefix"] = keyPrefix
	return newAuthority(ctx, authority.Config{Store: st, Pinned: pinned, Carriers: []site.Carrier{
		{Kind: site.BearerCarrier, Routes: []userkeys.Route{route}},
		{Kind: site.BasicCarrier, Routes: []userkeys.Route{route}},
	}})
}

// newAuthority returns an authority that writes errors of its background work to standard error.
func newAuthority(ctx context.Context, cfg authority.Config) (*authority.Authority, error) {
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return authority.New(ctx, cfg)
}

func userName(i int) string { return fmt.Sprintf("user%d", i) }

// grantAll grants every key to a user of its own.
func grantAll(ctx context.Context, st *store.Store, keys keyList) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	actor := site.Caller{As: "system", User: site.User{Admin: true}}
	for i := range keys.len() {
		u, err := st.CreateUser(ctx, site.Account{User: site.User{
			Username: userName(i), TrustLevel: 1, Active: true, CreatedAt: now,
		}}, actor)
		if err != nil {
			return err
		}
		_, err = st.Grant(ctx, site.Grant{
			Key: site.UserAPIKey{
				UserID: u.ID, ClientID: fmt.Sprintf("client-%d", i), ApplicationName: "bench",
				Hash: keys.key(i).Hash(), Scopes: scopes, CreatedAt: now, LastUsedAt: now,
			},
			Caller: actor, MaxKeys: 1 << 30, MaxRecent: 1 << 30, RecentSince: now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// warm checks every key once, so that all are in the cache.
func warm(ctx context.Context, a *authority.Authority, keys keyList) error {
	for i := range keys.len() {
		_, err := a.Check(ctx, site.Call{Key: string(keys.text(i)), Method: "GET", Path: requestPath})
		if err != nil {
			return fmt.Errorf("warming up key %d: %w", i, err)
		}
	}
	return nil
}
