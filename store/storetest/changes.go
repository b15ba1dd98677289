package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"userkeys"
)

func changesAreTold(w *world) {
	u := w.user("ada")
	a, b := w.key(u, "a"), w.key(u, "b")
	start := w.changes(onlyMark)
	if start.All || start.Hashes != nil || start.Mark.N <= 0 {
		w.Fatalf("the epoch alone: %+v", start)
	}
	if c := w.changes(start.Mark); c.All || len(c.Hashes) != 0 || c.Mark != start.Mark {
		w.Errorf("nothing happened: %+v", c)
	}
	if c := w.changes(userkeys.Mark{}); !c.All || c.Mark != start.Mark {
		w.Errorf("since 0: %+v", c)
	}
	if c := w.changes(userkeys.Mark{N: start.Mark.N + 5, Token: start.Mark.Token}); !c.All || c.Mark != start.Mark {
		w.Errorf("since an epoch that never was: %+v", c)
	}
	w.revoke(userkeys.RevokedByOwner, a.ID)
	middle := w.changes(start.Mark).Mark
	w.revoke(userkeys.RevokedByOwner, b.ID)
	c := w.changes(start.Mark)
	if c.All || c.Mark.N != start.Mark.N+2 || !slices.Equal(c.Hashes, []userkeys.KeyHash{a.Hash, b.Hash}) {
		w.Errorf("two revocations: %+v", c)
	}
	if c := w.changes(middle); c.All || !slices.Equal(c.Hashes, []userkeys.KeyHash{b.Hash}) {
		w.Errorf("the later of two: %+v", c)
	}
	w.ok(w.SetSetting(w.ctx, "title", "x", admin, noon))
	if c := w.changes(middle); !c.All || len(c.Hashes) != 0 {
		w.Errorf("a setting among them: %+v", c)
	}
}

// changesInCommitOrder polls while keys are revoked from many sides. Every
// revocation must reach the poller, and at the latest with the first poll after it returned.
func changesInCommitOrder(w *world) {
	const users, keys = 8, 6
	since := w.newest()
	var ids [users][]userkeys.UserAPIKey
	for i := range ids {
		u := w.user(fmt.Sprintf("user%d", i))
		for j := range keys {
			ids[i] = append(ids[i], w.key(u, fmt.Sprint(j)))
		}
	}
	stop := make(chan struct{})
	seen := map[userkeys.KeyHash]bool{}
	var poller sync.WaitGroup
	var pollError error
	poll := func() error {
		c, err := w.Store.Changes(w.ctx, since)
		if err != nil || c.All || c.Mark.N < since.N {
			return fmt.Errorf("poll since %v: %+v, error %v", since, c, err)
		}
		since = c.Mark
		for _, h := range c.Hashes {
			seen[h] = true
		}
		return nil
	}
	poller.Go(func() {
		for pollError == nil {
			select {
			case <-stop:
				return
			default:
				pollError = poll()
			}
		}
	})
	for _, err := range w.together(users, func(i int) error {
		for _, k := range ids[i] {
			before, err := w.Store.Changes(w.ctx, onlyMark)
			if err != nil {
				return err
			}
			if _, err := w.Store.Revoke(w.ctx, userkeys.Revocation{IDs: []int64{k.ID}, By: userkeys.RevokedByOwner, At: noon}); err != nil {
				return err
			}
			after, err := w.Store.Changes(w.ctx, before.Mark)
			if err != nil || !slices.Contains(after.Hashes, k.Hash) {
				return fmt.Errorf("a revocation that returned is not among the changes: %+v, error %v", after, err)
			}
		}
		return nil
	}) {
		if err != nil {
			w.Error(err)
		}
	}
	close(stop)
	poller.Wait()
	w.ok(pollError)
	w.ok(poll())
	if len(seen) != users*keys {
		w.Errorf("the poller saw %d of %d revocations", len(seen), users*keys)
	}
}

func everyChangeRaises(w *world) {
	root := w.user("root", asAdmin)
	u := w.user("ada")
	k := w.key(u, "c")
	quiet := w.user("quiet")
	told := func(what string, all bool, change func() error) {
		w.Helper()
		before := w.newest()
		w.ok(change())
		c := w.changes(before)
		if c.All != all || !all && !slices.Equal(c.Hashes, []userkeys.KeyHash{k.Hash}) {
			w.Errorf("%s: changes %+v", what, c)
		}
	}
	told("suspend", false, func() error {
		s := u
		s.SuspendedAt = noon
		return w.UpdateUser(w.ctx, s, admin, noon)
	})
	told("demote", false, func() error {
		s := u
		s.TrustLevel = 0
		return w.UpdateUser(w.ctx, s, admin, noon)
	})
	told("setting", true, func() error { return w.SetSetting(w.ctx, "title", "x", admin, noon) })
	told("reset", true, func() error { return w.ResetSetting(w.ctx, "title", admin, noon) })
	told("re-grant", false, func() error {
		_, _, err := w.Store.Grant(w.ctx, w.grantOf(u, "c"))
		return err
	})
	k = must[[]userkeys.UserAPIKey](w)(w.Keys(w.ctx, userkeys.KeyFilter{UserID: u.ID}))[0]
	told("delete", false, func() error { return w.DeleteUser(w.ctx, u.ID, admin, noon) })

	before := w.newest()
	w.ok(w.UpdateUser(w.ctx, quiet, admin, noon))
	w.ok(w.TouchUser(w.ctx, root.ID, noon))
	w.ok(w.ResetSetting(w.ctx, "title", admin, noon))
	w.key(quiet, "c")
	if w.newest() != before {
		w.Error("what concerns no key raised the epoch")
	}
}

func purgedChanges(w *world) {
	u := w.user("ada")
	a, b, c := w.key(u, "a"), w.key(u, "b"), w.key(u, "c")
	marks := []userkeys.Mark{w.newest()}
	revokeAt := func(k userkeys.UserAPIKey, at time.Time) {
		w.Helper()
		_, err := w.Store.Revoke(w.ctx, userkeys.Revocation{IDs: []int64{k.ID}, By: userkeys.RevokedByOwner, At: at})
		w.ok(err)
		marks = append(marks, w.newest())
	}
	// The middle one was written by a node whose clock is an hour ahead.
	revokeAt(a, noon)
	revokeAt(b, noon.Add(time.Hour))
	revokeAt(c, noon.Add(time.Minute))
	w.ok(w.Purge(w.ctx, noon.Add(time.Hour+time.Second)))
	for i, mark := range marks {
		got := w.changes(mark)
		if purged := i <= 1; got.All != purged || !purged && len(got.Hashes) != 3-i {
			w.Errorf("since change %d, the first purged: %+v", i, got)
		}
	}
	// A quiet day later all but the newest are gone: whoever has reached it goes on from there.
	w.ok(w.Purge(w.ctx, noon.Add(24*time.Hour)))
	for i, mark := range marks {
		if got := w.changes(mark); got.All != (i < 3) || len(got.Hashes) != 0 {
			w.Errorf("since change %d, all purged: %+v", i, got)
		}
	}
	revokeAt(w.key(u, "d"), noon.Add(25*time.Hour))
	if got := w.changes(marks[3]); got.All || len(got.Hashes) != 1 {
		w.Errorf("the first change after the purge: %+v", got)
	}
}

func purge(w *world) {
	const day = 24 * time.Hour
	u := w.user("ada")
	live := w.key(u, "live")
	revoked := w.key(u, "revoked")
	w.revoke(userkeys.RevokedByOwner, revoked.ID)
	expired := w.key(u, "expired", func(g *userkeys.Grant) { g.Key.ExpiresAt = noon.Add(day) })
	consent := w.consent(u)
	w.ok(w.SaveSession(w.ctx, []byte("short"), []byte("x"), u.ID, noon.Add(time.Hour)))
	w.ok(w.SaveSession(w.ctx, []byte("long"), []byte("x"), u.ID, noon.Add(1000*day)))
	w.ok(w.CreateToken(w.ctx, "setup", []byte("t"), noon.Add(time.Hour)))
	for name, window := range map[string]time.Duration{"short": time.Hour, "ever": 0} {
		_, _, err := w.ChargeGuess(w.ctx, name, window, noon)
		w.ok(err)
	}

	w.ok(w.Purge(w.ctx, noon.Add(89*day)))
	w.stored(revoked.ID)
	w.stored(expired.ID)
	_, err := w.Consent(w.ctx, consent)
	w.refused(err, userkeys.ConsentGone)
	for token, want := range map[string]bool{"short": false, "long": true} {
		if _, ok, err := w.Session(w.ctx, []byte(token), noon); ok != want || err != nil {
			w.Errorf("session %s: %t, %v", token, ok, err)
		}
	}
	if ok := must[bool](w)(w.ConsumeToken(w.ctx, "setup", []byte("t"), noon)); ok {
		w.Error("an old token is still there")
	}
	for name, want := range map[string]int{"short": 1, "ever": 2} {
		if n, _, err := w.ChargeGuess(w.ctx, name, 0, noon); n != want || err != nil {
			w.Errorf("guesses of %s: %d, %v", name, n, err)
		}
	}

	w.ok(w.Purge(w.ctx, noon.Add(92*day)))
	for _, id := range []int64{revoked.ID, expired.ID} {
		_, err := w.Store.Key(w.ctx, id)
		w.refused(err, userkeys.NotFound)
	}
	w.stored(live.ID)
	for id, want := range map[string]error{"live": nil, "revoked": userkeys.NotFound, "expired": userkeys.NotFound} {
		if _, err := w.Client(w.ctx, id); (err == nil) != (want == nil) {
			w.Errorf("client %s: %v", id, err)
		}
	}
	if log := w.actions(); log[len(log)-1] != "purged" {
		w.Errorf("log %q", log)
	}
}
