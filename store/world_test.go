package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// each runs test on a fresh store of each database, in parallel.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, s *store.Store) {
		// Long enough for a machine that does ten other things.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		test(&world{T: t, Store: s, ctx: ctx})
	})
}

// noon is when the tests happen. Its nanoseconds must not come back.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// admin acts in the tests.
var admin = site.Caller{As: site.CallerUser, User: site.User{ID: 1, Admin: true}, Address: "192.0.2.1"}

// world is one subtest with its store and short ways to fill it.
type world struct {
	*testing.T
	*store.Store
	ctx   context.Context
	mu    sync.Mutex
	count int
}

// next numbers things that must differ.
func (w *world) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	return w.count
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused wants an error with a code.
func (w *world) refused(err error, code userkeys.Code) {
	w.Helper()
	if !errors.Is(err, code) {
		w.Errorf("error %v, want %q", err, code)
	}
}

func must[T any](w *world) func(T, error) T {
	return func(v T, err error) T {
		w.Helper()
		w.ok(err)
		return v
	}
}

// user makes an active user.
func (w *world) user(name string, edit ...func(*site.Account)) site.User {
	w.Helper()
	a := site.Account{User: site.User{Username: name, Active: true, TrustLevel: 1, CreatedAt: noon}}
	for _, f := range edit {
		f(&a)
	}
	u, err := w.CreateUser(w.ctx, a, admin)
	w.ok(err)
	return u
}

func asAdmin(a *site.Account) { a.Admin = true }

// hash is a new one.
func (w *world) hash() userkeys.KeyHash {
	return userkeys.Key(fmt.Sprintf("key %d", w.next())).Hash()
}

// grantOf is a grant without a consent.
func (w *world) grantOf(u site.User, client string) site.Grant {
	return site.Grant{
		Key: site.UserAPIKey{
			UserID: u.ID, ClientID: client, ApplicationName: "App of " + client, Hash: w.hash(),
			Scopes: userkeys.Scopes{"read", "push"}, CreatedAt: noon,
		},
		Caller: site.Caller{User: site.User{ID: u.ID}, Address: "192.0.2.7"},
	}
}

// key grants one.
func (w *world) key(u site.User, client string, edit ...func(*site.Grant)) site.UserAPIKey {
	w.Helper()
	g := w.grantOf(u, client)
	for _, f := range edit {
		f(&g)
	}
	k, err := w.Store.Grant(w.ctx, g)
	w.ok(err)
	return k
}

func (w *world) stored(id int64) site.UserAPIKey {
	w.Helper()
	k, err := w.Store.Key(w.ctx, id)
	w.ok(err)
	return k
}

// revoke revokes keys and returns what caches are told of it.
func (w *world) revoke(by site.RevokedBy, ids ...int64) []userkeys.KeyHash {
	w.Helper()
	before := w.newest()
	_, err := w.Store.Revoke(w.ctx, site.Revocation{IDs: ids, By: by, At: noon.Add(time.Minute), Caller: admin})
	w.ok(err)
	return w.changes(before).Hashes
}

func (w *world) changes(since site.Mark) site.Changes {
	w.Helper()
	c, err := w.Store.Changes(w.ctx, since)
	w.ok(err)
	return c
}

func (w *world) newest() site.Mark { return w.changes(onlyMark).Mark }

// actions are those in the log, oldest first.
func (w *world) actions() []string {
	w.Helper()
	events, err := w.AuditEvents(w.ctx, site.AuditFilter{})
	w.ok(err)
	var out []string
	for _, e := range events {
		out = append([]string{e.Action}, out...)
	}
	return out
}

// together runs fn n times at once and returns the errors.
func (w *world) together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// succeeded counts; all others must have been refused with code.
func (w *world) succeeded(errs []error, code userkeys.Code) int {
	w.Helper()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		} else {
			w.refused(err, code)
		}
	}
	return n
}

// micro is t as the store keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// once counts how many of 64 who redeem at once succeed; all others must be told that it is gone.
func (w *world) once(redeem func() error) {
	w.Helper()
	if n := w.succeeded(w.together(64, func(int) error { return redeem() }), userkeys.ConsentGone); n != 1 {
		w.Errorf("%d of 64 redeemed it", n)
	}
}
