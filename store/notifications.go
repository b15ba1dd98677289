package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"userkeys"
)

const (
	notificationColumns = `id, user_id, notification_type, is_read, high_priority, topic_id, post_number, slug, fancy_title, data, created_at`
	// What is written: all but the id, of which the database gives the next.
	notificationWidth         = 10
	notificationsPerStatement = 100
	unknownNamesInError       = 10
)

func scanNotification(r row) (userkeys.Notification, error) {
	var n userkeys.Notification
	var read, urgent, created int64
	var data string
	err := r.Scan(&n.ID, &n.UserID, &n.Type, &read, &urgent, &n.TopicID, &n.PostNumber, &n.Slug, &n.FancyTitle, &data, &created)
	n.Read, n.HighPriority, n.Data, n.CreatedAt = read != 0, urgent != 0, []byte(data), fromMicros(created)
	return n, err
}

// namedID is a user's id and the name that it is found by.
type namedID struct {
	id  int64
	key string
}

func scanNamedID(r row) (namedID, error) {
	var n namedID
	err := r.Scan(&n.id, &n.key)
	return n, err
}

func scanPair(r row) ([2]int64, error) {
	var p [2]int64
	err := r.Scan(&p[0], &p[1])
	return p, err
}

// AddNotifications writes n for each of usernames, whatever their case, once
// each, with one audit event; the ids are in the order of usernames. If
// anybody is unknown nothing is written: [userkeys.Unprocessable] names them.
func (s *Store) AddNotifications(ctx context.Context, a userkeys.Announcement) (userkeys.Announced, error) {
	n := a.Notification
	if err := checkIndexed(append([]string{a.IdempotencyKey}, a.Usernames...)...); err != nil {
		return userkeys.Announced{}, err
	}
	if err := checkText(n.Slug, n.FancyTitle, string(n.Data), string(a.Actor.Kind), a.Actor.IP); err != nil {
		return userkeys.Announced{}, err
	}
	keys := distinctNames(a.Usernames)
	var done userkeys.Announced
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		done = userkeys.Announced{}
		users, err := userIDs(ctx, c, keys)
		if err != nil {
			return err
		}
		done.UserIDs = users
		if done.IDs, err = insertNotifications(ctx, c, users, n); err != nil || len(done.IDs) == 0 {
			return err
		}
		notified := make(map[int64]int64, len(users))
		for i, u := range users {
			notified[u] = done.IDs[i]
		}
		if done.Queued, err = enqueue(ctx, c, a, notified); err != nil {
			return err
		}
		return audit(ctx, c, userkeys.AuditEvent{
			At: n.CreatedAt, Actor: a.Actor, Action: actionNotified,
			Detail: fmt.Sprintf("type %d, %d users: %s", n.Type, len(keys), strings.Join(keys, ", ")),
		})
	})
	if err != nil {
		return userkeys.Announced{}, err
	}
	return done, nil
}

// distinctNames are names as they are compared, each once, in their order.
func distinctNames(names []string) []string {
	seen := make(map[string]bool, len(names))
	var out []string
	for _, n := range names {
		if n = foldCase(n); !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// userIDs finds users by names as they are compared, all or none.
func userIDs(ctx context.Context, c conn, keys []string) ([]int64, error) {
	found := make(map[string]int64, len(keys))
	err := inChunks(keys, idsPerStatement, func(chunk []string) error {
		args := make([]any, len(chunk))
		for i, k := range chunk {
			args[i] = k
		}
		rows, err := all(ctx, c, scanNamedID, "SELECT id, username_key FROM userkeys_users WHERE username_key IN ("+list(1, len(chunk))+")", args...)
		for _, r := range rows {
			found[r.key] = r.id
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(keys))
	var unknown []string
	for _, k := range keys {
		if id, ok := found[k]; ok {
			ids = append(ids, id)
		} else {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) > 0 {
		return nil, unknownUsers(unknown)
	}
	return ids, nil
}

func unknownUsers(names []string) error {
	shown, more := names[:min(len(names), unknownNamesInError)], ""
	if n := len(names) - len(shown); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return userkeys.Errorf(userkeys.Unprocessable, "nobody was notified: there is no user %s%s", strings.Join(shown, ", "), more)
}

func insertNotifications(ctx context.Context, c conn, users []int64, n userkeys.Notification) ([]int64, error) {
	idOf := make(map[int64]int64, len(users))
	err := inChunks(users, notificationsPerStatement, func(chunk []int64) error {
		args := make([]any, 0, notificationWidth*len(chunk))
		for _, u := range chunk {
			args = append(args, u, n.Type, flag(n.Read), flag(n.HighPriority), n.TopicID, n.PostNumber, n.Slug, n.FancyTitle,
				string(n.Data), micros(n.CreatedAt))
		}
		_, columns, _ := strings.Cut(notificationColumns, ", ")
		rows, err := all(ctx, c, scanPair, "INSERT INTO userkeys_notifications ("+columns+") VALUES "+
			placeholders(1, len(chunk), notificationWidth)+" RETURNING id, user_id", args...)
		for _, r := range rows {
			idOf[r[1]] = r[0]
		}
		return err
	})
	ids := make([]int64, len(users))
	for i, u := range users {
		ids[i] = idOf[u]
	}
	return ids, err
}

// whereNotifications is the condition of f without its page.
func whereNotifications(f userkeys.NotificationFilter) conditions {
	var w conditions
	w.add("user_id = $?", f.UserID)
	if f.Read {
		w.parts = append(w.parts, "is_read = 1")
	}
	if f.Unread {
		w.parts = append(w.parts, "is_read = 0") // written out: the index is a partial one
	}
	w.types(f.Types)
	return w
}

// types keeps to notifications of some types; none mean all.
func (w *conditions) types(types []int) {
	if len(types) == 0 {
		return
	}
	w.parts = append(w.parts, "notification_type IN ("+list(len(w.args)+1, len(types))+")")
	for _, t := range types {
		w.args = append(w.args, t)
	}
}

// Notifications lists a user's notifications, at most f.Limit (0: 1000).
func (s *Store) Notifications(ctx context.Context, f userkeys.NotificationFilter) ([]userkeys.Notification, error) {
	if len(f.Types) > idsPerStatement {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "too many notification types")
	}
	w := whereNotifications(f)
	if f.Before != 0 {
		w.add("id < $?", f.Before)
	}
	order := " ORDER BY id DESC"
	if f.UrgentFirst {
		order = " ORDER BY high_priority DESC, id DESC"
	}
	query := "SELECT " + notificationColumns + " FROM userkeys_notifications" + w.where() + order +
		" LIMIT " + listLimit(f.Limit) + " OFFSET " + strconv.Itoa(max(f.Offset, 0))
	return read(ctx, s, func(ctx context.Context, c conn) ([]userkeys.Notification, error) {
		return all(ctx, c, scanNotification, query, w.args...)
	})
}

// CountNotifications counts what the list of f has on all its pages.
func (s *Store) CountNotifications(ctx context.Context, f userkeys.NotificationFilter) (int, error) {
	if len(f.Types) > idsPerStatement {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "too many notification types")
	}
	w := whereNotifications(f)
	n, err := read(ctx, s, func(ctx context.Context, c conn) (int64, error) {
		return one(ctx, c, scanInt, "SELECT COUNT(*) FROM userkeys_notifications"+w.where(), w.args...)
	})
	return int(n), err
}

// waiting is how much is unread of one priority, and the marker.
type waiting struct {
	urgent, unread, new, messages int
	seen                          int64
}

func scanWaiting(r row) (waiting, error) {
	var w waiting
	err := r.Scan(&w.seen, &w.urgent, &w.unread, &w.new, &w.messages)
	return w, err
}

// countWaiting has the user's own row in any case. It groups in the order of the
// index of what is unread, so that what was read long ago costs nothing.
var countWaiting = `SELECT seen_notification_id, 0, 0, 0, 0 FROM userkeys_users WHERE id = $1
	UNION ALL
	SELECT MAX(u.seen_notification_id), n.high_priority, COUNT(*), COUNT(CASE WHEN n.id > u.seen_notification_id THEN 1 END),
		COUNT(CASE WHEN n.id > u.seen_notification_id AND n.notification_type = ` + strconv.Itoa(userkeys.NotificationPrivateMessage) + ` THEN 1 END)
	FROM userkeys_notifications n JOIN userkeys_users u ON u.id = n.user_id
	WHERE n.user_id = $1 AND n.is_read = 0 GROUP BY n.high_priority`

// NotificationCounts counts what a user has not read. [userkeys.NotFound].
func (s *Store) NotificationCounts(ctx context.Context, userID int64) (userkeys.NotificationCounts, error) {
	return read(ctx, s, func(ctx context.Context, c conn) (userkeys.NotificationCounts, error) {
		groups, err := all(ctx, c, scanWaiting, countWaiting, userID)
		var sum userkeys.NotificationCounts
		if err == nil && len(groups) == 0 {
			err = userkeys.Errorf(userkeys.NotFound, "there is no such user")
		}
		for _, g := range groups {
			sum.SeenID = g.seen
			sum.New += g.new
			sum.NewMessages += g.messages
			if g.urgent != 0 {
				sum.UnreadUrgent += g.unread
			} else {
				sum.NewOrdinary += g.new
			}
		}
		return sum, err
	})
}

// NotificationMarker tells which notification was the newest when the user
// looked at the list last, and which is now; 0 for none. [userkeys.NotFound].
func (s *Store) NotificationMarker(ctx context.Context, userID int64) (seen, newest int64, err error) {
	p, err := read(ctx, s, func(ctx context.Context, c conn) ([2]int64, error) {
		p, err := one(ctx, c, scanPair, "SELECT seen_notification_id, "+newestNotification+" FROM userkeys_users WHERE id = $1", userID)
		return p, notFound(err, "user")
	})
	return p[0], p[1], err
}

// newestNotification is the id of the newest one of the user $1; 0 if there is none.
const newestNotification = "(SELECT COALESCE(MAX(id), 0) FROM userkeys_notifications WHERE user_id = $1)"

// SeeNotifications remembers that the user has seen the list up to id. It never goes back.
func (s *Store) SeeNotifications(ctx context.Context, userID, id int64) error {
	_, err := s.changesOne(ctx, "UPDATE userkeys_users SET seen_notification_id = $2 WHERE id = $1 AND seen_notification_id < $2", userID, id)
	return err
}

// ReadNotifications marks as read what m says of the user's own, and tells how
// many were not. Unless it is about one only, the list counts as seen.
func (s *Store) ReadNotifications(ctx context.Context, m userkeys.NotificationMark) (int, error) {
	if len(m.Types) > idsPerStatement {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "too many notification types")
	}
	var w conditions
	w.add("user_id = $?", m.UserID)
	w.parts = append(w.parts, "is_read = 0")
	if m.ID != 0 {
		w.add("id = $?", m.ID)
	} else {
		w.types(m.Types)
	}
	var n int64
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		var err error
		if n, err = c.exec(ctx, "UPDATE userkeys_notifications SET is_read = 1"+w.where(), w.args...); err != nil || m.ID != 0 {
			return err
		}
		_, err = c.exec(ctx, "UPDATE userkeys_users SET seen_notification_id = "+newestNotification+
			" WHERE id = $1 AND seen_notification_id < "+newestNotification, m.UserID)
		return err
	})
	return int(n), err
}
