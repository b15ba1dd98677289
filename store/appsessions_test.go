package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// signIn saves a session and binds it to a key, as a one-time password does.
func (w *world) signIn(u site.User, token string, keyID int64) error {
	w.Helper()
	p, err := w.usePassword(u, keyID)
	if err != nil {
		return err
	}
	return w.begin(p, token)
}

// usePassword makes a one-time password and uses it.
func (w *world) usePassword(u site.User, keyID int64) (site.OneTimePassword, error) {
	w.Helper()
	p := site.OneTimePassword{
		Password: userkeys.NewOneTimePassword(), UserID: u.ID, KeyID: keyID, ApplicationName: "App",
		CreatedAt: noon, ExpiresAt: noon.Add(site.OneTimeLifetime),
	}
	w.ok(w.CreateOneTimePassword(w.ctx, p, "", admin))
	return w.ConsumeOneTimePassword(w.ctx, p.Password, admin.At(noon))
}

// begin saves the session that p signs in.
func (w *world) begin(p site.OneTimePassword, token string) error {
	w.Helper()
	w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte(token), Data: []byte("x"), UserID: p.UserID, ExpiresAt: noon.Add(90 * 24 * time.Hour)}))
	return w.BindSession(w.ctx, []byte(token), site.AppSession{
		Password: p.Password, KeyID: p.KeyID, ApplicationName: "App " + token, BeganAt: noon,
	})
}

// No session begins when all sessions of a user were ended after the one-time password was
// used, and before the session is there.
func TestAppSessionAfterAllSessionsEnded(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		gaveBack := w.key(u, "gave back")
		w.revoke(site.RevokedByApp, gaveBack.ID)
		for _, keyID := range []int64{0, gaveBack.ID} {
			p := must[site.OneTimePassword](w)(w.usePassword(u, keyID))
			_, err := w.Store.Revoke(w.ctx, site.Revocation{UserID: u.ID, By: site.RevokedByOwner, At: noon, Caller: admin})
			w.ok(err)
			w.refused(w.begin(p, "late"), userkeys.ConsentGone)
		}
	})
}

// signedIn fails unless the session of token is there at a time, or is not.
func (w *world) signedIn(token string, at time.Time, want bool) {
	w.Helper()
	if _, ok, err := w.Session(w.ctx, []byte(token), at); ok != want || err != nil {
		w.Errorf("session %s at %v: %v, %v; want %v", token, at, ok, err, want)
	}
}

// Sessions that apps began end with the key that began them.
func TestAppSessionsEndWithTheirKey(t *testing.T) {
	each(t, func(w *world) {
		u, other := w.user("ada"), w.user("bob")
		hour := noon.Add(time.Hour)
		kept := w.key(u, "kept")
		ends := w.key(u, "ends", func(g *site.Grant) { g.Key.ExpiresAt = hour })
		gaveBack, stale := w.key(u, "gave back"), w.key(u, "stale")
		w.ok(w.signIn(u, "kept", kept.ID))
		w.ok(w.signIn(u, "ends", ends.ID))
		w.ok(w.signIn(u, "gave back", gaveBack.ID))
		w.ok(w.signIn(u, "stale", stale.ID))
		w.ok(w.signIn(u, "keyless", 0))
		w.ok(w.signIn(other, "bobs", 0))
		w.refused(w.signIn(u, "of nothing", 4711), userkeys.ConsentGone)

		want := []string{"App kept", "App ends", "App gave back", "App stale", "App keyless"}
		var got []string
		for _, a := range must[[]site.AppSession](w)(w.AppSessions(w.ctx, u.ID, noon)) {
			got = append(got, a.ApplicationName)
			if !a.BeganAt.Equal(micro(noon)) {
				w.Errorf("%s began at %v", a.ApplicationName, a.BeganAt)
			}
		}
		if diff := cmp.Diff(count(want), count(got)); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}

		w.signedIn("ends", hour.Add(-time.Second), true)
		w.signedIn("ends", hour, false)
		w.key(u, "ends", func(g *site.Grant) { g.Key.CreatedAt = hour }) // too late to carry it over
		w.signedIn("ends", noon, false)

		_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{gaveBack.ID}, By: site.RevokedByApp, At: noon, Caller: admin})
		w.ok(err)
		w.signedIn("gave back", noon, true)
		w.ok(w.signIn(u, "gave back too", gaveBack.ID))
		again := w.key(u, "gave back")
		w.signedIn("gave back", noon, true)
		w.revoke(site.RevokedByOwner, again.ID)
		w.signedIn("gave back", noon, false)
		w.signedIn("gave back too", noon, false)
		w.refused(w.signIn(u, "later", again.ID), userkeys.ConsentGone)

		must[int](w)(w.RevokeStale(w.ctx, hour, time.Time{}, hour))
		w.signedIn("stale", noon, false)
		w.ok(w.UndoRevoke(w.ctx, site.Undo{Key: w.stored(stale.ID), At: hour, Caller: admin}))
		w.signedIn("stale", noon, false)

		_, err = w.Store.Revoke(w.ctx, site.Revocation{UserID: u.ID, By: site.RevokedByOwner, At: hour, Caller: admin})
		w.ok(err)
		w.signedIn("keyless", noon, false)
		w.signedIn("bobs", noon, true)
	})
}

func count(names []string) map[string]int {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	return n
}

// When a key is revoked while its app begins a session, no session is left that undoing the
// revocation would bring back, whichever comes first.
func TestAppSessionWhileItsKeyIsRevoked(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		for i := range 20 {
			k, token := w.key(u, fmt.Sprint("app ", i)), fmt.Sprint("token ", i)
			for _, err := range w.together(2, func(n int) error {
				if n == 0 {
					return w.signIn(u, token, k.ID)
				}
				_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: noon, Caller: admin})
				return err
			}) {
				if err != nil {
					w.refused(err, userkeys.ConsentGone)
					w.ok(w.DeleteSession(w.ctx, []byte(token))) // as whoever signs in does
				}
			}
			w.undo(k.ID, admin)
			w.signedIn(token, noon, false)
		}
	})
}
