package keyset

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver of the default database

	"userkeys/site"
	"userkeys/store"
)

// OpenStore opens a new SQLite database in a folder of its own in dir, like that of a site.
func OpenStore(ctx context.Context, dir string) (*store.Store, error) {
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

// GrantAll grants every key to a user of its own.
func GrantAll(ctx context.Context, st *store.Store, keys Keys) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	actor := site.Caller{As: "system", User: site.User{Admin: true}}
	for i := range keys.Len() {
		u, err := st.CreateUser(ctx, site.Account{User: site.User{
			Username: userName(i), TrustLevel: 1, Active: true, CreatedAt: now,
		}}, actor)
		if err != nil {
			return err
		}
		_, err = st.Grant(ctx, site.Grant{
			Key: site.UserAPIKey{
				UserID: u.ID, ClientID: fmt.Sprintf("client-%d", i), ApplicationName: "bench",
				Hash: keys.Hash(i), Scopes: scopes, CreatedAt: now, LastUsedAt: now,
			},
			Caller: actor, MaxKeys: 1 << 30, MaxRecent: 1 << 30, RecentSince: now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
