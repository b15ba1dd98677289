package store

import (
	"context"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// raiseInboxes raises the versions of users' inboxes, locks the inboxes until the transaction ends, and returns the
// versions by user. Inboxes are locked in the order of the ids everywhere.
func (s *Store) raiseInboxes(c conn, users []int64) (map[int64]int64, error) {
	next := strings.ReplaceAll(s.diff.nextVersion, "version", "userkeys_inboxes.version")
	versions := make(map[int64]int64, len(users))
	err := inChunks(users, idsPerStatement, func(chunk []int64) error {
		rows, err := all(c, scanPair, `INSERT INTO userkeys_inboxes (user_id, version, quiet_until)
			SELECT id, `+s.diff.firstVersion+`, 0 FROM userkeys_users WHERE id`+in(1, len(chunk))+` ORDER BY id
			ON CONFLICT (user_id) DO UPDATE SET version = `+next+` RETURNING user_id, version`, arguments(chunk)...)
		for _, r := range rows {
			versions[r[0]] = r[1]
		}
		return err
	})
	return versions, err
}

// raiseInbox raises the version of a user's inbox, which the caller has locked, so that those who wait for a change
// notice it.
func (s *Store) raiseInbox(c conn, userID int64) error {
	_, err := c.exec("UPDATE userkeys_inboxes SET version = "+s.diff.nextVersion+" WHERE user_id = $1", userID)
	return err
}

// inbox is the inbox of a user in a transaction that has locked it.
type inbox struct {
	userID int64
	seen   int64 // the marker
	newest int64
}

// openInbox locks the inbox of a user: first the row of the user, which has the marker, in the same order as a
// deletion of the user. It returns false if the user has never had a notification, or does not exist.
func (s *Store) openInbox(c conn, userID int64) (inbox, bool, error) {
	in := inbox{userID: userID}
	seen, err := all(c, scanInt, "SELECT seen_notification_id FROM userkeys_users WHERE id = $1"+s.diff.lockRow, userID)
	if err != nil || len(seen) == 0 {
		return in, false, err
	}
	in.seen = seen[0]
	there, err := all(c, scanInt, "SELECT version FROM userkeys_inboxes WHERE user_id = $1"+s.diff.lockRow, userID)
	if err != nil || len(there) == 0 {
		return in, false, err
	}
	in.newest, err = one(c, scanInt, "SELECT "+newestNotification, userID)
	return in, true, err
}

// newestNotification selects the id of the newest notification of the user $1, or 0.
const newestNotification = "(SELECT COALESCE(MAX(id), 0) FROM userkeys_notifications WHERE user_id = $1)"

// see moves the marker up to id, but not down and not above the newest notification, and counts the new notifications
// above it again. These are few, because markers are moved to the end. It reports whether the marker moved.
func (in *inbox) see(c conn, id int64) (bool, error) {
	if id = min(id, in.newest); id <= in.seen {
		return false, nil
	}
	in.seen = id
	if _, err := c.exec("UPDATE userkeys_users SET seen_notification_id = $2 WHERE id = $1", in.userID, id); err != nil {
		return false, err
	}
	above, err := all(c, scanGroup, `SELECT notification_type, high_priority, 0, 0, COUNT(*) FROM userkeys_notifications
		WHERE user_id = $1 AND id > $2 AND is_read = 0 GROUP BY notification_type, high_priority`, in.userID, id)
	if err != nil {
		return false, err
	}
	_, err = c.exec("UPDATE userkeys_notification_counts SET fresh = 0 WHERE user_id = $1 AND fresh <> 0", in.userID)
	if err != nil {
		return false, err
	}
	for _, g := range above {
		if err := count(c, in.userID, g); err != nil {
			return false, err
		}
	}
	return true, nil
}

// group counts the notifications of one type and priority.
type group struct {
	kind, urgent         int64
	total, unread, fresh int64
}

func scanGroup(r row) (group, error) {
	var g group
	err := r.Scan(&g.kind, &g.urgent, &g.total, &g.unread, &g.fresh)
	return g, err
}

// count adds to the counts of a user's notifications of one type and priority.
func count(c conn, userID int64, by group) error {
	_, err := c.exec(`UPDATE userkeys_notification_counts SET total = total + $4, unread = unread + $5, fresh = fresh + $6
		WHERE user_id = $1 AND notification_type = $2 AND high_priority = $3`,
		userID, by.kind, by.urgent, by.total, by.unread, by.fresh)
	return err
}

const groupsOf = "notification_type, high_priority, total, unread, fresh " +
	"FROM userkeys_notification_counts WHERE user_id = $1"

// inboxRows is a user's inbox with its counts in one statement, and so at one
// moment: a row of its own, 0, and one for each type and priority, 1.
const inboxRows = `SELECT 0, u.seen_notification_id, COALESCE(i.version, 0), COALESCE(i.quiet_until, 0),
		` + newestNotification + `, COALESCE((SELECT ` + notificationPosition + `
			FROM userkeys_notifications WHERE user_id = $1 ORDER BY id DESC LIMIT 1), 0)
	FROM userkeys_users u LEFT JOIN userkeys_inboxes i ON i.user_id = u.id WHERE u.id = $1
	UNION ALL SELECT 1, ` + groupsOf

type inboxPart struct {
	kind  int64
	parts [5]int64
}

func scanInboxPart(r row) (inboxPart, error) {
	var p inboxPart
	err := r.Scan(&p.kind, &p.parts[0], &p.parts[1], &p.parts[2], &p.parts[3], &p.parts[4])
	return p, err
}

// InboxState reads a user's inbox at one moment, at the same cost however much is in it.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) InboxState(ctx context.Context, userID int64) (site.Inbox, error) {
	return read(ctx, s, func(c conn) (site.Inbox, error) {
		in := site.Inbox{UserID: userID}
		parts, err := all(c, scanInboxPart, inboxRows, userID)
		if err != nil {
			return in, err
		}
		var groups []group
		found := false
		for _, p := range parts {
			v := p.parts
			if p.kind != 0 {
				groups = append(groups, group{v[0], v[1], v[2], v[3], v[4]})
				continue
			}
			found = true
			in.Counts.SeenID, in.Version, in.QuietUntil, in.Newest, in.Position = v[0], v[1], fromMicros(v[2]), v[3], v[4]
		}
		if !found {
			return in, userkeys.Errorf(userkeys.NotFound, "there is no such user")
		}
		sumUp(&in.Counts, groups)
		return in, nil
	})
}

// sumUp fills counts, except for the marker, from what is counted by type and priority.
func sumUp(counts *site.NotificationCounts, groups []group) {
	for _, g := range groups {
		counts.New += int(g.fresh)
		if g.kind == site.NotificationPrivateMessage {
			counts.NewMessages += int(g.fresh)
		}
		if g.urgent != 0 {
			counts.UnreadUrgent += int(g.unread)
		} else {
			counts.NewOrdinary += int(g.fresh)
		}
		if g.unread == 0 {
			continue
		}
		counts.Unread += int(g.unread)
		if counts.UnreadByType == nil {
			counts.UnreadByType = map[int]int{}
		}
		counts.UnreadByType[int(g.kind)] += int(g.unread)
	}
}

// InboxVersions returns the versions of users' inboxes by user. Users who have never had a notification are absent.
func (s *Store) InboxVersions(ctx context.Context, userIDs []int64) (map[int64]int64, error) {
	versions := make(map[int64]int64, len(userIDs))
	err := inChunks(unique(userIDs), idsPerStatement, func(chunk []int64) error {
		rows, err := read(ctx, s, func(c conn) ([][2]int64, error) {
			return all(c, scanPair, "SELECT user_id, version FROM userkeys_inboxes WHERE user_id"+in(1, len(chunk)),
				arguments(chunk)...)
		})
		for _, r := range rows {
			versions[r[0]] = r[1]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return versions, nil
}

// SetQuiet sets until when nothing is pushed to a user; the zero time ends it. The version of the inbox stays.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (s *Store) SetQuiet(ctx context.Context, userID int64, until, at time.Time) error {
	return s.write(ctx, func(c conn) error {
		n, err := c.exec(`INSERT INTO userkeys_inboxes (user_id, version, quiet_until)
			SELECT id, 0, $2 FROM userkeys_users WHERE id = $1
			ON CONFLICT (user_id) DO UPDATE SET quiet_until = excluded.quiet_until`, userID, micros(until))
		if err != nil {
			return err
		}
		if n == 0 {
			return userkeys.Errorf(userkeys.NotFound, "there is no such user")
		}
		// This concerns what was held back for longer, not what is being sent: the rules decide again when it is sent.
		_, err = c.exec(`UPDATE userkeys_deliveries SET next_at = $2, queued_at = $2
			WHERE user_id = $1 AND dead_at = 0 AND attempt = 0 AND queued_at > $2`, userID, micros(later(until, at)))
		return err
	})
}
