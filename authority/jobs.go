package authority

import (
	"context"
	"time"
)

// How often the clean-up runs. Discourse runs it daily; each run is one
// statement when nothing is due, so ours is hourly. Each node looks whether it
// is due, and one of them does it; if that one is gone before the end, another does.
const (
	jobInterval = time.Hour
	jobLook     = 10 * time.Minute
	jobLease    = 10 * time.Minute
	cleanUpJob  = "clean-up"
)

func (a *Authority) runJobs(ctx context.Context) {
	tick := time.NewTicker(jobLook)
	defer tick.Stop()
	for {
		if err := a.cleanUpIfDue(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("cleaning up fails", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// cleanUpIfDue cleans up if no node has done so for an hour.
func (a *Authority) cleanUpIfDue(ctx context.Context) error {
	began := a.now()
	mine, err := a.store.ClaimJob(ctx, cleanUpJob, began, began.Add(jobLease))
	if err != nil || !mine {
		return err
	}
	if err := a.CleanUp(ctx); err != nil {
		return err
	}
	return a.store.FinishJob(ctx, cleanUpJob, began.Add(jobInterval))
}

// CleanUp revokes keys that were not used for revoke_user_api_keys_unused_days
// or are older than revoke_user_api_keys_maxlife_days, and removes what is
// over. Uses that are still in memory are written first, so that no key in use counts as unused.
func (a *Authority) CleanUp(ctx context.Context) error {
	if err := a.flushAll(ctx); err != nil {
		return err
	}
	s, now := a.Settings(), a.now()
	n, err := a.store.RevokeStale(ctx, daysAgo(now, s.RevokeUserAPIKeysUnusedDays), daysAgo(now, s.RevokeUserAPIKeysMaxlifeDays), now)
	if err != nil {
		return err
	}
	if since := daysAgo(now, s.UnusedRegisteredUserAPIKeyClientsDays); !since.IsZero() {
		released, err := a.store.ReleaseClients(ctx, since, now)
		if err != nil {
			return err
		}
		n += released
	}
	if n > 0 {
		a.log.Info("cleaned up stale keys and clients", "number", n)
	}
	return a.store.Purge(ctx, now)
}

// daysAgo is the zero time, which no key is older than, for no days.
func daysAgo(now time.Time, days int) time.Time {
	if days <= 0 {
		return time.Time{}
	}
	return now.AddDate(0, 0, -days)
}
