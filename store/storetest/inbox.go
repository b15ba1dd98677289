package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

func (w *world) inbox(userID int64) userkeys.Inbox {
	w.Helper()
	return must[userkeys.Inbox](w)(w.InboxState(w.ctx, userID))
}

func inboxVersions(w *world) {
	ada, bob := w.user("ada"), w.user("bob")
	if got := w.inbox(ada.ID); got.Version != 0 || got.Newest != 0 || got.UserID != ada.ID || !got.QuietUntil.IsZero() {
		w.Errorf("an inbox that never was: %+v", got)
	}
	// A version is at least the time, by the database's clock, and higher than the one before.
	last := map[int64]int64{}
	raised := func(u userkeys.User, want bool, after string) {
		w.Helper()
		got, was := w.inbox(u.ID).Version, last[u.ID]
		if want && (got <= was || got < noon.UnixMilli()) || !want && got != was {
			w.Errorf("after %s %s's version is %d, before %d", after, u.Username, got, was)
		}
		last[u.ID] = got
	}
	first := w.tell(note(1), "ada", "bob")
	second := w.tell(note(2), "ada")
	raised(ada, true, "two notifications")
	raised(bob, true, "one")
	if got := w.inbox(ada.ID); got.Newest != second[0] || got.Position != got.Version {
		w.Errorf("the newest is %d at %d, want %d at %d", got.Newest, got.Position, second[0], got.Version)
	}
	read := func(m userkeys.NotificationMark) {
		w.Helper()
		must[int](w)(w.ReadNotifications(w.ctx, m))
	}
	read(userkeys.NotificationMark{UserID: ada.ID, ID: first[0]})
	raised(ada, true, "a mark")
	read(userkeys.NotificationMark{UserID: ada.ID, ID: first[0]})
	read(userkeys.NotificationMark{UserID: ada.ID, ID: first[1]}) // bob's
	raised(ada, false, "marks that change nothing")
	w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]))
	raised(ada, true, "a look")
	w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]))
	w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]+1000)) // never above what there is
	raised(ada, false, "looks at nothing new")
	if seen := w.inbox(ada.ID).Counts.SeenID; seen != second[0] {
		w.Errorf("seen up to %d, want %d", seen, second[0])
	}
	read(userkeys.NotificationMark{UserID: ada.ID})
	raised(ada, true, "marking all")
	read(userkeys.NotificationMark{UserID: ada.ID})
	raised(ada, false, "marking all again")
	w.ok(w.SetQuiet(w.ctx, ada.ID, noon, noon))
	raised(ada, false, "do not disturb")

	quiet := w.user("quiet")
	w.ok(w.SetQuiet(w.ctx, quiet.ID, noon, noon))
	got := must[map[int64]int64](w)(w.InboxVersions(w.ctx, []int64{bob.ID, ada.ID, ada.ID, 9999, -1}))
	if diff := cmp.Diff(last, got); diff != "" {
		w.Errorf("-want +got\n%s", diff)
	}
	many := make([]int64, 1200)
	for i := range many {
		many[i] = int64(i)
	}
	if got := must[map[int64]int64](w)(w.InboxVersions(w.ctx, many)); len(got) != 3 {
		w.Errorf("of 1200 ids: %v", got)
	}
	if got := must[map[int64]int64](w)(w.InboxVersions(w.ctx, nil)); len(got) != 0 {
		w.Errorf("of none: %v", got)
	}
	_, err := w.InboxState(w.ctx, 9999)
	w.refused(err, userkeys.NotFound)
}

func quietUntil(w *world) {
	ada := w.user("ada")
	w.ok(w.SetQuiet(w.ctx, ada.ID, noon, noon))
	if got := w.inbox(ada.ID); !got.QuietUntil.Equal(micro(noon)) || got.Version != 0 {
		w.Errorf("%+v", got)
	}
	w.tell(note(1), "ada")
	if got := w.inbox(ada.ID); !got.QuietUntil.Equal(micro(noon)) || got.Version == 0 {
		w.Errorf("after a notification: %+v", got)
	}
	w.ok(w.SetQuiet(w.ctx, ada.ID, time.Time{}, noon))
	if got := w.inbox(ada.ID); !got.QuietUntil.IsZero() {
		w.Errorf("after its end: %+v", got)
	}
	w.refused(w.SetQuiet(w.ctx, 9999, noon, noon), userkeys.NotFound)
}

func idempotent(w *world) {
	w.user("ada")
	w.user("bob")
	call := func(key string, edit ...func(*userkeys.Announcement)) (userkeys.Announced, error) {
		a := announce(note(1), "Ada", "bob", "ada")
		a.IdempotencyKey = key
		for _, f := range edit {
			f(&a)
		}
		return w.AddNotifications(w.ctx, a)
	}
	at := func(t time.Time) func(*userkeys.Announcement) {
		return func(a *userkeys.Announcement) { a.Notification.CreatedAt = t }
	}
	first := must[userkeys.Announced](w)(call("k"))
	if first.Repeated || len(first.IDs) != 2 || len(first.UserIDs) != 2 {
		w.Fatalf("the first: %+v", first)
	}
	before := len(w.actions())
	again := must[userkeys.Announced](w)(call("k", at(noon.Add(time.Hour)), func(a *userkeys.Announcement) { a.Usernames = []string{"ADA", "BOB"} }))
	if !again.Repeated || !slices.Equal(again.IDs, first.IDs) || again.Queued != 0 || len(w.actions()) != before {
		w.Errorf("again: %+v", again)
	}
	never := true
	for name, edit := range map[string]func(*userkeys.Announcement){
		"to others":        func(a *userkeys.Announcement) { a.Usernames = []string{"ada"} },
		"in another order": func(a *userkeys.Announcement) { a.Usernames = []string{"bob", "ada"} },
		"of another type":  func(a *userkeys.Announcement) { a.Notification.Type = 2 },
		"with other data":  func(a *userkeys.Announcement) { a.Notification.Data = []byte(`{"a":1}`) },
		"with a title":     func(a *userkeys.Announcement) { a.Notification.FancyTitle = "t" },
		"by others":        func(a *userkeys.Announcement) { a.Caller.As = "command" },
		"pushed":           func(a *userkeys.Announcement) { a.Push = &never },
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
	if other := must[userkeys.Announced](w)(call("k2")); other.Repeated || other.IDs[0] <= first.IDs[1] {
		w.Errorf("another key: %+v", other)
	}
	if none := must[userkeys.Announced](w)(call("")); none.Repeated {
		w.Error("no key was known")
	}
	// A call that was refused has not used its key.
	_, err := call("k3", func(a *userkeys.Announcement) { a.Usernames = []string{"nobody"} })
	w.refused(err, userkeys.Unprocessable)
	if a := must[userkeys.Announced](w)(call("k3")); a.Repeated {
		w.Error("a refused call counts as made")
	}
	// It is known for a week, and then forgotten.
	end := noon.Add(userkeys.IdempotencyLifetime)
	if a := must[userkeys.Announced](w)(call("k", at(end.Add(-time.Second)))); !a.Repeated {
		w.Error("it is forgotten too early")
	}
	if a := must[userkeys.Announced](w)(call("k", at(end))); a.Repeated || a.IDs[0] <= first.IDs[1] {
		w.Errorf("after a week: %+v", a)
	}
	w.ok(w.Purge(w.ctx, end))
	if a := must[userkeys.Announced](w)(call("k", at(end.Add(time.Hour)))); !a.Repeated {
		w.Error("a key that was used anew was purged")
	}
	if a := must[userkeys.Announced](w)(call("k2", at(noon.Add(time.Hour)))); a.Repeated { // an older clock: the row is gone
		w.Error("the rows of a week ago are still there")
	}
}

func idempotentInParallel(w *world) {
	ada := w.user("ada")
	got := make([]userkeys.Announced, 20)
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
}

func listsGoOn(w *world) {
	ada := w.user("ada")
	var ids []int64
	for i := range 12 {
		ids = append(ids, w.tell(note([]int{1, 6, 2}[i%3]), "ada")...)
	}
	must[int](w)(w.ReadNotifications(w.ctx, userkeys.NotificationMark{UserID: ada.ID, ID: ids[5]}))
	for name, c := range map[string]struct {
		f    userkeys.NotificationFilter
		want []int64
	}{
		"after":               {userkeys.NotificationFilter{After: ids[8]}, ids[9:]},
		"after, limited":      {userkeys.NotificationFilter{After: ids[0], Limit: 2}, ids[1:3]},
		"after, unread":       {userkeys.NotificationFilter{After: ids[3], Unread: true, Limit: 2}, []int64{ids[4], ids[6]}},
		"after, by type":      {userkeys.NotificationFilter{After: ids[1], Types: []int{6, 6}}, []int64{ids[4], ids[7], ids[10]}},
		"between":             {userkeys.NotificationFilter{After: ids[1], Before: ids[4]}, ids[2:4]},
		"after the newest":    {userkeys.NotificationFilter{After: ids[11]}, nil},
		"an offset and types": {userkeys.NotificationFilter{Types: []int{1, 2}, Offset: 1, Limit: 3}, []int64{ids[9], ids[8], ids[6]}},
		"a huge offset":       {userkeys.NotificationFilter{Unread: true, Offset: 1 << 62, Limit: 3}, nil},
	} {
		c.f.UserID = ada.ID
		if got := w.ids(c.f); !slices.Equal(got, c.want) {
			w.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	_, err := w.Notifications(w.ctx, userkeys.NotificationFilter{UserID: ada.ID, UrgentFirst: true})
	w.refused(err, userkeys.InvalidParameters)
}

func oldNotificationsGo(w *world) {
	ada, bob := w.user("ada"), w.user("bob")
	old := func(n *userkeys.Notification) { n.CreatedAt = noon.Add(-48 * time.Hour) }
	crowd := []string{"ada"}
	for i := range 100 {
		crowd = append(crowd, w.user(fmt.Sprint("user", i)).Username)
	}
	for range 10 { // more than a batch
		w.tell(note(1, old), crowd...)
	}
	stays := w.tell(note(6), "ada")[0]
	late := w.tell(note(2, old), "ada", "bob") // written later with an earlier time
	must[int](w)(w.ReadNotifications(w.ctx, userkeys.NotificationMark{UserID: ada.ID, ID: late[0]}))
	before, bobs := w.inbox(ada.ID), w.inbox(bob.ID)
	if n := must[int](w)(w.PurgeNotifications(w.ctx, noon.Add(-72*time.Hour))); n != 0 {
		w.Errorf("%d went too early", n)
	}
	if n := must[int](w)(w.PurgeNotifications(w.ctx, noon.Add(-24*time.Hour))); n != 1012 {
		w.Errorf("%d went, want 1012", n)
	}
	got := w.inbox(ada.ID)
	want := userkeys.NotificationCounts{New: 1, NewMessages: 1, UnreadUrgent: 1, Unread: 1, UnreadByType: map[int]int{6: 1}}
	if diff := cmp.Diff(want, got.Counts); diff != "" || got.Version <= before.Version || got.Newest != stays {
		w.Errorf("version %d, then %d, newest %d of %d; -want +got\n%s", before.Version, got.Version, got.Newest, stays, diff)
	}
	if total := must[int](w)(w.CountNotifications(w.ctx, userkeys.NotificationFilter{UserID: ada.ID})); total != 1 {
		w.Errorf("%d are left, want 1", total)
	}
	// An inbox that lost everything goes on above what it had.
	if got := w.inbox(bob.ID); got.Newest != 0 || got.Counts.Unread != 0 || got.Version <= bobs.Version || got.Position != 0 {
		w.Errorf("bob's: %+v", got)
	}
	if next := w.tell(note(1), "bob")[0]; next <= late[1] {
		w.Errorf("the id %d was given again as %d", late[1], next)
	}
}

// userGoesWhileTold: a user who is deleted at the same moment is told or not, and nothing is left behind.
func userGoesWhileTold(w *world) {
	for round := range 5 {
		name := fmt.Sprint("user", round)
		u := w.user(name)
		w.tell(note(1), name)
		errs := w.together(6, func(i int) error {
			switch i {
			case 0:
				return w.DeleteUser(w.ctx, u.ID, admin, noon)
			case 1:
				_, err := w.ReadNotifications(w.ctx, userkeys.NotificationMark{UserID: u.ID})
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
		if got := w.ids(userkeys.NotificationFilter{UserID: u.ID}); got != nil {
			w.Errorf("a deleted user has %v", got)
		}
		if got := must[map[int64]int64](w)(w.InboxVersions(w.ctx, []int64{u.ID})); len(got) != 0 {
			w.Errorf("a deleted user has an inbox: %v", got)
		}
		if got := must[int](w)(w.CountNotifications(w.ctx, userkeys.NotificationFilter{UserID: u.ID})); got != 0 {
			w.Errorf("a deleted user has counts: %d", got)
		}
	}
}
