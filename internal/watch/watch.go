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

// A Watched is an account that a [Watcher] asks about, and its key.
type Watched struct {
	Account    keystore.Account
	Credential *client.Credential
}

// Config says which accounts a [Watcher] asks about, and what it calls when their numbers change.
type Config struct {
	Accounts []Watched
	HTTP     *http.Client     // for all calls; it must not repeat calls by itself. nil: one with the system's proxies
	Now      func() time.Time // in the user's time zone, for quiet hours
	Quiet    Quiet            // when Risen is not called and sites are asked less often
	Every    time.Duration    // the least time between two requests for an account; 0: what its limits allow
	Latest   int              // how many of the newest notifications states have; 0: none
	Changed  func(State)      // is called with every new state, one at a time; may be nil
	Risen    func(State, int) // is called with how many more are unread than at its last call; may be nil
	// a random part of a pause, so that sites are not asked in step; nil: the usual
	Spread func(time.Duration) time.Duration

	// Calls stores the calls of keys for all programs of the user; nil: only calls of this Watcher count.
	Calls Ledger
	// Renew renews the key of an account that ends soon, by HTTP, or returns the key that another program has renewed
	// it to; nil: keys are not renewed.
	Renew func(ctx context.Context, a keystore.Account, hc *http.Client) (keystore.Account, *client.Credential, error)
	// Current returns an account and its key as they are stored now, because another program may have changed them;
	// nil: they do not change.
	Current func(keystore.Account) (keystore.Account, *client.Credential, error)
}

// A Ledger stores the calls of keys for all programs of a user; see [keystore.Calls].
type Ledger interface {
	Take(id string, now time.Time, wait func(calls []time.Time) time.Duration) ([]time.Time, error)
}

// A Health says whether the numbers of an account are known.
type Health string

// The kinds of health.
const (
	Waiting     Health = "waiting"     // the site was not asked yet
	Well        Health = "well"        // the numbers are those of CheckedAt
	Unreachable Health = "unreachable" // the site did not answer; it is asked again
	Missing     Health = "missing"     // the site answers, but has no totals; it is asked again
	Limited     Health = "limited"     // a rate limit of the site; it is asked again when the limit ends
	Dead        Health = "dead"        // the key is revoked or lacks a scope; the site is not asked again
)

// A State is what is known about an account.
type State struct {
	ID        string    `json:"id"` // of the account
	Site      string    `json:"site"`
	Name      string    `json:"account,omitempty"`
	Health    Health    `json:"health"`
	Says      string    `json:"says,omitempty"` // what is wrong, in a line
	Unread    int       `json:"unread"`
	Messages  int       `json:"personal_messages"`
	Chat      int       `json:"chat,omitempty"`
	Live      bool      `json:"live"` // the site reports changes at once, by its message bus
	CheckedAt time.Time `json:"checked_at,omitzero"`
	NextAt    time.Time `json:"next_at,omitzero"`
	Budget    Usage     `json:"budget"`

	Latest []client.Notification `json:"-"` // the newest, if Config.Latest is set
}

// All returns the sum of everything that is unread.
func (s State) All() int { return s.Unread + s.Messages + s.Chat }

// A Watcher asks many sites what is unread, each with at most half of the calls that its key may make.
type Watcher struct {
	cfg     Config
	entries []*entry
	telling sync.Mutex // Changed and Risen are called one at a time
}

// Bounds of a Watcher.
const (
	checkTimeout  = 30 * time.Second
	longestPause  = 15 * time.Minute // between requests to a site that does not answer
	quietFactor   = 5                // how much less often sites are asked in quiet hours
	busTrust      = 10 * time.Minute // how long messages of the bus replace requests for the totals
	renewPause    = 10 * time.Minute // after a renewal that failed
	watchTogether = 8                // first requests at the same time
)

// New returns a Watcher. It makes no requests before [Watcher.Run] or [Watcher.Once].
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

// States returns the present state of all accounts.
func (w *Watcher) States() []State {
	var all []State
	for _, e := range w.entries {
		all = append(all, e.now())
	}
	return all
}

// Once asks about every account once and returns their states.
func (w *Watcher) Once(ctx context.Context) []State {
	w.each(func(e *entry) {
		e.meet(ctx)
		e.look(ctx)
	})
	return w.States()
}

// each calls do for all accounts, for some at the same time.
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

// Run asks about all accounts again and again until ctx ends. It always returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for i, e := range w.entries {
		all.Go(func() {
			// The first requests are spread, so that many sites do not make a burst.
			if _, err := pause(ctx, nil, time.Duration(i)*200*time.Millisecond); err == nil {
				e.watch(ctx)
			}
		})
	}
	all.Wait()
	return nil
}

// Refresh asks about an account as soon as its budget allows.
func (w *Watcher) Refresh(id string) {
	if e := w.entry(id); e != nil {
		select {
		case e.wake <- struct{}{}:
		default: // it is about to
		}
	}
}

// MarkRead marks a notification of an account as read on the site, or all of them if notification is 0.
//
// Errors: [userkeys.NotFound] for an unknown account, [userkeys.RateLimited] if the budget of the key is used up,
// those of [client.Credential.MarkRead].
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

// pause waits for d. It returns true if it was woken before, and the error of ctx if ctx has ended.
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
