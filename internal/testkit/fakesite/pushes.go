package fakesite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"userkeys"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/server/page"
	"userkeys/site"
)

// fakePushes is a push worker that sends nothing, and remembers what it was told to do.
type fakePushes struct {
	Authority *fakeAuthority // who has which key
	States    map[int64]outbox.KeyState
	Queue     []outbox.Delivery // oldest first
	HostList  []outbox.Host
	Done      []string
	Err       error // of everything
}

var _ server.Pushes = (*fakePushes)(nil)

func (f *fakePushes) Note(by site.Caller, format string, args ...any) {
	f.Done = append(f.Done, fmt.Sprintf(format, args...)+fmt.Sprintf(" by %d %s", by.User.ID, by.Kind()))
}

func (f *fakePushes) KeyPushes(_ context.Context, ids []int64) (map[int64]outbox.KeyState, error) {
	out := map[int64]outbox.KeyState{}
	for _, id := range ids {
		if p, ok := f.States[id]; ok {
			out[id] = p
		}
	}
	return out, f.Err
}

// Key is the key that by may act on.
func (f *fakePushes) Key(id int64, by site.Caller) (site.UserAPIKey, error) {
	if f.Err != nil {
		return site.UserAPIKey{}, f.Err
	}
	if id > int64(len(f.Authority.UserKeys)) || f.Authority.UserKeys[id-1].UserID != by.User.ID && !by.Admin() {
		return site.UserAPIKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	k := f.Authority.UserKeys[id-1]
	if k.PushURL == "" || !k.Live(Now) {
		return k, userkeys.Errorf(userkeys.Conflict, "nothing is sent to this app")
	}
	return k, nil
}

func (f *fakePushes) SendTest(_ context.Context, id int64, by site.Caller) error {
	_, err := f.Key(id, by)
	if err == nil {
		f.Note(by, "test %d", id)
	}
	return err
}

func (f *fakePushes) ResumeKey(_ context.Context, id int64, by site.Caller) error {
	_, err := f.Key(id, by)
	if err == nil {
		f.Note(by, "resume key %d", id)
	}
	return err
}

func (f *fakePushes) ResumeHost(_ context.Context, host string, by site.Caller) error {
	if !slices.ContainsFunc(f.HostList, func(h outbox.Host) bool { return h.Host == host }) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such host")
	}
	f.Note(by, "resume %s", host)
	return f.Err
}

func (f *fakePushes) Deliveries(_ context.Context, fl outbox.Filter) ([]outbox.Delivery, error) {
	var out []outbox.Delivery
	for _, d := range slices.Backward(f.Queue) {
		if d.DeadAt.IsZero() != fl.Dead && (fl.Host == "" || d.Host == fl.Host) &&
			(fl.UserID == 0 || d.UserID == fl.UserID) &&
			(fl.Before == 0 || d.ID < fl.Before) && len(out) < fl.Limit {
			out = append(out, d)
		}
	}
	return out, f.Err
}

func (f *fakePushes) Hosts(context.Context) ([]outbox.Host, error) { return f.HostList, f.Err }

// Dead counts the given-up deliveries that are meant.
func (f *fakePushes) Dead(ids []int64, host string) int {
	n := 0
	for _, d := range f.Queue {
		if !d.DeadAt.IsZero() && (len(ids) == 0 || slices.Contains(ids, d.ID)) && (host == "" || d.Host == host) {
			n++
		}
	}
	return n
}

func (f *fakePushes) Replay(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.Note(by, "replay %v %q", ids, host)
	return f.Dead(ids, host), f.Err
}

func (f *fakePushes) Discard(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.Note(by, "discard %v %q", ids, host)
	return f.Dead(ids, host), f.Err
}

func (f *fakePushes) SealedSecret(_ context.Context, id int64) (string, error) {
	if f.Err != nil {
		return "", f.Err
	}
	if f.Authority.UserKeys[id-1].PushURL == "" {
		return "", userkeys.Errorf(userkeys.NotFound, "this key has no push address")
	}
	return fmt.Sprintf("c2VhbGVk%d", id), nil
}

// GoodHost and BadHost are the hosts of [fakePushes.Fill].
const (
	GoodHost = "https://push.example:443"
	BadHost  = "http://10.1.2.3:9000"
)

// Fill gives two hosts: one that works, and one inside that answers 503; three
// deliveries wait (1 to 3) and two were given up (4 and 5).
func (f *fakePushes) Fill() {
	ago := func(d time.Duration) time.Time { return Now.Add(-d) }
	f.HostList = []outbox.Host{
		{
			Host: GoodHost, Delivered: 1204, Failed: 3, DeliveredAt: ago(2 * time.Minute), FailedAt: ago(page.Day),
			Problem: outbox.ProblemTimeout, Queued: 1, DueAt: Now,
		},
		{
			Host: BadHost, Delivered: 7, Failed: 40, Failures: 12, FailedAt: ago(time.Minute), DeliveredAt: ago(2 * page.Day),
			Problem:     "status 503",
			ClosedUntil: Now.Add(4 * time.Minute), Queued: 2, Dead: 2, Off: 3, DueAt: Now.Add(4 * time.Minute),
		},
	}
	f.Queue = []outbox.Delivery{
		{
			ID: 1, UserID: 1, NotificationID: 11, PushURL: "https://push.example/x", Host: GoodHost, CreatedAt: ago(time.Minute),
			QueuedAt: ago(time.Minute), NextAt: Now,
		},
		{
			ID: 2, UserID: 1, NotificationID: 12, PushURL: "http://10.1.2.3:9000/secret-path", Host: BadHost,
			CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour), NextAt: Now.Add(4 * time.Minute), Attempt: 3,
			Problem: "status 503",
		},
		{
			ID: 3, UserID: 2, KeyID: 5, PushURL: "http://10.1.2.3:9000/secret-path", Host: BadHost, CreatedAt: ago(time.Hour),
			QueuedAt: ago(time.Hour), NextAt: Now.Add(time.Minute), Attempt: 1, Problem: outbox.ProblemAddress,
		},
		{
			ID: 4, UserID: 2, NotificationID: 13, PushURL: "http://10.1.2.3:9000/secret-path", Host: BadHost,
			CreatedAt: ago(2 * page.Day), QueuedAt: ago(2 * page.Day), NextAt: ago(page.Day), Attempt: 14, DeadAt: ago(page.Day),
			Problem: outbox.ProblemConnection,
		},
		{
			ID: 5, UserID: 99, NotificationID: 14, PushURL: "http://10.1.2.3:9000/<b>\u202eevil", Host: BadHost,
			CreatedAt: ago(2 * page.Day), QueuedAt: ago(2 * page.Day), NextAt: ago(page.Day), Attempt: 1, DeadAt: ago(page.Day),
			Problem: outbox.ProblemGone,
		},
	}
}
