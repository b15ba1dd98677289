package keycheck

import (
	"context"
	"errors"
	"math"
	"time"

	"userkeys/site"
)

// When a key was used last, and the day of its limits, are gathered in memory and written in batches: the first use of
// a key within a second, later uses at most every ten seconds. So a restart does not give a key a new day.
const (
	flushInterval = time.Second
	rewriteAfter  = 10 * time.Second
	flushBatch    = 500 // uses in a transaction
)

// flushDue writes the uses that are due.
func (ck *Checker) flushDue(ctx context.Context) error {
	return errors.Join(ck.flush(ctx, ck.now().Add(-rewriteAfter)), ck.writeSeen(ctx, false))
}

// Flush writes every use that was not written.
func (ck *Checker) Flush(ctx context.Context) error {
	return errors.Join(ck.flush(ctx, time.Unix(math.MaxUint32, 0)), ck.writeSeen(ctx, true))
}

// dueUse is a use that is to be written, and the account that it was read from.
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

// write writes uses in one transaction.
func (ck *Checker) write(ctx context.Context, due []dueUse) error {
	uses := make([]site.KeyUse, len(due))
	for i := range due {
		uses[i] = due[i].KeyUse
	}
	return ck.store.RecordUses(ctx, uses)
}

// takeUses appends the uses in s of keys that were last written before the given time, and returns due. Their accounts
// are not forgotten before they are written.
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
		a := s.Account(i)
		switch {
		case a == nil || !a.Data.is(dirty): // it was moved to another account
		case int64(a.Data.written) > before.Unix():
			later = append(later, i)
		default:
			from := len(days)
			days = s.Day(days, a, at)
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
		if a := u.shard.Account(u.number); a != nil && a.Data.keyID == u.KeyID && !a.Data.is(dirty) {
			a.MarkSaved()
		}
		u.shard.Unlock()
	}
}

// putBack keeps uses that could not be written, so that they are written the next time. An account that is gone was
// moved, and its use with it.
func putBack(due []dueUse) {
	for _, u := range due {
		u.shard.Lock()
		if a := u.shard.Account(u.number); a != nil && a.Data.keyID == u.KeyID {
			a.Data.written, a.Data.lastUsed = 0, max(a.Data.lastUsed, u.LastUsedAt.UnixMicro())
			u.shard.markDirty(a, u.number)
		}
		u.shard.Unlock()
	}
}

// use returns what is written of an account. If the key was only refused since it was loaded, LastUsedAt is the
// beginning of 1970, and the store keeps the later time that it has.
func use(a *account, day []byte) site.KeyUse {
	return site.KeyUse{KeyID: a.Data.keyID, LastUsedAt: time.UnixMicro(a.Data.lastUsed).UTC(), Day: day}
}
