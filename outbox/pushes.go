package outbox

import (
	"context"
	"maps"
	"time"

	"userkeys"
	"userkeys/site"
)

// ActionStore is what people see and do about pushes.
type ActionStore interface {
	// Key finds a key. Errors: [userkeys.NotFound] if there is no such key.
	Key(ctx context.Context, id int64) (site.UserAPIKey, error)
	// KeyPushes reads how pushing to keys goes, by their ids; keys that nothing was pushed to are absent.
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]KeyState, error)
	// QueueTest queues a test for a key. Errors: [userkeys.Conflict] if one waits already.
	QueueTest(ctx context.Context, k site.UserAPIKey, at time.Time) error
	// ResumeKeyPush switches pushing to a key on again, and queues again what was given up for it since r.Since.
	// Errors: [userkeys.NotFound] if there is no such key.
	ResumeKeyPush(ctx context.Context, keyID int64, r Resumption) error
	// ResumeHostPushes switches pushing to every key at a host on again, and queues again what was given up there since
	// r.Since. Errors: [userkeys.NotFound] if nothing was ever pushed to it.
	ResumeHostPushes(ctx context.Context, host string, r Resumption) error
	// Deliveries lists deliveries, newest first.
	Deliveries(ctx context.Context, f Filter) ([]Delivery, error)
	// PushHosts lists hosts with their numbers.
	PushHosts(ctx context.Context) ([]Host, error)
	// ReplayDeliveries queues given-up deliveries again, and returns how many.
	ReplayDeliveries(ctx context.Context, s Selection) (int, error)
	// DiscardDeliveries deletes given-up deliveries, and returns how many.
	DiscardDeliveries(ctx context.Context, s Selection) (int, error)
}

// Resumption is who has pushes tried again, and when. What was given up before Since stays so.
type Resumption struct {
	Since, At time.Time
	By        site.Caller
}

// Selection is which given-up deliveries somebody acts on: those of IDs, or all of a host, or, if both are empty, all.
type Selection struct {
	IDs  []int64
	Host string
	At   time.Time
	By   site.Caller
}

// Bounds of what people do.
const (
	actEvery    = 10 * time.Second // tests of a key, and resumptions of it
	resumeSince = 24 * time.Hour   // what was given up longer ago is not sent any more
)

// action is what is done to a key once in [actEvery].
type action struct {
	keyID int64
	what  string
}

// KeyPushes reads how pushing to keys goes, by their ids; keys that nothing was pushed to are absent.
func (p *Pushes) KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]KeyState, error) {
	return p.store.KeyPushes(ctx, keyIDs)
}

// own finds a key that by may manage, with somewhere to push to.
func (p *Pushes) own(ctx context.Context, keyID int64, by site.Caller) (site.UserAPIKey, error) {
	k, err := p.store.Key(ctx, keyID)
	if err == nil && k.UserID != by.User.ID && !by.Admin() {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	if err == nil && k.PushURL == "" {
		err = userkeys.Errorf(userkeys.Conflict, "this app named no address for notifications")
	}
	return k, err
}

// SendTest queues a test for a key: for one of by's own, or for any key if by is an administrator.
//
// Errors: [userkeys.NotFound] if there is no such key, [userkeys.Conflict] if nothing is pushed for it,
// [userkeys.RateLimited] above one test every ten seconds.
func (p *Pushes) SendTest(ctx context.Context, keyID int64, by site.Caller) error {
	k, err := p.own(ctx, keyID, by)
	if err != nil {
		return err
	}
	now := p.cfg.Now()
	switch {
	case !k.Live(now):
		return userkeys.Errorf(userkeys.Conflict, "this app has no access any more, and gets no notifications")
	case !p.cfg.Settings().Pushes(k.Scopes, k.PushURL):
		return userkeys.Errorf(userkeys.Conflict, "this site does not send notifications to this app now")
	}
	if err := p.charge(action{keyID, "test"}, now, "a test was just sent; wait a moment"); err != nil {
		return err
	}
	if err := p.store.QueueTest(ctx, k, now); err != nil {
		return err
	}
	p.Wake()
	return nil
}

// charge notes that an action is done now. Errors: [userkeys.RateLimited], which says why, if it was done less than
// [actEvery] ago.
func (p *Pushes) charge(a action, now time.Time, why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.last[a].Add(actEvery).Sub(now); wait > 0 {
		return &userkeys.Error{Code: userkeys.RateLimited, Public: why, RetryAfter: wait}
	}
	maps.DeleteFunc(p.last, func(_ action, at time.Time) bool { return now.Sub(at) >= actEvery })
	p.last[a] = now
	return nil
}

// ResumeKey switches pushing to a key on again, and queues again what was given up for it in the last day. The key is
// by's own, or anybody's for an administrator. Errors: [userkeys.NotFound] if there is no such key, [userkeys.Conflict]
// if nothing is pushed for it, [userkeys.RateLimited] above once in ten seconds.
func (p *Pushes) ResumeKey(ctx context.Context, keyID int64, by site.Caller) error {
	if _, err := p.own(ctx, keyID, by); err != nil {
		return err
	}
	now := p.cfg.Now()
	if err := p.charge(action{keyID, "resume"}, now, "this was just tried; wait a moment"); err != nil {
		return err
	}
	defer p.Wake()
	return p.store.ResumeKeyPush(ctx, keyID, Resumption{Since: now.Add(-resumeSince), At: now, By: by})
}

// ResumeHost switches pushing to every key at a host on again, and queues again what was given up there in the last
// day.
// Errors: [userkeys.NotFound] if nothing was ever pushed to it.
func (p *Pushes) ResumeHost(ctx context.Context, host string, by site.Caller) error {
	now := p.cfg.Now()
	defer p.Wake()
	return p.store.ResumeHostPushes(ctx, host, Resumption{Since: now.Add(-resumeSince), At: now, By: by})
}

// Deliveries lists deliveries, newest first: those that wait, or those that were given up.
func (p *Pushes) Deliveries(ctx context.Context, f Filter) ([]Delivery, error) {
	return p.store.Deliveries(ctx, f)
}

// Hosts lists hosts with their numbers.
func (p *Pushes) Hosts(ctx context.Context) ([]Host, error) {
	return p.store.PushHosts(ctx)
}

// Replay queues given-up deliveries again: those with ids, or all of a host, or all deliveries if both are empty. It
// returns how many.
func (p *Pushes) Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error) {
	defer p.Wake()
	return p.store.ReplayDeliveries(ctx, Selection{IDs: ids, Host: host, At: p.cfg.Now(), By: by})
}

// Discard deletes given-up deliveries: those with ids, or all of a host, or all deliveries if both are empty. It
// returns how many.
func (p *Pushes) Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error) {
	return p.store.DiscardDeliveries(ctx, Selection{IDs: ids, Host: host, At: p.cfg.Now(), By: by})
}

// SealedSecret returns the push secret of a key for its app, sealed to the public key of the grant. Errors:
// [userkeys.NotFound] if the key has no push URL, [userkeys.Conflict] if the user must approve the app anew.
func (p *Pushes) SealedSecret(ctx context.Context, keyID int64) (string, error) {
	k, err := p.store.Key(ctx, keyID)
	if err != nil {
		return "", err
	}
	if k.PushURL == "" {
		return "", userkeys.Errorf(userkeys.NotFound, "this key has no push_url: nothing is pushed for it")
	}
	if k.PublicKey == "" {
		return "", userkeys.Errorf(userkeys.Conflict,
			"this key is from before push secrets; ask the user to approve the app anew")
	}
	public, err := userkeys.ParsePublicKey(k.PublicKey)
	if err != nil {
		return "", err
	}
	secret, err := userkeys.NewPushSecret(p.cfg.Secret, k.ID, k.CreatedAt)
	if err != nil {
		return "", err
	}
	return userkeys.SealPushSecret(public, k.Padding, secret)
}
