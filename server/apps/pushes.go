package apps

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/outbox"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// pushView is how pushing to a key goes, for its owner. Why is a sentence
// that has no address, status or body of the other side.
type pushView struct {
	state     outbox.Health
	Barred    string      // why nothing is sent there now whatever the app's server does; empty: nothing is in the way
	Off       page.Moment // since when it is switched off; unknown: it is on
	Failing   page.Moment // since when every attempt failed; unknown: the last went well
	Why       string      // it failed
	Delivered page.Moment // last; unknown: never
}

// Health says in a word how pushing to the key goes.
func (p pushView) Health() string {
	if p.Barred != "" {
		return "not allowed"
	}
	return string(p.state)
}

// Waiting reports whether pushing fails, but most likely that ends by itself.
func (p pushView) Waiting() bool { return p.state == outbox.Waiting }

// Trouble reports whether somebody should look after it.
func (p pushView) Trouble() bool {
	return p.Barred != "" || p.state == outbox.SwitchedOff || p.state == outbox.Failing
}

// pushViews returns, by key id, what the page shows of the pushes to live keys with a push URL. On a site that
// pushes nothing there are none.
func (h *Handlers) pushViews(ctx context.Context, keys []site.App, now time.Time) (map[int64]pushView, error) {
	views := map[int64]pushView{}
	var ids []int64
	for _, k := range keys {
		if k.Live(now) && k.PushURL != "" {
			ids = append(ids, k.ID)
		}
	}
	if h.cfg.Pushes == nil || len(ids) == 0 {
		return views, nil
	}
	states, err := h.cfg.Pushes.KeyPushes(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if !slices.Contains(ids, k.ID) {
			continue
		}
		p := states[k.ID]
		views[k.ID] = pushView{
			state: p.Health(now), Barred: outbox.Barred(h.door.Settings(), k.UserAPIKey),
			Off: page.MomentAt(p.OffAt, now), Failing: page.MomentAt(p.FailingSince, now),
			Why: p.Problem.Sentence(), Delivered: page.MomentAt(p.DeliveredAt, now),
		}
	}
	return views, nil
}

// pushTest sends a test to the address of one of the user's apps.
func (h *Handlers) pushTest(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.ID(r, "key")
	if err != nil {
		return err
	}
	err = h.cfg.Pushes.SendTest(r.Context(), id, c)
	if errors.Is(err, userkeys.RateLimited) && !gateway.WantsJSON(r) {
		return done(w, r, "soon") // who pressed the button twice sees how the first test went
	}
	if err != nil {
		return err
	}
	return done(w, r, "tested")
}

// pushResume has the site try again where it has given up.
func (h *Handlers) pushResume(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.ID(r, "key")
	if err != nil {
		return err
	}
	if err := h.cfg.Pushes.ResumeKey(r.Context(), id, c); err != nil {
		return err
	}
	return done(w, r, "resumed")
}
