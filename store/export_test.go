package store

import (
	"context"

	"userkeys/site"
)

// MigrateTo takes the steps up to a version, as an older program did.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	p, err := s.provider(ctx)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// ListQuery is the statement of a list of notifications.
func ListQuery(f site.NotificationFilter) (string, []any) { return listQuery(f) }
