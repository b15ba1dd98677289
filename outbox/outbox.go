// Package outbox pushes notifications to the servers of apps: the rules of when
// a push is sent, held back, repeated or given up, the [Pusher] that sends, and
// what people see and do about it.
package outbox

import (
	"context"
	"sync"
	"time"

	"userkeys"
	"userkeys/site"
)

// PushesStore is what people see and do about pushes, as the store has it.
type PushesStore interface {
	// Key finds a key. [userkeys.NotFound].
	Key(ctx context.Context, id int64) (site.UserAPIKey, error)
	// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]KeyState, error)
	// QueueTest queues a test for a key. [userkeys.Conflict] if one waits already.
	QueueTest(ctx context.Context, k site.UserAPIKey, at time.Time) error
	// ResumeKeyPush and ResumeHostPushes switch pushing on again, and queue again what was given up since a time. [userkeys.NotFound].
	ResumeKeyPush(ctx context.Context, keyID int64, since, at time.Time, by site.Caller) error
	ResumeHostPushes(ctx context.Context, host string, since, at time.Time, by site.Caller) error
	// Deliveries lists what waits or was given up, newest first.
	Deliveries(ctx context.Context, f Filter) ([]Delivery, error)
	// PushHosts lists hosts with their numbers.
	PushHosts(ctx context.Context) ([]Host, error)
	// ReplayDeliveries queues given-up ones again, and DiscardDeliveries forgets them: those of ids, or all of a host, or all.
	ReplayDeliveries(ctx context.Context, ids []int64, host string, at time.Time, by site.Caller) (int, error)
	DiscardDeliveries(ctx context.Context, ids []int64, host string, at time.Time, by site.Caller) (int, error)
}

// Bounds of what people do.
const (
	testEvery   = 10 * time.Second // a test of a key, and a resumption
	resumeSince = 24 * time.Hour   // what was given up longer ago nobody waits for
)

// PushesConfig is what a [Pushes] is made of.
type PushesConfig struct {
	Store    PushesStore
	Settings func() site.Settings // the site settings of the moment
	Secret   []byte               // the machine secret, see [PusherConfig]; empty: no push secret can be told
	Now      func() time.Time     // nil: the system's clock
	// Queued hears that there is something to push; nil: nobody does, and a running pusher finds it by itself.
	Queued func()
}

// Pushes is where people see how pushes go, and set them going again. Make one with [NewPushes].
type Pushes struct {
	cfg PushesConfig

	mu   sync.Mutex
	last map[int64]time.Time // test of a key, by its id, or resumption, by the negative one
}

// NewPushes makes a desk.
func NewPushes(cfg PushesConfig) *Pushes {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Queued == nil {
		cfg.Queued = func() {}
	}
	return &Pushes{cfg: cfg, last: map[int64]time.Time{}}
}

// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
func (d *Pushes) KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]KeyState, error) {
	return d.cfg.Store.KeyPushes(ctx, keyIDs)
}

// own finds a key that by may manage, with somewhere to push to.
func (d *Pushes) own(ctx context.Context, keyID int64, by site.Caller) (site.UserAPIKey, error) {
	k, err := d.cfg.Store.Key(ctx, keyID)
	if err == nil && k.UserID != by.User.ID && !by.Admin() {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	if err == nil && k.PushURL == "" {
		err = userkeys.Errorf(userkeys.Conflict, "this app named no address for notifications")
	}
	return k, err
}

// SendTest queues a test for a key of by's own, or anybody's for an administrator. [userkeys.NotFound],
// [userkeys.Conflict], [userkeys.RateLimited] above one every ten seconds.
func (d *Pushes) SendTest(ctx context.Context, keyID int64, by site.Caller) error {
	k, err := d.own(ctx, keyID, by)
	if err != nil {
		return err
	}
	now := d.cfg.Now()
	switch {
	case !k.Live(now):
		return userkeys.Errorf(userkeys.Conflict, "this app has no access any more, and gets no notifications")
	case !d.cfg.Settings().Pushes(k.Scopes, k.PushURL):
		return userkeys.Errorf(userkeys.Conflict, "this site does not send notifications to this app now")
	}
	if wait := d.tooSoon(keyID, now); wait > 0 {
		return &userkeys.Error{Code: userkeys.RateLimited, Public: "a test was just sent; wait a moment", RetryAfter: wait}
	}
	if err := d.cfg.Store.QueueTest(ctx, k, now); err != nil {
		return err
	}
	d.cfg.Queued()
	return nil
}

// tooSoon is how long to wait with the next test of a key, or resumption of a negative one; 0, and it counts from now.
func (d *Pushes) tooSoon(keyID int64, now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if wait := d.last[keyID].Add(testEvery).Sub(now); wait > 0 {
		return wait
	}
	for id, at := range d.last {
		if now.Sub(at) >= testEvery {
			delete(d.last, id)
		}
	}
	d.last[keyID] = now
	return 0
}

// ResumeKey switches pushing to a key on again, and queues again what was given up for it in the last
// day. [userkeys.NotFound], [userkeys.Conflict], [userkeys.RateLimited] above once in ten seconds.
func (d *Pushes) ResumeKey(ctx context.Context, keyID int64, by site.Caller) error {
	if _, err := d.own(ctx, keyID, by); err != nil {
		return err
	}
	now := d.cfg.Now()
	if wait := d.tooSoon(-keyID, now); wait > 0 {
		return &userkeys.Error{Code: userkeys.RateLimited, Public: "this was just tried; wait a moment", RetryAfter: wait}
	}
	defer d.cfg.Queued()
	return d.cfg.Store.ResumeKeyPush(ctx, keyID, now.Add(-resumeSince), now, by)
}

// ResumeHost does so for a host and everything at it.
func (d *Pushes) ResumeHost(ctx context.Context, host string, by site.Caller) error {
	now := d.cfg.Now()
	defer d.cfg.Queued()
	return d.cfg.Store.ResumeHostPushes(ctx, host, now.Add(-resumeSince), now, by)
}

// Deliveries lists what waits or was given up, newest first.
func (d *Pushes) Deliveries(ctx context.Context, f Filter) ([]Delivery, error) {
	return d.cfg.Store.Deliveries(ctx, f)
}

// Hosts lists hosts with their numbers.
func (d *Pushes) Hosts(ctx context.Context) ([]Host, error) {
	return d.cfg.Store.PushHosts(ctx)
}

// Replay queues given-up deliveries again: those of ids, or all of a host, or all. It returns how many.
func (d *Pushes) Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error) {
	defer d.cfg.Queued()
	return d.cfg.Store.ReplayDeliveries(ctx, ids, host, d.cfg.Now(), by)
}

// Discard forgets given-up deliveries in the same way.
func (d *Pushes) Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error) {
	return d.cfg.Store.DiscardDeliveries(ctx, ids, host, d.cfg.Now(), by)
}

// SealedSecret is the push secret of a key for its app, sealed to the public key of the grant.
// [userkeys.NotFound] if the key has no push address, [userkeys.Conflict] if the user must approve the app anew.
func (d *Pushes) SealedSecret(ctx context.Context, keyID int64) (string, error) {
	k, err := d.cfg.Store.Key(ctx, keyID)
	if err != nil {
		return "", err
	}
	if k.PushURL == "" {
		return "", userkeys.Errorf(userkeys.NotFound, "this key has no push_url: nothing is pushed for it")
	}
	if k.PublicKey == "" {
		return "", userkeys.Errorf(userkeys.Conflict, "this key is from before push secrets; ask the user to approve the app anew")
	}
	public, err := userkeys.ParsePublicKey(k.PublicKey)
	if err != nil {
		return "", err
	}
	secret, err := userkeys.NewPushSecret(d.cfg.Secret, k.ID, k.CreatedAt)
	if err != nil {
		return "", err
	}
	return userkeys.SealPushSecret(public, k.Padding, secret)
}
