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
	Barred    string      // why nothing is sent there now whatever the app's server does; empty: nothing is in the way
	Off       page.Moment // since when it is switched off; unknown: it is on
	Failing   page.Moment // since when every attempt failed; unknown: the last went well
	Waiting   bool        // it fails since a few minutes only, or the app's server asked for it
	Why       string      // it failed
	Delivered page.Moment // last; unknown: never
}

// failsFor is how long attempts fail before it is trouble: servers are started anew every day.
const failsFor = 10 * time.Minute

// waits tells whether pushing fails in a way that most likely ends by itself.
func waits(p outbox.KeyState, now time.Time) bool {
	return !p.FailingSince.IsZero() && p.OffAt.IsZero() &&
		(p.Problem == outbox.ProblemBusy || now.Sub(p.FailingSince) < failsFor)
}

// Health says the state in a word.
func (p pushView) Health() string {
	switch {
	case p.Barred != "":
		return "not allowed"
	case p.Off.Known():
		return "switched off"
	case p.Waiting:
		return "waiting"
	case p.Failing.Known():
		return "failing"
	case p.Delivered.Known():
		return "working"
	}
	return "nothing sent yet"
}

// Trouble tells whether somebody should look after it.
func (p pushView) Trouble() bool {
	return p.Barred != "" || p.Off.Known() || p.Failing.Known() && !p.Waiting
}

// pushViews are those of the live keys with a push address, by id; none where nothing is pushed.
func (h *Handlers) pushViews(ctx context.Context, keys []site.UserAPIKey, now time.Time) (map[int64]pushView, error) {
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
			Barred: h.barred(k), Off: page.MomentAt(p.OffAt, now), Failing: page.MomentAt(p.FailingSince, now),
			Waiting: waits(p, now), Why: p.Problem.Sentence(), Delivered: page.MomentAt(p.DeliveredAt, now),
		}
	}
	return views, nil
}

// barred says why the site sends nothing to k's address; empty if it does.
func (h *Handlers) barred(k site.UserAPIKey) string {
	switch {
	case h.door.Settings().Pushes(k.Scopes, k.PushURL):
		return ""
	case !k.Scopes.Has(userkeys.ScopePush) && !k.Scopes.Has(userkeys.ScopeNotifications):
		return "The app gave this address, but you did not let it have your notifications."
	}
	return "This site does not allow sending to that address now."
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
