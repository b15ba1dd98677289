package storetest

import (
	"slices"
	"time"

	"userkeys"
)

// once counts how many of 64 who redeem at once succeed; all others must be told that it is gone.
func (w *world) once(redeem func() error) {
	w.Helper()
	if n := w.succeeded(w.together(64, func(int) error { return redeem() }), userkeys.ConsentGone); n != 1 {
		w.Errorf("%d of 64 redeemed it", n)
	}
}

func (w *world) device() userkeys.DeviceGrant {
	w.Helper()
	d := userkeys.NewDeviceGrant(userkeys.AuthorizationRequest{ClientID: "tv", Nonce: "n", Scopes: userkeys.Scopes{"read"}, PublicKey: "pem"}, "192.0.2.7", noon)
	w.ok(w.CreateDeviceGrant(w.ctx, d))
	return d
}

func deviceIsKept(w *world) {
	d := w.device()
	w.refused(w.CreateDeviceGrant(w.ctx, d), userkeys.Conflict)
	got := must[userkeys.DeviceGrant](w)(w.DeviceGrantByRequest(w.ctx, d.RequestToken, noon))
	if got.Request.ClientID != "tv" || got.Request.Nonce != "n" || got.IP != "192.0.2.7" || got.State != userkeys.DevicePending || got.DeviceCode != "" || !got.ExpiresAt.Equal(micro(d.ExpiresAt)) {
		w.Errorf("kept as %+v", got)
	}
	_, err := w.DeviceGrantByRequest(w.ctx, d.RequestToken, d.ExpiresAt)
	w.refused(err, userkeys.ConsentGone)
	_, err = w.PollDeviceGrant(w.ctx, d.DeviceCode, d.ExpiresAt)
	w.refused(err, userkeys.ConsentGone)
	for range 2 { // looking consumes nothing while nothing is answered
		if got := must[userkeys.DeviceGrant](w)(w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)); got.State != userkeys.DevicePending {
			w.Errorf("state %q", got.State)
		}
	}
	w.ok(w.Purge(w.ctx, d.ExpiresAt.Add(time.Second)))
	_, err = w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)
	w.refused(err, userkeys.ConsentGone)
}

func deviceIsOneUsers(w *world) {
	ada, bob := w.user("ada"), w.user("bob")
	d := w.device()
	bind := func(u userkeys.User, code, token, approval string) error {
		_, err := w.BindDeviceGrant(w.ctx, code, token, approval, u.ID, "session of "+u.Username, noon)
		return err
	}
	w.refused(bind(ada, "ABCDEFGH", "", "x"), userkeys.ConsentGone)
	w.refused(bind(ada, d.UserCode, "anothers", "x"), userkeys.ConsentGone)
	w.ok(bind(ada, d.UserCode, d.RequestToken, "first"))
	w.refused(bind(bob, d.UserCode, "", "bobs"), userkeys.ConsentGone)
	w.ok(bind(ada, d.UserCode, "", "second"))
	deny := func(u userkeys.User, session, approval string) error {
		return w.DenyDeviceGrant(w.ctx, approval, u.ID, session, admin, noon)
	}
	w.refused(deny(ada, "session of ada", "first"), userkeys.ConsentGone)
	w.refused(deny(bob, "session of bob", "second"), userkeys.ConsentGone)
	w.refused(deny(ada, "another session", "second"), userkeys.ConsentGone)

	g := w.grantOf(ada, "tv")
	g.Device = &userkeys.DeviceApproval{Approval: "second", Session: "another session", Payload: "sealed", Until: noon.Add(time.Minute)}
	_, _, err := w.Store.Grant(w.ctx, g)
	w.refused(err, userkeys.ConsentGone)
	if keys := must[[]userkeys.UserAPIKey](w)(w.Store.Keys(w.ctx, userkeys.KeyFilter{})); len(keys) != 0 {
		w.Errorf("a refused answer made %d keys", len(keys))
	}
	g.Device.Session = "session of ada"
	if n := w.succeeded(w.together(8, func(int) error {
		again := w.grantOf(ada, "tv")
		again.Device = g.Device
		_, _, err := w.Store.Grant(w.ctx, again)
		return err
	}), userkeys.ConsentGone); n != 1 {
		w.Errorf("%d of 8 answers counted", n)
	}
	w.refused(deny(ada, "session of ada", "second"), userkeys.ConsentGone)
	w.once(func() error {
		got, err := w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)
		if err == nil && (got.State != userkeys.DeviceAuthorized || got.Payload != "sealed") {
			w.Errorf("fetched %+v", got)
		}
		return err
	})
}

func (w *world) oneTime(u userkeys.User) string {
	w.Helper()
	p := userkeys.NewOneTimePassword()
	w.ok(w.CreateOneTimePassword(w.ctx, userkeys.OneTimePassword{
		Password: p, UserID: u.ID, ApplicationName: "phone", CreatedAt: noon, ExpiresAt: noon.Add(userkeys.OneTimeLifetime),
	}, "", admin))
	return p
}

func oneTimePasswords(w *world) {
	ada := w.user("ada")
	look := func(p string, at time.Time) error {
		_, err := w.Store.OneTimePassword(w.ctx, p, at)
		return err
	}
	older := w.oneTime(ada)
	newer := w.oneTime(ada)
	w.refused(look(older, noon), userkeys.ConsentGone)
	w.ok(look(newer, noon))
	w.refused(look(newer, noon.Add(userkeys.OneTimeLifetime)), userkeys.ConsentGone)
	_, err := w.ConsumeOneTimePassword(w.ctx, newer, admin, noon.Add(userkeys.OneTimeLifetime))
	w.refused(err, userkeys.ConsentGone)
	w.once(func() error {
		p, err := w.ConsumeOneTimePassword(w.ctx, newer, admin, noon)
		if err == nil && (p.UserID != ada.ID || p.ApplicationName != "phone") {
			w.Errorf("it was %+v", p)
		}
		return err
	})
	p := w.oneTime(ada)
	w.ok(w.DeleteUserSessions(w.ctx, ada.ID))
	w.refused(look(p, noon), userkeys.ConsentGone)
	p = w.oneTime(ada)
	_, err = w.Store.Revoke(w.ctx, userkeys.Revocation{UserID: ada.ID, By: userkeys.RevokedByOwner, At: noon, Caller: admin})
	w.ok(err)
	w.refused(look(p, noon), userkeys.ConsentGone)
	w.refused(w.CreateOneTimePassword(w.ctx, userkeys.OneTimePassword{Password: "x", UserID: ada.ID}, "", admin), userkeys.InvalidParameters)
	w.refused(w.CreateOneTimePassword(w.ctx, userkeys.OneTimePassword{Password: userkeys.NewOneTimePassword(), UserID: 999}, "", admin), userkeys.NotFound)
	w.refused(w.CreateOneTimePassword(w.ctx, userkeys.OneTimePassword{Password: userkeys.NewOneTimePassword(), UserID: ada.ID, CreatedAt: noon}, "no consent", admin), userkeys.ConsentGone)
}

func registered(id string) userkeys.Client {
	return userkeys.Client{ClientID: id, ApplicationName: "Fed", PublicKey: "pem of " + id, AuthRedirect: "https://" + id + ".example/cb", Scopes: userkeys.Scopes{"read"}, CreatedAt: noon}
}

func registeredClients(w *world) {
	ada := w.user("ada")
	w.key(ada, "implicit")
	w.ok(w.CreateClient(w.ctx, registered("fed"), admin))
	for _, id := range []string{"fed", "implicit"} {
		w.refused(w.CreateClient(w.ctx, registered(id), admin), userkeys.InvalidAccess)
	}
	twin := registered("twin")
	twin.PublicKey = registered("fed").PublicKey
	w.ok(w.CreateClient(w.ctx, twin, admin))
	for redirect, want := range map[string]string{registered("fed").AuthRedirect: "fed", twin.AuthRedirect: "twin", "elsewhere": "fed"} {
		if c := must[userkeys.Client](w)(w.ClientByPublicKey(w.ctx, twin.PublicKey, redirect)); c.ClientID != want {
			w.Errorf("for %s the client is %s", redirect, c.ClientID)
		}
	}
	_, err := w.ClientByPublicKey(w.ctx, "another", "x")
	w.refused(err, userkeys.NotFound)
	k := w.key(ada, "fed")
	if k.ApplicationName != "Fed" {
		w.Errorf("its key is called %q", k.ApplicationName)
	}
	used := noon.Add(20 * 24 * time.Hour)
	w.ok(w.RecordUses(w.ctx, []userkeys.KeyUse{{KeyID: k.ID, LastUsedAt: used}}))
	release := func(since time.Time) int {
		return must[int](w)(w.ReleaseClients(w.ctx, since, since.Add(time.Hour)))
	}
	if n := release(noon); n != 0 {
		w.Errorf("%d clients of today are released", n)
	}
	if n := release(noon.Add(24 * time.Hour)); n != 1 { // twin: old, and never used
		w.Errorf("%d clients are released", n)
	}
	before := w.newest()
	if n := release(used.Add(time.Hour)); n != 1 {
		w.Errorf("%d clients are released after the last use", n)
	}
	if c := w.changes(before); !slices.Contains(c.Hashes, k.Hash) {
		w.Errorf("caches are not told of its key: %+v", c)
	}
	_, err = w.Store.Key(w.ctx, k.ID)
	w.refused(err, userkeys.NotFound)
	if c := must[userkeys.Client](w)(w.Store.Client(w.ctx, "implicit")); c.Registered() {
		w.Error("a client by a grant counts as registered")
	}
}

func keysMove(w *world) {
	ada, bob := w.user("ada"), w.user("bob")
	k, other, bobs := w.key(ada, "a"), w.key(ada, "b"), w.key(bob, "b")
	w.ok(w.CreateClient(w.ctx, registered("fed"), admin))
	before := w.newest()
	_, err := w.RebindKey(w.ctx, k.ID, "fed", admin, noon)
	w.refused(err, userkeys.InvalidAccess)
	_, err = w.RebindKey(w.ctx, 999, "b", admin, noon)
	w.refused(err, userkeys.NotFound)
	concerned := must[[]userkeys.KeyHash](w)(w.RebindKey(w.ctx, k.ID, "b", admin, noon))
	if len(concerned) != 2 || !slices.Contains(concerned, k.Hash) || !slices.Contains(concerned, other.Hash) || len(w.changes(before).Hashes) != 2 {
		w.Errorf("concerned %d keys, told caches of %d", len(concerned), len(w.changes(before).Hashes))
	}
	if got := w.stored(k.ID); got.ClientID != "b" || got.Hash != k.Hash || !got.CreatedAt.Equal(micro(noon)) {
		w.Errorf("moved to %+v", got)
	}
	_, err = w.Store.Key(w.ctx, other.ID)
	w.refused(err, userkeys.NotFound)
	w.stored(bobs.ID)
	must[[]userkeys.KeyHash](w)(w.RebindKey(w.ctx, k.ID, "new", admin, noon))
	if got := w.stored(k.ID); got.ClientID != "new" {
		w.Errorf("moved to %q", got.ClientID)
	}
	stays := w.key(ada, "b")
	w.revoke(userkeys.RevokedByOwner, k.ID)
	_, err = w.RebindKey(w.ctx, k.ID, "b", admin, noon)
	w.refused(err, userkeys.InvalidAccess)
	w.stored(stays.ID)
}

func keysRenew(w *world) {
	ada := w.user("ada")
	k := w.key(ada, "a", func(g *userkeys.Grant) {
		g.Key.PublicKey, g.Key.Padding, g.Key.Lifetime, g.Key.ExpiresAt = "pem", userkeys.PaddingOAEP, time.Hour, noon.Add(time.Hour)
	})
	if got := w.stored(k.ID); got.PublicKey != "pem" || got.Padding != userkeys.PaddingOAEP || got.Lifetime != time.Hour {
		w.Errorf("kept as %+v", got)
	}
	renew := func(presented userkeys.KeyHash, at time.Time) (userkeys.KeyHash, error) {
		r := userkeys.Renewal{KeyID: k.ID, Presented: presented, Hash: w.hash(), ExpiresAt: at.Add(time.Hour), OldUntil: at.Add(10 * time.Minute), At: at, Caller: admin}
		_, err := w.RenewKey(w.ctx, r)
		return r.Hash, err
	}
	id := func(h userkeys.KeyHash) int64 {
		got, err := w.KeyByHash(w.ctx, h)
		if err != nil {
			w.refused(err, userkeys.NotFound)
		}
		return got.ID
	}
	second := must[userkeys.KeyHash](w)(renew(k.Hash, noon.Add(time.Minute)))
	got := w.stored(k.ID)
	if got.Hash != second || got.OldHash != k.Hash || !got.OldUntil.Equal(micro(noon.Add(11*time.Minute))) || !got.ExpiresAt.Equal(micro(noon.Add(61*time.Minute))) || id(k.Hash) != k.ID || id(second) != k.ID {
		w.Errorf("renewed to %+v", got)
	}
	third := must[userkeys.KeyHash](w)(renew(k.Hash, noon.Add(2*time.Minute))) // the answer was lost
	got = w.stored(k.ID)
	if got.Hash != third || got.OldHash != k.Hash || !got.OldUntil.Equal(micro(noon.Add(11*time.Minute))) || id(second) != 0 {
		w.Errorf("renewed again to %+v", got)
	}
	_, err := renew(k.Hash, noon.Add(12*time.Minute))
	w.refused(err, userkeys.InvalidAccess)
	if n := w.succeeded(w.together(8, func(int) error { _, err := renew(third, noon.Add(3*time.Minute)); return err }), userkeys.InvalidAccess); n < 1 {
		w.Error("nobody renewed it")
	}
	got = w.stored(k.ID)
	before := w.newest()
	hashes := w.revoke(userkeys.RevokedByOwner, k.ID)
	if !slices.Contains(hashes, got.Hash) || !slices.Contains(hashes, got.OldHash) || len(w.changes(before).Hashes) != 2 {
		w.Errorf("revoking forgets %d hashes, caches are told of %d", len(hashes), len(w.changes(before).Hashes))
	}
	_, err = renew(got.Hash, noon.Add(4*time.Minute))
	w.refused(err, userkeys.InvalidAccess)
}
