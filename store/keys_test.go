package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// The time of a key's last use never goes back.
func TestUsesNeverGoBack(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c")
		later := noon.Add(time.Hour)
		check := func(what string, wantUsed time.Time, wantDay string) {
			w.Helper()
			got := must[site.StoredKey](w)(w.KeyByHash(w.ctx, k.Hash))
			if !got.LastUsedAt.Equal(micro(wantUsed)) || string(got.Day) != wantDay {
				w.Errorf("%s: last used %v, day %q; want %v, %q", what, got.LastUsedAt, got.Day, micro(wantUsed), wantDay)
			}
		}
		use := func(at time.Time, day []byte) {
			w.Helper()
			w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: k.ID, LastUsedAt: at, Day: day}}))
		}
		check("never used", noon, "")
		use(noon.Add(-time.Hour), nil)
		check("a use before the key was made", noon, "")
		use(later, []byte("d1"))
		check("first use", later, "d1")
		use(noon.Add(time.Minute), []byte("d2"))
		check("an older use with a newer day", later, "d2")
		use(later.Add(time.Second), nil)
		check("a use without a day", later.Add(time.Second), "d2")
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{
			{KeyID: k.ID, LastUsedAt: later.Add(time.Hour), Day: []byte("d3")},
			{KeyID: k.ID, LastUsedAt: later.Add(time.Minute)},
		}))
		check("two uses of a key in a batch", later.Add(time.Hour), "d3")
		if got := w.stored(k.ID); !got.Used() {
			w.Error("a used key does not say so")
		}
	})
}

// Uses of many keys are recorded at once, and those of keys that are gone are ignored.
func TestUsesOfMany(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		var uses []site.KeyUse
		for i := range 450 { // more than one statement holds
			if i%90 == 0 {
				uses = append(uses, site.KeyUse{KeyID: w.key(u, fmt.Sprint(i)).ID, LastUsedAt: noon.Add(time.Second)})
			} else {
				uses = append(uses, site.KeyUse{KeyID: int64(1000 + i), LastUsedAt: noon})
			}
		}
		slices.Reverse(uses)
		errs := w.together(4, func(int) error { return w.RecordUses(w.ctx, uses) })
		if n := w.succeeded(errs, ""); n != 4 {
			w.Errorf("%d of 4 batches written", n)
		}
		for _, k := range must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{})) {
			if !k.Used() {
				w.Errorf("the use of key %d is lost", k.ID)
			}
		}
		w.ok(w.RecordUses(w.ctx, nil))
	})
}

// Keys are listed newest first, by filter and by page.
func TestKeysAreListed(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		k1, k2, k3, k4 := w.key(ada, "a"), w.key(ada, "b"), w.key(bob, "a"),
			w.key(bob, "c", func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(time.Hour) })
		w.revoke(site.RevokedByOwner, k2.ID)
		for _, test := range []struct {
			name   string
			filter site.KeyFilter
			want   []int64
		}{
			{"all", site.KeyFilter{}, []int64{k4.ID, k3.ID, k2.ID, k1.ID}},
			{"of a user", site.KeyFilter{UserID: ada.ID}, []int64{k2.ID, k1.ID}},
			{"of a client", site.KeyFilter{ClientID: "a"}, []int64{k3.ID, k1.ID}},
			{"of both", site.KeyFilter{UserID: bob.ID, ClientID: "a"}, []int64{k3.ID}},
			{"live", site.KeyFilter{Live: true, Now: noon}, []int64{k4.ID, k3.ID, k1.ID}},
			{"live at the end of one", site.KeyFilter{Live: true, Now: micro(noon).Add(time.Hour)}, []int64{k3.ID, k1.ID}},
			{"first page", site.KeyFilter{Limit: 3}, []int64{k4.ID, k3.ID, k2.ID}},
			{"next page", site.KeyFilter{Limit: 3, Before: k2.ID}, []int64{k1.ID}},
			{"of nobody", site.KeyFilter{UserID: 77}, nil},
		} {
			var got []int64
			for _, k := range must[[]site.UserAPIKey](w)(w.Keys(w.ctx, test.filter)) {
				got = append(got, k.ID)
			}
			if !slices.Equal(got, test.want) {
				w.Errorf("%s: keys %v, want %v", test.name, got, test.want)
			}
		}
	})
}

// A key is renewed, and the one before lives a while.
func TestRenewKey(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		k := w.key(ada, "a", func(g *site.Grant) {
			g.Key.PublicKey, g.Key.Padding, g.Key.Lifetime, g.Key.ExpiresAt = "pem", userkeys.PaddingOAEP, time.Hour, noon.Add(time.Hour)
		})
		if got := w.stored(k.ID); got.PublicKey != "pem" || got.Padding != userkeys.PaddingOAEP || got.Lifetime != time.Hour {
			w.Errorf("kept as %+v", got)
		}
		renew := func(presented userkeys.KeyHash, at time.Time) (userkeys.KeyHash, error) {
			r := site.Renewal{KeyID: k.ID, Presented: presented, Hash: w.hash(), ExpiresAt: at.Add(time.Hour), OldUntil: at.Add(10 * time.Minute), At: at, Caller: admin}
			err := w.RenewKey(w.ctx, r)
			return r.Hash, err
		}
		id := func(h userkeys.KeyHash) int64 {
			got, err := w.KeyByHash(w.ctx, h)
			if err != nil {
				w.refused(err, userkeys.NotFound)
			}
			return got.ID
		}
		second := must[userkeys.KeyHash](w)(renew(k.Hash, noon.Add(time.Minute)))
		got := w.stored(k.ID)
		if got.Hash != second || got.OldHash != k.Hash || !got.OldUntil.Equal(micro(noon.Add(11*time.Minute))) || !got.ExpiresAt.Equal(micro(noon.Add(61*time.Minute))) || id(k.Hash) != k.ID || id(second) != k.ID {
			w.Errorf("renewed to %+v", got)
		}
		third := must[userkeys.KeyHash](w)(renew(k.Hash, noon.Add(2*time.Minute))) // the answer was lost
		got = w.stored(k.ID)
		if got.Hash != third || got.OldHash != k.Hash || !got.OldUntil.Equal(micro(noon.Add(11*time.Minute))) || id(second) != 0 {
			w.Errorf("renewed again to %+v", got)
		}
		_, err := renew(k.Hash, noon.Add(12*time.Minute))
		w.refused(err, userkeys.InvalidAccess)
		if n := w.succeeded(w.together(8, func(int) error { _, err := renew(third, noon.Add(3*time.Minute)); return err }), userkeys.InvalidAccess); n < 1 {
			w.Error("nobody renewed it")
		}
		got = w.stored(k.ID)
		told := w.revoke(site.RevokedByOwner, k.ID)
		if len(told) != 2 || !slices.Contains(told, got.Hash) || !slices.Contains(told, got.OldHash) {
			w.Errorf("revoking tells caches of %d hashes", len(told))
		}
		_, err = renew(got.Hash, noon.Add(4*time.Minute))
		w.refused(err, userkeys.InvalidAccess)
	})
}
