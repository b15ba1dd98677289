package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
	"userkeys/store"
)

// A grant is kept as it was written.
func TestGrantIsKept(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("Ada", func(a *site.Account) {
			a.Groups, a.TrustLevel, a.Moderator = []string{"staff", "team a"}, 3, true
		})
		g := w.grantOf(u, "client 1")
		g.Key.PushURL, g.Key.ExpiresAt = "https://push.example/a?b=c", noon.Add(48*time.Hour)
		before := w.newest()
		k, err := w.Store.Grant(w.ctx, g)
		w.ok(err)
		want := g.Key
		want.ID, want.CreatedAt, want.LastUsedAt, want.ExpiresAt = k.ID, micro(noon), micro(noon), micro(noon.Add(48*time.Hour))
		if k.ID <= 0 || w.newest() != before {
			w.Errorf("id %d, caches were told of %v", k.ID, w.changes(before).Hashes)
		}
		if diff := cmp.Diff(want, k); diff != "" {
			w.Errorf("returned key: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(want, w.stored(k.ID)); diff != "" {
			w.Errorf("key by id: -want +got\n%s", diff)
		}
		byHash := must[site.StoredKey](w)(w.KeyByHash(w.ctx, k.Hash))
		if diff := cmp.Diff(site.StoredKey{UserAPIKey: want, Owner: u}, byHash); diff != "" {
			w.Errorf("key by hash: -want +got\n%s", diff)
		}
		client := must[site.Client](w)(w.Client(w.ctx, "client 1"))
		wantClient := site.Client{ID: client.ID, ClientID: "client 1", ApplicationName: g.Key.ApplicationName, CreatedAt: micro(noon)}
		if diff := cmp.Diff(wantClient, client); diff != "" || client.Registered() {
			w.Errorf("client: -want +got\n%s", diff)
		}
		_, err = w.KeyByHash(w.ctx, w.hash())
		w.refused(err, userkeys.NotFound)
		_, err = w.Store.Key(w.ctx, k.ID+1)
		w.refused(err, userkeys.NotFound)
		_, err = w.Client(w.ctx, "client 2")
		w.refused(err, userkeys.NotFound)
		g = w.grantOf(site.User{ID: u.ID + 77}, "client 1")
		_, err = w.Store.Grant(w.ctx, g)
		w.refused(err, userkeys.NotFound)
	})
}

// consent asks u and returns the id.
func (w *world) consent(u site.User) string {
	w.Helper()
	id := fmt.Sprintf("consent %d", w.next())
	w.ok(w.CreateConsent(w.ctx, site.Consent{
		ID: id, UserID: u.ID, Session: "s1", Request: site.AuthorizationRequest{ClientID: "c"},
		CreatedAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(9 * time.Minute),
	}))
	return id
}

// A consent is good for one of 64 parallel grants (RQ21).
func TestGrantConsumesConsentOnce(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		id := w.consent(u)
		errs := w.together(64, func(i int) error {
			g := w.grantOf(u, fmt.Sprintf("client %d", i))
			g.ConsentID = id
			_, err := w.Store.Grant(w.ctx, g)
			return err
		})
		if n := w.succeeded(errs, userkeys.ConsentGone); n != 1 {
			w.Errorf("%d grants with one consent", n)
		}
		if keys := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: u.ID})); len(keys) != 1 {
			w.Errorf("%d keys from one consent", len(keys))
		}
	})
}

// A refused grant leaves everything as it was.
func TestRefusedGrantChangesNothing(t *testing.T) {
	each(t, func(w *world) {
		ada, eve := w.user("ada"), w.user("eve")
		id := w.consent(ada)
		kept := w.key(ada, "old")
		epoch, log := w.newest(), w.actions()

		stolen := w.grantOf(eve, "old")
		stolen.ConsentID = id
		_, err := w.Store.Grant(w.ctx, stolen)
		w.refused(err, userkeys.ConsentGone)

		unknown := w.grantOf(ada, "old")
		unknown.ConsentID = "no such"
		_, err = w.Store.Grant(w.ctx, unknown)
		w.refused(err, userkeys.ConsentGone)

		full := w.grantOf(ada, "new")
		full.ConsentID, full.MaxKeys = id, 1
		_, err = w.Store.Grant(w.ctx, full)
		w.refused(err, userkeys.Conflict)

		if diff := cmp.Diff(kept, w.stored(kept.ID)); diff != "" {
			w.Errorf("the key that was there: -want +got\n%s", diff)
		}
		if _, err := w.Client(w.ctx, "new"); !errors.Is(err, userkeys.NotFound) {
			w.Errorf("a client from a refused grant: %v", err)
		}
		if w.newest() != epoch || !slices.Equal(w.actions(), log) {
			w.Error("refused grants raised the epoch or wrote into the log")
		}
		good := w.grantOf(ada, "old")
		good.ConsentID = id
		_, err = w.Store.Grant(w.ctx, good)
		if removed := w.changes(epoch).Hashes; err != nil || !slices.Equal(removed, []userkeys.KeyHash{kept.Hash}) {
			w.Errorf("the consent after the refusals: removed %v, error %v", removed, err)
		}
	})
}

// A consent is good until its end only.
func TestConsentEnds(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		end := micro(noon.Add(9 * time.Minute))
		g := w.grantOf(u, "c")
		g.ConsentID, g.Key.CreatedAt = w.consent(u), end
		_, err := w.Store.Grant(w.ctx, g)
		w.refused(err, userkeys.ConsentGone)
		g.Key.CreatedAt = end.Add(-time.Microsecond)
		_, err = w.Store.Grant(w.ctx, g)
		w.ok(err)
	})
}

// Of 50 parallel grants to one client, one key is left (ID5).
func TestRegrantLeavesOne(t *testing.T) {
	each(t, func(w *world) {
		u, other := w.user("ada"), w.user("bob")
		theirs := w.key(other, "c")
		before := w.newest()
		const n = 50
		grants := make([]site.Grant, n)
		for i := range grants {
			grants[i] = w.grantOf(u, "c")
		}
		for _, err := range w.together(n, func(i int) error {
			_, err := w.Store.Grant(w.ctx, grants[i])
			return err
		}) {
			w.ok(err)
		}
		left := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: u.ID}))
		c := w.changes(before)
		if len(left) != 1 || c.All || len(c.Hashes) != n-1 {
			w.Fatalf("%d keys left, %d changes for %d removed keys (all %t)", len(left), len(c.Hashes), n-1, c.All)
		}
		for _, g := range grants {
			_, err := w.KeyByHash(w.ctx, g.Key.Hash)
			wasRemoved := slices.Contains(c.Hashes, g.Key.Hash)
			if alive := err == nil; alive == wasRemoved || alive != (left[0].Hash == g.Key.Hash) {
				w.Errorf("key %s: found %t, removed %t", g.Key.Hash.Short(), alive, wasRemoved)
			}
		}
		w.stored(theirs.ID)
	})
}

// Client ids are compared byte by byte (ID4).
func TestClientIDsAreBytes(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		ids := []string{"Abc", "abc", "caf\u00e9", "cafe\u0301", " abc", "abc ", "ABC"}
		for _, id := range ids {
			w.key(u, id)
		}
		for _, id := range ids {
			keys := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{ClientID: id}))
			if len(keys) != 1 || keys[0].ClientID != id {
				w.Errorf("client %q has keys %v", id, keys)
			}
			if c := must[site.Client](w)(w.Client(w.ctx, id)); c.ClientID != id {
				w.Errorf("client %q came back as %q", id, c.ClientID)
			}
		}
	})
}

// A grant of another user does not rename a client.
func TestGrantRenamesNothing(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c")
		w.key(w.user("bob"), "c", func(g *site.Grant) { g.Key.ApplicationName = "New name" })
		if got := w.stored(k.ID).ApplicationName; got != "App of c" {
			w.Errorf("application name %q", got)
		}
	})
}

// The number of live keys is bounded, also under parallel grants.
func TestGrantBoundsLive(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		w.revoke(site.RevokedByOwner, w.key(u, "revoked").ID)
		w.key(u, "expired", func(g *site.Grant) { g.Key.ExpiresAt = noon })
		errs := w.together(20, func(i int) error {
			g := w.grantOf(u, fmt.Sprintf("client %d", i))
			g.MaxKeys = 5
			_, err := w.Store.Grant(w.ctx, g)
			if err != nil && userkeys.AsError(err).Reason != store.ReasonTooManyKeys {
				return fmt.Errorf("another reason: %v", err)
			}
			return err
		})
		if n := w.succeeded(errs, userkeys.Conflict); n != 5 {
			w.Errorf("%d keys where 5 are allowed", n)
		}
		live := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: u.ID, Live: true, Now: noon}))
		if len(live) != 5 {
			w.Fatalf("%d live keys", len(live))
		}
		w.key(u, live[0].ClientID, func(g *site.Grant) { g.MaxKeys = 5 }) // replaces, so needs no room
	})
}

// The number of grants in a time is bounded, and a grant to the same client counts.
func TestGrantBoundsRecent(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		const window = time.Hour
		at := func(now time.Time) error {
			g := w.grantOf(u, "c")
			g.Key.CreatedAt, g.MaxRecent, g.RecentSince = now, 3, now.Add(-window)
			_, err := w.Store.Grant(w.ctx, g)
			return err
		}
		for i := range 3 {
			w.ok(at(noon.Add(time.Duration(i) * time.Minute)))
		}
		now := noon.Add(10 * time.Minute)
		err := at(now)
		w.refused(err, userkeys.RateLimited)
		wait := userkeys.AsError(err).RetryAfter
		if wait <= 0 || wait > 50*time.Minute {
			w.Fatalf("retry after %v", wait)
		}
		w.refused(at(now.Add(wait-time.Millisecond)), userkeys.RateLimited)
		w.ok(at(now.Add(wait)))
		w.key(w.user("bob"), "c", func(g *site.Grant) { g.MaxRecent, g.RecentSince = 1, noon.Add(-window) })
	})
}

// A grant whose key has the hash of another key is refused with a code of its own (DB8).
func TestGrantHashTaken(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		k := w.key(ada, "c")
		for _, u := range []site.User{bob, ada} { // another's key, and one's own that is to be replaced
			g := w.grantOf(u, "c")
			g.Key.Hash, g.ConsentID = k.Hash, w.consent(u)
			_, err := w.Store.Grant(w.ctx, g)
			w.refused(err, userkeys.Conflict)
			if reason := userkeys.AsError(err).Reason; reason != store.ReasonHashTaken {
				w.Errorf("reason %q", reason)
			}
			if got := w.stored(k.ID); got.UserID != ada.ID {
				w.Errorf("the key went to user %d", got.UserID)
			}
			g.Key.Hash = w.hash()
			_, err = w.Store.Grant(w.ctx, g)
			w.ok(err)
			if u.ID == bob.ID {
				continue
			}
			_, err = w.Store.Key(w.ctx, k.ID)
			w.refused(err, userkeys.NotFound)
		}
	})
}
