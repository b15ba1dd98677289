package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

// Pushes is what the pages need of the push worker. notify.Desk has it by shape.
type Pushes interface {
	// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]site.KeyPush, error)
	// SendTest queues a test for one key of by's own (or anybody's for an administrator). [userkeys.NotFound],
	// [userkeys.Conflict] (no push address, not allowed now, not live), [userkeys.RateLimited].
	SendTest(ctx context.Context, keyID int64, by site.Caller) error
	// ResumeKey switches pushing to a key on again, and queues again what was given up for it in the last day.
	ResumeKey(ctx context.Context, keyID int64, by site.Caller) error
	// ResumeHost does so for a host and everything at it.
	ResumeHost(ctx context.Context, host string, by site.Caller) error
	// Deliveries lists what waits or was given up, newest first.
	Deliveries(ctx context.Context, f site.DeliveryFilter) ([]site.Delivery, error)
	// Hosts lists hosts with their numbers.
	Hosts(ctx context.Context) ([]site.PushHost, error)
	// Replay queues given-up deliveries again: those of ids, or all of a host, or all (empty). It returns how many.
	Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
	// Discard forgets given-up deliveries in the same way.
	Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
	// SealedSecret is the push secret of a key (for push-secret.json), sealed to the public key of its grant.
	// [userkeys.NotFound] if the key has no push address.
	SealedSecret(ctx context.Context, keyID int64) (payload string, err error)
}

// pushRoutes are what there is to see and to do about pushes: for a key's
// owner, for its app, and for administrators.
func (s *Server) pushRoutes() []route {
	if s.cfg.Pushes == nil {
		return nil
	}
	return []route{
		{"POST /user-api-key/push-test", form, signedIn, "", s.pushTest},
		{"POST /user-api-key/push-resume", form, signedIn, "", s.pushResume},

		{"GET /user-api-key/push-secret", keyOnly, anyone, "", s.pushSecret},
		{"GET /user-api-key/push-secret.json", keyOnly, anyone, "", s.pushSecret},

		{"GET /user-api-key/deliveries", page, administrator, "", s.deliveries},
		{"POST /user-api-key/deliveries/replay", form, administrator, "", s.deliveriesReplay},
		{"POST /user-api-key/deliveries/discard", form, administrator, "", s.deliveriesDiscard},
		{"POST /user-api-key/deliveries/resume", form, administrator, "", s.deliveriesResume},

		{"GET /user-api-key/admin/deliveries.json", adminRead.needing(site.AdminDeliveries), administrator, "", s.listDeliveries},
		{"GET /user-api-key/admin/push-hosts.json", adminRead.needing(site.AdminDeliveries), administrator, "", s.listPushHosts},
		{"POST /user-api-key/admin/deliveries/replay.json", ownBody.needing(site.AdminDeliveries), administrator, "", s.replayDeliveries},
		{"POST /user-api-key/admin/deliveries/discard.json", ownBody.needing(site.AdminDeliveries), administrator, "", s.discardDeliveries},
		{"POST /user-api-key/admin/deliveries/resume.json", ownBody.needing(site.AdminDeliveries), administrator, "", s.resumePushes},
	}
}

// pushView is how pushing to a key goes, for its owner. Why is a sentence
// that has no address, status or body of the other side (SS27).
type pushView struct {
	Barred    string // why nothing is sent there now whatever the app's server does; empty: nothing is in the way
	Off       moment // since when it is switched off; unknown: it is on
	Failing   moment // since when every attempt failed; unknown: the last went well
	Waiting   bool   // it fails since a few minutes only, or the app's server asked for it
	Why       string // it failed
	Delivered moment // last; unknown: never
}

// failsFor is how long attempts fail before it is trouble: servers are started anew every day.
const failsFor = 10 * time.Minute

// waits tells whether pushing fails in a way that most likely ends by itself.
func waits(p site.KeyPush, now time.Time) bool {
	return !p.FailingSince.IsZero() && p.OffAt.IsZero() && (p.Problem == site.PushBusy || now.Sub(p.FailingSince) < failsFor)
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
func (s *Server) pushViews(ctx context.Context, keys []site.UserAPIKey, now time.Time) (map[int64]pushView, error) {
	var pushed []site.UserAPIKey
	for _, k := range keys {
		if k.Live(now) {
			pushed = append(pushed, k)
		}
	}
	states, err := s.keyPushes(ctx, pushed)
	if err != nil {
		return nil, err
	}
	views := map[int64]pushView{}
	for _, k := range pushed {
		if p, ok := states[k.ID]; ok {
			views[k.ID] = pushView{
				Barred: s.barred(k), Off: momentAt(p.OffAt, now), Failing: momentAt(p.FailingSince, now),
				Waiting: waits(p, now), Why: p.Problem.Sentence(), Delivered: momentAt(p.DeliveredAt, now),
			}
		}
	}
	return views, nil
}

// keyPushes is how pushing goes to those of keys that have a push address, by id.
func (s *Server) keyPushes(ctx context.Context, keys []site.UserAPIKey) (map[int64]site.KeyPush, error) {
	var ids []int64
	for _, k := range keys {
		if k.PushURL != "" {
			ids = append(ids, k.ID)
		}
	}
	if s.cfg.Pushes == nil || len(ids) == 0 {
		return nil, nil
	}
	known, err := s.cfg.Pushes.KeyPushes(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]site.KeyPush, len(ids))
	for _, id := range ids {
		all[id] = known[id]
	}
	return all, nil
}

// barred says why the site sends nothing to k's address; empty if it does.
func (s *Server) barred(k site.UserAPIKey) string {
	switch {
	case s.site.Settings().Pushes(k.Scopes, k.PushURL):
		return ""
	case !k.Scopes.Has(userkeys.ScopePush) && !k.Scopes.Has(userkeys.ScopeNotifications):
		return "The app gave this address, but you did not let it have your notifications."
	}
	return "This site does not allow sending to that address now."
}

// pushTest sends a test to the address of one of the user's apps.
func (s *Server) pushTest(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	return s.changePush(w, r, v, s.cfg.Pushes.SendTest, "tested")
}

// pushResume has the site try again where it has given up.
func (s *Server) pushResume(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	return s.changePush(w, r, v, s.cfg.Pushes.ResumeKey, "resumed")
}

func (s *Server) changePush(w http.ResponseWriter, r *http.Request, v site.Visitor, change func(context.Context, int64, site.Caller) error, what string) error {
	id, err := keyID(r.PostForm)
	if err != nil {
		return err
	}
	err = change(r.Context(), id, s.caller(r, v))
	if errors.Is(err, userkeys.RateLimited) && !gateway.WantsJSON(r) {
		return done(w, r, "soon") // who pressed the button twice sees how the first test went
	}
	if err != nil {
		return err
	}
	return done(w, r, what)
}

// pushSecret gives an app what the pushes for its key are signed with, sealed
// to the public key of the grant: whoever else has the key cannot open it.
func (s *Server) pushSecret(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	access, keyed := userkeys.FromContext(r.Context())
	if !keyed {
		return refuseJSON(w, r, &userkeys.Error{Code: userkeys.NotLoggedIn, Public: "send the key whose pushes are meant in the header User-Api-Key", Reason: "no key"})
	}
	if err := s.clients.ChargePushSecret(access); err != nil {
		return err
	}
	payload, err := s.cfg.Pushes.SealedSecret(r.Context(), access.KeyID)
	if err != nil {
		return err
	}
	keepSecret(w)
	return writeJSON(w, map[string]string{"payload": payload})
}
