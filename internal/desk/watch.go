package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
)

// A Watched account is one that a [Watcher] keeps an eye on.
type Watched struct {
	Account    Account
	Credential *client.Credential
}

// WatcherConfig says what is watched, and who wants to know.
type WatcherConfig struct {
	Accounts []Watched
	HTTP     *http.Client                      // for all calls; nil: one of our own. It must not repeat calls by itself
	Now      func() time.Time                  // in the person's zone: quiet hours go by it
	Quiet    Quiet                             // nobody is disturbed then, and sites are asked less often
	Every    time.Duration                     // the least time between two looks at a site; 0: what its limits allow
	Latest   int                               // how many of the newest notifications the states show; 0: none
	Changed  func(State)                       // told of every new state, one at a time; may be nil
	Risen    func(State, int)                  // told how many more are unread than were last told of; may be nil
	Spread   func(time.Duration) time.Duration // a random part of a pause, so that sites are not asked in step; nil: the usual

	// Renew puts a new key in the place of one whose end is near; nil: keys are left to end.
	Renew func(context.Context, Account, *client.Credential) (*client.Credential, error)
}

// Health is how it stands with an account.
type Health string

// The kinds of health.
const (
	Waiting     Health = "waiting"     // not asked yet
	Well        Health = "well"        // the counts are those of CheckedAt
	Unreachable Health = "unreachable" // no answer, or none that can be read; it is asked again
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
	cfg     WatcherConfig
	entries []*entry
	telling sync.Mutex // Changed and Risen are called one at a time
}

// An entry is an account that is watched. Its goroutine alone writes it, but for what is asked on demand.
type entry struct {
	w *Watcher

	mu       sync.Mutex
	state    State
	account  Account
	cred     *client.Credential
	budget   *Budget
	told     int  // what the person was last told of
	toldOnce bool // ... ever
	wake     chan struct{}

	bus      client.Bus
	noBus    bool
	userID   int64
	failures int
}

// Bounds of a watch.
const (
	checkTimeout  = 30 * time.Second
	longestPause  = 15 * time.Minute // between tries of a site that does not answer
	quietFactor   = 5                // how much less often sites are asked in quiet hours
	busTrust      = 10 * time.Minute // how long the bus is believed without a look at the totals
	watchTogether = 8                // first looks at the same time
)

// NewWatcher makes a watcher; nothing is asked yet.
func NewWatcher(cfg WatcherConfig) *Watcher {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		}}
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
			w: w, account: a.Account, cred: a.Credential, budget: NewBudget(discourseLimits), wake: make(chan struct{}, 1),
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

// MarkRead marks a notification of an account as read, or all of them if it is 0.
func (w *Watcher) MarkRead(ctx context.Context, id string, notification int64) error {
	e := w.entry(id)
	if e == nil {
		return gone(id)
	}
	err := e.charge().MarkRead(ctx, w.cfg.HTTP, notification)
	if err == nil {
		w.Refresh(id)
	}
	return err
}

func (w *Watcher) entry(id string) *entry {
	i := slices.IndexFunc(w.entries, func(e *entry) bool { return e.account.ID == id })
	if i < 0 {
		return nil
	}
	return w.entries[i]
}

// watch looks at one account again and again.
func (e *entry) watch(ctx context.Context) {
	e.meet(ctx)
	for ctx.Err() == nil {
		e.renew(ctx)
		e.look(ctx)
		if e.now().Health == Dead {
			return
		}
		if e.listen(ctx) {
			continue
		}
		if _, err := pause(ctx, e.wake, e.rest()); err != nil {
			return
		}
	}
}

// meet learns the site's limits, by what it tells strangers: no key is used for it.
func (e *entry) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := client.Probe(ctx, e.w.cfg.HTTP, e.account.Site)
	if err != nil {
		return // the first look will say what is wrong
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.budget = NewBudget(LimitsOf(s))
}

// renew puts a new key in the place of one that is about to end.
func (e *entry) renew(ctx context.Context) {
	if e.w.cfg.Renew == nil || !e.cred.RenewalDue(e.account.CreatedAt, e.w.cfg.Now()) || !e.spend() {
		return
	}
	if c, err := e.w.cfg.Renew(ctx, e.account, e.cred); err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.cred, e.account.CreatedAt = c, e.w.cfg.Now()
	}
}

// look asks for the totals, as soon as the budget allows, and notes what came of it.
func (e *entry) look(ctx context.Context) {
	for !e.spend() {
		if _, err := pause(ctx, nil, e.wait()); err != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	totals, err := e.cred.Totals(ctx, e.w.cfg.HTTP)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	if err != nil {
		e.failed(ctx, err)
		return
	}
	e.userID, e.failures = totals.UserID, 0
	news := e.counted(totals)
	e.schedule(e.pace())
	if news && e.w.cfg.Latest > 0 && e.spend() {
		e.readLatest(ctx)
	}
}

// readLatest reads what the counts are about. Without it the states keep what they had.
func (e *entry) readLatest(ctx context.Context) {
	latest, err := e.cred.Notifications(ctx, e.w.cfg.HTTP, e.w.cfg.Latest)
	if err != nil {
		return
	}
	e.mu.Lock()
	e.state.Latest = latest
	s := e.snapshot()
	e.mu.Unlock()
	e.w.tell(s, 0)
}

// counted notes what is unread, and tells of a rise. It tells whether anything is new since the last time.
func (e *entry) counted(t client.Totals) bool {
	e.mu.Lock()
	news := e.state.CheckedAt.IsZero() || e.state.Unread != t.Unread || e.state.Messages != t.Messages || e.state.Chat != t.Chat
	e.state.Health, e.state.Says, e.state.CheckedAt = Well, "", e.w.cfg.Now()
	e.state.Unread, e.state.Messages, e.state.Chat = t.Unread, t.Messages, t.Chat
	e.state.Name = cmp.Or(e.state.Name, t.Username)
	all, rise := t.All(), 0
	switch {
	case !e.toldOnce:
		e.told, e.toldOnce = all, true // what was there before nobody needs to hear
	case all < e.told:
		e.told = all
	case all > e.told && !e.w.cfg.Quiet.At(e.w.cfg.Now()):
		rise, e.told = all-e.told, all
	}
	s := e.snapshot()
	e.mu.Unlock()
	e.w.tell(s, rise)
	return news
}

// failed notes what went wrong, and when to try again.
func (e *entry) failed(ctx context.Context, err error) {
	var api *client.APIError
	refused := errors.As(err, &api)
	if refused && api.Status == http.StatusForbidden && api.Reason == "" && e.spend() {
		errors.As(e.cred.Diagnose(ctx, e.w.cfg.HTTP, http.MethodGet, "/notifications/totals.json", err), &api)
	}
	e.failures++
	back := min(e.pace()<<min(e.failures-1, 10), longestPause)
	health, says := Unreachable, "no answer that could be read"
	switch {
	case refused && api.Status == http.StatusTooManyRequests:
		health, says, back = Limited, "the site says to wait", max(api.RetryAfter, e.pace())
	case refused && api.KeyIsDead():
		health, says = Dead, "the key was revoked or has ended; log in again: userkeys login "+e.account.Site
	case refused && api.MissingScope() != "":
		health, says = Dead, fmt.Sprintf("the key lacks the scope %s; log in again: userkeys login %s --scopes %s,notifications", api.MissingScope(), e.account.Site, e.account.Scopes)
	case refused && api.Status == http.StatusForbidden:
		health, says = Dead, "the site does not let this key see notifications; what it is: userkeys doctor "+e.account.Site
	case refused:
		says = api.Error()
	case errors.Is(err, userkeys.Unavailable):
		says = "cannot reach the site"
	}
	e.mu.Lock()
	e.state.Health, e.state.Says, e.state.Live = health, says, false
	s := e.snapshot()
	e.mu.Unlock()
	e.w.tell(s, 0)
	e.schedule(back + e.w.cfg.Spread(back))
}

// listen has the site tell what is new, where it has a message bus that this key may hear, for as long
// as it should be believed. It tells whether another look is due because of it.
func (e *entry) listen(ctx context.Context) bool {
	if e.noBus || e.userID == 0 || e.now().Health != Well || !e.hears() || e.w.cfg.Quiet.At(e.w.cfg.Now()) {
		return false
	}
	channel := fmt.Sprintf("/notification/%d", e.userID)
	until := e.w.cfg.Now().Add(busTrust)
	for first := true; e.w.cfg.Now().Before(until); first = false {
		if !first { // the first poll follows the look at once, so that nothing slips between the two
			if woken, err := pause(ctx, e.wake, e.rest()); woken || err != nil {
				return woken
			}
		}
		if !e.spend() {
			e.schedule(e.wait())
			continue
		}
		e.schedule(e.pace())
		news, err := e.bus.Poll(ctx, e.cred, e.w.cfg.HTTP, channel)
		switch status := statusOf(err); {
		case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusForbidden || status == http.StatusNotImplemented:
			e.noBus = true
			e.live(false)
			return false
		case err != nil:
			e.live(false)
			return false // the next look will say what is wrong
		case len(news) > 0:
			// The pace is kept by the next poll: what the budget still has is for this.
			return true
		}
		e.live(true)
	}
	return true
}

// hears tells whether the key's scopes open the bus.
func (e *entry) hears() bool {
	return e.account.Scopes.Has("notifications") || e.account.Scopes.Has("message_bus") || e.account.Scopes.Has(userkeys.ScopeWrite)
}

func (e *entry) live(on bool) {
	e.mu.Lock()
	changed := e.state.Live != on
	e.state.Live = on
	s := e.snapshot()
	e.mu.Unlock()
	if changed {
		e.w.tell(s, 0)
	}
}

// spend takes a call from the budget; false: there is none.
func (e *entry) spend() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.w.cfg.Now()
	if e.budget.Wait(now) > 0 {
		return false
	}
	e.budget.Spend(now)
	return true
}

// charge notes a call that the person asked for, and gives the key for it.
func (e *entry) charge() *client.Credential {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.budget.Spend(e.w.cfg.Now())
	return e.cred
}

func (e *entry) wait() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.budget.Wait(e.w.cfg.Now())
}

// pace is how far apart looks are.
func (e *entry) pace() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := max(e.budget.Pace(), e.w.cfg.Every)
	if e.w.cfg.Quiet.At(e.w.cfg.Now()) {
		d *= quietFactor
	}
	return d
}

// schedule says when the next look is.
func (e *entry) schedule(in time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.NextAt = e.w.cfg.Now().Add(in)
}

// rest is how long until then.
func (e *entry) rest() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.NextAt.Sub(e.w.cfg.Now())
}

func (e *entry) now() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.snapshot()
}

// snapshot is the state with what was spent; mu is held.
func (e *entry) snapshot() State {
	s := e.state
	s.Budget = e.budget.Used(e.w.cfg.Now())
	return s
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
