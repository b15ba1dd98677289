package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/site"
	"userkeys/store"
)

var _ notify.Store = (*store.Store)(nil)

// notificationsOf is the SQL that writes n notifications of a user, faster than one after the other.
func notificationsOf(user int64, n int, kind, read string) string {
	return fmt.Sprintf(`INSERT INTO userkeys_notifications (user_id, notification_type, is_read, high_priority, topic_id, post_number, slug, fancy_title, data, created_at)
		WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d)
		SELECT %d, %s, %s, 0, 0, 0, '', '', '{}', 1 FROM i`, n, user, kind, read)
}

// recount is the counts table as it should be.
const recount = `DELETE FROM userkeys_notification_counts;
	DELETE FROM userkeys_inboxes;
	INSERT INTO userkeys_inboxes (user_id, version, quiet_until) SELECT DISTINCT user_id, 1, 0 FROM userkeys_notifications;
	INSERT INTO userkeys_notification_counts (user_id, notification_type, high_priority, total, unread, fresh)
	SELECT n.user_id, n.notification_type, n.high_priority, COUNT(*), COUNT(CASE WHEN n.is_read = 0 THEN 1 END),
		COUNT(CASE WHEN n.is_read = 0 AND n.id > u.seen_notification_id THEN 1 END)
	FROM userkeys_notifications n JOIN userkeys_users u ON u.id = n.user_id GROUP BY n.user_id, n.notification_type, n.high_priority`

// What an older program wrote is counted when its database is brought to this version.
func TestMigrateNotifications(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx := t.Context()
		s, err := store.Open(ctx, db, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.MigrateTo(ctx, 2); err != nil {
			t.Fatal(err)
		}
		for id, seen := range []int{1: 0, 2: 5, 3: 0} {
			if id > 0 {
				mustExec(t, db, fmt.Sprintf(`INSERT INTO userkeys_users (username, username_key, name, email, email_key, trust_level, admin, moderator, active,
					group_names, password_hash, suspended_at, created_at, last_seen_at, seen_notification_id)
					VALUES ('u%d', 'u%d', '', '', '', 1, 0, 0, 1, '', '', 0, 1, 0, %d)`, id, id, seen))
			}
		}
		for _, n := range []struct{ user, kind, read, urgent int }{
			{1, 1, 0, 0}, {1, 6, 0, 1}, {1, 6, 1, 1}, {1, 1, 0, 1}, // ids 1 to 4
			{2, 1, 0, 0}, {2, 1, 1, 0}, {2, 6, 0, 1}, // 5 to 7; 5 was seen
		} {
			mustExec(t, db, fmt.Sprintf(`INSERT INTO userkeys_notifications (user_id, notification_type, is_read, high_priority, topic_id, post_number, slug, fancy_title, data, created_at)
				VALUES (%d, %d, %d, %d, 0, 0, '', '', '{}', 1)`, n.user, n.kind, n.read, n.urgent))
		}
		if n, err := s.Migrate(ctx); n < 1 || err != nil {
			t.Fatal(n, err)
		}
		for i, want := range []site.Inbox{
			{UserID: 1, Version: 1, Newest: 4, Position: 4, Counts: site.NotificationCounts{New: 3, NewMessages: 1, NewOrdinary: 1, UnreadUrgent: 2, Unread: 3, UnreadByType: map[int]int{1: 2, 6: 1}}},
			{UserID: 2, Version: 1, Newest: 7, Position: 7, Counts: site.NotificationCounts{SeenID: 5, New: 1, NewMessages: 1, UnreadUrgent: 1, Unread: 2, UnreadByType: map[int]int{1: 1, 6: 1}}},
			{UserID: 3},
		} {
			got, err := s.InboxState(ctx, int64(i+1))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("user %d: %v\n%s", i+1, err, diff)
			}
		}
		for user, want := range map[int64]int{1: 4, 2: 3, 3: 0} {
			if n, err := s.CountNotifications(ctx, site.NotificationFilter{UserID: user}); n != want || err != nil {
				t.Errorf("user %d has %d, want %d: %v", user, n, want, err)
			}
		}
		if _, err := s.AddNotifications(ctx, told("u1", "u3")); err != nil {
			t.Fatal(err)
		}
		if in, err := s.InboxState(ctx, 1); in.Version <= 1 || in.Position != in.Version || in.Counts.Unread != 4 || in.Newest != 8 || err != nil {
			t.Errorf("and one more: %+v, %v", in, err)
		}
	})
}

func told(names ...string) site.Announcement {
	return site.Announcement{Usernames: names, Notification: site.Notification{Type: 1, Data: []byte("{}"), CreatedAt: at}}
}

// What is more than one transaction may mark is marked to the end, and the marker and the counts with it.
func TestMarkAllOfMany(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx := t.Context()
		s := dbtest.Open(t, db, d)
		u := makeUser(t, s, "ada")
		mustExec(t, db, notificationsOf(u.ID, 3_456, "n % 3 + 1", "0"))
		mustExec(t, db, recount)
		mark := func(m site.NotificationsToRead, want int) {
			t.Helper()
			m.UserID = u.ID
			if n, err := s.ReadNotifications(ctx, m); n != want || err != nil {
				t.Fatalf("%+v marked %d, want %d: %v", m, n, want, err)
			}
		}
		mark(site.NotificationsToRead{Types: []int{1}}, 1152)
		in, err := s.InboxState(ctx, u.ID)
		if err != nil || in.Counts.Unread != 2304 || in.Counts.New != 0 || in.Counts.SeenID != in.Newest || in.Newest == 0 {
			t.Fatalf("%+v, %v", in, err)
		}
		mark(site.NotificationsToRead{}, 2304)
		if in, err = s.InboxState(ctx, u.ID); err != nil || in.Counts.Unread != 0 || in.Counts.UnreadByType != nil {
			t.Errorf("%+v, %v", in, err)
		}
		if n, err := s.CountNotifications(ctx, site.NotificationFilter{UserID: u.ID, Read: true}); n != 3_456 || err != nil {
			t.Errorf("%d are read: %v", n, err)
		}
	})
}

// A broadcast to a thousand is a few statements, and so is everything else, however much there is.
func TestStatementsOfTheInbox(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx := t.Context()
		s := dbtest.Open(t, db, d)
		names := make([]string, 1000)
		for i := range names {
			names[i] = makeUser(t, s, fmt.Sprint("user", i)).Username
		}
		cost := func(what string, most int64, do func() error) {
			t.Helper()
			before := s.Statements()
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if n := s.Statements() - before; n > most {
				t.Errorf("%s takes %d statements, want at most %d", what, n, most)
			}
		}
		add := func(names ...string) func() error {
			return func() error { _, err := s.AddNotifications(ctx, told(names...)); return err }
		}
		cost("one", 7, add("user0"))
		cost("a thousand", 12, add(names...))
		cost("the state", 1, func() error { _, err := s.InboxState(ctx, 1); return err })
		cost("a list", 1, func() error {
			_, err := s.Notifications(ctx, site.NotificationFilter{UserID: 1, Unread: true, Types: []int{1, 2, 3}})
			return err
		})
		cost("a mark", 7, func() error {
			_, err := s.ReadNotifications(ctx, site.NotificationsToRead{UserID: 1, ID: 1})
			return err
		})
		cost("a look", 9, func() error { return s.SeeNotifications(ctx, 1, 1000) })
		cost("versions", 2, func() error { _, err := s.InboxVersions(ctx, make([]int64, 1)); return err })
	})
}

// Whoever is told by a call that ends half-way was told nothing, and may be told by the same key.
func TestAnnouncementThatFailsHalfWay(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		s := dbtest.Open(t, db, d)
		u := makeUser(t, s, "ada")
		a := told("ada")
		a.IdempotencyKey = "k"
		mustExec(t, db, "ALTER TABLE userkeys_notification_counts RENAME TO gone")
		if _, err := s.AddNotifications(t.Context(), a); err == nil {
			t.Fatal("it was written without its count")
		}
		mustExec(t, db, "ALTER TABLE gone RENAME TO userkeys_notification_counts")
		ended, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		if _, err := s.AddNotifications(ended, a); !errors.Is(err, userkeys.Unavailable) {
			t.Errorf("a call that ended: %v", err)
		}
		if in, err := s.InboxState(t.Context(), u.ID); err != nil || in.Version != 0 || in.Newest != 0 {
			t.Errorf("something of it is left: %+v, %v", in, err)
		}
		if got, err := s.AddNotifications(t.Context(), a); err != nil || got.Repeated || len(got.IDs) != 1 {
			t.Errorf("again: %+v, %v", got, err)
		}
	})
}

func (w *world) inbox(userID int64) site.Inbox {
	w.Helper()
	return must[site.Inbox](w)(w.InboxState(w.ctx, userID))
}

// The version of an inbox is raised by what changes the inbox, and by nothing else.
func TestInboxVersions(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		if got := w.inbox(ada.ID); got.Version != 0 || got.Newest != 0 || got.UserID != ada.ID || !got.QuietUntil.IsZero() {
			w.Errorf("an inbox that never was: %+v", got)
		}
		// A version is at least the time, by the database's clock, and higher than the one before.
		last := map[int64]int64{}
		raised := func(u site.User, want bool, after string) {
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
		read := func(m site.NotificationsToRead) {
			w.Helper()
			must[int](w)(w.ReadNotifications(w.ctx, m))
		}
		read(site.NotificationsToRead{UserID: ada.ID, ID: first[0]})
		raised(ada, true, "a mark")
		read(site.NotificationsToRead{UserID: ada.ID, ID: first[0]})
		read(site.NotificationsToRead{UserID: ada.ID, ID: first[1]}) // bob's
		raised(ada, false, "marks that change nothing")
		w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]))
		raised(ada, true, "a look")
		w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]))
		w.ok(w.SeeNotifications(w.ctx, ada.ID, second[0]+1000)) // never above what there is
		raised(ada, false, "looks at nothing new")
		if seen := w.inbox(ada.ID).Counts.SeenID; seen != second[0] {
			w.Errorf("seen up to %d, want %d", seen, second[0])
		}
		read(site.NotificationsToRead{UserID: ada.ID})
		raised(ada, true, "marking all")
		read(site.NotificationsToRead{UserID: ada.ID})
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
	})
}

// The end of do-not-disturb is kept.
func TestDoNotDisturb(t *testing.T) {
	each(t, func(w *world) {
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
	})
}

// Lists go on above an id, and merge their parts.
func TestNotificationsAboveAnID(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		var ids []int64
		for i := range 12 {
			ids = append(ids, w.tell(note([]int{1, 6, 2}[i%3]), "ada")...)
		}
		must[int](w)(w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: ada.ID, ID: ids[5]}))
		for name, c := range map[string]struct {
			f    site.NotificationFilter
			want []int64
		}{
			"after":               {site.NotificationFilter{After: ids[8]}, ids[9:]},
			"after, limited":      {site.NotificationFilter{After: ids[0], Limit: 2}, ids[1:3]},
			"after, unread":       {site.NotificationFilter{After: ids[3], Unread: true, Limit: 2}, []int64{ids[4], ids[6]}},
			"after, by type":      {site.NotificationFilter{After: ids[1], Types: []int{6, 6}}, []int64{ids[4], ids[7], ids[10]}},
			"between":             {site.NotificationFilter{After: ids[1], Before: ids[4]}, ids[2:4]},
			"after the newest":    {site.NotificationFilter{After: ids[11]}, nil},
			"an offset and types": {site.NotificationFilter{Types: []int{1, 2}, Offset: 1, Limit: 3}, []int64{ids[9], ids[8], ids[6]}},
			"a huge offset":       {site.NotificationFilter{Unread: true, Offset: 1 << 62, Limit: 3}, nil},
		} {
			c.f.UserID = ada.ID
			if got := w.ids(c.f); !slices.Equal(got, c.want) {
				w.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		_, err := w.Notifications(w.ctx, site.NotificationFilter{UserID: ada.ID, UrgentFirst: true})
		w.refused(err, userkeys.InvalidParameters)
	})
}

// Old notifications are purged, and the counts follow.
func TestOldNotificationsArePurged(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		old := func(n *site.Notification) { n.CreatedAt = noon.Add(-48 * time.Hour) }
		crowd := []string{"ada"}
		for i := range 100 {
			crowd = append(crowd, w.user(fmt.Sprint("user", i)).Username)
		}
		for range 10 { // more than a batch
			w.tell(note(1, old), crowd...)
		}
		stays := w.tell(note(6), "ada")[0]
		late := w.tell(note(2, old), "ada", "bob") // written later with an earlier time
		must[int](w)(w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: ada.ID, ID: late[0]}))
		before, bobs := w.inbox(ada.ID), w.inbox(bob.ID)
		if n := must[int](w)(w.PurgeNotifications(w.ctx, noon.Add(-72*time.Hour))); n != 0 {
			w.Errorf("%d went too early", n)
		}
		if n := must[int](w)(w.PurgeNotifications(w.ctx, noon.Add(-24*time.Hour))); n != 1012 {
			w.Errorf("%d went, want 1012", n)
		}
		got := w.inbox(ada.ID)
		want := site.NotificationCounts{New: 1, NewMessages: 1, UnreadUrgent: 1, Unread: 1, UnreadByType: map[int]int{6: 1}}
		if diff := cmp.Diff(want, got.Counts); diff != "" || got.Version <= before.Version || got.Newest != stays {
			w.Errorf("version %d, then %d, newest %d of %d; -want +got\n%s", before.Version, got.Version, got.Newest, stays, diff)
		}
		if total := must[int](w)(w.CountNotifications(w.ctx, site.NotificationFilter{UserID: ada.ID})); total != 1 {
			w.Errorf("%d are left, want 1", total)
		}
		// An inbox that lost everything goes on above what it had.
		if got := w.inbox(bob.ID); got.Newest != 0 || got.Counts.Unread != 0 || got.Version <= bobs.Version || got.Position != 0 {
			w.Errorf("bob's: %+v", got)
		}
		if next := w.tell(note(1), "bob")[0]; next <= late[1] {
			w.Errorf("the id %d was given again as %d", late[1], next)
		}
	})
}
