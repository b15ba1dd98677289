package keycheck

import (
	"context"
	"sync"
	"time"

	"userkeys/site"
)

// seenEvery is how often a user who is there is written down.
const seenEvery = time.Minute

// presence gathers the users whose apps said that somebody is looking
// (Discourse-Present). Requests that do not say so never come here.
type presence struct {
	mu    sync.Mutex
	users map[int64]sighting
}

type sighting struct{ noted, written time.Time }

// note remembers that a user was seen.
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

// take is who is to be written: at the first sighting and then once a minute.
// Whoever was not seen for a minute is forgotten, so the memory is bounded by
// the users of one minute.
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

// putBack has what could not be written tried again.
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

// writeSeen writes the sightings that are due, or all that were not written.
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
