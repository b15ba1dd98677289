package store_test

import (
	"slices"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

func registered(id string) site.Client {
	return site.Client{ClientID: id, ApplicationName: "Fed", PublicKey: "pem of " + id, AuthRedirect: "https://" + id + ".example/cb", Scopes: userkeys.Scopes{"read"}, CreatedAt: noon}
}

// Registered clients are kept, changed and released.
func TestRegisteredClients(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		w.key(ada, "implicit")
		w.ok(w.CreateClient(w.ctx, registered("fed"), admin))
		for _, id := range []string{"fed", "implicit"} {
			w.refused(w.CreateClient(w.ctx, registered(id), admin), userkeys.InvalidAccess)
		}
		twin := registered("twin")
		twin.PublicKey = registered("fed").PublicKey
		w.ok(w.CreateClient(w.ctx, twin, admin))
		for redirect, want := range map[string]string{registered("fed").AuthRedirect: "fed", twin.AuthRedirect: "twin", "elsewhere": "fed"} {
			if c := must[site.Client](w)(w.ClientByPublicKey(w.ctx, twin.PublicKey, redirect)); c.ClientID != want {
				w.Errorf("for %s the client is %s", redirect, c.ClientID)
			}
		}
		_, err := w.ClientByPublicKey(w.ctx, "another", "x")
		w.refused(err, userkeys.NotFound)
		k := w.key(ada, "fed")
		if k.ApplicationName != "Fed" {
			w.Errorf("its key is called %q", k.ApplicationName)
		}
		used := noon.Add(20 * 24 * time.Hour)
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: k.ID, LastUsedAt: used}}))
		release := func(since time.Time) int {
			return must[int](w)(w.ReleaseClients(w.ctx, since, since.Add(time.Hour)))
		}
		if n := release(noon); n != 0 {
			w.Errorf("%d clients of today are released", n)
		}
		if n := release(noon.Add(24 * time.Hour)); n != 1 { // twin: old, and never used
			w.Errorf("%d clients are released", n)
		}
		before := w.newest()
		if n := release(used.Add(time.Hour)); n != 1 {
			w.Errorf("%d clients are released after the last use", n)
		}
		if c := w.changes(before); !slices.Contains(c.Hashes, k.Hash) {
			w.Errorf("caches are not told of its key: %+v", c)
		}
		_, err = w.Store.Key(w.ctx, k.ID)
		w.refused(err, userkeys.NotFound)
		if c := must[site.Client](w)(w.Store.Client(w.ctx, "implicit")); c.Registered() {
			w.Error("a client by a grant counts as registered")
		}
	})
}

// A key moves to another client.
func TestRebindKey(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		k, other, bobs := w.key(ada, "a"), w.key(ada, "b"), w.key(bob, "b")
		w.ok(w.CreateClient(w.ctx, registered("fed"), admin))
		before := w.newest()
		err := w.RebindKey(w.ctx, k.ID, "fed", admin.At(noon))
		w.refused(err, userkeys.InvalidAccess)
		err = w.RebindKey(w.ctx, 999, "b", admin.At(noon))
		w.refused(err, userkeys.NotFound)
		w.ok(w.RebindKey(w.ctx, k.ID, "b", admin.At(noon)))
		told := w.changes(before).Hashes
		if len(told) != 2 || !slices.Contains(told, k.Hash) || !slices.Contains(told, other.Hash) {
			w.Errorf("told caches of %d keys", len(told))
		}
		if got := w.stored(k.ID); got.ClientID != "b" || got.Hash != k.Hash || !got.CreatedAt.Equal(micro(noon)) {
			w.Errorf("moved to %+v", got)
		}
		_, err = w.Store.Key(w.ctx, other.ID)
		w.refused(err, userkeys.NotFound)
		w.stored(bobs.ID)
		w.ok(w.RebindKey(w.ctx, k.ID, "new", admin.At(noon)))
		if got := w.stored(k.ID); got.ClientID != "new" {
			w.Errorf("moved to %q", got.ClientID)
		}
		stays := w.key(ada, "b")
		w.revoke(site.RevokedByOwner, k.ID)
		err = w.RebindKey(w.ctx, k.ID, "b", admin.At(noon))
		w.refused(err, userkeys.InvalidAccess)
		w.stored(stays.ID)
	})
}
