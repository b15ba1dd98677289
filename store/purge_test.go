package store_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// What is over is purged, and nothing else.
func TestPurge(t *testing.T) {
	each(t, func(w *world) {
		const day = 24 * time.Hour
		u := w.user("ada")
		live := w.key(u, "live")
		revoked := w.key(u, "revoked")
		w.revoke(site.RevokedByOwner, revoked.ID)
		expired := w.key(u, "expired", func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(day) })
		consent := w.consent(u)
		w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte("short"), Data: []byte("x"), UserID: u.ID, ExpiresAt: noon.Add(time.Hour)}))
		w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte("long"), Data: []byte("x"), UserID: u.ID, ExpiresAt: noon.Add(1000 * day)}))
		w.ok(w.CreateToken(w.ctx, site.Token{Kind: "setup", Hash: []byte("t"), Expires: noon.Add(time.Hour)}))
		for name, window := range map[string]time.Duration{"short": time.Hour, "ever": 0} {
			_, _, err := w.ChargeAttempt(w.ctx, name, window, noon)
			w.ok(err)
		}

		w.ok(w.Purge(w.ctx, noon.Add(89*day)))
		w.stored(revoked.ID)
		w.stored(expired.ID)
		_, err := w.Consent(w.ctx, consent)
		w.refused(err, userkeys.ConsentGone)
		for token, want := range map[string]bool{"short": false, "long": true} {
			if _, ok, err := w.Session(w.ctx, []byte(token), noon); ok != want || err != nil {
				w.Errorf("session %s: %t, %v", token, ok, err)
			}
		}
		if ok := must[bool](w)(w.ConsumeToken(w.ctx, site.Token{Kind: "setup", Hash: []byte("t")}, noon)); ok {
			w.Error("an old token is still there")
		}
		for name, want := range map[string]int{"short": 1, "ever": 2} {
			if n, _, err := w.ChargeAttempt(w.ctx, name, 0, noon); n != want || err != nil {
				w.Errorf("guesses of %s: %d, %v", name, n, err)
			}
		}

		w.ok(w.Purge(w.ctx, noon.Add(92*day)))
		for _, id := range []int64{revoked.ID, expired.ID} {
			_, err := w.Store.Key(w.ctx, id)
			w.refused(err, userkeys.NotFound)
		}
		w.stored(live.ID)
		for id, want := range map[string]error{"live": nil, "revoked": userkeys.NotFound, "expired": userkeys.NotFound} {
			if _, err := w.Client(w.ctx, id); (err == nil) != (want == nil) {
				w.Errorf("client %s: %v", id, err)
			}
		}
		if log := w.actions(); log[len(log)-1] != "purged" {
			w.Errorf("log %q", log)
		}
	})
}
