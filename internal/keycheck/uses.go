package keycheck

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
func (ck *Checker) flushDue(ctx context.Context) error {
	return errors.Join(ck.flush(ctx, ck.now().Add(-rewriteAfter)), ck.writeSeen(ctx, false))
}

// Flush writes every use that was not written.
func (ck *Checker) Flush(ctx context.Context) error {
	return errors.Join(ck.flush(ctx, ck.now().Add(time.Hour)), ck.writeSeen(ctx, true))
}

// flush writes the uses of keys that were last written before the given time.
func (ck *Checker) flush(ctx context.Context, before time.Time) error {
	ck.writing.Lock()
	defer ck.writing.Unlock()
	now := ck.now()
	var batch []site.KeyUse
	for i := range ck.cache.shards {
		batch = ck.cache.shards[i].takeUses(batch, now, before)
		for len(batch) >= flushBatch {
			if err := ck.write(ctx, batch[:flushBatch], now); err != nil {
				ck.cache.putBack(batch)
				return err
			}
			batch = batch[flushBatch:]
		}
	}
	if err := ck.write(ctx, batch, now); err != nil {
		ck.cache.putBack(batch)
		return err
	}
	return nil
}

func (ck *Checker) write(ctx context.Context, uses []site.KeyUse, now time.Time) error {
	if len(uses) == 0 {
		return nil
	}
	for i := range uses {
		uses[i].Day = ck.limiter.Day(uses[i].KeyID, now)
	}
	return ck.store.RecordUses(ctx, uses)
}

// takeUses appends the uses of s that are due to uses, and marks them as written.
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

// putBack keeps uses that could not be written, so that they are written the next time.
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
