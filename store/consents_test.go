package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// A consent comes back as it was written, and can be denied once.
func TestConsents(t *testing.T) {
	each(t, func(w *world) {
		u, other := w.user("ada"), w.user("bob")
		c := site.Consent{
			ID: "secret id", UserID: u.ID, Session: "session 1", CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
			Request: site.AuthorizationRequest{
				ApplicationName: "A <b>&\u2028\"", ClientID: "c", Nonce: "n", Scopes: userkeys.Scopes{"read", "push"}, PublicKey: "-----\n",
				AuthRedirect: "x://y", HasAuthRedirect: true, PushURL: "https://p", Padding: "oaep", ExpiresInSeconds: "60",
			},
		}
		w.ok(w.CreateConsent(w.ctx, c))
		w.refused(w.CreateConsent(w.ctx, c), userkeys.Conflict)
		want := c
		want.CreatedAt, want.ExpiresAt = micro(c.CreatedAt), micro(c.ExpiresAt)
		if diff := cmp.Diff(want, must[site.Consent](w)(w.Consent(w.ctx, c.ID))); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		_, err := w.Consent(w.ctx, "another id")
		w.refused(err, userkeys.ConsentGone)
		w.refused(w.CreateConsent(w.ctx, site.Consent{ID: "x", UserID: 77}), userkeys.NotFound)
		w.refused(w.CreateConsent(w.ctx, site.Consent{UserID: u.ID}), userkeys.InvalidParameters)

		w.refused(w.DeleteConsent(w.ctx, c.ID, site.Caller{User: site.User{ID: other.ID}}.At(noon)), userkeys.ConsentGone)
		errs := w.together(20, func(int) error {
			return w.DeleteConsent(w.ctx, c.ID, site.Caller{User: site.User{ID: u.ID}}.At(noon))
		})
		if n := w.succeeded(errs, userkeys.ConsentGone); n != 1 {
			w.Errorf("one consent was denied %d times", n)
		}

		// Asking without end fills nothing: the newest twenty stay.
		for i := range 30 {
			w.ok(w.CreateConsent(w.ctx, site.Consent{
				ID: fmt.Sprint("many ", i), UserID: u.ID, CreatedAt: noon.Add(time.Duration(i) * time.Second), ExpiresAt: noon.Add(time.Hour),
			}))
		}
		_, err = w.Consent(w.ctx, "many 9")
		w.refused(err, userkeys.ConsentGone)
		must[site.Consent](w)(w.Consent(w.ctx, "many 10"))
	})
}
