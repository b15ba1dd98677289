package store

import (
	"context"

	"userkeys"
)

// plainVersion grows with every change to the notifications of the user u: a new one, one that was read, a look at the list.
const plainVersion = `u.seen_notification_id + COALESCE(MAX(n.id), 0) + COUNT(CASE WHEN n.is_read = 1 THEN 1 END)`

// InboxState is the state of a user's inbox. [userkeys.NotFound].
func (s *Store) InboxState(ctx context.Context, userID int64) (userkeys.Inbox, error) {
	counts, err := s.NotificationCounts(ctx, userID)
	if err != nil {
		return userkeys.Inbox{}, err
	}
	return read(ctx, s, func(ctx context.Context, c conn) (userkeys.Inbox, error) {
		in := userkeys.Inbox{UserID: userID, Counts: counts}
		groups, err := all(ctx, c, scanPair, `SELECT notification_type, COUNT(*) FROM userkeys_notifications
			WHERE user_id = $1 AND is_read = 0 GROUP BY notification_type`, userID)
		if err != nil {
			return in, err
		}
		in.Counts.UnreadByType = map[int]int{}
		for _, g := range groups {
			in.Counts.UnreadByType[int(g[0])] = int(g[1])
			in.Counts.Unread += int(g[1])
		}
		p, err := one(ctx, c, scanPair, `SELECT `+plainVersion+`, COALESCE(MAX(n.id), 0)
			FROM userkeys_users u LEFT JOIN userkeys_notifications n ON n.user_id = u.id WHERE u.id = $1 GROUP BY u.id, u.seen_notification_id`, userID)
		in.Version, in.Newest = p[0], p[1]
		return in, notFound(err, "user")
	})
}

// InboxVersions are the versions of inboxes.
func (s *Store) InboxVersions(ctx context.Context, userIDs []int64) (map[int64]int64, error) {
	return read(ctx, s, func(ctx context.Context, c conn) (map[int64]int64, error) {
		versions := make(map[int64]int64, len(userIDs))
		err := inChunks(userIDs, idsPerStatement, func(chunk []int64) error {
			args := make([]any, len(chunk))
			for i, id := range chunk {
				args[i] = id
			}
			rows, err := all(ctx, c, scanPair, `SELECT u.id, `+plainVersion+`
				FROM userkeys_users u LEFT JOIN userkeys_notifications n ON n.user_id = u.id
				WHERE u.id IN (`+list(1, len(chunk))+`) GROUP BY u.id, u.seen_notification_id`, args...)
			for _, r := range rows {
				versions[r[0]] = r[1]
			}
			return err
		})
		return versions, err
	})
}
