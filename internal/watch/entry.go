package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
)

// An entry is a watched account. One goroutine runs it; others read its state and mark notifications as read.
type entry struct {
	w  *Watcher
	id string // of the account at the start: pages know it by this

	mu       sync.Mutex
	state    State
	account  keystore.Account
	cred     *client.Credential
	budget   *Budget
	told     int  // how many unread Risen was last called for
	toldOnce bool // told is set
	wake     chan struct{}

	bus       client.Bus
	noBus     bool
	bySession bool // the site has no totals
	met       bool // the limits of the site are known
	userID    int64
	failures  int
}

// watch asks about one account again and again.
func (e *entry) watch(ctx context.Context) {
	for ctx.Err() == nil {
		e.meet(ctx)
		e.renew(ctx)
		e.look(ctx)
		if e.now().Health == Dead && !e.replaced() {
			return
		}
		if e.listen(ctx) {
			continue
		}
		wake := e.wake
		if e.now().Health == Limited {
			wake = nil // the site said how long to wait
		}
		if _, err := pause(ctx, wake, e.rest()); err != nil {
			return
		}
	}
}

// replaced takes another key from the store, of a login or a renewal by another program, in place of one that has
// ended. It reports whether there was one.
func (e *entry) replaced() bool {
	if e.w.cfg.Current == nil {
		return false
	}
	a, c, err := e.w.cfg.Current(e.account)
	if err != nil || c.Key == e.cred.Key {
		return false
	}
	e.adopt(a, c)
	e.schedule(0)
	return true
}

func (e *entry) adopt(a keystore.Account, c *client.Credential) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cred, e.account = c, a
}

// meet learns the site's limits from its description, without a key. If the site cannot be asked it is asked again
// before the next look.
func (e *entry) meet(ctx context.Context) {
	if e.met {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := client.Probe(ctx, e.w.cfg.HTTP, e.account.Site)
	if err != nil || s.DescriptionUnknown {
		return // look will note what is wrong
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	known := e.budget.calls
	e.budget, e.met = NewBudget(LimitsOf(s)), true
	e.budget.calls = known
}

// renew replaces a key that is about to end.
func (e *entry) renew(ctx context.Context) {
	now := e.w.cfg.Now()
	if e.w.cfg.Renew == nil || !e.account.RenewalDue(e.cred, now) || !e.spend() {
		return
	}
	a, c, err := e.w.cfg.Renew(ctx, e.account, e.w.cfg.HTTP)
	if c != nil {
		e.adopt(a, c)
	}
	if err != nil && !now.Before(e.account.RenewAfter) {
		e.account.RenewAfter = now.Add(renewPause) // the store could not keep it
	}
}

// look asks for the totals as soon as the budget allows, and notes the result.
func (e *entry) look(ctx context.Context) {
	for !e.spend() {
		if _, err := pause(ctx, nil, e.wait()); err != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	totals, err := e.totals(ctx)
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

// totals asks for what is unread. An older site that has no totals, or allows them with no scope, tells it with
// the session, if the key's scopes allow that.
func (e *entry) totals(ctx context.Context) (client.Totals, error) {
	if e.bySession {
		return e.cred.SessionTotals(ctx, e.w.cfg.HTTP)
	}
	t, err := e.cred.Totals(ctx, e.w.cfg.HTTP)
	var api *client.APIError
	if errors.As(err, &api) && (api.Status == http.StatusNotFound || api.Status == http.StatusForbidden &&
		api.Reason == "") && e.spend() {
		if old, oldErr := e.cred.SessionTotals(ctx, e.w.cfg.HTTP); oldErr == nil {
			e.bySession = true
			return old, nil
		}
	}
	return t, err
}

// readLatest reads the newest notifications. If it fails the state keeps the former ones.
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

// counted notes what is unread and reports a rise. It returns whether anything has changed since the last time.
func (e *entry) counted(t client.Totals) bool {
	e.mu.Lock()
	news := e.state.CheckedAt.IsZero() || e.state.Unread != t.Unread || e.state.Messages != t.Messages ||
		e.state.Chat != t.Chat
	e.state.Health, e.state.Says, e.state.CheckedAt = Well, "", e.w.cfg.Now()
	e.state.Unread, e.state.Messages, e.state.Chat = t.Unread, t.Messages, t.Chat
	e.state.Name = cmp.Or(e.state.Name, t.Username)
	all, rise := t.All(), 0
	switch {
	case !e.toldOnce:
		e.told, e.toldOnce = all, true // what was unread before is no news
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
		errors.As(e.cred.Diagnose(ctx, e.w.cfg.HTTP, err), &api)
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
		health, says = Dead, fmt.Sprintf("the key lacks the scope %s; log in again: userkeys login %s --scopes "+
			"%s,notifications", api.MissingScope(), e.account.Site, e.account.Scopes)
	case refused && api.Status == http.StatusForbidden:
		health, says = Dead, "the site does not let this key see notifications; what it is: userkeys doctor "+e.account.Site
	case refused && api.Status == http.StatusNotFound:
		health, says = Missing, fmt.Sprintf("the site has no %s: before another website, userkeys must be told to answer "+
			"it (serve --own apps); more: userkeys doctor %s", client.TotalsPath, e.account.Site)
	case refused:
		says = api.Error()
	case errors.Is(err, userkeys.Unavailable):
		says = "cannot reach the site"
	case errors.Is(err, client.ErrNotJSON):
		health, says = Missing, fmt.Sprintf("what the site answers at %s cannot be read; what it is: userkeys doctor %s",
			client.TotalsPath, e.account.Site)
	}
	e.mu.Lock()
	e.state.Health, e.state.Says, e.state.Live = health, says, false
	s := e.snapshot()
	e.mu.Unlock()
	e.w.tell(s, 0)
	e.schedule(back + e.w.cfg.Spread(back))
}

// listen waits for messages of the site's message bus, if the site has one and the key's scopes allow it, for as
// long as they replace looks. It returns whether another look is due.
func (e *entry) listen(ctx context.Context) bool {
	if e.noBus || e.userID == 0 || e.now().Health != Well || !e.hears() || e.w.cfg.Quiet.At(e.w.cfg.Now()) {
		return false
	}
	channel := fmt.Sprintf("/notification/%d", e.userID)
	until := e.w.cfg.Now().Add(busTrust)
	for first := true; e.w.cfg.Now().Before(until); first = false {
		if !first { // the first poll follows the look at once, so that no message is missed in between
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
		case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusForbidden ||
			status == http.StatusNotImplemented:
			e.noBus = true
			e.live(false)
			return false
		case err != nil:
			e.live(false)
			return false // the next look will note what is wrong
		case len(news) > 0:
			// The next poll keeps the pace; the rest of the budget is for looks like this one.
			return true
		}
		e.live(true)
	}
	return true
}

// hears reports whether the key's scopes allow the message bus.
func (e *entry) hears() bool {
	return e.account.Scopes.Has("notifications") || e.account.Scopes.Has("message_bus") ||
		e.account.Scopes.Has(userkeys.ScopeWrite)
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

// spend takes a call from the budget; false if there is none.
func (e *entry) spend() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.budget.take(e.account.ID, e.w.cfg.Calls, e.w.cfg.Now())
}

// key returns the key, for requests that the user makes meanwhile.
func (e *entry) key() *client.Credential {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cred
}

// marked notes what the user has read, so that it shows before the site is asked again.
func (e *entry) marked(notification int64) {
	e.mu.Lock()
	latest := slices.Clone(e.state.Latest) // others may be reading the old list
	for i := range latest {
		if n := &latest[i]; !n.Read && (notification == 0 || n.ID == notification) {
			n.Read = true
			e.state.Unread = max(e.state.Unread-1, 0)
		}
	}
	e.state.Latest = latest
	if notification == 0 {
		e.state.Unread, e.state.Messages = 0, 0
	}
	s := e.snapshot()
	e.mu.Unlock()
	e.w.tell(s, 0)
}

func (e *entry) wait() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.budget.Wait(e.w.cfg.Now())
}

// pace returns the time between two looks.
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

// rest returns how long it is until the next look.
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

// snapshot returns the state with the calls that were made; mu is held.
func (e *entry) snapshot() State {
	s := e.state
	s.Budget = e.budget.Used(e.w.cfg.Now())
	return s
}
