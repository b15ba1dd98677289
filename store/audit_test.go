package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/site"
)

// Every event is in the audit log, without secrets.
func TestAuditLog(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		k := w.key(u, "c")
		owner := site.Caller{As: site.CallerUser, User: site.User{ID: u.ID}, Address: "192.0.2.9"}
		_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: noon, Caller: owner})
		w.ok(err)
		w.undo(k.ID, owner)
		w.key(u, "c")
		w.ok(w.DeleteConsent(w.ctx, w.consent(u), owner.At(noon)))
		w.ok(w.SetSetting(w.ctx, "title", "New title", admin.At(noon)))
		w.ok(w.SetSetting(w.ctx, "push_api_secret_key", "very secret", admin.At(noon)))
		w.ok(w.ResetSetting(w.ctx, "title", admin.At(noon)))
		w.ok(w.SetPassword(w.ctx, u.ID, "secret hash", admin.At(noon)))
		u.Admin = true
		w.ok(w.UpdateUser(w.ctx, u, admin.At(noon)))
		w.user("root", asAdmin)
		w.ok(w.DeleteUser(w.ctx, u.ID, admin.At(noon)))

		want := []string{
			"user created", "key granted", "key revoked", "revocation undone", "key granted", "key replaced", "consent denied",
			"setting changed", "setting changed", "setting reset", "password set", "user updated", "user created", "user deleted",
		}
		if diff := cmp.Diff(want, w.actions()); diff != "" {
			w.Fatalf("-want +got\n%s", diff)
		}
		events := must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{}))
		slices.Reverse(events)
		revoked := site.AuditEvent{
			ID: events[2].ID, At: micro(noon), Caller: owner, Action: "key revoked",
			UserID: u.ID, KeyID: k.ID, ClientID: "c", Detail: "owner",
		}
		if diff := cmp.Diff(revoked, events[2]); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		if got := events[11].Detail; got != "admin false -> true" {
			w.Errorf("detail of an update: %q", got)
		}
		all := fmt.Sprint(events)
		for _, secret := range []string{"very secret", "secret hash"} {
			if strings.Contains(all, secret) {
				w.Errorf("%q is in the log", secret)
			}
		}
		if !strings.Contains(all, "title = New title") {
			w.Error("the value of a setting that is no secret is not in the log")
		}
		page := must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{Before: events[3].ID, Limit: 2}))
		if len(page) != 2 || page[0].ID != events[2].ID || page[1].ID != events[1].ID {
			w.Errorf("a page of the log: %v", page)
		}
	})
}
