package store_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// note is a notification as it is written; urgent ones are of a type of their own.
func note(kind int, edit ...func(*site.Notification)) site.Notification {
	n := site.Notification{Type: kind, HighPriority: site.UrgentType(kind), Data: json.RawMessage(`{}`), CreatedAt: noon}
	for _, f := range edit {
		f(&n)
	}
	return n
}

// tell writes n for each name and returns the ids.
func (w *world) tell(n site.Notification, names ...string) []int64 {
	w.Helper()
	return must[site.Announced](w)(w.AddNotifications(w.ctx, announce(n, names...))).IDs
}

func announce(n site.Notification, names ...string) site.Announcement {
	return site.Announcement{Usernames: names, Notification: n, Caller: admin}
}

// ids lists those of f, in its order.
func (w *world) ids(f site.NotificationFilter) []int64 {
	w.Helper()
	var out []int64
	for _, n := range must[[]site.Notification](w)(w.Notifications(w.ctx, f)) {
		out = append(out, n.ID)
	}
	return out
}

// A notification is kept as it was written, once for each user.
func TestNotificationIsKept(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("Ada"), w.user("bob")
		n := note(2, func(n *site.Notification) {
			n.TopicID, n.PostNumber, n.Slug, n.FancyTitle = math.MaxInt64, 7, "a-slug", "A &amp; B \u00fc"
			n.Data = json.RawMessage(`{"display_username":"carol","n":[1,{"a":null}],"q":"'; DROP TABLE x; -- $1 ?"}`)
		})
		before := w.newest()
		ids := w.tell(n, "bob", "ADA", "Bob")
		if len(ids) != 2 {
			w.Fatalf("two users got %v", ids)
		}
		for i, u := range []site.User{bob, ada} {
			want := n
			want.ID, want.UserID, want.CreatedAt = ids[i], u.ID, micro(noon)
			want.Position = w.inbox(u.ID).Version
			if diff := cmp.Diff([]site.Notification{want}, must[[]site.Notification](w)(w.Notifications(w.ctx, site.NotificationFilter{UserID: u.ID}))); diff != "" {
				w.Errorf("-want +got\n%s", diff)
			}
		}
		events := must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{Limit: 1}))
		if e := events[0]; e.Action != "users notified" || !cmp.Equal(e.Caller, admin) || e.Detail != "type 2, 2 users: bob, ada" {
			w.Errorf("the event is %+v", e)
		}
		if w.newest() != before {
			w.Error("keys were looked at again for it")
		}
	})
}

// Notifications are written for all users of an announcement, or for none.
func TestNotificationsAreWrittenForAllOrNone(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		names := []string{"ada", "no'body"}
		for i := range 20 {
			names = append(names, fmt.Sprint("ghost", i))
		}
		before := len(w.actions())
		_, err := w.AddNotifications(w.ctx, announce(note(1), names...))
		w.refused(err, userkeys.Unprocessable)
		if text := userkeys.AsError(err).Public; !strings.Contains(text, "no'body, ghost0") || !strings.Contains(text, "and 11 more") || strings.Contains(text, "ada") {
			w.Errorf("it says %q", text)
		}
		_, err = w.AddNotifications(w.ctx, announce(note(1), "ada", ""))
		w.refused(err, userkeys.Unprocessable)
		if got := w.ids(site.NotificationFilter{UserID: ada.ID}); got != nil || len(w.actions()) != before {
			w.Errorf("something was written: %v, %v", got, w.actions()[before:])
		}
		if ids := w.tell(note(1)); len(ids) != 0 || len(w.actions()) != before {
			w.Errorf("telling nobody wrote %v, %v", ids, w.actions()[before:])
		}
	})
}

// A notification is written for many users at once.
func TestNotificationToManyUsers(t *testing.T) {
	each(t, func(w *world) {
		var names []string
		for i := range 250 {
			names = append(names, w.user(fmt.Sprintf("user%03d", i)).Username)
		}
		ids := w.tell(note(1), names...)
		if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 250 {
			w.Fatalf("250 users got %d", len(ids))
		}
		for _, i := range []int{0, 99, 100, 249} {
			u := must[site.User](w)(w.UserNamed(w.ctx, names[i]))
			if got := w.ids(site.NotificationFilter{UserID: u.ID}); !slices.Equal(got, ids[i:i+1]) {
				w.Errorf("%s has %v, want %d", u.Username, got, ids[i])
			}
		}
	})
}

// Notifications are listed by filter and by page (AD4).
func TestNotificationsAreListed(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		w.tell(note(1), w.user("bob").Username)
		var ids []int64 // oldest first
		for _, kind := range []int{1, 6, 2, 24, 1, 2} {
			ids = append(ids, w.tell(note(kind), "ada")...)
		}
		for _, read := range []int{0, 3} {
			if n := must[int](w)(w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: ada.ID, ID: ids[read]})); n != 1 {
				w.Errorf("marked %d", n)
			}
		}
		for name, c := range map[string]struct {
			filter site.NotificationFilter
			want   []int // places in ids
			total  int
		}{
			"all, newest first":     {site.NotificationFilter{}, []int{5, 4, 3, 2, 1, 0}, 6},
			"urgent first":          {site.NotificationFilter{Unread: true, UrgentFirst: true}, []int{1, 5, 4, 2}, 4},
			"read":                  {site.NotificationFilter{Read: true}, []int{3, 0}, 2},
			"unread":                {site.NotificationFilter{Unread: true}, []int{5, 4, 2, 1}, 4},
			"of types":              {site.NotificationFilter{Types: []int{2, 24, 99}}, []int{5, 3, 2}, 3},
			"of types and unread":   {site.NotificationFilter{Types: []int{24}, Unread: true}, nil, 0},
			"a page by offset":      {site.NotificationFilter{Limit: 2, Offset: 1}, []int{4, 3}, 6},
			"a page by id":          {site.NotificationFilter{Limit: 2, Before: ids[3]}, []int{2, 1}, 6},
			"nothing before it":     {site.NotificationFilter{Before: ids[0]}, nil, 6},
			"a negative offset":     {site.NotificationFilter{Limit: 1, Offset: -5}, []int{5}, 6},
			"before the last id":    {site.NotificationFilter{Limit: 1, Before: math.MaxInt64}, []int{5}, 6},
			"neither read nor not:": {site.NotificationFilter{Read: true, Unread: true}, nil, 0},
		} {
			c.filter.UserID = ada.ID
			var want []int64
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			if got := w.ids(c.filter); !slices.Equal(got, want) {
				w.Errorf("%s: %v, want %v", name, got, want)
			}
			if got := must[int](w)(w.CountNotifications(w.ctx, c.filter)); got != c.total {
				w.Errorf("%s: counted %d, want %d", name, got, c.total)
			}
		}
		for _, id := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
			if got := w.ids(site.NotificationFilter{UserID: id}); got != nil {
				w.Errorf("nobody %d has %v", id, got)
			}
		}
		_, err := w.Notifications(w.ctx, site.NotificationFilter{Types: make([]int, 1000)})
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.CountNotifications(w.ctx, site.NotificationFilter{Types: make([]int, 1000)})
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.ReadNotifications(w.ctx, site.NotificationsToRead{Types: make([]int, 1000)})
		w.refused(err, userkeys.InvalidParameters)
	})
}

// Notifications are counted, seen and read.
func TestNotificationsAreCounted(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		counts := func(u site.User) site.NotificationCounts {
			w.Helper()
			return must[site.Inbox](w)(w.InboxState(w.ctx, u.ID)).Counts
		}
		want := func(u site.User, want site.NotificationCounts) {
			w.Helper()
			if diff := cmp.Diff(want, counts(u)); diff != "" {
				w.Errorf("%s: -want +got\n%s", u.Username, diff)
			}
		}
		want(ada, site.NotificationCounts{})
		bobs := site.NotificationCounts{New: 1, NewMessages: 1, UnreadUrgent: 1, Unread: 1, UnreadByType: map[int]int{6: 1}}
		var ids []int64
		for _, kind := range []int{1, 6, 24, 2} {
			ids = append(ids, w.tell(note(kind), "ada")...)
		}
		w.tell(note(6), "bob")
		want(ada, site.NotificationCounts{New: 4, NewMessages: 1, NewOrdinary: 2, UnreadUrgent: 2, Unread: 4, UnreadByType: map[int]int{1: 1, 2: 1, 6: 1, 24: 1}})
		want(bob, bobs)
		marker := func(wantSeen, wantNewest int64) {
			w.Helper()
			in := must[site.Inbox](w)(w.InboxState(w.ctx, ada.ID))
			seen, newest := in.Counts.SeenID, in.Newest
			if seen != wantSeen || newest != wantNewest {
				w.Errorf("seen %d of %d, want %d of %d", seen, newest, wantSeen, wantNewest)
			}
		}
		marker(0, ids[3])
		w.ok(w.SeeNotifications(w.ctx, ada.ID, ids[1]))
		w.ok(w.SeeNotifications(w.ctx, ada.ID, ids[0])) // never back
		w.ok(w.SeeNotifications(w.ctx, 9999, ids[0]))
		marker(ids[1], ids[3])
		want(ada, site.NotificationCounts{SeenID: ids[1], New: 2, NewOrdinary: 1, UnreadUrgent: 2, Unread: 4, UnreadByType: map[int]int{1: 1, 2: 1, 6: 1, 24: 1}})
		want(bob, bobs)

		mark := func(m site.NotificationsToRead, n int) {
			w.Helper()
			if got := must[int](w)(w.ReadNotifications(w.ctx, m)); got != n {
				w.Errorf("%+v marked %d, want %d", m, got, n)
			}
		}
		mark(site.NotificationsToRead{UserID: bob.ID, ID: ids[0]}, 0) // not his
		mark(site.NotificationsToRead{UserID: ada.ID, ID: 9999}, 0)
		mark(site.NotificationsToRead{UserID: ada.ID, ID: ids[2]}, 1)
		mark(site.NotificationsToRead{UserID: ada.ID, ID: ids[2]}, 0)
		marker(ids[1], ids[3])
		want(ada, site.NotificationCounts{SeenID: ids[1], New: 1, NewOrdinary: 1, UnreadUrgent: 1, Unread: 3, UnreadByType: map[int]int{1: 1, 2: 1, 6: 1}})
		mark(site.NotificationsToRead{UserID: ada.ID, Types: []int{6, 5}}, 1)
		marker(ids[3], ids[3])
		want(ada, site.NotificationCounts{SeenID: ids[3], Unread: 2, UnreadByType: map[int]int{1: 1, 2: 1}})
		mark(site.NotificationsToRead{UserID: ada.ID}, 2)
		if got := w.ids(site.NotificationFilter{UserID: ada.ID, Unread: true}); got != nil {
			w.Errorf("unread: %v", got)
		}
		want(bob, bobs)
		_, err := w.InboxState(w.ctx, 9999)
		w.refused(err, userkeys.NotFound)
	})
}

// Counts hold while notifications are written and marked in parallel.
func TestNotificationsInParallel(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		for range 40 {
			w.tell(note(1), "ada")
		}
		marked := make([]int, 20)
		for _, err := range w.together(20, func(i int) (err error) {
			if i%4 == 3 {
				_, err = w.AddNotifications(w.ctx, announce(note(2), "ada"))
				return err
			}
			marked[i], err = w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: ada.ID, Types: []int{1}})
			return err
		}) {
			w.ok(err)
		}
		sum := 0
		for _, n := range marked {
			sum += n
		}
		if unread := len(w.ids(site.NotificationFilter{UserID: ada.ID, Unread: true})); sum != 40 || unread != 5 {
			w.Errorf("40 were marked %d times, and %d of 5 later ones are unread", sum, unread)
		}
	})
}

// A deleted user leaves no notification.
func TestNotificationsGoWithTheUser(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		w.tell(note(1), "ada", w.user("bob").Username)
		w.ok(w.SetUserStatus(w.ctx, ada.ID, site.UserStatus{Emoji: "tooth", Description: "d", SetAt: noon}))
		w.ok(w.DeleteUser(w.ctx, ada.ID, admin.At(noon)))
		if got := w.ids(site.NotificationFilter{UserID: ada.ID}); got != nil {
			w.Errorf("a deleted user has %v", got)
		}
		_, err := w.UserStatus(w.ctx, ada.ID, noon)
		w.refused(err, userkeys.NotFound)
	})
}
