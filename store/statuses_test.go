package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// Statuses end, and are purged.
func TestUserStatuses(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		_, err := w.UserStatus(w.ctx, ada.ID, noon)
		w.refused(err, userkeys.NotFound)
		first := site.UserStatus{Emoji: "tooth", Description: "at the dentist's", SetAt: micro(noon), EndsAt: micro(noon.Add(time.Hour))}
		w.ok(w.SetUserStatus(w.ctx, ada.ID, site.UserStatus{Emoji: "x", Description: "y", SetAt: noon}))
		w.ok(w.SetUserStatus(w.ctx, ada.ID, first))
		forever := site.UserStatus{Emoji: "e", Description: "d", SetAt: micro(noon)}
		w.ok(w.SetUserStatus(w.ctx, bob.ID, forever))
		if diff := cmp.Diff(first, must[site.UserStatus](w)(w.UserStatus(w.ctx, ada.ID, first.EndsAt.Add(-time.Microsecond)))); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		_, err = w.UserStatus(w.ctx, ada.ID, first.EndsAt)
		w.refused(err, userkeys.NotFound)
		w.ok(w.Purge(w.ctx, first.EndsAt))
		_, err = w.UserStatus(w.ctx, ada.ID, noon) // it is gone, and not only over
		w.refused(err, userkeys.NotFound)
		if diff := cmp.Diff(forever, must[site.UserStatus](w)(w.UserStatus(w.ctx, bob.ID, noon.Add(90000*time.Hour)))); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		w.ok(w.ClearUserStatus(w.ctx, bob.ID))
		w.ok(w.ClearUserStatus(w.ctx, bob.ID))
		_, err = w.UserStatus(w.ctx, bob.ID, noon)
		w.refused(err, userkeys.NotFound)
		w.refused(w.SetUserStatus(w.ctx, 9999, first), userkeys.NotFound)
	})
}
