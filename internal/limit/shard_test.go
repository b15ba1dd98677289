package limit_test

import (
	"time"

	"userkeys/internal/limit"
)

// shard is one shard of accounts that are found by id, with the methods of a limiter that saves its days.
type shard struct {
	limit.Shard[int64]
	restored map[int64]bool
}

// testTag returns a tag that three ids in a row have in common, so that the tests meet tags that are not unique.
func testTag(id int64) uint32 { return uint32(id/3) * 2654435769 }

func newShard(most int) *shard {
	if most == 0 {
		most = 1 << 20
	}
	s := &shard{restored: map[int64]bool{}}
	s.Init(most, func(id *int64) uint32 { return testTag(*id) }, func(id *int64) { delete(s.restored, *id) })
	return s
}

func (s *shard) find(id int64) *limit.Account[int64] {
	a, _ := s.Find(testTag(id), func(other *int64) bool { return *other == id })
	return a
}

func (s *shard) findOrAdd(id int64, at *limit.Moment) (*limit.Account[int64], time.Duration) {
	if a := s.find(id); a != nil {
		return a, 0
	}
	number, wait := s.Add(id, at)
	return s.Account(number), wait
}

func (s *shard) Take(id int64, now time.Time, l limit.Limits) limit.Decision {
	s.Lock()
	defer s.Unlock()
	at := s.Begin(now)
	if l.Minute <= 0 || l.Day <= 0 {
		return s.Shard.Take(new(limit.Account[int64]), at, l)
	}
	a, wait := s.findOrAdd(id, at)
	if wait > 0 {
		return limit.NoRoom(wait)
	}
	return s.Shard.Take(a, at, l)
}

// Day is nil for an account that there is not.
func (s *shard) Day(id int64, now time.Time) []byte {
	s.Lock()
	defer s.Unlock()
	at := s.Begin(now)
	a := s.find(id)
	if a == nil {
		return nil
	}
	s.restored[id] = true // what was counted before is part of it from now on
	return s.Shard.Day(nil, a, at)
}

// Restore restores an account once, as whoever keeps days would.
func (s *shard) Restore(id int64, day []byte, now time.Time) error {
	s.Lock()
	defer s.Unlock()
	at := s.Begin(now)
	a, wait := s.findOrAdd(id, at)
	if wait > 0 || s.restored[id] {
		return nil
	}
	s.restored[id] = true
	return s.Shard.Restore(a, day, at)
}

func (s *shard) Known(id int64) bool {
	s.Lock()
	defer s.Unlock()
	return s.find(id) != nil && s.restored[id]
}
