package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/outbox"
	"userkeys/site"
)

const (
	hub     = "https://hub.example/push"
	hubHost = "https://hub.example:443"
)

// pushKey grants a key with an address for pushes.
func (w *world) pushKey(u site.User, client, pushURL string) site.UserAPIKey {
	w.Helper()
	return w.key(u, client, func(g *site.Grant) { g.Key.PushURL = pushURL })
}

// pushSettings allow every push URL that a key has, and hold nothing back.
func (w *world) pushSettings() *site.Settings {
	w.Helper()
	s := site.DefaultSettings()
	s.PushNotificationTimeWindowMins = 0
	for _, k := range must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{})) {
		s.AllowedUserAPIPushURLs = append(s.AllowedUserAPIPushURLs, k.PushURL)
	}
	return &s
}

// pushes announces something to users, with pushes to wherever their keys say.
func (w *world) pushes(names ...string) site.Announced {
	w.Helper()
	a := announce(note(1), names...)
	a.PushBy = w.pushSettings()
	return must[site.Announced](w)(w.AddNotifications(w.ctx, a))
}

func (w *world) claim(pushURL string, n int, at time.Time) []outbox.Delivery {
	w.Helper()
	return must[[]outbox.Delivery](w)(w.ClaimDeliveries(w.ctx, pushURL, outbox.Claim{Most: n, At: at, Until: at.Add(time.Minute)}))
}

func (w *world) waiting() []outbox.Delivery {
	w.Helper()
	return must[[]outbox.Delivery](w)(w.Deliveries(w.ctx, outbox.Filter{}))
}

func (w *world) dead() []outbox.Delivery {
	w.Helper()
	return must[[]outbox.Delivery](w)(w.Deliveries(w.ctx, outbox.Filter{Dead: true}))
}

// finish ends an attempt.
func (w *world) finish(d outbox.Delivery, edit func(*outbox.Result)) {
	w.Helper()
	r := outbox.Result{ID: d.ID, Claim: d.Claim, PushURL: d.PushURL, Reached: true, Outcome: outbox.Delivered, At: noon.Add(time.Second)}
	edit(&r)
	w.ok(w.FinishDeliveries(w.ctx, []outbox.Result{r}))
}

// Deliveries are queued for the keys that may have them (SS1).
func TestDeliveriesAreQueued(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		w.user("carol")
		phone := w.pushKey(ada, "phone", hub)
		w.pushKey(ada, "tablet", hub)
		w.pushKey(ada, "watch", "http://other.example:8080/x?y=z")
		w.key(ada, "reader")
		gone := w.pushKey(bob, "gone", hub)
		w.revoke(site.RevokedByOwner, gone.ID)
		w.key(bob, "over", func(g *site.Grant) { g.Key.PushURL, g.Key.ExpiresAt = hub, noon.Add(time.Nanosecond) })
		w.key(bob, "noscope", func(g *site.Grant) { g.Key.PushURL, g.Key.Scopes = hub, userkeys.Scopes{"read"} })
		w.key(bob, "noaddress", func(g *site.Grant) { g.Key.PushURL = "gopher://x" })
		if got := w.pushes("ada", "bob", "carol"); got.Queued != 2 || len(got.IDs) != 3 {
			w.Fatalf("%+v", got)
		}
		list := w.waiting()
		want := outbox.Delivery{
			ID: list[1].ID, UserID: ada.ID, NotificationID: list[1].NotificationID, PushURL: hub, Host: hubHost,
			CreatedAt: micro(noon), QueuedAt: micro(noon), NextAt: micro(noon),
		}
		urls := map[string]outbox.Delivery{}
		for _, d := range list {
			urls[d.PushURL] = d
		}
		want.ID, want.NotificationID = urls[hub].ID, list[0].NotificationID
		if diff := cmp.Diff(want, urls[hub]); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		if h := urls["http://other.example:8080/x?y=z"].Host; h != "http://other.example:8080" || len(list) != 2 {
			w.Errorf("host %q, %d deliveries", h, len(list))
		}
		// Nothing is queued for who is not to have pushes at all.
		if got := must[site.Announced](w)(w.AddNotifications(w.ctx, announce(note(1), "ada"))); got.Queued != 0 || len(w.waiting()) != 2 {
			w.Errorf("%+v, %d wait", got, len(w.waiting()))
		}
		// What is switched off gets nothing.
		d := w.claim(hub, 9, noon)[0]
		w.finish(d, func(r *outbox.Result) {
			r.Outcome, r.Problem, r.Off, r.KeyIDs = outbox.GivenUp, outbox.ProblemGone, true, []int64{phone.ID}
		})
		if got := w.pushes("ada"); got.Queued != 2 { // the tablet is still on
			w.Errorf("%+v", got)
		}
	})
}

// Deliveries wait for users who are on the site or have do-not-disturb on.
func TestDeliveriesWaitForTheirUser(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		w.pushKey(ada, "phone", hub)
		w.ok(w.RecordSeen(w.ctx, []site.UserSeen{{UserID: ada.ID, SeenAt: noon.Add(-4 * time.Minute)}}))
		a := announce(note(1), "ada")
		a.PushBy = w.pushSettings()
		a.PushBy.PushNotificationTimeWindowMins = 10
		must[site.Announced](w)(w.AddNotifications(w.ctx, a))
		d := w.waiting()[0]
		if want := micro(noon.Add(6 * time.Minute)); !d.NextAt.Equal(want) || !d.QueuedAt.Equal(want) || !d.CreatedAt.Equal(micro(noon)) {
			w.Errorf("%+v, want it at %v", d, want)
		}
		if got := w.claim(hub, 1, noon.Add(6*time.Minute-time.Second)); len(got) != 0 {
			w.Errorf("taken too early: %v", got)
		}
		to := must[[]outbox.Address](w)(w.WaitingAddresses(w.ctx))
		if len(to) != 1 || to[0].PushURL != hub || to[0].Host != hubHost || !to[0].DueAt.Equal(d.NextAt) {
			w.Errorf("%+v", to)
		}
	})
}

// A delivery belongs to the node that claims it for a while; if that node is gone, another one
// gets it (F38).
func TestDeliveriesAreClaimedOnce(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		w.pushKey(ada, "phone", hub)
		for range 30 {
			w.pushes("ada")
		}
		var taken [20][]outbox.Delivery
		for _, err := range w.together(20, func(i int) (err error) {
			taken[i], err = w.ClaimDeliveries(w.ctx, hub, outbox.Claim{Most: 3, At: noon, Until: noon.Add(time.Minute)})
			return err
		}) {
			w.ok(err)
		}
		seen := map[int64]bool{}
		for _, some := range taken {
			for _, d := range some {
				if seen[d.ID] || d.Claim != 1 || !d.NextAt.Equal(micro(noon.Add(time.Minute))) {
					w.Errorf("%+v was taken twice or wrongly", d)
				}
				seen[d.ID] = true
			}
		}
		for range 9 { // those that pass over others' rows may have left some
			for _, d := range w.claim(hub, 9, noon) {
				seen[d.ID] = true
			}
		}
		if len(seen) != 30 {
			w.Fatalf("30 were taken %d times", len(seen))
		}
		again := w.claim(hub, 1, noon.Add(time.Minute))
		if len(again) != 1 || again[0].Claim != 2 {
			w.Fatalf("after its time: %+v", again)
		}
		late, now := again[0], again[0]
		late.Claim = 1
		w.finish(late, func(r *outbox.Result) { r.Outcome = outbox.Delivered })
		if len(w.waiting()) != 30 {
			w.Error("the first, late one ended the second's attempt")
		}
		w.finish(now, func(r *outbox.Result) { r.Outcome = outbox.Delivered })
		if len(w.waiting()) != 29 {
			w.Error("what was delivered still waits")
		}
	})
}

// What is sent is decided by the rights at the time of the claim, not by those at the time
// when it was queued (SS23, SS24).
func TestClaimedDeliveriesHaveTheRightsOfNow(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		phone, tablet := w.pushKey(ada, "phone", hub), w.pushKey(ada, "tablet", hub)
		w.pushKey(ada, "watch", "https://other.example/")
		told := w.pushes("ada")
		ds := w.claim(hub, 9, noon)
		w.revoke(site.RevokedByOwner, tablet.ID)
		w.ok(w.RecordSeen(w.ctx, []site.UserSeen{{UserID: ada.ID, SeenAt: noon}}))
		must[int](w)(w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: ada.ID}))
		details := must[[]outbox.Details](w)(w.DeliveryDetails(w.ctx, ds))
		if len(details) != 1 {
			w.Fatalf("%+v", details)
		}
		p := details[0]
		if p.User.ID != ada.ID || !p.User.LastSeenAt.Equal(micro(noon)) || p.Notification.ID != told.IDs[0] || !p.Notification.Read || len(p.Keys) != 2 ||
			p.Keys[0].ID != phone.ID || p.Keys[1].RevokedAt.IsZero() {
			w.Errorf("%+v", p)
		}
		if n := len(must[[]outbox.Details](w)(w.DeliveryDetails(w.ctx, nil))); n != 0 {
			w.Errorf("%d details of nothing", n)
		}
		w.ok(w.QueueTest(w.ctx, phone, noon))
		w.refused(w.QueueTest(w.ctx, phone, noon), userkeys.Conflict)
		test := must[[]outbox.Details](w)(w.DeliveryDetails(w.ctx, w.claim(hub, 9, noon)))
		if len(test) != 1 || len(test[0].Keys) != 1 || test[0].Keys[0].ID != phone.ID || test[0].Notification.ID != 0 || test[0].Delivery.KeyID != phone.ID {
			w.Errorf("the test is %+v", test)
		}
		w.ok(w.DeleteUser(w.ctx, ada.ID, admin.At(noon)))
		if left := must[[]outbox.Details](w)(w.DeliveryDetails(w.ctx, ds)); len(left) != 0 || len(w.waiting()) != 0 {
			w.Errorf("of a deleted user is left: %v", left)
		}
	})
}

// Hosts and keys that fail are left alone for a while, and recover.
func TestDeliveriesFailAndRest(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		phone := w.pushKey(ada, "phone", hub)
		w.pushes("ada")
		d := w.claim(hub, 1, noon)[0]
		failing := func(at time.Time, edit func(*outbox.Result)) func(*outbox.Result) {
			return func(r *outbox.Result) {
				r.Outcome, r.Problem, r.At, r.NextAt, r.KeyIDs = outbox.Retried, outbox.ProblemTimeout, at, at.Add(time.Minute), []int64{phone.ID}
				edit(r)
			}
		}
		state := func() outbox.KeyState {
			return must[map[int64]outbox.KeyState](w)(w.KeyPushes(w.ctx, []int64{phone.ID, 99}))[phone.ID]
		}
		host := func() outbox.Host { return must[[]outbox.Host](w)(w.PushHosts(w.ctx))[0] }
		if s := state(); s != (outbox.KeyState{}) {
			w.Errorf("before anything: %+v", s)
		}
		for i := range 5 {
			w.finish(d, failing(noon.Add(time.Duration(i)*time.Minute), func(*outbox.Result) {}))
			d = w.claim(hub, 1, noon.Add(time.Duration(i+1)*time.Minute))[0]
		}
		last := micro(noon.Add(4 * time.Minute))
		if diff := cmp.Diff(outbox.KeyState{FailedAt: last, FailingSince: micro(noon), Problem: outbox.ProblemTimeout}, state()); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		want := outbox.Host{
			Host: hubHost, Failures: 5, ClosedUntil: last.Add(10 * time.Second), FailedAt: last, Problem: outbox.ProblemTimeout,
			Failed: 5, Queued: 1, DueAt: d.NextAt,
		}
		if diff := cmp.Diff(want, host()); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		// What was put off says nothing about the host, and is not counted.
		w.finish(d, func(r *outbox.Result) {
			r.Outcome, r.Unmade, r.Deferred, r.At, r.NextAt = outbox.Retried, true, true, noon, noon.Add(time.Hour)
		})
		if diff := cmp.Diff(want, host(), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "DueAt" }, cmp.Ignore())); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		if d = w.claim(hub, 1, noon.Add(time.Hour))[0]; d.Attempt != 5 || d.Claim != 7 || !d.QueuedAt.Equal(micro(noon.Add(time.Hour))) {
			w.Errorf("attempt %+v", d)
		}
		w.finish(d, func(r *outbox.Result) { r.At, r.KeyIDs = noon.Add(2*time.Hour), []int64{phone.ID, 99} })
		at := micro(noon.Add(2 * time.Hour))
		if h := host(); h.Failures != 0 || !h.ClosedUntil.IsZero() || h.Delivered != 1 || !h.DeliveredAt.Equal(at) || h.Queued != 0 {
			w.Errorf("after a success: %+v", h)
		}
		if s := state(); !s.DeliveredAt.Equal(at) || !s.FailingSince.IsZero() || s.Problem != "" || s.FailedAt.IsZero() {
			w.Errorf("after a success: %+v", s)
		}
	})
}

// Dead deliveries are listed, queued again and discarded.
func TestDeadDeliveries(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		phone, other := w.pushKey(ada, "phone", hub), w.pushKey(bob, "phone", "https://other.example/")
		w.pushes("ada", "bob")
		die := func(pushURL string, key int64) outbox.Delivery {
			d := w.claim(pushURL, 1, noon)[0]
			w.finish(d, func(r *outbox.Result) {
				r.Outcome, r.Problem, r.Off, r.KeyIDs = outbox.GivenUp, "status 500", true, []int64{key}
			})
			return d
		}
		first, second := die(hub, phone.ID), die("https://other.example/", other.ID)
		if dead := w.dead(); len(dead) != 2 || len(w.waiting()) != 0 || dead[0].Problem != "status 500" || dead[0].DeadAt.IsZero() {
			w.Fatalf("dead: %+v", dead)
		}
		if got := must[[]outbox.Delivery](w)(w.Deliveries(w.ctx, outbox.Filter{Dead: true, Host: hubHost, UserID: ada.ID, Limit: 1})); len(got) != 1 || got[0].ID != first.ID {
			w.Errorf("by host: %+v", got)
		}
		if got := must[[]outbox.Delivery](w)(w.Deliveries(w.ctx, outbox.Filter{Dead: true, Before: second.ID})); len(got) != 1 || got[0].ID != first.ID {
			w.Errorf("the next page: %+v", got)
		}
		later := noon.Add(time.Hour)
		if n := must[int](w)(w.ReplayDeliveries(w.ctx, outbox.Selection{IDs: []int64{first.ID, first.ID, 9999}, At: later, By: admin})); n != 1 {
			w.Errorf("replayed %d", n)
		}
		d := w.claim(hub, 9, later)
		if len(d) != 1 || d[0].ID != first.ID || d[0].Attempt != 0 || !d[0].CreatedAt.Equal(first.CreatedAt) || !d[0].QueuedAt.Equal(micro(later)) {
			w.Errorf("the same again, as if it were new: %+v", d)
		}
		if n := must[int](w)(w.DiscardDeliveries(w.ctx, outbox.Selection{Host: "https://other.example:443", At: later, By: admin})); n != 1 || len(w.dead()) != 0 {
			w.Errorf("discarded %d", n)
		}
		if n := must[int](w)(w.ReplayDeliveries(w.ctx, outbox.Selection{At: later, By: admin})); n != 0 {
			w.Errorf("replayed %d of none", n)
		}
		_, err := w.DiscardDeliveries(w.ctx, outbox.Selection{IDs: make([]int64, 501), At: later, By: admin})
		w.refused(err, userkeys.InvalidParameters)
		actions := w.actions()
		if !slices.Equal(actions[len(actions)-2:], []string{"pushes replayed", "pushes discarded"}) {
			w.Errorf("the log has %v", actions)
		}
	})
}

// Pushes that were switched off go on when they are switched on.
func TestPushesAreResumed(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		keys := []site.UserAPIKey{w.pushKey(ada, "phone", hub), w.pushKey(bob, "phone", hub), w.pushKey(bob, "watch", "https://hub.example:8443/")}
		w.pushes("ada", "bob")
		for pushURL, n := range map[string]int{hub: 2, "https://hub.example:8443/": 1} {
			for _, d := range w.claim(pushURL, n, noon) {
				w.finish(d, func(r *outbox.Result) {
					r.Outcome, r.Off, r.Problem, r.At = outbox.GivenUp, true, outbox.ProblemTimeout, noon.Add(time.Minute)
					for _, k := range keys {
						if k.UserID == d.UserID && k.PushURL == d.PushURL {
							r.KeyIDs = append(r.KeyIDs, k.ID)
						}
					}
				})
			}
		}
		off := func() (ids []int64) {
			for id, p := range must[map[int64]outbox.KeyState](w)(w.KeyPushes(w.ctx, []int64{keys[0].ID, keys[1].ID, keys[2].ID})) {
				if !p.OffAt.IsZero() {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			return ids
		}
		if got := off(); len(got) != 3 {
			w.Fatalf("off: %v", got)
		}
		w.ok(w.ResumeKeyPush(w.ctx, keys[0].ID, outbox.Resumption{Since: noon, At: noon.Add(time.Hour), By: admin}))
		if got := off(); !slices.Equal(got, []int64{keys[1].ID, keys[2].ID}) || len(w.waiting()) != 1 {
			w.Errorf("off: %v, %d wait", got, len(w.waiting()))
		}
		// What was given up too long ago stays so.
		w.ok(w.ResumeHostPushes(w.ctx, hubHost, outbox.Resumption{Since: noon.Add(time.Minute), At: noon.Add(time.Hour), By: admin}))
		if got := off(); !slices.Equal(got, []int64{keys[2].ID}) || len(w.waiting()) != 1 {
			w.Errorf("off: %v, %d wait", got, len(w.waiting()))
		}
		w.ok(w.ResumeHostPushes(w.ctx, hubHost, outbox.Resumption{Since: noon, At: noon.Add(time.Hour), By: admin}))
		if got := len(w.waiting()); got != 2 {
			w.Errorf("%d wait", got)
		}
		w.refused(w.ResumeHostPushes(w.ctx, "https://never.example:443", outbox.Resumption{Since: noon, At: noon, By: admin}), userkeys.NotFound)
		w.refused(w.ResumeKeyPush(w.ctx, 9999, outbox.Resumption{Since: noon, At: noon, By: admin}), userkeys.NotFound)
	})
}

// What has waited for a day is given up.
func TestOverdueDeliveriesAreGivenUp(t *testing.T) {
	each(t, func(w *world) {
		var names []string
		for i := range 3 {
			u := w.user(fmt.Sprint("user", i))
			w.pushKey(u, "phone", hub)
			names = append(names, u.Username)
		}
		w.pushes(names...)
		reached := w.claim(hub, 1, noon)[0]
		k := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: reached.UserID}))[0]
		w.pushes(names[:1]...)
		tried := w.claim(hub, 1, noon)[0]
		w.finish(tried, func(r *outbox.Result) {
			r.Outcome, r.Problem, r.At, r.NextAt = outbox.Retried, "status 500", noon.Add(time.Minute), noon.Add(time.Hour)
		})
		w.finish(reached, func(r *outbox.Result) { r.At, r.KeyIDs = noon.Add(time.Hour), []int64{k.ID} })
		day := noon.Add(25 * time.Hour)
		if n := must[int](w)(w.GiveUpOverdue(w.ctx, noon.Add(-time.Second), day)); n != 0 {
			w.Errorf("gave up %d too early", n)
		}
		busy := w.claim(hub, 1, day)[0]
		if n := must[int](w)(w.GiveUpOverdue(w.ctx, day.Add(-24*time.Hour), day)); n != 2 {
			w.Errorf("gave up %d, want all but the one that is being sent", n)
		}
		if n := must[int](w)(w.GiveUpOverdue(w.ctx, day.Add(-24*time.Hour), day)); n != 0 {
			w.Errorf("gave up %d more", n)
		}
		if left := w.waiting(); len(left) != 1 || left[0].ID != busy.ID {
			w.Errorf("waiting: %+v", left)
		}
		for _, d := range w.dead() {
			id := must[[]site.UserAPIKey](w)(w.Keys(w.ctx, site.KeyFilter{UserID: d.UserID}))[0].ID
			off := !must[map[int64]outbox.KeyState](w)(w.KeyPushes(w.ctx, []int64{id}))[id].OffAt.IsZero()
			want := outbox.ProblemOverdue
			if d.ID == tried.ID {
				want = "status 500"
			}
			// What was never tried, or reached meanwhile, says nothing about the app.
			if off != (d.ID == tried.ID) || d.Problem != want {
				w.Errorf("key %d off=%v after %+v", id, off, d)
			}
		}
	})
}

// A delivery that fails again and again holds up no other: deliveries that were never tried go
// first, and what one address answers says nothing about other addresses of its host.
func TestFailingDeliveryHoldsUpNoOther(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		w.pushKey(ada, "phone", hub)
		w.pushKey(bob, "phone", hub+"/2")
		for range 3 {
			w.pushes("ada")
		}
		at := noon
		for range 10 { // each is tried, and fails
			for _, d := range w.claim(hub, 3, at) {
				w.finish(d, func(r *outbox.Result) {
					r.Outcome, r.Problem, r.At, r.NextAt = outbox.Retried, "status 500", at, at
				})
			}
			at = at.Add(time.Minute)
		}
		told := w.pushes("bob", "ada")
		for _, to := range must[[]outbox.Address](w)(w.WaitingAddresses(w.ctx)) {
			if ill := to.PushURL == hub; to.Troubled() != ill || to.OpensAt().IsZero() == ill || to.Reach.Failures != 0 {
				w.Errorf("%+v", to)
			}
		}
		if d := w.claim(hub, 1, at); len(d) != 1 || d[0].NotificationID != told.IDs[1] {
			w.Errorf("tried next: %+v, want the new one", d)
		}
		if d := w.claim(hub+"/2", 1, at); len(d) != 1 || d[0].NotificationID != told.IDs[0] {
			w.Errorf("the neighbour: %+v", d)
		}
		// Where nobody can be reached at all, that is so for all addresses of a host.
		d := w.claim(hub, 1, at)[0]
		for range 5 {
			w.finish(d, func(r *outbox.Result) {
				r.Outcome, r.Problem, r.At, r.NextAt, r.Reached = outbox.Retried, outbox.ProblemConnection, at, at, false
			})
			d = w.claim(hub, 9, at)[0]
		}
		w.pushes("bob")
		for _, to := range must[[]outbox.Address](w)(w.WaitingAddresses(w.ctx)) {
			if !to.Troubled() || !to.OpensAt().After(at) || to.Reach.Failures != 5 {
				w.Errorf("%+v", to)
			}
		}
	})
}

// When a receiver asks for a wait of a day, only the delivery to the same address waits.
func TestLongWaitIsOfOneDelivery(t *testing.T) {
	each(t, func(w *world) {
		w.pushKey(w.user("ada"), "phone", hub)
		w.pushes("ada")
		w.finish(w.claim(hub, 1, noon)[0], func(r *outbox.Result) {
			r.Outcome, r.Problem, r.At = outbox.Retried, outbox.ProblemBusy, noon
			r.NextAt, r.CloseUntil = noon.Add(24*time.Hour), noon.Add(24*time.Hour)
		})
		to := must[[]outbox.Address](w)(w.WaitingAddresses(w.ctx))[0]
		if want := micro(noon.Add(10 * time.Minute)); !to.OpensAt().Equal(want) || !to.DueAt.Equal(micro(noon.Add(24*time.Hour))) {
			w.Errorf("%+v, want it open at %v", to, want)
		}
	})
}

// What was held back is sent when do-not-disturb ends, or when somebody asks to try again.
func TestHeldBackDeliveriesAreReleased(t *testing.T) {
	each(t, func(w *world) {
		ada := w.user("ada")
		k := w.pushKey(ada, "phone", hub)
		w.ok(w.SetQuiet(w.ctx, ada.ID, noon.Add(24*time.Hour), noon))
		w.pushes("ada")
		next := func() time.Time { return w.waiting()[0].NextAt }
		if !next().Equal(micro(noon.Add(24 * time.Hour))) {
			w.Fatalf("held until %v", next())
		}
		w.ok(w.SetQuiet(w.ctx, ada.ID, noon.Add(time.Hour), noon))
		if !next().Equal(micro(noon.Add(time.Hour))) {
			w.Errorf("of a shorter quiet: %v", next())
		}
		w.ok(w.SetQuiet(w.ctx, ada.ID, time.Time{}, noon))
		if !next().Equal(micro(noon)) {
			w.Errorf("of its end: %v", next())
		}
		// What somebody is sending is not let go a second time.
		taken := w.claim(hub, 1, noon)
		w.ok(w.SetQuiet(w.ctx, ada.ID, time.Time{}, noon.Add(time.Second)))
		if again := w.claim(hub, 1, noon.Add(time.Second)); len(taken) != 1 || len(again) != 0 {
			w.Errorf("taken %v, and again %v", taken, again)
		}
		w.finish(taken[0], func(r *outbox.Result) {
			r.Outcome, r.Problem, r.At, r.NextAt = outbox.Retried, "status 500", noon, noon
		})
		taken = w.claim(hub, 1, noon)
		w.ok(w.ResumeHostPushes(w.ctx, hubHost, outbox.Resumption{Since: noon, At: noon.Add(time.Second), By: admin}))
		if again := w.claim(hub, 1, noon.Add(time.Second)); len(taken) != 1 || len(again) != 0 {
			w.Errorf("taken %v, and again %v", taken, again)
		}
		w.finish(taken[0], func(r *outbox.Result) {
			r.Outcome, r.Problem, r.At, r.NextAt = outbox.Retried, "status 500", noon, noon
		})
		fail := func() {
			w.finish(w.claim(hub, 1, noon)[0], func(r *outbox.Result) {
				r.Outcome, r.Problem, r.At, r.NextAt = outbox.Retried, "status 500", noon, noon.Add(4*time.Hour)
			})
		}
		fail()
		w.ok(w.ResumeHostPushes(w.ctx, hubHost, outbox.Resumption{Since: noon, At: noon, By: admin}))
		if !next().Equal(micro(noon)) {
			w.Errorf("tried again by an administrator: %v", next())
		}
		fail()
		w.ok(w.ResumeKeyPush(w.ctx, k.ID, outbox.Resumption{Since: noon, At: noon, By: admin}))
		if !next().Equal(micro(noon)) {
			w.Errorf("tried again by its owner: %v", next())
		}
		events := len(w.actions())
		w.ok(w.ResumeKeyPush(w.ctx, k.ID, outbox.Resumption{Since: noon, At: noon, By: admin}))
		if len(w.actions()) != events {
			w.Error("nothing to resume leaves a line in the log")
		}
		// A replay of what is for a key that is off switches it on.
		w.finish(w.claim(hub, 1, noon)[0], func(r *outbox.Result) {
			r.Outcome, r.Problem, r.Off, r.At, r.KeyIDs = outbox.GivenUp, outbox.ProblemGone, true, noon, []int64{k.ID}
		})
		if h := must[[]outbox.Host](w)(w.PushHosts(w.ctx))[0]; h.Off != 1 || h.Dead != 1 || h.Queued != 0 {
			w.Errorf("%+v", h)
		}
		if n := must[int](w)(w.ReplayDeliveries(w.ctx, outbox.Selection{Host: hubHost, At: noon.Add(time.Second), By: admin})); n != 1 {
			w.Errorf("replayed %d", n)
		}
		if h := must[[]outbox.Host](w)(w.PushHosts(w.ctx))[0]; h.Off != 0 || h.Dead != 0 || h.Queued != 1 {
			w.Errorf("%+v", h)
		}
	})
}

// Nodes that finish deliveries and an administrator who resumes the host at the same time wait
// for each other, and lose nothing.
func TestFinishWhileResumed(t *testing.T) {
	each(t, func(w *world) {
		var keys []int64
		var names []string
		for i := range 20 {
			u := w.user(fmt.Sprint("user", i))
			keys = append(keys, w.pushKey(u, "phone", fmt.Sprint(hub, "/", i%3)).ID)
			names = append(names, u.Username)
		}
		w.pushes(names...)
		for _, err := range w.together(12, func(i int) error {
			for round := range 10 {
				if i == 0 {
					if err := w.ResumeHostPushes(w.ctx, hubHost, outbox.Resumption{Since: noon, At: noon, By: admin}); err != nil {
						return err
					}
					continue
				}
				var results []outbox.Result
				for j, id := range keys {
					r := outbox.Result{ID: int64(1e6 + j), PushURL: fmt.Sprint(hub, "/", j%3), KeyIDs: []int64{id}, At: noon, Outcome: outbox.Delivered}
					if (i+j+round)%2 == 0 {
						r.Outcome, r.Problem, r.NextAt = outbox.Retried, "status 500", noon
					}
					results = append(results, r)
				}
				if i%2 == 0 {
					slices.Reverse(results)
				}
				if err := w.FinishDeliveries(w.ctx, results); err != nil {
					return err
				}
			}
			return nil
		}) {
			w.ok(err)
		}
	})
}
