package store_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

func (w *world) device() site.DeviceGrant {
	w.Helper()
	d := site.NewDeviceGrant(site.AuthorizationRequest{ClientID: "tv", Nonce: "n", Scopes: userkeys.Scopes{"read"}, PublicKey: "pem"}, "192.0.2.7", noon)
	w.ok(w.CreateDeviceGrant(w.ctx, d))
	return d
}

// A device authorization is kept under the hashes of its codes.
func TestDeviceGrantIsKept(t *testing.T) {
	each(t, func(w *world) {
		d := w.device()
		w.refused(w.CreateDeviceGrant(w.ctx, d), userkeys.Conflict)
		got := must[site.DeviceGrant](w)(w.DeviceGrantByRequest(w.ctx, d.RequestToken, noon))
		if got.Request.ClientID != "tv" || got.Request.Nonce != "n" || got.IP != "192.0.2.7" || got.State != site.DevicePending || got.DeviceCode != "" || !got.ExpiresAt.Equal(micro(d.ExpiresAt)) {
			w.Errorf("kept as %+v", got)
		}
		_, err := w.DeviceGrantByRequest(w.ctx, d.RequestToken, d.ExpiresAt)
		w.refused(err, userkeys.ConsentGone)
		_, err = w.PollDeviceGrant(w.ctx, d.DeviceCode, d.ExpiresAt)
		w.refused(err, userkeys.ConsentGone)
		for range 2 { // looking consumes nothing while nothing is answered
			if got := must[site.DeviceGrant](w)(w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)); got.State != site.DevicePending {
				w.Errorf("state %q", got.State)
			}
		}
		w.ok(w.Purge(w.ctx, d.ExpiresAt.Add(time.Second)))
		_, err = w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)
		w.refused(err, userkeys.ConsentGone)
	})
}

// A device authorization belongs to one user, and is answered once and fetched once (DV6).
func TestDeviceGrantIsOneUsers(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		d := w.device()
		bind := func(u site.User, code, token, approval string) error {
			_, err := w.BindDeviceGrant(w.ctx, site.TypedCode{
				UserCode: code, RequestToken: token, Approval: approval,
			}, site.Caller{User: u, Session: site.Session{ID: "session of " + u.Username}}.At(noon))
			return err
		}
		w.refused(bind(ada, "ABCDEFGH", "", "x"), userkeys.ConsentGone)
		w.refused(bind(ada, d.UserCode, "anothers", "x"), userkeys.ConsentGone)
		w.ok(bind(ada, d.UserCode, d.RequestToken, "first"))
		w.refused(bind(bob, d.UserCode, "", "bobs"), userkeys.ConsentGone)
		w.ok(bind(ada, d.UserCode, "", "second"))
		deny := func(u site.User, session, approval string) error {
			return w.DenyDeviceGrant(w.ctx, approval, site.Caller{User: u, Session: site.Session{ID: session}}.At(noon))
		}
		w.refused(deny(ada, "session of ada", "first"), userkeys.ConsentGone)
		w.refused(deny(bob, "session of bob", "second"), userkeys.ConsentGone)
		w.refused(deny(ada, "another session", "second"), userkeys.ConsentGone)

		g := w.grantOf(ada, "tv")
		g.Device = &site.DeviceApproval{Approval: "second", Session: "another session", Payload: "sealed", Until: noon.Add(time.Minute)}
		_, err := w.Store.Grant(w.ctx, g)
		w.refused(err, userkeys.ConsentGone)
		if keys := must[[]site.UserAPIKey](w)(w.Store.Keys(w.ctx, site.KeyFilter{})); len(keys) != 0 {
			w.Errorf("a refused answer made %d keys", len(keys))
		}
		g.Device.Session = "session of ada"
		if n := w.succeeded(w.together(8, func(int) error {
			again := w.grantOf(ada, "tv")
			again.Device = g.Device
			_, err := w.Store.Grant(w.ctx, again)
			return err
		}), userkeys.ConsentGone); n != 1 {
			w.Errorf("%d of 8 answers counted", n)
		}
		w.refused(deny(ada, "session of ada", "second"), userkeys.ConsentGone)
		w.once(func() error {
			got, err := w.PollDeviceGrant(w.ctx, d.DeviceCode, noon)
			if err == nil && (got.State != site.DeviceAuthorized || got.Payload != "sealed") {
				w.Errorf("fetched %+v", got)
			}
			return err
		})
	})
}
