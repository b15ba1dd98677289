package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"userkeys"
	"userkeys/site"
)

// fakePushes is a push worker that sends nothing, and remembers what it was told to do.
type fakePushes struct {
	authority  *fakeAuthority // who has which key
	states     map[int64]site.KeyPush
	deliveries []site.Delivery // oldest first
	hosts      []site.PushHost
	done       []string
	err        error // of everything
}

var _ Pushes = (*fakePushes)(nil)

func (f *fakePushes) note(by site.Caller, format string, args ...any) {
	f.done = append(f.done, fmt.Sprintf(format, args...)+fmt.Sprintf(" by %d %s", by.User.ID, by.Kind()))
}

func (f *fakePushes) KeyPushes(_ context.Context, ids []int64) (map[int64]site.KeyPush, error) {
	out := map[int64]site.KeyPush{}
	for _, id := range ids {
		if p, ok := f.states[id]; ok {
			out[id] = p
		}
	}
	return out, f.err
}

// key is the key that by may act on.
func (f *fakePushes) key(id int64, by site.Caller) (site.UserAPIKey, error) {
	if f.err != nil {
		return site.UserAPIKey{}, f.err
	}
	if id > int64(len(f.authority.keys)) || f.authority.keys[id-1].UserID != by.User.ID && !by.Admin() {
		return site.UserAPIKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	k := f.authority.keys[id-1]
	if k.PushURL == "" || !k.Live(testNow) {
		return k, userkeys.Errorf(userkeys.Conflict, "nothing is sent to this app")
	}
	return k, nil
}

func (f *fakePushes) SendTest(_ context.Context, id int64, by site.Caller) error {
	_, err := f.key(id, by)
	if err == nil {
		f.note(by, "test %d", id)
	}
	return err
}

func (f *fakePushes) ResumeKey(_ context.Context, id int64, by site.Caller) error {
	_, err := f.key(id, by)
	if err == nil {
		f.note(by, "resume key %d", id)
	}
	return err
}

func (f *fakePushes) ResumeHost(_ context.Context, host string, by site.Caller) error {
	if !slices.ContainsFunc(f.hosts, func(h site.PushHost) bool { return h.Host == host }) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such host")
	}
	f.note(by, "resume %s", host)
	return f.err
}

func (f *fakePushes) Deliveries(_ context.Context, fl site.DeliveryFilter) ([]site.Delivery, error) {
	var out []site.Delivery
	for _, d := range slices.Backward(f.deliveries) {
		if d.DeadAt.IsZero() != fl.Dead && (fl.Host == "" || d.Host == fl.Host) && (fl.UserID == 0 || d.UserID == fl.UserID) &&
			(fl.Before == 0 || d.ID < fl.Before) && len(out) < fl.Limit {
			out = append(out, d)
		}
	}
	return out, f.err
}

func (f *fakePushes) Hosts(context.Context) ([]site.PushHost, error) { return f.hosts, f.err }

// dead counts the given-up deliveries that are meant.
func (f *fakePushes) dead(ids []int64, host string) int {
	n := 0
	for _, d := range f.deliveries {
		if !d.DeadAt.IsZero() && (len(ids) == 0 || slices.Contains(ids, d.ID)) && (host == "" || d.Host == host) {
			n++
		}
	}
	return n
}

func (f *fakePushes) Replay(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.note(by, "replay %v %q", ids, host)
	return f.dead(ids, host), f.err
}

func (f *fakePushes) Discard(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.note(by, "discard %v %q", ids, host)
	return f.dead(ids, host), f.err
}

func (f *fakePushes) SealedSecret(_ context.Context, id int64) (string, error) {
	if f.err != nil {
		return "", f.err
	}
	if f.authority.keys[id-1].PushURL == "" {
		return "", userkeys.Errorf(userkeys.NotFound, "this key has no push address")
	}
	return fmt.Sprintf("c2VhbGVk%d", id), nil
}

const (
	goodHost = "https://push.example:443"
	badHost  = "http://10.1.2.3:9000"
)

// fill gives two hosts: one that works, and one inside that answers 503; three
// deliveries wait (1 to 3) and two were given up (4 and 5).
func (f *fakePushes) fill() {
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	f.hosts = []site.PushHost{
		{Host: goodHost, Delivered: 1204, Failed: 3, DeliveredAt: ago(2 * time.Minute), FailedAt: ago(day), Problem: site.PushTimeout, Queued: 1, DueAt: testNow},
		{
			Host: badHost, Delivered: 7, Failed: 40, Failures: 12, FailedAt: ago(time.Minute), DeliveredAt: ago(2 * day), Problem: "status 503",
			ClosedUntil: testNow.Add(4 * time.Minute), Queued: 2, Dead: 2, Off: 3, DueAt: testNow.Add(4 * time.Minute),
		},
	}
	f.deliveries = []site.Delivery{
		{ID: 1, UserID: 1, NotificationID: 11, PushURL: "https://push.example/x", Host: goodHost, CreatedAt: ago(time.Minute), QueuedAt: ago(time.Minute), NextAt: testNow},
		{ID: 2, UserID: 1, NotificationID: 12, PushURL: "http://10.1.2.3:9000/secret-path", Host: badHost, CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour), NextAt: testNow.Add(4 * time.Minute), Attempt: 3, Problem: "status 503"},
		{ID: 3, UserID: 2, KeyID: 5, PushURL: "http://10.1.2.3:9000/secret-path", Host: badHost, CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour), NextAt: testNow.Add(time.Minute), Attempt: 1, Problem: site.PushAddress},
		{ID: 4, UserID: 2, NotificationID: 13, PushURL: "http://10.1.2.3:9000/secret-path", Host: badHost, CreatedAt: ago(2 * day), QueuedAt: ago(2 * day), NextAt: ago(day), Attempt: 14, DeadAt: ago(day), Problem: site.PushConnection},
		{ID: 5, UserID: 99, NotificationID: 14, PushURL: "http://10.1.2.3:9000/<b>\u202eevil", Host: badHost, CreatedAt: ago(2 * day), QueuedAt: ago(2 * day), NextAt: ago(day), Attempt: 1, DeadAt: ago(day), Problem: site.PushGone},
	}
}
