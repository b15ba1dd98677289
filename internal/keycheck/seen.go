package keycheck

import (
	"context"
	"sync"
	"time"

	"userkeys/site"
)

// seenEvery is how often it is written at most that a user was seen.
const seenEvery = time.Minute

// presence gathers when users were seen: when an app has sent the header Discourse-Present, which says that its user
// is looking at it.
type presence struct {
	mu    sync.Mutex
	users map[int64]sighting
}

// sighting is when a user was seen last, and the latest such time that was written.
type sighting struct{ noted, written time.Time }

// note notes that a user was seen at a time.
func (s *presence) note(userID int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[int64]sighting)
	}
	u := s.users[userID]
	u.noted = now
	s.users[userID] = u
}

// take returns the sightings that are due to be written: the first one of a user, and then one each minute. With all
// it returns every sighting that was not written. It forgets users who were not seen for a minute, so that the memory
// is bounded by the users of one minute.
func (s *presence) take(now time.Time, all bool) []site.UserSeen {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []site.UserSeen
	for id, u := range s.users {
		recent := now.Sub(u.written) < seenEvery && !now.Before(u.written)
		switch {
		case u.noted.After(u.written) && (all || !recent):
			due = append(due, site.UserSeen{UserID: id, SeenAt: u.noted})
			u.written = u.noted
			s.users[id] = u
		case !recent:
			delete(s.users, id)
		}
	}
	return due
}

// putBack keeps sightings that could not be written, so that they are written the next time.
func (s *presence) putBack(seen []site.UserSeen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range seen {
		if u := s.users[v.UserID]; !u.noted.After(v.SeenAt) {
			s.users[v.UserID] = sighting{noted: v.SeenAt}
		} else {
			s.users[v.UserID] = sighting{noted: u.noted}
		}
	}
}

// writeSeen writes the sightings that are due, or with all every one that was not written.
func (ck *Checker) writeSeen(ctx context.Context, all bool) error {
	seen := ck.seen.take(ck.now(), all)
	if len(seen) == 0 {
		return nil
	}
	if err := ck.store.RecordSeen(ctx, seen); err != nil {
		ck.seen.putBack(seen)
		return err
	}
	return nil
}
