package keycheck

import (
	"context"
	"errors"
	"math"
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
	return errors.Join(ck.flush(ctx, time.Unix(math.MaxUint32, 0)), ck.writeSeen(ctx, true))
}

// dueUse is a use that is to be written, and where it comes from.
type dueUse struct {
	site.KeyUse
	shard  *shard
	number uint32
}

// flush writes the uses of keys that were last written before the given time.
func (ck *Checker) flush(ctx context.Context, before time.Time) error {
	ck.writing.Lock()
	defer ck.writing.Unlock()
	var due []dueUse
	for i := range ck.table.shards {
		due = ck.table.shards[i].takeUses(due, ck.now(), before)
		for len(due) >= flushBatch || i == shardCount-1 && len(due) > 0 {
			n := min(len(due), flushBatch)
			if err := ck.write(ctx, due[:n]); err != nil {
				putBack(due)
				return err
			}
			saved(due[:n])
			due = due[n:]
		}
	}
	return nil
}

func (ck *Checker) write(ctx context.Context, due []dueUse) error {
	uses := make([]site.KeyUse, len(due))
	for i := range due {
		uses[i] = due[i].KeyUse
	}
	return ck.store.RecordUses(ctx, uses)
}

// takeUses appends the uses of s that are due to due. Until they are written their accounts are kept.
func (s *shard) takeUses(due []dueUse, now, before time.Time) []dueUse {
	s.Lock()
	defer s.Unlock()
	if len(s.dirty) == 0 {
		return due
	}
	at := s.Begin(now)
	var days []byte
	later := s.dirty[:0]
	for _, i := range s.dirty {
		a := s.At(i)
		switch {
		case a == nil || !a.Data.is(dirty): // it was moved to another account
		case int64(a.Data.written) > before.Unix():
			later = append(later, i)
		default:
			from := len(days)
			days = s.Day(days, a, &at)
			a.Data.state &^= dirty
			a.Data.written = uint32(max(a.Data.lastUsed/1e6, now.Unix()))
			due = append(due, dueUse{use(a, days[from:len(days):len(days)]), s, i})
		}
	}
	s.dirty = later
	return due
}

// saved says that uses were written. Their accounts may be forgotten then, unless they were used again.
func saved(due []dueUse) {
	for _, u := range due {
		u.shard.Lock()
		if a := u.shard.At(u.number); a != nil && a.Data.keyID == u.KeyID && !a.Data.is(dirty) {
			a.Keep(false)
		}
		u.shard.Unlock()
	}
}

// putBack keeps uses that could not be written, so that they are written the next time. An account that is gone was
// moved, and its use with it.
func putBack(due []dueUse) {
	for _, u := range due {
		u.shard.Lock()
		if a := u.shard.At(u.number); a != nil && a.Data.keyID == u.KeyID {
			a.Data.written, a.Data.lastUsed = 0, max(a.Data.lastUsed, u.LastUsedAt.UnixMicro())
			if !a.Data.is(dirty) {
				u.shard.soil(a, u.number)
			}
		}
		u.shard.Unlock()
	}
}

func use(a *account, day []byte) site.KeyUse {
	return site.KeyUse{KeyID: a.Data.keyID, LastUsedAt: time.UnixMicro(a.Data.lastUsed).UTC(), Day: day}
}
