package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
)

// A Watched account is one that a [Watcher] keeps an eye on.
type Watched struct {
	Account    keystore.Account
	Credential *client.Credential
}

// Config says what is watched, and who wants to know.
type Config struct {
	Accounts []Watched
	HTTP     *http.Client     // for all calls; nil: one of our own. It must not repeat calls by itself
	Now      func() time.Time // in the person's zone: quiet hours go by it
	Quiet    Quiet            // nobody is disturbed then, and sites are asked less often
	Every    time.Duration    // the least time between two looks at a site; 0: what its limits allow
	Latest   int              // how many of the newest notifications the states show; 0: none
	Changed  func(State)      // told of every new state, one at a time; may be nil
	Risen    func(State, int) // told how many more are unread than were last told of; may be nil
	// a random part of a pause, so that sites are not asked in step; nil: the usual
	Spread func(time.Duration) time.Duration

	// Calls is the memory of calls that all programs share; nil: only this one's count.
	Calls Ledger
	// Renew gives an account whose end is near a new key, or what another program has put in its
	// place; nil: keys are left to end. Its calls go by HTTP.
	Renew func(ctx context.Context, a keystore.Account, hc *http.Client) (keystore.Account, *client.Credential, error)
	// Current is an account and its key as they are stored now, which another program may have changed; nil: as they were.
	Current func(keystore.Account) (keystore.Account, *client.Credential, error)
}

// A Ledger remembers the calls of keys; see [keystore.Calls].
type Ledger interface {
	Take(id string, now time.Time, wait func(calls []time.Time) time.Duration) ([]time.Time, error)
}

// Health is how it stands with an account.
type Health string

// The kinds of health.
const (
	Waiting     Health = "waiting"     // not asked yet
	Well        Health = "well"        // the counts are those of CheckedAt
	Unreachable Health = "unreachable" // no answer, or none that can be read; it is asked again
	Missing     Health = "missing"     // it answers, but not what tells what is unread; it is asked again
	Limited     Health = "limited"     // the site says to wait
	Dead        Health = "dead"        // the key is revoked or lacks a scope; it is not asked again
)

// A State is what is known of a watched account.
type State struct {
	ID        string    `json:"id"` // of the account
	Site      string    `json:"site"`
	Name      string    `json:"account,omitempty"`
	Health    Health    `json:"health"`
	Says      string    `json:"says,omitempty"` // what is wrong, in a line
	Unread    int       `json:"unread"`
	Messages  int       `json:"personal_messages"`
	Chat      int       `json:"chat,omitempty"`
	Live      bool      `json:"live"` // the site tells at once
	CheckedAt time.Time `json:"checked_at,omitzero"`
	NextAt    time.Time `json:"next_at,omitzero"`
	Budget    Usage     `json:"budget"`

	Latest []client.Notification `json:"-"` // the newest, if they are wanted
}

// All is everything that is unread.
func (s State) All() int { return s.Unread + s.Messages + s.Chat }

// A Watcher asks many sites what is unread there, each as often as half of its limits bears.
type Watcher struct {
	cfg     Config
	entries []*entry
	telling sync.Mutex // Changed and Risen are called one at a time
}

// Bounds of a watch.
const (
	checkTimeout  = 30 * time.Second
	longestPause  = 15 * time.Minute // between tries of a site that does not answer
	quietFactor   = 5                // how much less often sites are asked in quiet hours
	busTrust      = 10 * time.Minute // how long the bus is believed without a look at the totals
	renewPause    = 10 * time.Minute // after a renewal that failed
	watchTogether = 8                // first looks at the same time
)

// New makes a watcher; nothing is asked yet.
func New(cfg Config) *Watcher {
	if cfg.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxResponseHeaderBytes = 64 << 10
		cfg.HTTP = &http.Client{Transport: transport}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Spread == nil {
		cfg.Spread = func(d time.Duration) time.Duration { return rand.N(d/8 + 1) }
	}
	w := &Watcher{cfg: cfg}
	for _, a := range cfg.Accounts {
		w.entries = append(w.entries, &entry{
			w: w, id: a.Account.ID, account: a.Account, cred: a.Credential, budget: NewBudget(Limits{}),
			wake:  make(chan struct{}, 1),
			state: State{ID: a.Account.ID, Site: a.Account.Site, Name: a.Account.Name, Health: Waiting},
		})
	}
	return w
}

// States are how all accounts stand now.
func (w *Watcher) States() []State {
	var all []State
	for _, e := range w.entries {
		all = append(all, e.now())
	}
	return all
}

// Once looks at every account once.
func (w *Watcher) Once(ctx context.Context) []State {
	w.each(func(e *entry) {
		e.meet(ctx)
		e.look(ctx)
	})
	return w.States()
}

// each runs do for all accounts, some at a time.
func (w *Watcher) each(do func(*entry)) {
	turns := make(chan struct{}, watchTogether)
	var all sync.WaitGroup
	for _, e := range w.entries {
		turns <- struct{}{}
		all.Go(func() {
			do(e)
			<-turns
		})
	}
	all.Wait()
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for i, e := range w.entries {
		all.Go(func() {
			// Many sites at once would be a burst on this machine's line.
			if _, err := pause(ctx, nil, time.Duration(i)*200*time.Millisecond); err == nil {
				e.watch(ctx)
			}
		})
	}
	all.Wait()
	return nil
}

// Refresh has an account looked at as soon as its budget allows.
func (w *Watcher) Refresh(id string) {
	if e := w.entry(id); e != nil {
		select {
		case e.wake <- struct{}{}:
		default: // it is about to
		}
	}
}

// MarkRead marks a notification of an account as read, or all of them if it is 0. It is
// [userkeys.RateLimited] where our share of the key's calls is used up.
func (w *Watcher) MarkRead(ctx context.Context, id string, notification int64) error {
	e := w.entry(id)
	if e == nil {
		return notWatched(id)
	}
	if !e.spend() {
		err := userkeys.Errorf(userkeys.RateLimited, "our half of the calls of this key is used up for now")
		err.RetryAfter = e.wait()
		return err
	}
	err := e.key().MarkRead(ctx, w.cfg.HTTP, notification)
	if err == nil {
		e.marked(notification)
		w.Refresh(id)
	}
	return err
}

func notWatched(id string) error {
	return userkeys.Errorf(userkeys.NotFound, "no account %s is watched", id)
}

func (w *Watcher) entry(id string) *entry {
	i := slices.IndexFunc(w.entries, func(e *entry) bool { return e.id == id })
	if i < 0 {
		return nil
	}
	return w.entries[i]
}

func (w *Watcher) tell(s State, rise int) {
	w.telling.Lock()
	defer w.telling.Unlock()
	if w.cfg.Changed != nil {
		w.cfg.Changed(s)
	}
	if rise > 0 && w.cfg.Risen != nil {
		w.cfg.Risen(s, rise)
	}
}

// pause waits. It tells whether it was woken before the time; that ctx ended is an error.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) (bool, error) {
	if d <= 0 {
		return false, ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false, nil
	case <-wake:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func statusOf(err error) int {
	var e *client.APIError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
