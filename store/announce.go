package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/site"
)

// What is written of a notification: all but the id, of which the database
// gives the next. Those of one call differ in their user only.
const (
	notificationsPerStatement = 500
	unknownNamesInError       = 10
)

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

// AddNotifications writes the notification of a for each of its users, with the deliveries of pushes and one audit
// event. Names are compared without case, and each user is notified once. The ids are in the order of the names. If a
// name is unknown nothing is written.
//
// A call with an idempotency key that was used within [site.IdempotencyLifetime] writes nothing and returns the ids
// of the first call. If several calls have the same key at the same time, one of them writes and the others wait for
// it.
//
// Errors: [userkeys.Unprocessable] with the names that nobody has; [userkeys.Conflict] if the idempotency key was
// used for a different call.
func (s *Store) AddNotifications(ctx context.Context, a site.Announcement) (site.Announced, error) {
	n := a.Notification
	if err := checkIndexed(append([]string{a.IdempotencyKey}, a.Usernames...)...); err != nil {
		return site.Announced{}, err
	}
	if err := checkText(n.Slug, n.FancyTitle, string(n.Data), string(a.Caller.Kind()), a.Caller.Address); err != nil {
		return site.Announced{}, err
	}
	keys := distinctNames(a.Usernames)
	if len(keys) == 0 {
		return site.Announced{}, nil
	}
	var done site.Announced
	err := s.write(ctx, func(c conn) error {
		var err error
		if done, err = repeated(c, a, keys); err != nil || done.Repeated {
			return err
		}
		done, err = s.announce(c, a, keys)
		return err
	})
	if err != nil {
		return site.Announced{}, err
	}
	return done, nil
}

// announce writes a new announcement. It locks the rows of the users until the transaction ends, so that no user is
// deleted meanwhile, and then their inboxes, always in the order of the ids: of two calls one waits for the other,
// and the ids of one user are in the order of the commits.
func (s *Store) announce(c conn, a site.Announcement, keys []string) (site.Announced, error) {
	var done site.Announced
	n := a.Notification
	users, err := s.userIDs(c, keys)
	if err != nil {
		return done, err
	}
	ordered := unique(users)
	versions, err := s.raiseInboxes(c, ordered)
	if err != nil {
		return done, err
	}
	notified, err := insertNotifications(c, ordered, n, versions)
	if err != nil {
		return done, err
	}
	if err := countNew(c, ordered, n); err != nil {
		return done, err
	}
	done.UserIDs, done.IDs = users, make([]int64, len(users))
	for i, u := range users {
		done.IDs[i] = notified[u]
	}
	if done.Queued, err = enqueue(c, a, notified); err != nil {
		return done, err
	}
	if err := remember(c, a.IdempotencyKey, done.IDs); err != nil {
		return done, err
	}
	return done, audit(c, site.AuditEvent{
		At: n.CreatedAt, Caller: a.Caller, Action: actionNotified,
		Detail: fmt.Sprintf("type %d, %d users: %s", n.Type, len(keys), strings.Join(keys, ", ")),
	})
}

// announcementRow is what is stored of a call with an idempotency key.
type announcementRow struct {
	body []byte
	ids  string
}

func scanAnnouncement(r row) (announcementRow, error) {
	var a announcementRow
	err := r.Scan(&a.body, &a.ids)
	return a, err
}

// repeated takes the idempotency key of a for this transaction. If the key was used before, it returns the result of
// that call. A second call waits here until the first has ended.
func repeated(c conn, a site.Announcement, names []string) (site.Announced, error) {
	var none site.Announced
	if a.IdempotencyKey == "" {
		return none, nil
	}
	body, err := bodyHash(a, names)
	if err != nil {
		return none, err
	}
	key, at := secretHash(a.IdempotencyKey), a.Notification.CreatedAt
	taken, err := c.exec(`INSERT INTO userkeys_announcements (key_hash, body_hash, ids, created_at) VALUES ($1, $2, '', $3)
		ON CONFLICT (key_hash) DO UPDATE SET body_hash = excluded.body_hash, ids = '', created_at = excluded.created_at
		WHERE userkeys_announcements.created_at <= $4`, key, body, micros(at), micros(at.Add(-site.IdempotencyLifetime)))
	if err != nil || taken > 0 {
		return none, err
	}
	first, err := one(c, scanAnnouncement, "SELECT body_hash, ids FROM userkeys_announcements WHERE key_hash = $1", key)
	if err != nil {
		return none, err
	}
	if !slices.Equal(first.body, body) {
		return none, userkeys.Errorf(userkeys.Conflict, "nobody was notified: "+
			"this idempotency key was used for something else within the last %d days",
			int(site.IdempotencyLifetime.Hours()/24))
	}
	ids, err := parseIDs(first.ids)
	return site.Announced{IDs: ids, Repeated: true}, err
}

// remember adds the ids to the row that repeated inserted.
func remember(c conn, key string, ids []int64) error {
	if key == "" {
		return nil
	}
	_, err := c.exec("UPDATE userkeys_announcements SET ids = $2 WHERE key_hash = $1", secretHash(key), joinIDs(ids))
	return err
}

// bodyHash returns a hash that is the same for calls with the same users, notification, push option and kind of
// caller.
func bodyHash(a site.Announcement, names []string) ([]byte, error) {
	n := a.Notification
	text, err := json.Marshal(map[string]any{
		"names": names, "type": n.Type, "read": n.Read, "urgent": n.HighPriority, "topic": n.TopicID, "post": n.PostNumber,
		"slug": n.Slug, "title": n.FancyTitle, "data": string(n.Data), "push": a.Push, "kind": a.Caller.Kind(),
	})
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(text)
	return h[:], nil
}

func joinIDs(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(texts, ",")
}

func parseIDs(s string) ([]int64, error) {
	var ids []int64
	for _, text := range splitList(s, ",") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// distinctNames returns names in the form in which they are compared, each once, in their order.
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

// userIDs finds the users with the given names, in the form in which names are compared, and returns their ids in the
// order of the names. It locks the users' rows, so that nobody deletes them until the transaction ends.
//
// Errors: [userkeys.Unprocessable] if there is no user of one of the names.
func (s *Store) userIDs(c conn, keys []string) ([]int64, error) {
	found := make(map[string]int64, len(keys))
	err := inChunks(keys, idsPerStatement, func(chunk []string) error {
		rows, err := all(c, scanNamedID, "SELECT id, username_key FROM userkeys_users WHERE username_key"+
			in(1, len(chunk))+" ORDER BY id"+s.diff.keepRow, arguments(chunk)...)
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
	return userkeys.Errorf(userkeys.Unprocessable, "nobody was notified: there is no user %s%s",
		strings.Join(shown, ", "), more)
}

// insertNotifications writes n for each of users at their positions, and returns the ids by user.
func insertNotifications(
	c conn, users []int64, n site.Notification, positions map[int64]int64,
) (map[int64]int64, error) {
	shared := []any{
		n.Type, flag(n.Read), flag(n.HighPriority), n.TopicID, n.PostNumber, n.Slug, n.FancyTitle, string(n.Data),
		micros(n.CreatedAt),
	}
	ids := make(map[int64]int64, len(users))
	err := inChunks(users, notificationsPerStatement, func(chunk []int64) error {
		values, args := forEachUser(shared, chunk, positions)
		rows, err := all(c, scanPair, "INSERT INTO userkeys_notifications (user_id, position, "+writtenColumns+
			") VALUES "+values+" RETURNING id, user_id", args...)
		for _, r := range rows {
			ids[r[1]] = r[0]
		}
		return err
	})
	return ids, err
}

// countNew adds a new notification to the counts of each of users. A new notification is above every marker.
func countNew(c conn, users []int64, n site.Notification) error {
	unread := flag(!n.Read)
	shared := []any{n.Type, flag(n.HighPriority), 1, unread, unread}
	return inChunks(users, notificationsPerStatement, func(chunk []int64) error {
		values, args := forEachUser(shared, chunk)
		_, err := c.exec(`INSERT INTO userkeys_notification_counts AS k
				(user_id, notification_type, high_priority, total, unread, fresh) VALUES `+values+`
			ON CONFLICT (user_id, notification_type, high_priority) DO UPDATE SET
				total = k.total + excluded.total, unread = k.unread + excluded.unread, fresh = k.fresh + excluded.fresh`, args...)
		return err
	})
}

// forEachUser returns the VALUES of a statement with a row for each of users: the id of the user, then the values of
// that user, then the values that all share.
func forEachUser(shared []any, users []int64, own ...map[int64]int64) (values string, args []any) {
	rest := list(1, len(shared))
	args = slices.Clone(shared)
	var b strings.Builder
	for i, u := range users {
		if i > 0 {
			b.WriteByte(',')
		}
		args = append(args, u)
		b.WriteString("($" + strconv.Itoa(len(args)) + ",")
		for _, values := range own {
			args = append(args, values[u])
			b.WriteString("$" + strconv.Itoa(len(args)) + ",")
		}
		b.WriteString(rest + ")")
	}
	return b.String(), args
}
