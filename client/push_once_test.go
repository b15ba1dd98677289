package client

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"userkeys"
)

// The memory is bounded: what does not fit is refused, and the site tries again. Nothing is forgotten for it.
func TestReplayGuardIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	guard := NewReplayGuard()
	guard.Now = func() time.Time { return now }
	act := func(id string) error {
		p := Push{ID: id, marks: []pushMark{markOf(userkeys.PushSecret{}, id, "c")}}
		return guard.Once(p, func(Push) error { return nil })
	}
	for i := range maxSeenPushes {
		if err := act(strconv.Itoa(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	err := act("more")
	if e := userkeys.AsError(err); e.Code != userkeys.Unavailable || e.RetryAfter != time.Minute || PushStatus(err) != 503 {
		t.Errorf("%v", err)
	}
	if err := act("0"); !errors.Is(err, ErrPushSeen) {
		t.Errorf("the first was forgotten: %v", err)
	}
	now = now.Add(seenPushFor)
	if err := act("more"); err != nil {
		t.Errorf("after a while: %v", err)
	}
	if err := act("0"); !errors.Is(err, ErrPushSeen) {
		t.Errorf("the first was forgotten too early: %v", err)
	}
}
