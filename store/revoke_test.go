package store_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// Revoking a key again changes nothing.
func TestRevokeIsIdempotent(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		a, b := w.key(u, "a"), w.key(u, "b")
		if got := w.revoke(site.RevokedByOwner, a.ID, a.ID); !slices.Equal(got, []userkeys.KeyHash{a.Hash}) {
			w.Errorf("first: changed %v", got)
		}
		k := w.stored(a.ID)
		if k.RevokedBy != site.RevokedByOwner || !k.RevokedAt.Equal(micro(noon.Add(time.Minute))) || k.Live(noon) {
			w.Errorf("revoked key is %+v", k)
		}
		if w.stored(b.ID).RevokedBy != "" {
			w.Error("another key was revoked too")
		}
		epoch, log := w.newest(), w.actions()
		for _, by := range []site.RevokedBy{site.RevokedByOwner, site.RevokedByUnused, site.RevokedByMaxLife} {
			if got := w.revoke(by, a.ID); len(got) != 0 {
				w.Errorf("again by %s: changed %v", by, got)
			}
		}
		if w.stored(a.ID).RevokedBy != site.RevokedByOwner || w.newest() != epoch || len(w.actions()) != len(log) {
			w.Error("revoking again changed something")
		}
		var changed [20]int
		for _, err := range w.together(20, func(i int) (err error) {
			changed[i], err = w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{b.ID, a.ID}, By: site.RevokedByOwner, At: noon, Caller: admin})
			return err
		}) {
			w.ok(err)
		}
		slices.Sort(changed[:])
		if got := w.changes(epoch).Hashes; changed[18] != 0 || changed[19] != 1 || !slices.Equal(got, []userkeys.KeyHash{b.Hash}) {
			w.Errorf("20 at once changed %v, and told caches of %d keys", changed, len(got))
		}
		_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{b.ID}, At: noon})
		w.refused(err, userkeys.InvalidParameters)
	})
}

// The revocation of an administrator replaces the owner's (RV8).
func TestAdminRevocationOutranks(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c")
		owner := site.Caller{User: site.User{ID: k.UserID}}
		w.revoke(site.RevokedByOwner, k.ID)
		byOwner := w.stored(k.ID)
		if got := w.revoke(site.RevokedByAdmin, k.ID); len(got) != 1 {
			w.Errorf("an administrator's revocation changed %d keys", len(got))
		}
		if got := w.revoke(site.RevokedByOwner, k.ID); len(got) != 0 {
			w.Error("the owner's revocation took the place of the administrator's")
		}
		if got := w.revoke(site.RevokedByAdmin, k.ID); len(got) != 0 {
			w.Error("an administrator's revocation changed the key twice")
		}
		err := w.UndoRevoke(w.ctx, site.Undo{Key: byOwner, At: noon, Caller: owner})
		w.refused(err, userkeys.Conflict)
		if got := w.stored(k.ID); got.RevokedBy != site.RevokedByAdmin {
			w.Fatalf("revoked by %q", got.RevokedBy)
		}
		w.undo(k.ID, admin)
		if got := w.stored(k.ID); got.RevokedBy != "" || !got.RevokedAt.IsZero() {
			w.Errorf("after the administrator's undo: %+v", got)
		}
	})
}

// All live keys of one user are revoked, and nobody else's.
func TestRevokeAll(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		k1, k2, theirs := w.key(ada, "a"), w.key(ada, "b"), w.key(bob, "a")
		expired := w.key(ada, "x", func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(time.Second) })
		w.ok(w.RenewKey(w.ctx, site.Renewal{
			KeyID: k2.ID, Presented: k2.Hash, Hash: w.hash(), At: noon, OldUntil: noon.Add(time.Hour), Caller: admin,
		}))
		before := w.newest()
		n, err := w.Store.Revoke(w.ctx, site.Revocation{UserID: ada.ID, By: site.RevokedByOwner, At: noon.Add(time.Minute)})
		w.ok(err)
		// A key that was renewed is one key with two hashes.
		if got := w.changes(before).Hashes; n != 2 || len(got) != 3 || !slices.Contains(got, k1.Hash) || !slices.Contains(got, k2.Hash) {
			w.Errorf("changed %d keys, and told caches of %d hashes", n, len(got))
		}
		if w.stored(theirs.ID).RevokedBy != "" || w.stored(expired.ID).RevokedBy != "" {
			w.Error("keys of another user, or dead ones, were revoked")
		}
		n, err = w.Store.Revoke(w.ctx, site.Revocation{By: site.RevokedByOwner, At: noon})
		if n != 0 || err != nil {
			w.Errorf("a revocation of nothing changed %d keys, error %v", n, err)
		}
	})
}

// Ids that no key has revoke nothing (RV2).
func TestRevokeOddIDs(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c")
		if got := w.revoke(site.RevokedByAdmin, 0, -1, math.MaxInt64, math.MinInt64, k.ID+1); len(got) != 0 {
			w.Errorf("changed %v", got)
		}
		for _, id := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
			err := w.UndoRevoke(w.ctx, site.Undo{Key: site.UserAPIKey{ID: id}, At: noon, Caller: admin})
			w.refused(err, userkeys.NotFound)
			_, err = w.Store.Key(w.ctx, id)
			w.refused(err, userkeys.NotFound)
		}
		many := make([]int64, 1200) // more than one statement holds
		for i := range many {
			many[i] = int64(i)
		}
		if got := w.revoke(site.RevokedByOwner, many...); len(got) != 1 {
			w.Errorf("of 1200 ids with one key %d were changed", len(got))
		}
	})
}

// Undoing a revocation leaves the key's own end as it is.
func TestUndoLeavesExpiry(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c", func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(time.Hour) })
		owner := site.Caller{User: site.User{ID: k.UserID}}
		epoch := w.newest()
		w.undo(k.ID, owner)
		if w.newest() != epoch {
			w.Error("undoing nothing raised the epoch")
		}
		w.revoke(site.RevokedByOwner, k.ID)
		epoch = w.newest()
		w.undo(k.ID, owner)
		if c := w.changes(epoch); c.All || !slices.Equal(c.Hashes, []userkeys.KeyHash{k.Hash}) {
			w.Errorf("changes after undo: %+v", c)
		}
		if got := w.stored(k.ID); !got.Live(noon) || !got.ExpiresAt.Equal(micro(noon.Add(time.Hour))) {
			w.Errorf("after undo: %+v", got)
		}
		w.key(site.User{ID: k.UserID}, "c") // RV8: after a re-grant the old key is gone
		err := w.UndoRevoke(w.ctx, site.Undo{Key: k, At: noon, Caller: owner})
		w.refused(err, userkeys.NotFound)
	})
}

// Keys that were not used for long are revoked, and say so.
func TestStaleKeys(t *testing.T) {
	each(t, func(w *world) {
		const day = 24 * time.Hour
		u := w.user("ada")
		made := func(age time.Duration) func(*site.Grant) {
			return func(g *site.Grant) { g.Key.CreatedAt = noon.Add(-age) }
		}
		fresh, unused, used, old := w.key(u, "fresh", made(day)), w.key(u, "unused", made(200*day)),
			w.key(u, "used", made(200*day)), w.key(u, "old", made(500*day))
		gone := w.key(u, "gone", made(500*day))
		w.revoke(site.RevokedByOwner, gone.ID)
		expired := w.key(u, "expired", made(500*day), func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(-day) })
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: used.ID, LastUsedAt: noon.Add(-day)}, {KeyID: old.ID, LastUsedAt: noon.Add(-day)}}))

		if n := must[int](w)(w.RevokeStale(w.ctx, time.Time{}, time.Time{}, noon)); n != 0 {
			w.Errorf("zero times revoked %d", n)
		}
		epoch := w.newest()
		if n := must[int](w)(w.RevokeStale(w.ctx, noon.Add(-180*day), noon.Add(-365*day), noon)); n != 2 {
			w.Errorf("revoked %d", n)
		}
		for id, want := range map[int64]site.RevokedBy{
			fresh.ID: "", used.ID: "", expired.ID: "", unused.ID: site.RevokedByUnused,
			old.ID: site.RevokedByMaxLife, gone.ID: site.RevokedByOwner,
		} {
			if got := w.stored(id); got.RevokedBy != want {
				w.Errorf("%s: revoked by %q, want %q", got.ClientID, got.RevokedBy, want)
			}
		}
		if c := w.changes(epoch); !slices.Contains(c.Hashes, unused.Hash) || !slices.Contains(c.Hashes, old.Hash) || len(c.Hashes) != 2 {
			w.Errorf("changes %+v", c)
		}
	})
}

func (w *world) undo(id int64, by site.Caller) {
	w.Helper()
	w.ok(w.UndoRevoke(w.ctx, site.Undo{Key: w.stored(id), At: noon, Caller: by}))
}

// Of twelve revocations that are undone at once where one live key is allowed, one is.
func TestUndoBoundsLive(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		var dead []site.UserAPIKey
		for i := range 12 {
			k := w.key(u, fmt.Sprint(i))
			w.revoke(site.RevokedByOwner, k.ID)
			dead = append(dead, w.stored(k.ID))
		}
		undone := w.succeeded(w.together(len(dead), func(i int) error {
			err := w.UndoRevoke(w.ctx, site.Undo{Key: dead[i], MaxKeys: 1, At: noon, Caller: admin})
			return err
		}), userkeys.Conflict)
		live := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: u.ID, Live: true, Now: noon}))
		if undone != 1 || len(live) != 1 {
			w.Errorf("%d undone, %d live keys where one is allowed", undone, len(live))
		}
	})
}
