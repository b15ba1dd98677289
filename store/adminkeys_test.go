package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

func (w *world) adminKey(u site.User, description string) site.AdminAPIKey {
	w.Helper()
	return must[site.AdminAPIKey](w)(w.CreateAdminKey(w.ctx, site.AdminAPIKey{
		Description: description, Hash: w.hash(), UserID: u.ID, CreatedAt: noon,
	}, admin))
}

// Admin API keys are kept, listed, and their use is recorded (KU11).
func TestAdminKeysAreKept(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("Ada")
		one := w.adminKey(ada, "backup \u2603")
		anybody := w.adminKey(site.User{}, "everything")
		if one.Username != "Ada" || one.UserID != ada.ID || !one.CreatedAt.Equal(micro(noon)) || anybody.Username != "" || anybody.UserID != 0 {
			w.Errorf("made: %+v and %+v", one, anybody)
		}
		list := must[[]site.AdminAPIKey](w)(w.AdminKeys(w.ctx, 0, 0))
		if diff := cmp.Diff([]site.AdminAPIKey{anybody, one}, list); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		if page := must[[]site.AdminAPIKey](w)(w.AdminKeys(w.ctx, anybody.ID, 5)); len(page) != 1 || page[0].ID != one.ID {
			w.Errorf("the second page: %+v", page)
		}
		if page := must[[]site.AdminAPIKey](w)(w.AdminKeys(w.ctx, 0, 1)); len(page) != 1 || page[0].ID != anybody.ID {
			w.Errorf("a page of one: %+v", page)
		}
		if diff := cmp.Diff(one, must[site.AdminAPIKey](w)(w.AdminKeyByHash(w.ctx, one.Hash))); diff != "" {
			w.Errorf("by hash: -want +got\n%s", diff)
		}
		narrow := must[site.AdminAPIKey](w)(w.CreateAdminKey(w.ctx, site.AdminAPIKey{
			Description: "narrow", Hash: w.hash(), Permissions: site.AdminPermissions{"users", "audit"}, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
		}, admin))
		if diff := cmp.Diff(narrow, must[site.AdminAPIKey](w)(w.AdminKeyByHash(w.ctx, narrow.Hash))); diff != "" || !narrow.ExpiresAt.Equal(micro(noon.Add(time.Hour))) {
			w.Errorf("with limits: -want +got\n%s", diff)
		}
		near := one.Hash // KU11: the whole hash counts
		near[31] ^= 1
		_, err := w.AdminKeyByHash(w.ctx, near)
		w.refused(err, userkeys.NotFound)
		_, err = w.KeyByHash(w.ctx, one.Hash)
		w.refused(err, userkeys.NotFound)
		_, err = w.CreateAdminKey(w.ctx, site.AdminAPIKey{Description: "x", Hash: w.hash(), UserID: ada.ID + 99}, admin)
		w.refused(err, userkeys.NotFound)

		w.ok(w.TouchAdminKey(w.ctx, one.ID, noon.Add(time.Hour)))
		w.ok(w.TouchAdminKey(w.ctx, one.ID, noon))
		if k := must[site.AdminAPIKey](w)(w.AdminKeyByHash(w.ctx, one.Hash)); !k.LastUsedAt.Equal(micro(noon.Add(time.Hour))) {
			w.Errorf("last used %v", k.LastUsedAt)
		}

		w.ok(w.DeleteUser(w.ctx, ada.ID, admin.At(noon)))
		_, err = w.AdminKeyByHash(w.ctx, one.Hash)
		w.refused(err, userkeys.NotFound)
		_, err = w.AdminKeyByHash(w.ctx, anybody.Hash)
		w.ok(err)
	})
}

// Admin API keys are revoked once, and purged.
func TestAdminKeysAreRevoked(t *testing.T) {
	each(t, func(w *world) {
		k := w.adminKey(w.user("ada"), "backup")
		errs := w.together(8, func(i int) error {
			return w.RevokeAdminKey(w.ctx, k.ID, admin.At(noon.Add(time.Duration(i)*time.Second)))
		})
		for _, err := range errs {
			w.ok(err)
		}
		first := must[site.AdminAPIKey](w)(w.AdminKeyByHash(w.ctx, k.Hash)).RevokedAt
		w.ok(w.RevokeAdminKey(w.ctx, k.ID, admin.At(noon.Add(time.Hour))))
		if again := must[site.AdminAPIKey](w)(w.AdminKeyByHash(w.ctx, k.Hash)).RevokedAt; first.IsZero() || !again.Equal(first) {
			w.Errorf("revoked at %v, then at %v", first, again)
		}
		w.refused(w.RevokeAdminKey(w.ctx, k.ID+1, admin.At(noon)), userkeys.NotFound)
		w.refused(w.RevokeAdminKey(w.ctx, -1, admin.At(noon)), userkeys.NotFound)
		want := []string{"user created", "admin key created", "admin key revoked"} // one line, however often
		if diff := cmp.Diff(want, w.actions()); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}

		live := w.adminKey(site.User{}, "stays")
		over := must[site.AdminAPIKey](w)(w.CreateAdminKey(w.ctx, site.AdminAPIKey{Description: "over", Hash: w.hash(), CreatedAt: noon, ExpiresAt: first}, admin))
		w.ok(w.Purge(w.ctx, first.Add(89*24*time.Hour)))
		for _, h := range []userkeys.KeyHash{k.Hash, over.Hash} {
			_, err := w.AdminKeyByHash(w.ctx, h)
			w.ok(err)
		}
		w.ok(w.Purge(w.ctx, first.Add(91*24*time.Hour)))
		for _, h := range []userkeys.KeyHash{k.Hash, over.Hash} {
			_, err := w.AdminKeyByHash(w.ctx, h)
			w.refused(err, userkeys.NotFound)
		}
		_, err := w.AdminKeyByHash(w.ctx, live.Hash)
		w.ok(err)
	})
}

// The audit log says which admin API key acted, also where the values are long (AD11).
func TestAuditLogNamesTheAdminKey(t *testing.T) {
	each(t, func(w *world) {
		root := w.user("root", asAdmin)
		k := w.key(w.user("ada"), "c")
		by := site.Caller{User: root, AdminKey: 7, Address: "192.0.2.3"}
		w.ok(w.SetSetting(w.ctx, "site_description", strings.Repeat("long ", 1000), by.At(noon)))
		w.ok(w.SetPassword(w.ctx, root.ID, "hash", by.At(noon)))
		_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByAdmin, At: noon, Caller: by})
		w.ok(err)
		events := must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{Limit: 3}))
		slices.Reverse(events)
		for i, want := range []string{"by admin key 7: site_description = long", "by admin key 7", "by admin key 7: admin"} {
			e := events[i]
			if !strings.HasPrefix(e.Detail, want) || e.Caller.Kind() != site.CallerAdminKey || e.Caller.User.ID != root.ID || e.Caller.Address != "192.0.2.3" || !e.Caller.Admin() {
				w.Errorf("event %d: %+v, want %s", i, e, want)
			}
		}
	})
}
