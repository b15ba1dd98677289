package authority

import (
	"context"
	"errors"
	"time"

	"userkeys/site"
)

// When a key was used is gathered in memory and written in batches: a key's
// first use within a second, later ones at most every ten. The day window
// travels with it, so that a restart does not hand out a second day.
const (
	flushInterval = time.Second
	rewriteAfter  = 10 * time.Second
	flushBatch    = 500
)

// flushDue writes the uses that are due.
func (a *Authority) flushDue(ctx context.Context) error {
	return errors.Join(a.flush(ctx, a.now().Add(-rewriteAfter)), a.writeSeen(ctx, false))
}

// flushAll writes every use that was not written.
func (a *Authority) flushAll(ctx context.Context) error {
	return errors.Join(a.flush(ctx, a.now().Add(time.Hour)), a.writeSeen(ctx, true))
}

// flush writes the uses of keys that were last written before the given time.
func (a *Authority) flush(ctx context.Context, before time.Time) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	now := a.now()
	var batch []site.KeyUse
	for i := range a.cache.shards {
		batch = a.cache.shards[i].takeUses(batch, now, before)
		for len(batch) >= flushBatch {
			if err := a.write(ctx, batch[:flushBatch], now); err != nil {
				a.cache.putBack(batch)
				return err
			}
			batch = batch[flushBatch:]
		}
	}
	if err := a.write(ctx, batch, now); err != nil {
		a.cache.putBack(batch)
		return err
	}
	return nil
}

func (a *Authority) write(ctx context.Context, uses []site.KeyUse, now time.Time) error {
	if len(uses) == 0 {
		return nil
	}
	for i := range uses {
		uses[i].Day = a.limiter.Day(uses[i].KeyID, now)
	}
	return a.store.RecordUses(ctx, uses)
}

// takeUses appends to uses what is due of s and marks it written.
func (s *shard) takeUses(uses []site.KeyUse, now, before time.Time) []site.KeyUse {
	s.mu.Lock()
	defer s.mu.Unlock()
	for keyID, lastUsed := range s.pending {
		uses = append(uses, use(keyID, lastUsed))
	}
	s.pending = nil
	later := s.dirty[:0]
	for _, i := range s.dirty {
		sl := s.at(i)
		switch {
		case !sl.taken || sl.lastUsed <= sl.written:
			sl.dirty = false
		case sl.written > before.UnixMicro():
			later = append(later, i)
		default:
			uses = append(uses, use(sl.keyID, sl.lastUsed))
			sl.dirty, sl.written = false, max(sl.lastUsed, now.UnixMicro())
		}
	}
	s.dirty = later
	return uses
}

// putBack keeps uses that could not be written for the next time.
func (c *cache) putBack(uses []site.KeyUse) {
	if len(uses) == 0 {
		return
	}
	s := &c.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range uses {
		s.postpone(u.KeyID, u.LastUsedAt.UnixMicro())
	}
}

func use(keyID, lastUsed int64) site.KeyUse {
	return site.KeyUse{KeyID: keyID, LastUsedAt: time.UnixMicro(lastUsed).UTC()}
}
