package store

import (
	"cmp"
	"context"
	"slices"

	"userkeys/site"
)

// RecordSeen writes when users were seen last, in one transaction. It never
// goes back; users that are gone are left out. The rows are locked in one
// order, so that nodes that write at the same time wait for each other and no more.
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
