package outbox

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/outward"
	"userkeys/site"
)

// PushStore is the  The store package has it by shape.
//
// A delivery is claimed for a while, sent, and finished. Whoever claimed it and is gone
// leaves it to somebody else, who sends it again under the same id.
type PushStore interface {
	// WaitingAddresses lists the addresses that something waits for, with when the first of it is due.
	WaitingAddresses(ctx context.Context) ([]Address, error)
	// ClaimDeliveries takes up to n deliveries to an address that are due, those first that were never tried. Nobody else gets them before until.
	ClaimDeliveries(ctx context.Context, pushURL string, n int, at, until time.Time) ([]Delivery, error)
	// DeliveryDetails reads everything that deliveries are made of, as it is now; those of users that are gone are left out.
	DeliveryDetails(ctx context.Context, deliveries []Delivery) ([]Details, error)
	// FinishDeliveries writes what became of attempts, with the state of their addresses, hosts and keys.
	FinishDeliveries(ctx context.Context, results []Result) error
	// GiveUpOverdue gives up what waits since before a time, and returns how many; 0: that was all.
	GiveUpOverdue(ctx context.Context, queuedBefore, at time.Time) (int, error)
	JobStore
}

// PusherConfig is what a [Pusher] is made of.
type PusherConfig struct {
	Store    PushStore
	Settings func() site.Settings // the site settings of the moment
	// Secret is the machine secret that every key's push secret is made of, the same on all nodes: 32 bytes at least.
	Secret  []byte
	BaseURL *url.URL // how browsers reach the site
	// Client makes the requests; nil: one of package internal/outward that reaches public addresses, and
	// inside what allowed_internal_hosts and literal addresses in allowed_user_api_push_urls name.
	Client *http.Client
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
}

// How the pusher shares its means.
const (
	inFlight         = 2048 // requests under way, at all addresses
	perReceiver      = 64   // ... at one that answers well
	firstPerReceiver = 1    // ... at one that nothing is known of; doubled by every answer
	claimAtOnce      = 64
	claimFor         = time.Minute // until somebody else may take a delivery: far above what an attempt takes
	lookEvery        = 500 * time.Millisecond
	lookPause        = 5 * time.Millisecond // between two looks, however much is going on
	finishAtOnce     = 200
	othersFor        = 100 * time.Millisecond // for those that are not known to be well, until those that are have their turn again
	// freshFor is how long what was read of rights is believed; with what a write takes it
	// stays far below the second after which nothing is sent for a revoked key.
	freshFor = 300 * time.Millisecond
	// writeFor is how long a receiver may take what it is sent, piece by piece: it must not decide how long a reading holds.
	writeFor = 400 * time.Millisecond
	// maxAnswerHeader bounds the headers of a receiver's answer, in bytes: many answers are read at a time, and of their headers
	// only Retry-After is used.
	maxAnswerHeader = 16 << 10
	// doubtPause is how long a delivery rests whose rights have changed, or could not be read again.
	doubtPause = 2 * time.Second
	// staleAfter is how old it may be when it was read again: where a database is so slow, nothing is sent.
	staleAfter = 500 * time.Millisecond
)

// Pusher sends what the outbox holds. Make one with [NewPusher] and keep [Pusher.Run] running, on as many nodes as there are.
type Pusher struct {
	cfg     PusherConfig
	wake    chan struct{} // something was queued, or a place became free
	results chan Result
	doubts  chan doubt

	mu        sync.Mutex
	receivers map[string]*lane
	total     int // in flight
}

// A lane is what this node has under way to an address.
type lane struct {
	inFlight int
	allowed  int // how many may be
}

// NewPusher makes a pusher.
func NewPusher(cfg PusherConfig) (*Pusher, error) {
	if cfg.Store == nil || cfg.Settings == nil || cfg.BaseURL == nil {
		return nil, errors.New("notify: a pusher needs a Store, Settings and a BaseURL")
	}
	if _, err := userkeys.NewPushSecret(cfg.Secret, 1, time.Unix(1, 0)); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		settings := cfg.Settings
		cfg.Client = outward.New(outward.Config{OnlyHTTP1: true, WriteTimeout: writeFor, MaxHeader: maxAnswerHeader, Inward: func() []string { return settings().InternalPushTargets() }})
	}
	return &Pusher{
		cfg: cfg, wake: make(chan struct{}, 1), results: make(chan Result, inFlight),
		doubts: make(chan doubt), receivers: map[string]*lane{},
	}, nil
}

// Wake tells that something was queued. It never waits.
func (p *Pusher) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. Then attempts under way are given up, and are made again by the next who looks, under the same ids.
func (p *Pusher) Run(ctx context.Context) error {
	var all, sends sync.WaitGroup
	finish, stopFinishing := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() { p.finish(finish) })
	all.Go(func() { p.readAgain(finish) })
	all.Go(func() { everyClaimed(ctx, p.cfg.Store, p.cfg.Now, p.cfg.Logger, "push overdue", time.Minute, p.giveUp) })
	trouble := newTrouble(p.cfg.Logger, "the outbox of pushes")
	for ctx.Err() == nil {
		next, err := p.round(ctx, &sends)
		trouble.note(ctx, err)
		if !pause(ctx, lookPause) {
			break
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	sends.Wait()
	stopFinishing()
	all.Wait()
	return nil
}

// round takes what is due and may be sent now, and begins to send it. It tells when to look again.
func (p *Pusher) round(ctx context.Context, sends *sync.WaitGroup) (time.Duration, error) {
	waiting, err := p.cfg.Store.WaitingAddresses(ctx)
	if err != nil {
		return lookEvery, err
	}
	p.forgetIdle(waiting)
	slices.SortFunc(waiting, byHealth)
	next := lookEvery
	var errs error
	var others time.Time // since when it is the turn of those that are not known to be well
	for _, to := range waiting {
		now := p.cfg.Now()
		switch {
		case health(to) == well:
		case others.IsZero():
			others = now
		case now.Sub(others) > othersFor:
			return 0, errs
		}
		if wait := later(to.DueAt, to.OpensAt()).Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		n := p.reserve(to)
		if n == 0 {
			continue // a place that becomes free wakes us
		}
		taken, err := p.take(ctx, to.PushURL, n, now)
		p.release(to.PushURL, n-len(taken))
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		if len(taken) == n {
			next = 0 // there may be more
		}
		for _, parcel := range taken {
			sends.Go(func() { p.results <- p.send(ctx, parcel, now) })
		}
	}
	return next, errs
}

// The health of an address, best first.
const (
	well    = iota // it took the last push
	unknown        // nothing was delivered there yet
	ill            // it failed last
)

func health(to Address) int {
	switch {
	case to.Failures > 0 || to.Reach.Failures > 0:
		return ill
	case to.DeliveredAt.IsZero():
		return unknown
	}
	return well
}

// byHealth puts those that are well first, so that a thousand others delay them by [othersFor] only;
// of the same health, whoever waits longest.
func byHealth(a, b Address) int {
	return cmp.Or(cmp.Compare(health(a), health(b)), a.DueAt.Compare(b.DueAt))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// take claims deliveries and reads what they are made of.
func (p *Pusher) take(ctx context.Context, pushURL string, n int, now time.Time) ([]Details, error) {
	claimed, err := p.cfg.Store.ClaimDeliveries(ctx, pushURL, n, now, now.Add(claimFor))
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	return p.cfg.Store.DeliveryDetails(ctx, claimed)
}

// reserve takes places for deliveries to an address: half of its places at least are asked for at a time, so
// that a busy one costs few look-ups; none if there is no such room.
func (p *Pusher) reserve(to Address) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.receivers[to.PushURL]
	if s == nil {
		s = &lane{allowed: firstPerReceiver}
		p.receivers[to.PushURL] = s
	}
	allowed := s.allowed
	if to.Troubled() {
		allowed, s.allowed = 1, firstPerReceiver
	}
	n := min(allowed-s.inFlight, claimAtOnce, inFlight-p.total)
	if n <= 0 || n < allowed/2 {
		return 0
	}
	s.inFlight += n
	p.total += n
	return n
}

func (p *Pusher) release(pushURL string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.receivers[pushURL]; s != nil {
		s.inFlight -= n
	}
	p.total -= n
}

// learn changes how much an address is given by how it answered.
func (p *Pusher) learn(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.receivers[r.PushURL]
	switch {
	case s == nil || r.Unmade:
	case r.Outcome == Delivered:
		s.allowed = min(2*s.allowed, perReceiver)
	case r.Problem != ProblemBusy:
		s.allowed = max(s.allowed/2, firstPerReceiver)
	}
}

// forgetIdle forgets addresses that nothing waits for.
func (p *Pusher) forgetIdle(waiting []Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.receivers) < 2*len(waiting)+1000 {
		return
	}
	keep := make(map[string]bool, len(waiting))
	for _, to := range waiting {
		keep[to.PushURL] = true
	}
	for name, s := range p.receivers {
		if s.inFlight == 0 && !keep[name] {
			delete(p.receivers, name)
		}
	}
}

// finish writes results, many at a time, until ctx ends. A place at an address is free again
// when its result is written: what the database cannot take is not made.
func (p *Pusher) finish(ctx context.Context) {
	trouble := newTrouble(p.cfg.Logger, "writing what became of pushes")
	for {
		batch := p.gather(ctx)
		if len(batch) == 0 {
			return
		}
		for since := p.cfg.Now(); ; {
			err := p.cfg.Store.FinishDeliveries(context.WithoutCancel(ctx), batch)
			trouble.note(ctx, err)
			// Past the claim somebody else has them; and at the end nobody waits for long.
			if err == nil || p.cfg.Now().Sub(since) > claimFor || !pause(ctx, 200*time.Millisecond) {
				break
			}
		}
		for _, r := range batch {
			p.learn(r)
			p.release(r.PushURL, 1)
		}
		p.Wake()
	}
}

// gather collects results; none when ctx ended and there are no more.
func (p *Pusher) gather(ctx context.Context) []Result {
	var batch []Result
	select {
	case r := <-p.results:
		batch = append(batch, r)
	default:
		select {
		case r := <-p.results:
			batch = append(batch, r)
		case <-ctx.Done():
		}
	}
	for len(batch) > 0 && len(batch) < finishAtOnce {
		select {
		case r := <-p.results:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// giveUp gives up what could not be sent for a day, such as at addresses that are closed.
func (p *Pusher) giveUp(ctx context.Context) error {
	for {
		now := p.cfg.Now()
		n, err := p.cfg.Store.GiveUpOverdue(ctx, now.Add(-retryFor-10*time.Minute), now)
		if err != nil || n == 0 {
			return err
		}
		p.cfg.Logger.WarnContext(ctx, "pushes were given up: they could not be sent for a day", "number", n)
	}
}
