package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"userkeys"
	"userkeys/store"
	"userkeys/store/storetest"
)

func TestChangesOfManyKeysAreToldAsEverything(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := storetest.Open(t, db, d)
		u := makeUser(t, s, "ada")
		hash := "CAST(CAST(n AS TEXT) AS BLOB)"
		if d == store.Postgres {
			hash = "CAST(CAST(n AS TEXT) AS BYTEA)"
		}
		const numbers = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < %d) "
		mustExec(t, db, fmt.Sprintf("INSERT INTO userkeys_clients (client_id, application_name, public_key, auth_redirect, scopes, created_at) "+
			numbers+"SELECT 'c' || n, '', '', '', '', 0 FROM t", 1001))
		mustExec(t, db, fmt.Sprintf("INSERT INTO userkeys_keys (user_id, client, hash, hash_kind, application_name, scopes, push_url, created_at, expires_at, revoked_at, revoked_by) "+
			numbers+"SELECT %d, n, "+hash+", 1, '', 'read', '', 1, 0, 0, '' FROM t", 1001, u.ID))
		before, err := s.Changes(ctx, onlyMark)
		if err != nil {
			t.Fatal(err)
		}
		hashes, err := s.Revoke(ctx, userkeys.Revocation{UserID: u.ID, By: userkeys.RevokedByOwner, At: at})
		if err != nil || len(hashes) != 1001 {
			t.Fatalf("revoked %d keys, error %v", len(hashes), err)
		}
		if c, err := s.Changes(ctx, before.Mark); !c.All || c.Mark.N != before.Mark.N+1 || err != nil {
			t.Errorf("one change of 1001 keys: all %t, epoch +%d, error %v", c.All, c.Mark.N-before.Mark.N, err)
		}

		for i, test := range []struct {
			rows int
			all  bool
		}{{10_000, false}, {10_001, true}} {
			since := userkeys.Mark{N: int64(1000 * (i + 1)), Token: 7}
			mustExec(t, db, "INSERT INTO userkeys_changes (n, token, key_hash, at) VALUES ($1, $2, $3, 0)", since.N, since.Token, []byte{})
			mustExec(t, db, "UPDATE userkeys_epoch SET n = $1", since.N+1)
			mustExec(t, db, fmt.Sprintf("INSERT INTO userkeys_changes (n, key_hash, at) "+numbers+"SELECT %d, "+hash+", 0 FROM t", test.rows, since.N+1))
			c, err := s.Changes(ctx, since)
			if c.All != test.all || err != nil || !test.all && len(c.Hashes) != test.rows {
				t.Errorf("%d changes: all %t, %d hashes, error %v", test.rows, c.All, len(c.Hashes), err)
			}
		}
	})
}
