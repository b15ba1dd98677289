package authority

import (
	"context"
	"time"
)

// cleanUpInterval is how often one node of all cleans up. Discourse does it daily; a run costs one statement when
// nothing is due.
const cleanUpInterval = time.Hour

// CleanUp revokes keys that were not used for revoke_user_api_keys_unused_days or are older than
// revoke_user_api_keys_maxlife_days, and removes what has expired. It first writes the uses that are still in memory,
// so that no key in use counts as unused.
func (a *Authority) CleanUp(ctx context.Context) error {
	if err := a.Flush(ctx); err != nil {
		return err
	}
	s, now := a.Settings(), a.now()
	unused, old := daysAgo(now, s.RevokeUserAPIKeysUnusedDays), daysAgo(now, s.RevokeUserAPIKeysMaxlifeDays)
	n, err := a.store.RevokeStale(ctx, unused, old, now)
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

// daysAgo returns the time that many days before now. For 0 days it returns the zero time, which no key is older
// than.
func daysAgo(now time.Time, days int) time.Time {
	if days <= 0 {
		return time.Time{}
	}
	return now.AddDate(0, 0, -days)
}
