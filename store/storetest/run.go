package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/store"
)

// Run is the law of the store: every subtest opens a fresh one and looks at
// what a caller can see. Whatever passes may stand behind the other rooms.
func Run(t *testing.T, open func(t testing.TB) *store.Store) {
	t.Helper()
	for name, test := range map[string]func(*world){
		"a grant is kept as written":                                          grantIsKept,
		"RQ21 a consent is good for one of 64 parallel grants":                grantConsumesConsentOnce,
		"a refused grant leaves everything as it was":                         refusedGrantChangesNothing,
		"a consent is good until its end only":                                consentEnds,
		"ID5 of 50 parallel re-grants one key is left":                        regrantLeavesOne,
		"ID4 client ids are compared as bytes":                                clientIDsAreBytes,
		"a grant of another user renames nothing":                             grantRenamesNothing,
		"live keys are bounded, also by parallel grants":                      grantBoundsLive,
		"grants in a while are bounded, and re-grants count":                  grantBoundsRecent,
		"DB8 a hash that is taken can be told from the rest":                  grantHashTaken,
		"uses never go back":                                                  usesNeverGoBack,
		"uses of many keys and of keys that are gone":                         usesOfMany,
		"keys are listed newest first, by filter and by page":                 keysAreListed,
		"revoking twice changes once":                                         revokeIsIdempotent,
		"RV8 an administrator's revocation outranks":                          adminRevocationOutranks,
		"all live keys of a user, and no other's, are revoked":                revokeAll,
		"RV2 odd ids revoke nothing":                                          revokeOddIDs,
		"live keys are bounded, also by parallel undos":                       undoBoundsLive,
		"undo leaves the key's own end alone":                                 undoLeavesExpiry,
		"stale keys are revoked for their own reason":                         staleKeys,
		"changes are told key by key, or as everything":                       changesAreTold,
		"E15 a reader of changes never skips one":                             changesInCommitOrder,
		"everything that changes a standing raises the epoch":                 everyChangeRaises,
		"changes older than an hour are not missed":                           purgedChanges,
		"what is over is purged and nothing else":                             purge,
		"a consent comes back as it was and can be denied once":               consents,
		"an answer is shown again to its session, while its key lives":        shownAnswers,
		"a form is sent once, also by 50 at a time":                           formsAreSentOnce,
		"a user is found or made, also by 20 at a time":                       usersAreFoundOrMade,
		"settings are kept, changed and reset":                                settings,
		"a user comes back as written":                                        usersAreKept,
		"DB4 names are compared without ASCII case":                           namesWithoutCase,
		"users are listed by pages":                                           usersAreListed,
		"AD3 users are found by a part of their name":                         usersAreFound,
		"KU11 admin keys are kept, listed and touched":                        adminKeysAreKept,
		"admin keys are revoked once and purged":                              adminKeysAreRevoked,
		"AD11 the log tells which admin key acted":                            adminKeyActs,
		"AD10 the last active administrator stays":                            lastAdministrator,
		"AD10 two administrators who demote each other":                       administratorsRace,
		"a deleted user leaves nothing but the log":                           deleteUser,
		"passwords are set":                                                   passwords,
		"sessions end when they should":                                       sessions,
		"sessions that apps began end with their keys":                        appSessions,
		"a session that an app begins while its key is revoked":               appSessionsRace,
		"all sign-ins end between a one-time password and its session":        appSessionsOvertaken,
		"OT3 a token is consumed by one of 64":                                tokens,
		"LG4 50 parallel guesses are all counted":                             guessesAreCounted,
		"a window of guesses begins anew at its end":                          guessWindows,
		"LG5 a flood of other names makes nothing forget":                     guessFlood,
		"a device authorization is kept by the hashes of its codes":           deviceIsKept,
		"DV6 a device authorization is one user's, answered and fetched once": deviceIsOneUsers,
		"OT3 OT15 one-time passwords: the newest, once":                       oneTimePasswords,
		"registered clients, and when they are released":                      registeredClients,
		"a key moves to another client":                                       keysMove,
		"a key is renewed, and the one before lives a while":                  keysRenew,
		"every event is in the log, without secrets":                          auditLog,
		"DB1 text that is no text is refused before it is kept":               badText,
		"DB2 text that looks like SQL is kept as it is":                       sqlText,
		"DB3 long text is refused":                                            longText,
		"DB5 numbers and times at the limits":                                 limits,
		"a notification is kept as written, one a user":                       notificationIsKept,
		"notifications are written for all or for none":                       notificationAllOrNone,
		"notifications for many users":                                        notificationToMany,
		"AD4 notifications are listed, by filter and by page":                 notificationsAreListed,
		"notifications are counted, seen and read":                            notificationsAreCounted,
		"parallel marks and new notifications":                                notificationsInParallel,
		"a deleted user leaves no notification":                               notificationsGoWithTheUser,
		"an inbox's version is raised by what changes it":                     inboxVersions,
		"do not disturb is kept":                                              quietUntil,
		"a repeated announcement writes nothing":                              idempotent,
		"of 20 parallel announcements with one idempotency key one writes":    idempotentInParallel,
		"lists go on above an id, and merge their parts":                      listsGoOn,
		"old notifications go, and the counts with them":                      oldNotificationsGo,
		"an inbox is what a naive model of it is":                             inboxModel,
		"counts and order hold under parallel writers":                        inboxInParallel,
		"a user is deleted while being told":                                  userGoesWhileTold,
		"statuses end, and are purged":                                        statuses,
		"SS1 deliveries are queued for who may have them":                     deliveriesAreQueued,
		"deliveries wait for users who are there, or want quiet":              deliveriesKeepTheirTime,
		"F38 a delivery is one's who claims it, for a while":                  deliveriesAreClaimedOnce,
		"SS23 SS24 a parcel has the rights of now":                            parcelsAreOfNow,
		"hosts and keys that fail, and recover":                               deliveriesFailAndRest,
		"dead deliveries are listed, replayed and discarded":                  deadDeliveries,
		"pushes that were switched off go on":                                 pushesAreResumed,
		"what waits for a day is given up":                                    overdueDeliveries,
		"what fails holds up nobody else":                                     poisonHoldsUpNobody,
		"a long rest is one delivery's":                                       aLongRestIsOneDeliverys,
		"what is held back is let go":                                         heldBackIsLetGo,
		"nodes that finish and somebody who resumes":                          finishingAndResuming,
		"a job is one node's":                                                 jobsAreClaimedOnce,
		"nodes agree on a mark":                                               marksAreAgreedOn,
		"a user is found by name only":                                        usersByName,
		"an error that cannot tell is not an error that denies":               cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Long enough for a machine that does ten other things.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test(&world{T: t, Store: open(t), ctx: ctx})
		})
	}
}

// noon is when the tests happen. Its nanoseconds must not come back.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// admin acts in the tests.
var admin = userkeys.Caller{As: userkeys.CallerUser, User: userkeys.User{ID: 1, Admin: true}, Address: "192.0.2.1"}

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
func (w *world) user(name string, edit ...func(*userkeys.Account)) userkeys.User {
	w.Helper()
	a := userkeys.Account{User: userkeys.User{Username: name, Active: true, TrustLevel: 1, CreatedAt: noon}}
	for _, f := range edit {
		f(&a)
	}
	u, err := w.CreateUser(w.ctx, a, admin)
	w.ok(err)
	return u
}

func asAdmin(a *userkeys.Account) { a.Admin = true }

// hash is a new one.
func (w *world) hash() userkeys.KeyHash {
	return userkeys.Key(fmt.Sprintf("key %d", w.next())).Hash()
}

// grantOf is a grant without a consent.
func (w *world) grantOf(u userkeys.User, client string) userkeys.Grant {
	return userkeys.Grant{
		Key: userkeys.UserAPIKey{
			UserID: u.ID, ClientID: client, ApplicationName: "App of " + client, Hash: w.hash(),
			Scopes: userkeys.Scopes{"read", "push"}, CreatedAt: noon,
		},
		Caller: userkeys.Caller{User: userkeys.User{ID: u.ID}, Address: "192.0.2.7"},
	}
}

// key grants one.
func (w *world) key(u userkeys.User, client string, edit ...func(*userkeys.Grant)) userkeys.UserAPIKey {
	w.Helper()
	g := w.grantOf(u, client)
	for _, f := range edit {
		f(&g)
	}
	k, _, err := w.Store.Grant(w.ctx, g)
	w.ok(err)
	return k
}

func (w *world) stored(id int64) userkeys.UserAPIKey {
	w.Helper()
	k, err := w.Store.Key(w.ctx, id)
	w.ok(err)
	return k
}

func (w *world) revoke(by userkeys.RevokedBy, ids ...int64) []userkeys.KeyHash {
	w.Helper()
	h, err := w.Store.Revoke(w.ctx, userkeys.Revocation{IDs: ids, By: by, At: noon.Add(time.Minute), Caller: admin})
	w.ok(err)
	return h
}

// onlyMark asks for the newest mark alone.
var onlyMark = userkeys.Mark{N: -1}

func (w *world) changes(since userkeys.Mark) userkeys.Changes {
	w.Helper()
	c, err := w.Store.Changes(w.ctx, since)
	w.ok(err)
	return c
}

func (w *world) newest() userkeys.Mark { return w.changes(onlyMark).Mark }

// actions are those in the log, oldest first.
func (w *world) actions() []string {
	w.Helper()
	events, err := w.AuditEvents(w.ctx, 0, 0)
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
