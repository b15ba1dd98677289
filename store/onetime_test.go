package store_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

func (w *world) oneTime(u site.User) string {
	w.Helper()
	p := userkeys.NewOneTimePassword()
	w.ok(w.CreateOneTimePassword(w.ctx, site.OneTimePassword{
		Password: p, UserID: u.ID, ApplicationName: "phone", CreatedAt: noon, ExpiresAt: noon.Add(site.OneTimeLifetime),
	}, "", admin))
	return p
}

// The newest one-time password of a key is the only one, and is good once (OT3, OT15).
func TestOneTimePasswords(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		look := func(p string, at time.Time) error {
			_, err := w.Store.OneTimePassword(w.ctx, p, at)
			return err
		}
		older := w.oneTime(ada)
		newer := w.oneTime(ada)
		w.refused(look(older, noon), userkeys.ConsentGone)
		w.ok(look(newer, noon))
		w.refused(look(newer, noon.Add(site.OneTimeLifetime)), userkeys.ConsentGone)
		_, err := w.ConsumeOneTimePassword(w.ctx, newer, admin.At(noon.Add(site.OneTimeLifetime)))
		w.refused(err, userkeys.ConsentGone)
		w.once(func() error {
			p, err := w.ConsumeOneTimePassword(w.ctx, newer, admin.At(noon))
			if err == nil && (p.UserID != ada.ID || p.ApplicationName != "phone") {
				w.Errorf("it was %+v", p)
			}
			return err
		})
		p := w.oneTime(ada)
		w.ok(w.DeleteUserSessions(w.ctx, ada.ID))
		w.refused(look(p, noon), userkeys.ConsentGone)
		p = w.oneTime(ada)
		_, err = w.Store.Revoke(w.ctx, site.Revocation{UserID: ada.ID, By: site.RevokedByOwner, At: noon, Caller: admin})
		w.ok(err)
		w.refused(look(p, noon), userkeys.ConsentGone)
		w.refused(w.CreateOneTimePassword(w.ctx, site.OneTimePassword{Password: "x", UserID: ada.ID}, "", admin), userkeys.InvalidParameters)
		w.refused(w.CreateOneTimePassword(w.ctx, site.OneTimePassword{Password: userkeys.NewOneTimePassword(), UserID: 999}, "", admin), userkeys.NotFound)
		w.refused(w.CreateOneTimePassword(w.ctx, site.OneTimePassword{Password: userkeys.NewOneTimePassword(), UserID: ada.ID, CreatedAt: noon}, "no consent", admin), userkeys.ConsentGone)
	})
}
