package store

import (
	"cmp"
	"context"
	"slices"

	"userkeys/site"
)

// RecordSeen writes when users were last seen, in one transaction. It never replaces a time by an earlier one, and
// leaves out deleted users. Rows are locked in one order, so that nodes that write at the same time do not lock each
// other out.
func (s *Store) RecordSeen(ctx context.Context, seen []site.UserSeen) error {
	seen = slices.Clone(seen)
	slices.SortFunc(seen, func(a, b site.UserSeen) int { return cmp.Compare(a.UserID, b.UserID) })
	return s.write(ctx, func(c conn) error {
		for _, v := range seen {
			at := micros(v.SeenAt)
			if _, err := c.exec("UPDATE userkeys_users SET last_seen_at = $1 WHERE id = $2 "+
				"AND last_seen_at < $1", at, v.UserID); err != nil {
				return err
			}
		}
		return nil
	})
}
