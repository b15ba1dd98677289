package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// An answer is shown again to its session while its key lives.
func TestShownAnswers(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("Ada")
		grant := func(consent string) site.UserAPIKey {
			g := w.grantOf(u, "client "+consent)
			g.ConsentID, g.Shown = consent, &site.ShownAnswer{Session: "s1", Payload: "c2VhbGVk\n", Until: noon.Add(10 * time.Minute)}
			k, err := w.Store.Grant(w.ctx, g)
			w.ok(err)
			return k
		}
		first, second := w.consent(u), w.consent(u)
		k := grant(first)
		want := site.ShownAnswer{
			Session: "s1", Payload: "c2VhbGVk\n", Until: micro(noon.Add(10 * time.Minute)),
			Key: site.UserAPIKey{ID: k.ID, UserID: u.ID, ApplicationName: k.ApplicationName},
		}
		for range 2 {
			got := must[site.ShownAnswer](w)(w.ShownAnswer(w.ctx, first, noon.Add(9*time.Minute)))
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("-want +got\n%s", diff)
			}
		}
		gone := func(consent string, at time.Time) {
			w.Helper()
			_, err := w.ShownAnswer(w.ctx, consent, at)
			w.refused(err, userkeys.ConsentGone)
		}
		gone(first, noon.Add(10*time.Minute))
		gone("no such", noon)
		gone(second, noon) // not answered
		other := grant(second)
		must[int](w)(w.Revoke(w.ctx, site.Revocation{IDs: []int64{other.ID}, At: noon, By: site.RevokedByOwner, Caller: site.Caller{User: u}}))
		gone(second, noon)
		w.ok(w.Purge(w.ctx, noon.Add(10*time.Minute)))
		gone(first, noon)
		g := w.grantOf(u, "client 3")
		g.ConsentID = w.consent(u)
		_, err := w.Store.Grant(w.ctx, g)
		w.ok(err)
		gone(g.ConsentID, noon) // it went by its way back
		short := w.grantOf(u, "client 4")
		short.Key.ExpiresAt = noon.Add(time.Minute)
		short.ConsentID, short.Shown = w.consent(u), &site.ShownAnswer{Session: "s1", Payload: "c2VhbGVk\n", Until: noon.Add(10 * time.Minute)}
		_, err = w.Store.Grant(w.ctx, short)
		w.ok(err)
		gone(short.ConsentID, noon.Add(time.Minute)) // its key has expired
	})
}

// A form is accepted once, also of 50 sent in parallel.
func TestFormsAreSentOnce(t *testing.T) {
	each(t, func(w *world) {
		var first atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				switch err := w.SpendOnce(w.ctx, "a form", noon.Add(time.Hour)); {
				case err == nil:
					first.Add(1)
				case !errors.Is(err, userkeys.Conflict):
					w.Errorf("SpendOnce: %v", err)
				}
			})
		}
		all.Wait()
		if n := first.Load(); n != 1 {
			w.Errorf("%d were the first", n)
		}
		w.ok(w.SpendOnce(w.ctx, "another form", noon.Add(2*time.Hour)))
		w.ok(w.Purge(w.ctx, noon.Add(time.Hour)))
		w.ok(w.SpendOnce(w.ctx, "a form", noon.Add(time.Hour)))
		w.refused(w.SpendOnce(w.ctx, "another form", noon.Add(2*time.Hour)), userkeys.Conflict)
	})
}
