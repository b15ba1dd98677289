package store_test

import (
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
	"userkeys/store"
)

// Who a user is to a provider is stored once, whoever comes first.
func TestIdentities(t *testing.T) {
	each(t, func(w *world) {
		id := site.Identity{Issuer: "https://id.example", Subject: "17", Login: "id", Username: "Carol", CreatedAt: noon, SignedInAt: noon}
		account := func(name string) site.Account {
			return site.Account{User: site.User{Username: name, Active: true, CreatedAt: noon}}
		}
		var made sync.WaitGroup
		var mu sync.Mutex
		var users []site.User
		for _, name := range []string{"carol", "carla", "clara", "cora"} {
			made.Go(func() {
				u, err := w.CreateWithIdentity(w.ctx, account(name), id, admin)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					users = append(users, u)
				} else if e := userkeys.AsError(err); e.Code != userkeys.Conflict || e.Reason != store.ReasonIdentityTaken {
					w.Errorf("%v", err)
				}
			})
		}
		made.Wait()
		if len(users) != 1 {
			w.Fatalf("%d users have one identity", len(users))
		}
		all := must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{}))
		if len(all) != 1 || all[0].ExternalID != "17" {
			w.Errorf("%+v", all)
		}
		_, err := w.CreateWithIdentity(w.ctx, account(users[0].Username), site.Identity{Issuer: id.Issuer, Subject: "18", CreatedAt: noon}, admin)
		w.refused(err, userkeys.Conflict)
		_, err = w.Identity(w.ctx, id.Issuer, "18")
		w.refused(err, userkeys.NotFound) // nothing is left of a user who was not made
		for _, other := range [][2]string{{"https://id.example/", "17"}, {"https://id.example", "017"}, {"https://ID.example", "17"}, {"https://id.example", "17 "}} {
			_, err = w.Identity(w.ctx, other[0], other[1])
			w.refused(err, userkeys.NotFound)
		}
		_, err = w.CreateWithIdentity(w.ctx, account("empty"), site.Identity{Issuer: "x"}, admin)
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.CreateWithIdentity(w.ctx, account("nul"), site.Identity{Issuer: "x", Subject: "a\x00"}, admin)
		w.refused(err, userkeys.InvalidParameters)

		in := site.SignIn{Identity: id}
		in.UserID, in.Username, in.SignedInAt = users[0].ID, "C\u00e4rol", noon.Add(time.Hour)
		w.ok(w.NoteSignIn(w.ctx, in))
		got := must[[]site.Identity](w)(w.Identities(w.ctx, in.UserID))
		if len(got) != 1 || got[0].Username != in.Username || !got[0].SignedInAt.Equal(in.SignedInAt.Truncate(time.Microsecond)) {
			w.Errorf("%+v", got)
		}
		u := must[site.User](w)(w.User(w.ctx, in.UserID))
		if u.Login != "id" || !u.SignedInAt.Equal(in.SignedInAt.Truncate(time.Microsecond)) {
			w.Errorf("%+v", u)
		}
		in.SignedInAt = noon // a sign-in that was written late takes nothing back
		w.ok(w.NoteSignIn(w.ctx, in))
		if again := must[site.User](w)(w.User(w.ctx, in.UserID)); !again.SignedInAt.Equal(u.SignedInAt) {
			w.Errorf("signed in at %v, then at %v", u.SignedInAt, again.SignedInAt)
		}
		w.ok(w.UpdateUser(w.ctx, u, admin.At(noon))) // changes nothing of who they are elsewhere
		if again := must[site.User](w)(w.User(w.ctx, in.UserID)); again.ExternalID != "17" || again.Login != "id" {
			w.Errorf("%+v", again)
		}

		w.ok(w.DeleteUser(w.ctx, u.ID, admin.At(noon)))
		_, err = w.Identity(w.ctx, id.Issuer, "17")
		w.refused(err, userkeys.NotFound)
		w.refused(w.NoteSignIn(w.ctx, in), userkeys.NotFound)
	})
}

// An account is linked and unlinked by an administrator, and the audit log says so.
func TestLinkIdentity(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		id := site.Identity{Issuer: "https://id.example", Subject: "17", UserID: ada.ID, CreatedAt: noon}
		before := w.newest()
		w.key(ada, "app")
		w.ok(w.LinkIdentity(w.ctx, id, admin.At(noon)))
		if after := w.newest(); after == before {
			w.Error("what is kept of her keys would not say who she is now")
		}
		if u := must[site.User](w)(w.User(w.ctx, ada.ID)); u.ExternalID != "" || u.Login != "" {
			w.Errorf("a link makes her somebody who signed in: %+v", u)
		}
		// Another identity takes nothing from the login by which her keys pause, and its subject never stands beside it.
		in := site.SignIn{Identity: id}
		in.Login, in.SignedInAt = "id", noon
		w.ok(w.NoteSignIn(w.ctx, in))
		second := site.Identity{Issuer: "https://forum.example", Subject: "99", UserID: ada.ID, CreatedAt: noon}
		w.ok(w.LinkIdentity(w.ctx, second, admin.At(noon)))
		if u := must[site.User](w)(w.User(w.ctx, ada.ID)); u.ExternalID != "17" || u.Login != "id" {
			w.Errorf("after another link: %+v", u)
		}
		w.ok(w.UnlinkIdentity(w.ctx, id, admin.At(noon)))
		if u := must[site.User](w)(w.User(w.ctx, ada.ID)); u.ExternalID != "" || u.Login != "id" {
			w.Errorf("after the first was unlinked: %+v", u)
		}
		w.ok(w.UnlinkIdentity(w.ctx, second, admin.At(noon)))
		w.ok(w.LinkIdentity(w.ctx, id, admin.At(noon)))
		id.UserID = bob.ID
		w.refused(w.LinkIdentity(w.ctx, id, admin.At(noon)), userkeys.Conflict)
		w.refused(w.UnlinkIdentity(w.ctx, id, admin.At(noon)), userkeys.NotFound)
		id.UserID = 4711
		w.refused(w.LinkIdentity(w.ctx, id, admin.At(noon)), userkeys.NotFound)
		id.UserID = ada.ID
		w.ok(w.UnlinkIdentity(w.ctx, id, admin.At(noon)))
		if u := must[site.User](w)(w.User(w.ctx, ada.ID)); u.ExternalID != "" {
			w.Errorf("%+v", u)
		}
		var said []string
		for _, e := range must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{Limit: 2})) {
			said = append(said, e.Action+": "+e.Detail)
		}
		if len(said) < 2 || said[0] != "identity unlinked: 17 at https://id.example" || said[1] != "identity linked: 17 at https://id.example" {
			w.Errorf("%q", said)
		}
	})
}
