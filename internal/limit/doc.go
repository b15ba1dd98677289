// Package limit counts the requests of many keys in two sliding windows, 60 seconds
// and 24 hours, and says when a refused request may be repeated. It uses no clock,
// no goroutine, no I/O, and only the standard library.
//
//	m := limit.NewMemory(limit.MemoryConfig{})
//	d := m.Take(id, now, limit.Limits{Minute: 20, Day: 2880})
//
// A [Memory] is all that is needed for accounts that are found by a number. Whoever has to keep more with each
// account, or finds it otherwise, uses the [Shard] that a memory is made of.
//
// # What is promised
//
// A request is charged to both windows or to neither: one that a window refuses
// costs nothing. With limits N for the minute and D for the day, while the
// caller's clock does not go back and there is room for the account:
//
//   - In any 60 seconds at most N pass. A request at time t counts in [t, t+60s), so
//     the next may pass at exactly t+60s. None is refused while fewer than N
//     passed in the last 60 seconds. Stamps are whole milliseconds, rounded up: a
//     request may be refused for at most one millisecond longer.
//   - In any 24 hours at most D pass. The day is counted in steps of 864 seconds,
//     one per cent of it, on the safe side: a request counts until the end of its step is 24
//     hours ago, so between 24h and 24h14m24s. None is refused while fewer than D passed
//     in the last 24h14m24s.
//   - A retry at exactly now+RetryAfter passes, and one a millisecond earlier does not, if
//     nothing else was charged to that account meanwhile.
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
// Both windows take 56 bytes of an account, without pointers for the garbage collector to follow. They hold up to 11
// requests of the last minute. For more there is a block of 2 bytes for each; a day with requests in several of its
// steps has a block of 4 bytes for each step. Both are rounded up to a power of two. So with limits of 20 and 2880 an
// account that is busy all day takes less than 900 bytes, where a stamp for each request would be 23,000. The block
// of a minute is given back when it is over, and an account is forgotten when its day is. For that a shard looks at two
// accounts for each call, on average. In steady state it allocates nothing.
//
// # When it is full
//
// The number of accounts is bounded; a [Memory] divides its room among up to 64
// shards by a hash of the id. When a new account finds its shard full, one whose
// last request is long ago is forgotten, but never one with a request in the
// last minute: that would let it through twice in one window. If there are only
// such accounts, the new one is refused as if its minute were full, until the first
// of them may be forgotten. Chance fills one shard before the others, so leave a tenth of
// room. An account that was forgotten begins a new day, unless the caller saves [Shard.Day]
// within a minute of each request and restores it when it makes the account anew.
//
// # When the process restarts
//
// The minute is lost: in the 60 seconds around a restart an account may pass 2N times.
// The day goes on from the last snapshot: what passed after it is lost. A
// snapshot that cannot be read counts as a day used up.
package limit
