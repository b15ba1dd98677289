package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

func TestChangesOfManyKeysAreToldAsEverything(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := dbtest.Open(t, db, d)
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
		revoked, err := s.Revoke(ctx, site.Revocation{UserID: u.ID, By: site.RevokedByOwner, At: at})
		if err != nil || revoked != 1001 {
			t.Fatalf("revoked %d keys, error %v", revoked, err)
		}
		if c, err := s.Changes(ctx, before.Mark); !c.All || c.Mark.N != before.Mark.N+1 || err != nil {
			t.Errorf("one change of 1001 keys: all %t, epoch +%d, error %v", c.All, c.Mark.N-before.Mark.N, err)
		}

		for i, test := range []struct {
			rows int
			all  bool
		}{{10_000, false}, {10_001, true}} {
			since := site.Mark{N: int64(1000 * (i + 1)), Token: 7}
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

// Changes are told key by key, or as a change of everything.
func TestChangesAreTold(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		a, b := w.key(u, "a"), w.key(u, "b")
		start := w.changes(onlyMark)
		if start.All || start.Hashes != nil || start.Mark.N <= 0 {
			w.Fatalf("the epoch alone: %+v", start)
		}
		if c := w.changes(start.Mark); c.All || len(c.Hashes) != 0 || c.Mark != start.Mark {
			w.Errorf("nothing happened: %+v", c)
		}
		if c := w.changes(site.Mark{}); !c.All || c.Mark != start.Mark {
			w.Errorf("since 0: %+v", c)
		}
		if c := w.changes(site.Mark{N: start.Mark.N + 5, Token: start.Mark.Token}); !c.All || c.Mark != start.Mark {
			w.Errorf("since an epoch that never was: %+v", c)
		}
		w.revoke(site.RevokedByOwner, a.ID)
		middle := w.changes(start.Mark).Mark
		w.revoke(site.RevokedByOwner, b.ID)
		c := w.changes(start.Mark)
		if c.All || c.Mark.N != start.Mark.N+2 || !slices.Equal(c.Hashes, []userkeys.KeyHash{a.Hash, b.Hash}) {
			w.Errorf("two revocations: %+v", c)
		}
		if c := w.changes(middle); c.All || !slices.Equal(c.Hashes, []userkeys.KeyHash{b.Hash}) {
			w.Errorf("the later of two: %+v", c)
		}
		w.ok(w.SetSetting(w.ctx, "title", "x", admin.At(noon)))
		if c := w.changes(middle); !c.All || len(c.Hashes) != 0 {
			w.Errorf("a setting among them: %+v", c)
		}
	})
}

// A reader of changes never misses one: keys are revoked from many sides, and every revocation
// reaches the reader at the latest with the first call after it returned.
func TestChangesInCommitOrder(t *testing.T) {
	each(t, func(w *world) {
		const users, keys = 8, 6
		since := w.newest()
		var ids [users][]site.UserAPIKey
		for i := range ids {
			u := w.user(fmt.Sprintf("user%d", i))
			for j := range keys {
				ids[i] = append(ids[i], w.key(u, fmt.Sprint(j)))
			}
		}
		stop := make(chan struct{})
		seen := map[userkeys.KeyHash]bool{}
		var poller sync.WaitGroup
		var pollError error
		poll := func() error {
			c, err := w.Store.Changes(w.ctx, since)
			if err != nil || c.All || c.Mark.N < since.N {
				return fmt.Errorf("poll since %v: %+v, error %v", since, c, err)
			}
			since = c.Mark
			for _, h := range c.Hashes {
				seen[h] = true
			}
			return nil
		}
		poller.Go(func() {
			for pollError == nil {
				select {
				case <-stop:
					return
				default:
					pollError = poll()
				}
			}
		})
		for _, err := range w.together(users, func(i int) error {
			for _, k := range ids[i] {
				before, err := w.Store.Changes(w.ctx, onlyMark)
				if err != nil {
					return err
				}
				if _, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: noon}); err != nil {
					return err
				}
				after, err := w.Store.Changes(w.ctx, before.Mark)
				if err != nil || !slices.Contains(after.Hashes, k.Hash) {
					return fmt.Errorf("a revocation that returned is not among the changes: %+v, error %v", after, err)
				}
			}
			return nil
		}) {
			if err != nil {
				w.Error(err)
			}
		}
		close(stop)
		poller.Wait()
		w.ok(pollError)
		w.ok(poll())
		if len(seen) != users*keys {
			w.Errorf("the poller saw %d of %d revocations", len(seen), users*keys)
		}
	})
}

// Everything that changes what a key may do raises the epoch.
func TestEveryChangeRaisesTheEpoch(t *testing.T) {
	each(t, func(w *world) {
		root := w.user("root", asAdmin)
		u := w.user("ada")
		k := w.key(u, "c")
		quiet := w.user("quiet")
		told := func(what string, all bool, change func() error) {
			w.Helper()
			before := w.newest()
			w.ok(change())
			c := w.changes(before)
			if c.All != all || !all && !slices.Equal(c.Hashes, []userkeys.KeyHash{k.Hash}) {
				w.Errorf("%s: changes %+v", what, c)
			}
		}
		told("suspend", false, func() error {
			s := u
			s.SuspendedAt = noon
			return w.UpdateUser(w.ctx, s, admin.At(noon))
		})
		told("demote", false, func() error {
			s := u
			s.TrustLevel = 0
			return w.UpdateUser(w.ctx, s, admin.At(noon))
		})
		told("setting", true, func() error { return w.SetSetting(w.ctx, "title", "x", admin.At(noon)) })
		told("reset", true, func() error { return w.ResetSetting(w.ctx, "title", admin.At(noon)) })
		told("re-grant", false, func() error {
			_, err := w.Store.Grant(w.ctx, w.grantOf(u, "c"))
			return err
		})
		k = must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: u.ID}))[0]
		told("delete", false, func() error { return w.DeleteUser(w.ctx, u.ID, admin.At(noon)) })

		before := w.newest()
		w.ok(w.UpdateUser(w.ctx, quiet, admin.At(noon)))
		w.ok(w.TouchUser(w.ctx, root.ID, noon))
		w.ok(w.ResetSetting(w.ctx, "title", admin.At(noon)))
		w.key(quiet, "c")
		if w.newest() != before {
			w.Error("what concerns no key raised the epoch")
		}
	})
}

// A reader who is more than an hour behind is told that everything changed.
func TestPurgedChanges(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		a, b, c := w.key(u, "a"), w.key(u, "b"), w.key(u, "c")
		marks := []site.Mark{w.newest()}
		revokeAt := func(k site.UserAPIKey, at time.Time) {
			w.Helper()
			_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: at})
			w.ok(err)
			marks = append(marks, w.newest())
		}
		// The middle one was written by a node whose clock is an hour ahead.
		revokeAt(a, noon)
		revokeAt(b, noon.Add(time.Hour))
		revokeAt(c, noon.Add(time.Minute))
		w.ok(w.Purge(w.ctx, noon.Add(time.Hour+time.Second)))
		for i, mark := range marks {
			got := w.changes(mark)
			if purged := i <= 1; got.All != purged || !purged && len(got.Hashes) != 3-i {
				w.Errorf("since change %d, the first purged: %+v", i, got)
			}
		}
		// A quiet day later all but the newest are gone: whoever has reached it goes on from there.
		w.ok(w.Purge(w.ctx, noon.Add(24*time.Hour)))
		for i, mark := range marks {
			if got := w.changes(mark); got.All != (i < 3) || len(got.Hashes) != 0 {
				w.Errorf("since change %d, all purged: %+v", i, got)
			}
		}
		revokeAt(w.key(u, "d"), noon.Add(25*time.Hour))
		if got := w.changes(marks[3]); got.All || len(got.Hashes) != 1 {
			w.Errorf("the first change after the purge: %+v", got)
		}
	})
}
