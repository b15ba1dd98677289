package store

import (
	"context"
	"time"
)

// ClaimJob claims a job that is due at a time: of all nodes that try, one succeeds, and no other gets the job before
// until. [Store.FinishJob] sets when it is due again; if the node has stopped by then, the job is due at until.
func (s *Store) ClaimJob(ctx context.Context, name string, at, until time.Time) (bool, error) {
	return s.changesOne(ctx, `INSERT INTO userkeys_jobs (name, due_at) VALUES ($1, $3)
		ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE userkeys_jobs.due_at <= $2`, name, micros(at),
		micros(until))
}

// FinishJob sets when a job is due again.
func (s *Store) FinishJob(ctx context.Context, name string, due time.Time) error {
	_, err := s.changesOne(ctx, "UPDATE userkeys_jobs SET due_at = $2 WHERE name = $1", name, micros(due))
	return err
}
