// Package limit counts the requests of many keys in two sliding windows, 60 seconds
// and 24 hours, and says when a refused request may be repeated. It uses no clock,
// no goroutine, no I/O, and only the standard library.
//
//	m := limit.NewMemory(limit.MemoryConfig{})
//	if !m.Known(id) {
//		err = m.Restore(id, saved, now) // saved may be nil
//	}
//	d := m.Take(id, now, limit.Limits{Minute: 20, Day: 2880})
//
// # What is promised
//
// A request is charged to both windows or to neither: one that a window refuses
// costs nothing. With limits N for the minute and D for the day, while the
// caller's clock does not go back and there is room for the key:
//
//   - In any 60 seconds at most N pass. A request at time t counts in [t, t+60s), so
//     the next may pass at exactly t+60s. None is refused while fewer than N
//     passed in the last 60 seconds. Stamps are whole microseconds, rounded up: a
//     request may be refused for at most one microsecond longer.
//   - In any 24 hours at most D pass. The day is counted in steps of 864 seconds,
//     one per cent of it, on the safe side: a request counts until the end of its step is 24
//     hours ago, so between 24h and 24h14m24s. None is refused while fewer than D passed
//     in the last 24h14m24s.
//   - A retry at exactly now+RetryAfter passes, and one a microsecond earlier does not, if
//     nothing else was charged to that key meanwhile.
//   - Limits apply as they are at each call, and nothing is forgotten when they
//     change. After one was lowered, RetryAfter waits for as many to leave as
//     are now too many. Zero or less refuses everything. More than [MaxMinute]
//     (65,535) or [MaxDay] (16,777,214) counts as that.
//
// # When the clock goes back
//
// Requests wait between reading the clock and being charged, so a call may carry
// an earlier time than the one before it. Up to ten seconds behind the latest
// time seen it is taken as made at that latest time: it is never counted too
// early. If the clock is further behind it was set back. Then what lies more than
// ten seconds ahead is moved to ten seconds ahead; in real time that is later
// than it was, so again it is never counted for too short a time. Nobody waits
// longer than a window and these ten seconds (and the step, for the day).
//
// # What it costs
//
// A key that made one request takes 64 bytes and its place in the index: 75 to
// 90 bytes of heap in all. There are no pointers in it for the garbage collector
// to follow. Each request in the last 60 seconds costs 4 to 8 bytes more, and so
// does each step of the day in which there was one. So with limits of 20 and 2880
// a key busy all day takes 64+128+512 bytes and its places in the tables: less
// than 900, where a stamp for each request would be 23,000. Stamps of the minute
// are given back when it is over, and a key is forgotten when its day is. Each
// Take tidies up to two of each, so the tidying keeps up, and in steady state
// allocates nothing.
//
// # When it is full
//
// [MemoryConfig] bounds the number of keys; the room is divided among up to 64
// shards by a hash of the id. When a new key finds its shard full, the key whose
// last request is longest ago is forgotten, but never one with a request in the
// last minute: that would let it through twice in one window. If there are only
// such keys, the newcomer is refused as if its minute were full, until the first
// of them may go. Chance fills one shard before the others, so leave a tenth of
// room. A forgotten key begins a new day, unless the caller saves [Memory.Day]
// within a minute of each request and restores it when the key is no longer
// [Memory.Known].
//
// # When the process restarts
//
// The minute is lost: in the 60 seconds around a restart a key may pass 2N times.
// The day goes on from the last snapshot: what passed after it is lost. A
// snapshot that cannot be read counts as a day used up.
package limit
