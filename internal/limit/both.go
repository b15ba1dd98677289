package limit

import "time"

// Account is one of the two that [TakeBoth] charges: a key of a memory, and its limits.
type Account struct {
	Memory *Memory
	ID     int64
	Limits Limits
}

// TakeBoth is [Memory.Take] from two accounts at once, such as a key's and its
// user's: one request is charged to both, or to neither. Nobody sees it charged
// to one only. If it is refused, second tells whose refusal the decision is:
// that of the account which refuses longer, so that RetryAfter holds for both.
//
// The accounts must lie in two memories, and every caller must name these in
// the same order: each is locked while the next one is asked.
func TakeBoth(a, b Account, now time.Time) (d Decision, second bool) {
	da, okA := a.Limits.refuseAll()
	db, okB := b.Limits.refuseAll()
	if okA || okB {
		return longer(da, db, okA, okB)
	}
	at, bt := momentOf(now), momentOf(now)
	sa, sb := a.Memory.shard(a.ID), b.Memory.shard(b.ID)
	sa.mu.Lock()
	defer sa.mu.Unlock()
	sb.mu.Lock()
	defer sb.mu.Unlock()
	ia, da := sa.ask(a.ID, &at, a.Limits)
	ib, db := sb.ask(b.ID, &bt, b.Limits)
	if !da.OK || !db.OK {
		return longer(da, db, !da.OK, !db.OK)
	}
	sa.charge(ia, &at)
	sb.charge(ib, &bt)
	return da, false
}

// longer returns the longer refusal of two decisions.
func longer(a, b Decision, refusedA, refusedB bool) (Decision, bool) {
	if !refusedA || refusedB && b.RetryAfter > a.RetryAfter {
		return b, true
	}
	return a, false
}
