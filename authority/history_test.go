package authority_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// A database comes back as an older copy, by a restore or by a failover to a
// standby that lacked the last changes, and as many changes are made there as
// were lost before a running node asks: the node must not take them for its own.
func TestOlderCopyIsAnotherHistory(t *testing.T) {
	t.Parallel()
	for _, lost := range []int{1, 3} {
		for _, made := range []int{1, 2, 3, 4} {
			t.Run(fmt.Sprintf("%d changes lost, %d made", lost, made), func(t *testing.T) {
				t.Parallel()
				dbtest.EachRestorable(t, func(t *testing.T, r *dbtest.Restorable) { olderCopy(t, r, lost, made) })
			})
		}
	}
}

func olderCopy(t *testing.T, r *dbtest.Restorable, lost, made int) {
	d := newTestSite(t, r.Store)
	var keys []userkeys.Key
	var ids []int64
	for i := range lost + made {
		k, g := d.grant(d.alice, request(client(fmt.Sprintf("app-%d", i))))
		d.mustCheck(k)
		keys, ids = append(keys, k), append(ids, g.Key.ID)
	}
	revoke := func(s *store.Store, id int64) {
		t.Helper()
		if _, err := s.Revoke(t.Context(), site.Revocation{IDs: []int64{id}, By: site.RevokedByOwner, At: d.clock.now()}); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(i int, when string) {
		t.Helper()
		if _, err := d.check(keys[i], "GET", "/"); !errors.Is(err, userkeys.InvalidAccess) {
			t.Errorf("%s a revoked key is answered with %v", when, err)
		}
	}
	d.clock.pass(2 * time.Second)
	d.mustCheck(keys[0]) // the node has reached the newest change
	restore := r.BackUp()
	for i := range lost {
		revoke(r.Store, ids[i])
		d.clock.pass(2 * time.Second)
		refused(i, "before the database is lost")
	}
	restore()
	other := r.Other()
	for i := lost; i < lost+made; i++ {
		revoke(other, ids[i])
	}
	d.clock.pass(2 * time.Second)
	for i := lost; i < lost+made; i++ {
		refused(i, "after the database has come back")
	}
	for i := range lost {
		d.mustCheck(keys[i]) // of its revocation the database knows nothing any more
	}
}

// A node whose address leads to a standby cannot tell: it would never hear of
// a revocation there that has not arrived, or that was made elsewhere.
func TestStandbyCannotTell(t *testing.T) {
	t.Parallel()
	p := dbtest.NewPair(t)
	d := newTestSite(t, p.Store)
	key, g := d.grant(d.alice, request())
	other, _ := d.grant(d.alice, request(client("other")))
	d.mustCheck(key)
	d.mustCheck(other)
	p.Cut() // what is written from here on does not reach the standby
	revoke := func(id int64) {
		t.Helper()
		if _, err := p.Other().Revoke(t.Context(), site.Revocation{IDs: []int64{id}, By: site.RevokedByOwner, At: d.clock.now()}); err != nil {
			t.Fatal(err)
		}
	}
	revoke(g.Key.ID)
	p.LeadToStandby()
	d.clock.pass(2 * time.Second)
	for what, err := range map[string]error{
		"a revoked key":        errOf(d.check(key, "GET", "/")),
		"a live key":           errOf(d.check(other, "GET", "/")),
		"readiness":            d.Ready(t.Context()),
		"an unknown key":       errOf(d.check(userkeys.NewKey(""), "GET", "/")),
		"an unknown admin key": errOf3(d.CheckAdminKey(t.Context(), site.NewAdminKey().Reveal(), "")),
	} {
		if !errors.Is(err, userkeys.Unavailable) {
			t.Errorf("%s on a standby: %v", what, err)
		}
	}
	// The primary is lost and the standby takes over, without the revocation; another one is made there.
	p.Promote()
	k, err := p.Store.KeyByHash(t.Context(), other.Hash())
	if err != nil {
		t.Fatal(err)
	}
	revoke(k.ID)
	d.mustCheck(key)
	if _, err := d.check(other, "GET", "/"); !errors.Is(err, userkeys.InvalidAccess) {
		t.Errorf("a key that was revoked after the failover is answered with %v", err)
	}
}

func errOf[T any](_ T, err error) error          { return err }
func errOf3[T, U any](_ T, _ U, err error) error { return err }

// What an administrator changes about a user is obeyed at the next request on
// the same node, whichever way it was changed: by the clock no time passes here,
// and nothing runs in the background.
func TestChangesToAccountsAreObeyedAtOnce(t *testing.T) {
	t.Parallel()
	admin := site.Caller{As: site.CallerCommand, User: site.User{Admin: true}}
	edit := func(change func(*site.User)) func(*testSite, site.User) error {
		return func(d *testSite, u site.User) error {
			was := u
			change(&u)
			return d.store.ReplaceUser(d.t.Context(), was, u, admin.At(d.clock.now()))
		}
	}
	for _, test := range []struct {
		name   string
		change func(d *testSite, u site.User) error
		stays  bool // the key is good, with what it may do as it is now
	}{
		{"suspended", edit(func(u *site.User) { u.SuspendedAt = u.CreatedAt }), false},
		{"deactivated", edit(func(u *site.User) { u.Active = false }), false},
		{"demoted", edit(func(u *site.User) { u.Admin, u.Moderator = false, false }), true},
		{"trust level", edit(func(u *site.User) { u.TrustLevel = 0 }), true},
		{"groups", edit(func(u *site.User) { u.Groups = nil }), true},
		{"renamed", edit(func(u *site.User) { u.Username = "robert" }), true},
		{"deleted", func(d *testSite, u site.User) error {
			return d.store.DeleteUser(d.t.Context(), u.ID, admin.At(d.clock.now()))
		}, false},
		{"keys revoked in the store", func(d *testSite, u site.User) error {
			_, err := d.store.Revoke(d.t.Context(), site.Revocation{UserID: u.ID, By: site.RevokedByAdmin, At: d.clock.now(), Caller: admin})
			return err
		}, false},
		{"keys of long ago revoked", func(d *testSite, u site.User) error {
			_, err := d.store.RevokeStale(d.t.Context(), time.Time{}, d.clock.now().Add(time.Second), d.clock.now())
			return err
		}, false},
		{"a setting in the store", func(d *testSite, u site.User) error {
			return d.store.SetSetting(d.t.Context(), "allow_user_api_key_scopes", "write", admin.At(d.clock.now()))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, st *store.Store) {
				d := newTestSite(t, st)
				d.user("root", func(u *site.User) { u.Admin = true })
				bob := d.user("bob", func(u *site.User) {
					u.Admin, u.Moderator, u.TrustLevel, u.Groups = true, true, 3, []string{"staff"}
				})
				key, _ := d.grant(bob, request())
				before := d.mustCheck(key)
				if err := test.change(d, bob); err != nil {
					t.Fatal(err)
				}
				after, err := d.check(key, "GET", "/posts.json")
				if !test.stays && !errors.Is(err, userkeys.InvalidAccess) {
					t.Errorf("the key is answered with %v", err)
				}
				if test.stays && err == nil && fmt.Sprint(before.Username, *before.Standing) == fmt.Sprint(after.Username, *after.Standing) {
					t.Errorf("nothing changed: %s, %+v", after.Username, *after.Standing)
				}
			})
		})
	}
}

// One client leaves while many wait for the same reading of the epoch: the
// others are answered.
func TestOneClientsEndIsNotTheOthers(t *testing.T) {
	t.Parallel()
	st := dbtest.SQLite(t)
	f := &gated{Store: st, entered: make(chan struct{}), open: make(chan struct{})}
	ticks := make(chan struct{}, 64)
	d := newTestSite(t, st, func(c *authority.Config) {
		clock := c.Now
		c.Store, c.Now = f, func() time.Time {
			select {
			case ticks <- struct{}{}:
			default:
			}
			return clock()
		}
	})
	key, _ := d.grant(d.alice, request())
	d.mustCheck(key)
	d.clock.pass(2 * time.Second)
	f.shut()
	for len(ticks) > 0 {
		<-ticks
	}
	ctx, leave := context.WithCancel(t.Context())
	results := make(chan error, 2)
	ask := func(ctx context.Context) {
		_, err := d.Check(ctx, site.Call{Key: key.Reveal(), Method: "GET", Path: "/"})
		results <- err
	}
	go ask(ctx)
	<-f.entered
	for len(ticks) > 0 {
		<-ticks
	}
	go ask(t.Context())
	<-ticks // the request's own
	<-ticks // since when it waits
	d.clock.pass(time.Millisecond)
	leave()
	close(f.open)
	<-results
	if err := <-results; err != nil {
		t.Errorf("somebody else left, and the answer is %v", err)
	}
}

// gated is a store whose epoch is read once the gate is open.
type gated struct {
	authority.Store
	closed        bool
	entered, open chan struct{}
}

func (g *gated) shut() { g.closed = true }

func (g *gated) Changes(ctx context.Context, since site.Mark) (site.Changes, error) {
	if g.closed {
		select {
		case g.entered <- struct{}{}:
		case <-g.open:
		}
		<-g.open
		if ctx.Err() != nil {
			return site.Changes{}, ctx.Err()
		}
	}
	return g.Store.Changes(ctx, since)
}
