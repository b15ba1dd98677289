package notify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/site"
	"userkeys/store"
)

// The database comes back as an older copy, and as much is written there as was
// lost, or more or less: whoever stands where the lost history ended hears of all of it.
func TestPositionsOfAnOlderCopy(t *testing.T) {
	t.Parallel()
	for _, lost := range []int{1, 3} {
		for _, made := range []int{1, 3, 4} {
			t.Run(fmt.Sprintf("%d lost, %d written", lost, made), func(t *testing.T) {
				t.Parallel()
				dbtest.EachRestorable(t, func(t *testing.T, r *dbtest.Restorable) { positionsOfAnOlderCopy(t, r, lost, made) })
			})
		}
	}
}

func positionsOfAnOlderCopy(t *testing.T, r *dbtest.Restorable, lost, made int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	u, err := r.CreateUser(ctx, site.Account{User: site.User{Username: "ada", Active: true, CreatedAt: noon}}, site.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(s *store.Store, n int) {
		t.Helper()
		for range n {
			_, err := s.AddNotifications(ctx, site.Announcement{
				Usernames: []string{"ada"}, Notification: site.Notification{Type: 1, Data: []byte("{}"), CreatedAt: noon},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	counts, alerts := notify.CountsChannel+itoa(u.ID), notify.AlertsChannel+itoa(u.ID)
	b := notify.NewBus(notify.BusConfig{Store: r.Store})
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	listen := func() *notify.Listener {
		t.Helper()
		l, err := b.Listen(notify.Subscriber{Caller: login(u.ID, "one")}, []notify.Subscription{{Channel: counts, Position: -1}, {Channel: alerts, Position: -1}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	read := func(l *notify.Listener) map[string]int {
		t.Helper()
		messages, err := l.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		heard := map[string]int{}
		for _, m := range messages {
			heard[m.Channel]++
		}
		return heard
	}
	tell(r.Store, 1)
	restore := r.BackUp()
	tell(r.Store, lost)
	l := listen()
	defer l.Close()
	read(l) // where the channels stand
	restore()
	tell(r.Other(), made)
	heard := read(l)
	if heard[alerts] != made || heard[counts] != 1 {
		t.Errorf("heard %v; want %d alerts and the counts", heard, made)
	}
	for range 2 { // and the counts alone, which another history has changed too
		restore = r.BackUp()
		mark(t, r.Store, u.ID)
		read(l)
		restore()
		other := r.Other()
		mark(t, other, u.ID)
		if heard := read(l); heard[counts] != 1 {
			t.Errorf("after a mark heard %v; want the counts", heard)
		}
		tell(other, 1)
		for heard := read(l); heard[alerts] == 0; heard = read(l) {
			if !l.Wait(ctx, nil) {
				t.Fatal("nothing woke who waits")
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func mark(t *testing.T, s *store.Store, userID int64) {
	t.Helper()
	if _, err := s.ReadNotifications(t.Context(), site.NotificationsToRead{UserID: userID}); err != nil {
		t.Fatal(err)
	}
}
