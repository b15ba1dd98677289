package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// Users are found by a part of their name (AD3).
func TestUsersAreFoundByPartOfTheName(t *testing.T) {
	each(t, func(w *world) {
		email := func(s string) func(*site.Account) { return func(a *site.Account) { a.Email = s } }
		w.user("Ada.L", email("ada@example.org"))
		w.user("a_b")
		w.user("axb", email("X@ADA.example"))
		for _, test := range []struct{ text, want string }{
			{"", "Ada.L a_b axb"},
			{"ADA", "Ada.L axb"},
			{"a.l", "Ada.L"},
			{"a_b", "a_b"}, // AD3: no pattern
			{"a%", ""},
			{"%", ""},
			{"_", "a_b"},
			{`\`, ""},
			{"'", ""},
			{"' OR 1=1 --", ""},
			{"\u212a", ""},
		} {
			var got []string
			for _, u := range must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{Text: test.text})) {
				got = append(got, u.Username)
			}
			if strings.Join(got, " ") != test.want {
				w.Errorf("%q finds %q, want %q", test.text, got, test.want)
			}
		}
		first := must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{Text: "a", Limit: 2}))
		if len(first) != 2 || first[1].Username != "a_b" {
			w.Fatalf("the first page: %v", first)
		}
		if rest := must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{Text: "a", Limit: 2, After: first[1].ID})); len(rest) != 1 || rest[0].Username != "axb" {
			w.Errorf("the second page: %v", rest)
		}
		for name, change := range map[string]func(*site.Account){
			"boss":  func(a *site.Account) { a.Admin = true },
			"idle":  func(a *site.Account) { a.Admin, a.Active = true, false },
			"stern": func(a *site.Account) { a.Admin, a.SuspendedAt = true, noon },
			"aide":  func(a *site.Account) { a.Moderator = true },
		} {
			w.user(name, change)
		}
		if admins := must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{Admins: true})); len(admins) != 1 || admins[0].Username != "boss" {
			w.Errorf("administrators who may act: %v", admins)
		}
		_, err := w.FindUsers(w.ctx, site.UserFilter{Text: strings.Repeat("x", 10_000)})
		w.refused(err, userkeys.InvalidParameters)
	})
}

// A user is found or made once, also by 20 calls in parallel.
func TestUsersAreFoundOrMade(t *testing.T) {
	each(t, func(w *world) {
		var all sync.WaitGroup
		ids := make([]int64, 20)
		for i := range ids {
			all.Go(func() {
				u, err := w.FindOrCreateUser(w.ctx, site.User{Username: "Ada", Email: "ada@example.com", TrustLevel: 2}, site.Caller{As: site.CallerSystem})
				if ids[i] = u.ID; err != nil || !u.MayAct() || u.TrustLevel != 2 {
					w.Errorf("%+v, %v", u, err)
				}
			})
		}
		all.Wait()
		for _, id := range ids {
			if id != ids[0] || id == 0 {
				w.Errorf("the ids are %v", ids)
			}
		}
		u := must[site.User](w)(w.FindOrCreateUser(w.ctx, site.User{Username: "ADA", TrustLevel: 4, Admin: true}, site.Caller{}))
		if u.ID != ids[0] || u.Admin || u.TrustLevel != 2 || u.Username != "Ada" {
			w.Errorf("who is there was changed: %+v", u)
		}
		u.Active = false
		w.ok(w.UpdateUser(w.ctx, u, site.Caller{}.At(noon)))
		if u = must[site.User](w)(w.FindOrCreateUser(w.ctx, site.User{Username: "ada"}, site.Caller{})); u.Active {
			w.Error("who was made inactive is active again")
		}
		_, err := w.FindOrCreateUser(w.ctx, site.User{Username: "Bob", Email: "ada@example.com"}, site.Caller{})
		w.refused(err, userkeys.Conflict)
		_, err = w.FindOrCreateUser(w.ctx, site.User{}, site.Caller{})
		w.refused(err, userkeys.InvalidParameters)
	})
}

// A user is found by name only.
func TestUserByName(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("Ada", func(a *site.Account) { a.Email = "ada@example.org" })
		for _, name := range []string{"Ada", "ada", "ADA"} {
			if u := must[site.User](w)(w.UserNamed(w.ctx, name)); u.ID != ada.ID {
				w.Errorf("%s is %+v", name, u)
			}
		}
		for _, name := range []string{"ada@example.org", "", "Ada ", "\u00c1da"} {
			_, err := w.UserNamed(w.ctx, name)
			w.refused(err, userkeys.NotFound)
		}
	})
}

// A user comes back as written.
func TestUsersAreKept(t *testing.T) {
	each(t, func(w *world) {
		a := site.Account{PasswordHash: "$argon2id$x", User: site.User{
			Username: "Ada.L-1_", Name: "Ada, Countess of Lovelace \u2603", Email: "Ada@Example.ORG", TrustLevel: 4,
			Admin: true, Moderator: true, Active: true, Groups: []string{"a", "b c"},
			SuspendedAt: noon, CreatedAt: noon.Add(time.Second), LastSeenAt: noon.Add(time.Minute),
		}}
		u := must[site.User](w)(w.CreateUser(w.ctx, a, admin))
		want := a.User
		want.ID, want.SuspendedAt, want.CreatedAt, want.LastSeenAt = u.ID, micro(a.SuspendedAt), micro(a.CreatedAt), micro(a.LastSeenAt)
		if diff := cmp.Diff(want, u); diff != "" || u.ID <= 0 {
			w.Errorf("created: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(want, must[site.User](w)(w.User(w.ctx, u.ID))); diff != "" {
			w.Errorf("by id: -want +got\n%s", diff)
		}
		account := must[site.Account](w)(w.Account(w.ctx, "ada.l-1_"))
		if diff := cmp.Diff(site.Account{User: want, PasswordHash: a.PasswordHash}, account); diff != "" {
			w.Errorf("by name: -want +got\n%s", diff)
		}

		changed := site.User{ID: u.ID, Username: "new", CreatedAt: noon.Add(999 * time.Hour), Admin: true, Active: true}
		w.ok(w.UpdateUser(w.ctx, changed, admin.At(noon)))
		changed.CreatedAt = want.CreatedAt
		if diff := cmp.Diff(changed, must[site.User](w)(w.User(w.ctx, u.ID))); diff != "" {
			w.Errorf("updated: -want +got\n%s", diff)
		}
		w.ok(w.TouchUser(w.ctx, u.ID, noon))
		w.ok(w.TouchUser(w.ctx, u.ID, noon.Add(-time.Hour)))
		if got := must[site.User](w)(w.User(w.ctx, u.ID)); !got.LastSeenAt.Equal(micro(noon)) {
			w.Errorf("last seen %v", got.LastSeenAt)
		}

		other := w.user("other")
		w.ok(w.RecordSeen(w.ctx, nil))
		w.ok(w.RecordSeen(w.ctx, []site.UserSeen{
			{UserID: other.ID, SeenAt: noon.Add(time.Second)},
			{UserID: u.ID, SeenAt: noon.Add(-time.Hour)},
			{UserID: other.ID + 100, SeenAt: noon}, // gone meanwhile
		}))
		for id, want := range map[int64]time.Time{u.ID: noon, other.ID: noon.Add(time.Second)} {
			if got := must[site.User](w)(w.User(w.ctx, id)); !got.LastSeenAt.Equal(micro(want)) {
				w.Errorf("user %d was seen last at %v, want %v", id, got.LastSeenAt, want)
			}
		}

		_, err := w.User(w.ctx, other.ID+1)
		w.refused(err, userkeys.NotFound)
		_, err = w.Account(w.ctx, "nobody")
		w.refused(err, userkeys.NotFound)
		w.refused(w.UpdateUser(w.ctx, site.User{ID: other.ID + 1, Username: "x"}, admin.At(noon)), userkeys.NotFound)
		w.refused(w.UpdateUser(w.ctx, site.User{ID: u.ID}, admin.At(noon)), userkeys.InvalidParameters)
	})
}

// User names are compared without the case of ASCII letters (DB4).
func TestUsernamesIgnoreCase(t *testing.T) {
	each(t, func(w *world) {
		email := func(s string) func(*site.Account) { return func(a *site.Account) { a.Email = s } }
		ada := w.user("Ada", email("Kay@Example.org"))
		bob := w.user("bob") // two users without an address do not collide
		w.user("carl")
		for _, test := range []struct{ name, username, email string }{
			{"name in another case", "aDA", ""},
			{"address in another case", "eve", "kAY@example.ORG"},
		} {
			_, err := w.CreateUser(w.ctx, site.Account{User: site.User{Username: test.username, Email: test.email}}, admin)
			w.refused(err, userkeys.Conflict)
			taken := bob
			taken.Username, taken.Email = test.username, test.email
			w.refused(w.UpdateUser(w.ctx, taken, admin.At(noon)), userkeys.Conflict)
		}
		for _, name := range []string{"ada", "ADA", "kay@example.org", "KAY@EXAMPLE.ORG"} {
			if a := must[site.Account](w)(w.Account(w.ctx, name)); a.ID != ada.ID {
				w.Errorf("%q found user %d", name, a.ID)
			}
		}
		// U+212A is a K to Unicode, and U+0131 an i: they must not be Kay's k.
		for _, name := range []string{"\u212aay@example.org", "ada@example.org", "ad\u00e1", "bob@"} {
			_, err := w.Account(w.ctx, name)
			w.refused(err, userkeys.NotFound)
		}
		ada.Username = "ADA" // one's own name in another case is free
		w.ok(w.UpdateUser(w.ctx, ada, admin.At(noon)))

		errs := w.together(20, func(i int) error {
			name := []string{"twin", "TWIN"}[i%2]
			_, err := w.CreateUser(w.ctx, site.Account{User: site.User{Username: name}}, admin)
			return err
		})
		if n := w.succeeded(errs, userkeys.Conflict); n != 1 {
			w.Errorf("%d users with one name", n)
		}
	})
}

// Users are listed by pages.
func TestUsersAreListed(t *testing.T) {
	each(t, func(w *world) {
		var ids []int64
		for i := range 5 {
			ids = append(ids, w.user(fmt.Sprintf("user%d", i)).ID)
		}
		list := func(after int64, limit int) (out []int64) {
			for _, u := range must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{After: after, Limit: limit})) {
				out = append(out, u.ID)
			}
			return out
		}
		if got := list(0, 0); !slices.Equal(got, ids) {
			w.Errorf("all: %v", got)
		}
		if got := list(ids[1], 2); !slices.Equal(got, ids[2:4]) {
			w.Errorf("a page: %v", got)
		}
		if got := list(ids[4], 2); len(got) != 0 {
			w.Errorf("past the end: %v", got)
		}
	})
}

// The last active administrator can be neither demoted nor deleted (AD10).
func TestLastAdministratorStays(t *testing.T) {
	each(t, func(w *world) {
		root := w.user("root", asAdmin)
		w.user("suspended", asAdmin, func(a *site.Account) { a.SuspendedAt = noon })
		w.user("inactive", asAdmin, func(a *site.Account) { a.Active = false })
		for name, edit := range map[string]func(*site.User){
			"demoted":   func(u *site.User) { u.Admin = false },
			"suspended": func(u *site.User) { u.SuspendedAt = noon },
			"inactive":  func(u *site.User) { u.Active = false },
		} {
			u := root
			edit(&u)
			if err := w.UpdateUser(w.ctx, u, admin.At(noon)); err == nil {
				w.Errorf("the last administrator was %s", name)
			} else {
				w.refused(err, userkeys.Conflict)
			}
		}
		w.refused(w.DeleteUser(w.ctx, root.ID, admin.At(noon)), userkeys.Conflict)
		root.Name = "still may be renamed"
		w.ok(w.UpdateUser(w.ctx, root, admin.At(noon)))

		second := w.user("second", asAdmin)
		root.Admin = false
		w.ok(w.UpdateUser(w.ctx, root, admin.At(noon)))
		w.refused(w.DeleteUser(w.ctx, second.ID, admin.At(noon)), userkeys.Conflict)
	})
}

// Of two administrators who demote each other at the same time, one stays (AD10).
func TestAdministratorsWhoDemoteEachOther(t *testing.T) {
	each(t, func(w *world) {
		for round := range 5 {
			for i := range 4 {
				w.user(fmt.Sprintf("admin%d.%d", round, i), asAdmin)
			}
			left := func() (out []site.User) {
				for _, u := range must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{})) {
					if u.Admin && u.MayAct() {
						out = append(out, u)
					}
				}
				return out
			}
			all := left()
			errs := w.together(len(all), func(i int) error {
				if i%2 == 0 {
					return w.DeleteUser(w.ctx, all[i].ID, admin.At(noon))
				}
				u := all[i]
				u.Admin = false
				return w.UpdateUser(w.ctx, u, admin.At(noon))
			})
			if n := w.succeeded(errs, userkeys.Conflict); n != len(all)-1 {
				w.Errorf("%d of %d administrators removed", n, len(all))
			}
			if n := len(left()); n != 1 {
				w.Fatalf("%d administrators are left", n)
			}
		}
	})
}

// A deleted user leaves nothing but the audit log.
func TestDeleteUser(t *testing.T) {
	each(t, func(w *world) {
		w.user("root", asAdmin)
		u, other := w.user("ada"), w.user("bob")
		k, theirs := w.key(u, "c"), w.key(other, "c")
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: k.ID, LastUsedAt: noon}}))
		consent := w.consent(u)
		w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte("s"), Data: []byte("x"), UserID: u.ID, ExpiresAt: noon.Add(time.Hour)}))
		w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte("o"), Data: []byte("x"), UserID: other.ID, ExpiresAt: noon.Add(time.Hour)}))
		w.ok(w.DeleteUser(w.ctx, u.ID, admin.At(noon)))

		_, err := w.User(w.ctx, u.ID)
		w.refused(err, userkeys.NotFound)
		_, err = w.KeyByHash(w.ctx, k.Hash)
		w.refused(err, userkeys.NotFound)
		_, err = w.Consent(w.ctx, consent)
		w.refused(err, userkeys.ConsentGone)
		for token, want := range map[string]bool{"s": false, "o": true} {
			if _, ok, err := w.Session(w.ctx, []byte(token), noon); ok != want || err != nil {
				w.Errorf("session %s: %t, %v", token, ok, err)
			}
		}
		w.stored(theirs.ID)
		w.refused(w.DeleteUser(w.ctx, u.ID, admin.At(noon)), userkeys.NotFound)
		if again := w.user("ada"); again.ID == u.ID {
			w.Error("a new user got the id of one who was deleted, and with it what is written under it")
		}
	})
}

// Passwords are set, and are replaced.
func TestSetPassword(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada")
		for _, hash := range []string{"$argon2id$1", ""} {
			w.ok(w.SetPassword(w.ctx, u.ID, hash, admin.At(noon)))
			if a := must[site.Account](w)(w.Account(w.ctx, "ada")); a.PasswordHash != hash {
				w.Errorf("hash %q", a.PasswordHash)
			}
		}
		w.refused(w.SetPassword(w.ctx, u.ID+1, "x", admin.At(noon)), userkeys.NotFound)
	})
}
