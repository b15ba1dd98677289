package keycheck

import (
	"context"
	"errors"
	"testing"
	"time"

	"userkeys/site"
)

// sightings is a store that writes down who was seen, or fails.
type sightings struct {
	Store
	got []site.UserSeen
	err error
}

func (s *sightings) RecordSeen(_ context.Context, seen []site.UserSeen) error {
	if s.err == nil {
		s.got = append(s.got, seen...)
	}
	return s.err
}

// A user who is there is written at once and then at most once a minute; no
// sighting is lost, also not to a database that is away, and memory is given back.
func TestSeenIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	st := &sightings{}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ck := &Checker{store: st, now: func() time.Time { return now }}
	write := func(all bool, want ...time.Time) {
		t.Helper()
		st.got = nil
		if err := ck.writeSeen(t.Context(), all); err != nil && !errors.Is(err, st.err) {
			t.Fatal(err)
		}
		if len(st.got) != len(want) {
			t.Fatalf("wrote %v, want %v", st.got, want)
		}
		for i := range want {
			if st.got[i].UserID != 7 || !st.got[i].SeenAt.Equal(want[i]) {
				t.Fatalf("wrote %v, want %v", st.got, want)
			}
		}
	}
	first := now
	ck.seen.note(7, now)
	write(false, first)
	write(false)
	now = now.Add(30 * time.Second)
	second := now
	ck.seen.note(7, now)
	write(false) // within the minute
	now = now.Add(31 * time.Second)
	st.err = errors.New("away")
	write(false)
	st.err = nil
	write(false, second)
	third := now.Add(time.Second)
	ck.seen.note(7, third)
	write(true, third) // at the end of the program
	now = now.Add(2 * time.Minute)
	write(false)
	if len(ck.seen.users) != 0 {
		t.Errorf("still in memory: %v", ck.seen.users)
	}
}
