package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// A repeated announcement writes nothing.
func TestRepeatedAnnouncement(t *testing.T) {
	each(t, func(w *world) {
		w.user("ada")
		w.user("bob")
		call := func(key string, edit ...func(*site.Announcement)) (site.Announced, error) {
			a := announce(note(1), "Ada", "bob", "ada")
			a.IdempotencyKey = key
			for _, f := range edit {
				f(&a)
			}
			return w.AddNotifications(w.ctx, a)
		}
		at := func(t time.Time) func(*site.Announcement) {
			return func(a *site.Announcement) { a.Notification.CreatedAt = t }
		}
		first := must[site.Announced](w)(call("k"))
		if first.Repeated || len(first.IDs) != 2 || len(first.UserIDs) != 2 {
			w.Fatalf("the first: %+v", first)
		}
		before := len(w.actions())
		again := must[site.Announced](w)(call("k", at(noon.Add(time.Hour)), func(a *site.Announcement) { a.Usernames = []string{"ADA", "BOB"} }))
		if !again.Repeated || !slices.Equal(again.IDs, first.IDs) || again.Queued != 0 || len(w.actions()) != before {
			w.Errorf("again: %+v", again)
		}
		never := true
		for name, edit := range map[string]func(*site.Announcement){
			"to others":        func(a *site.Announcement) { a.Usernames = []string{"ada"} },
			"in another order": func(a *site.Announcement) { a.Usernames = []string{"bob", "ada"} },
			"of another type":  func(a *site.Announcement) { a.Notification.Type = 2 },
			"with other data":  func(a *site.Announcement) { a.Notification.Data = []byte(`{"a":1}`) },
			"with a title":     func(a *site.Announcement) { a.Notification.FancyTitle = "t" },
			"by others":        func(a *site.Announcement) { a.Caller.As = "command" },
			"pushed":           func(a *site.Announcement) { a.Push = &never },
		} {
			_, err := call("k", edit)
			w.refused(err, userkeys.Conflict)
			if !strings.Contains(userkeys.AsError(err).Public, "idempotency key") {
				w.Errorf("%s: %v", name, err)
			}
		}
		if len(w.actions()) != before {
			w.Errorf("refusals wrote %v", w.actions()[before:])
		}
		if other := must[site.Announced](w)(call("k2")); other.Repeated || other.IDs[0] <= first.IDs[1] {
			w.Errorf("another key: %+v", other)
		}
		if none := must[site.Announced](w)(call("")); none.Repeated {
			w.Error("no key was known")
		}
		// A call that was refused has not used its key.
		_, err := call("k3", func(a *site.Announcement) { a.Usernames = []string{"nobody"} })
		w.refused(err, userkeys.Unprocessable)
		if a := must[site.Announced](w)(call("k3")); a.Repeated {
			w.Error("a refused call counts as made")
		}
		// It is known for a week, and then forgotten.
		end := noon.Add(site.IdempotencyLifetime)
		if a := must[site.Announced](w)(call("k", at(end.Add(-time.Second)))); !a.Repeated {
			w.Error("it is forgotten too early")
		}
		if a := must[site.Announced](w)(call("k", at(end))); a.Repeated || a.IDs[0] <= first.IDs[1] {
			w.Errorf("after a week: %+v", a)
		}
		w.ok(w.Purge(w.ctx, end))
		if a := must[site.Announced](w)(call("k", at(end.Add(time.Hour)))); !a.Repeated {
			w.Error("a key that was used anew was purged")
		}
		if a := must[site.Announced](w)(call("k2", at(noon.Add(time.Hour)))); a.Repeated { // an older clock: the row is gone
			w.Error("the rows of a week ago are still there")
		}
	})
}

// Of 20 parallel announcements with one idempotency key, one writes.
func TestRepeatedAnnouncementInParallel(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		got := make([]site.Announced, 20)
		for _, err := range w.together(20, func(i int) (err error) {
			a := announce(note(1), "ada")
			a.IdempotencyKey = "the same"
			got[i], err = w.AddNotifications(w.ctx, a)
			return err
		}) {
			w.ok(err)
		}
		wrote := 0
		for _, a := range got {
			if !a.Repeated {
				wrote++
			}
			if !slices.Equal(a.IDs, got[0].IDs) || len(a.IDs) != 1 {
				w.Errorf("one was answered with %v, another with %v", a.IDs, got[0].IDs)
			}
		}
		if n := w.inbox(ada.ID).Counts.Unread; wrote != 1 || n != 1 {
			w.Errorf("%d of 20 calls wrote %d notifications", wrote, n)
		}
	})
}

// A user who is deleted at the same moment is notified or not, and nothing is left behind.
func TestUserIsDeletedWhileNotified(t *testing.T) {
	each(t, func(w *world) {
		for round := range 5 {
			name := fmt.Sprint("user", round)
			u := w.user(name)
			w.tell(note(1), name)
			errs := w.together(6, func(i int) error {
				switch i {
				case 0:
					return w.DeleteUser(w.ctx, u.ID, admin.At(noon))
				case 1:
					_, err := w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: u.ID})
					return err
				}
				_, err := w.AddNotifications(w.ctx, announce(note(2), name))
				return err
			})
			w.ok(errs[0])
			w.ok(errs[1])
			for _, err := range errs[2:] {
				if err != nil {
					w.refused(err, userkeys.Unprocessable)
				}
			}
			if got := w.ids(site.NotificationFilter{UserID: u.ID}); got != nil {
				w.Errorf("a deleted user has %v", got)
			}
			if got := must[map[int64]int64](w)(w.InboxVersions(w.ctx, []int64{u.ID})); len(got) != 0 {
				w.Errorf("a deleted user has an inbox: %v", got)
			}
			if got := must[int](w)(w.CountNotifications(w.ctx, site.NotificationFilter{UserID: u.ID})); got != 0 {
				w.Errorf("a deleted user has counts: %d", got)
			}
		}
	})
}
