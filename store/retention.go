package store

import (
	"context"
	"time"
)

// ownedGroup is a deleted notification, as the counts of its owner contain it.
type ownedGroup struct {
	userID, id int64
	group
}

func scanOwnedGroup(r row) (ownedGroup, error) {
	g := ownedGroup{group: group{total: -1}}
	var read int64
	err := r.Scan(&g.userID, &g.id, &g.kind, &g.urgent, &read)
	g.unread = read - 1
	return g, err
}

// PurgeNotifications deletes notifications from before a time, read or not, in batches, and returns how many. Markers
// may point to deleted notifications: ids are never used again, so that does no harm.
func (s *Store) PurgeNotifications(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for found := jobBatch; found == jobBatch; {
		gone := 0
		err := s.write(ctx, func(c conn) error {
			gone = 0
			old, err := all(c, scanPair, "SELECT id, user_id FROM userkeys_notifications WHERE created_at < $1 "+
				"ORDER BY created_at LIMIT $2", micros(before), jobBatch)
			found = len(old)
			if err != nil || found == 0 {
				return err
			}
			gone, err = s.forget(c, old)
			return err
		})
		if total += gone; err != nil {
			return total, err
		}
	}
	return total, nil
}

// lockInboxes locks the inboxes of users, in the order of their ids, and returns their markers.
func (s *Store) lockInboxes(c conn, users []int64) (map[int64]int64, error) {
	seen := make(map[int64]int64, len(users))
	err := inChunks(users, idsPerStatement, func(chunk []int64) error {
		args, these := arguments(chunk), in(1, len(chunk))
		_, err := all(c, scanInt, "SELECT user_id FROM userkeys_inboxes WHERE user_id"+these+
			" ORDER BY user_id"+s.diff.lockRow, args...)
		if err != nil {
			return err
		}
		marks, err := all(c, scanPair, "SELECT id, seen_notification_id FROM userkeys_users WHERE id"+these, args...)
		for _, m := range marks {
			seen[m[0]] = m[1]
		}
		return err
	})
	return seen, err
}

// forget deletes notifications, given by id and user, and returns how many still existed.
func (s *Store) forget(c conn, old [][2]int64) (int, error) {
	var ids, users []int64
	for _, p := range old {
		ids, users = append(ids, p[0]), append(users, p[1])
	}
	users = unique(users)
	seen, err := s.lockInboxes(c, users)
	if err != nil {
		return 0, err
	}
	lost := map[int64][]group{}
	gone := 0
	err = inChunks(unique(ids), idsPerStatement, func(chunk []int64) error {
		args := arguments(chunk)
		rows, err := all(c, scanOwnedGroup, "DELETE FROM userkeys_notifications WHERE id IN ("+list(1, len(args))+
			") RETURNING user_id, id, notification_type, high_priority, is_read", args...)
		for _, g := range rows {
			if g.id > seen[g.userID] {
				g.fresh = g.unread
			}
			lost[g.userID] = append(lost[g.userID], g.group)
		}
		gone += len(rows)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, u := range users {
		if err := s.uncount(c, u, lost[u]); err != nil {
			return 0, err
		}
	}
	return gone, nil
}

// uncount subtracts deleted notifications from the counts of a user, and notifies those who wait for a change.
func (s *Store) uncount(c conn, userID int64, lost []group) error {
	if len(lost) == 0 {
		return nil
	}
	for _, g := range together(lost) {
		if err := count(c, userID, g); err != nil {
			return err
		}
	}
	if _, err := c.exec("DELETE FROM userkeys_notification_counts WHERE user_id = $1 AND total = 0", userID); err != nil {
		return err
	}
	return s.raiseInbox(c, userID)
}
