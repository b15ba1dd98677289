package outbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"userkeys/internal/jobs"
)

// QueueStore is the queue of deliveries. A delivery is claimed for a while, sent, and finished. If the node that
// claimed it is gone, another one claims and sends it again, under the same id.
type QueueStore interface {
	// WaitingAddresses lists the push URLs that deliveries wait for, with when the first of them is due.
	WaitingAddresses(ctx context.Context) ([]Address, error)
	// ClaimDeliveries claims deliveries to a push URL that are due, those first that were never tried.
	ClaimDeliveries(ctx context.Context, pushURL string, c Claim) ([]Delivery, error)
	// DeliveryDetails reads what decides about deliveries, as it is now; those of users that are gone are left out.
	DeliveryDetails(ctx context.Context, deliveries []Delivery) ([]Details, error)
	// FinishDeliveries writes results of attempts, with the state of their push URLs, hosts and keys.
	FinishDeliveries(ctx context.Context, results []Result) error
	// GiveUpOverdue gives up what waits since before a time, and returns how many; 0: that was all.
	GiveUpOverdue(ctx context.Context, queuedBefore, at time.Time) (int, error)
	jobs.Store
}

// How the pusher shares its means.
const (
	inFlight     = 2048        // requests under way, at all push URLs
	claimFor     = time.Minute // until another node may claim a delivery: far above what an attempt takes
	lookEvery    = 500 * time.Millisecond
	lookPause    = 5 * time.Millisecond // between two looks, however much is going on
	finishAtOnce = 200
	// othersFor is how long push URLs that are not known to work may have their turn, until those that work have theirs.
	othersFor = 100 * time.Millisecond
	// freshFor is how long rights are relied on after they were read; with the time of a write it stays far below the
	// second after which nothing is sent for a revoked key.
	freshFor = 300 * time.Millisecond
	// writeFor is how long a receiver may take what it is sent, piece by piece: a receiver must not decide how long
	// rights that were read are relied on.
	writeFor = 400 * time.Millisecond
	// maxAnswerHeader bounds the headers of a receiver's response, in bytes: many responses are read at a time, and of
	// their headers only Retry-After is used.
	maxAnswerHeader = 16 << 10
	// changedPause is how long a delivery waits whose rights have changed, or could not be read again.
	changedPause = 2 * time.Second
	// staleAfter is how long reading rights again may take: where a database is slower, nothing is sent.
	staleAfter = 500 * time.Millisecond
)

// pusher sends what is queued.
type pusher struct {
	cfg      Config
	store    QueueStore
	wake     chan struct{} // something was queued, or room became free
	results  chan Result
	rechecks chan recheck

	mu     sync.Mutex
	shares map[string]*share // by push URL
	total  int               // in flight
}

func newPusher(cfg Config) *pusher {
	return &pusher{
		cfg: cfg, store: cfg.Queue, wake: make(chan struct{}, 1), results: make(chan Result, inFlight),
		rechecks: make(chan recheck), shares: map[string]*share{},
	}
}

// run sends until ctx ends. Then attempts under way are given up; another node makes them again, under the same ids.
func (p *pusher) run(ctx context.Context) {
	var all, sends sync.WaitGroup
	finish, stopFinishing := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() { p.finish(finish) })
	all.Go(func() { p.recheckAll(finish) })
	runner := jobs.Runner{Store: p.store, Now: p.cfg.Now, Logger: p.cfg.Logger}
	all.Go(func() { runner.Run(ctx, jobs.Job{Name: "push overdue", Every: time.Minute, Do: p.giveUp}) })
	failures := jobs.NewFailureLog(p.cfg.Logger, "the outbox of pushes")
	for ctx.Err() == nil {
		next, err := p.round(ctx, &sends)
		failures.Note(ctx, err)
		if !jobs.Pause(ctx, lookPause) {
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
}

// round claims what is due and may be sent now, and begins to send it. It returns when to look again.
func (p *pusher) round(ctx context.Context, sends *sync.WaitGroup) (time.Duration, error) {
	waiting, err := p.store.WaitingAddresses(ctx)
	if err != nil {
		return lookEvery, err
	}
	p.forgetIdle(waiting)
	slices.SortFunc(waiting, byTurn)
	next := lookEvery
	var errs error
	var others time.Time // since when it is the turn of those that are not known to work
	for _, to := range waiting {
		now := p.cfg.Now()
		switch {
		case turn(to) == works:
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
			continue // when room becomes free, the pusher is woken
		}
		claimed, err := p.claim(ctx, to.PushURL, n, now)
		p.release(to.PushURL, n-len(claimed))
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		if len(claimed) == n {
			next = 0 // there may be more
		}
		for _, d := range claimed {
			sends.Go(func() { p.results <- p.send(ctx, d, now) })
		}
	}
	return next, errs
}

// byTurn orders push URLs that work first, so that a thousand others delay them by [othersFor] at most, and then by
// how long they have waited.
func byTurn(a, b Address) int {
	return cmp.Or(cmp.Compare(turn(a), turn(b)), a.DueAt.Compare(b.DueAt))
}

// claim claims deliveries and reads what decides about them.
func (p *pusher) claim(ctx context.Context, pushURL string, n int, now time.Time) ([]Details, error) {
	claimed, err := p.store.ClaimDeliveries(ctx, pushURL, Claim{Most: n, At: now, Until: now.Add(claimFor)})
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	return p.store.DeliveryDetails(ctx, claimed)
}

// reserve takes room for deliveries to a push URL, and returns for how many.
func (p *pusher) reserve(to Address) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shares[to.PushURL]
	if s == nil {
		s = &share{allowed: firstAtOnce}
		p.shares[to.PushURL] = s
	}
	n := s.take(to, inFlight-p.total)
	p.total += n
	return n
}

func (p *pusher) release(pushURL string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.shares[pushURL]; s != nil {
		s.inFlight -= n
	}
	p.total -= n
}

// learn changes how much room a push URL gets by how it answered.
func (p *pusher) learn(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.shares[r.PushURL]; s != nil {
		s.learn(r)
	}
}

// forgetIdle forgets push URLs that nothing waits for.
func (p *pusher) forgetIdle(waiting []Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.shares) < 2*len(waiting)+1000 {
		return
	}
	keep := make(map[string]bool, len(waiting))
	for _, to := range waiting {
		keep[to.PushURL] = true
	}
	for name, s := range p.shares {
		if s.inFlight == 0 && !keep[name] {
			delete(p.shares, name)
		}
	}
}

// finish writes results, many at a time, until ctx ends. The room of an attempt is free again when its result is
// written, so that no more is sent than the database can note.
func (p *pusher) finish(ctx context.Context) {
	failures := jobs.NewFailureLog(p.cfg.Logger, "writing what became of pushes")
	for {
		batch := p.gather(ctx)
		if len(batch) == 0 {
			return
		}
		for since := p.cfg.Now(); ; {
			err := p.store.FinishDeliveries(context.WithoutCancel(ctx), batch)
			failures.Note(ctx, err)
			// After claimFor another node has them; and when the program stops, nobody waits for long.
			if err == nil || p.cfg.Now().Sub(since) > claimFor || !jobs.Pause(ctx, 200*time.Millisecond) {
				break
			}
		}
		for _, r := range batch {
			p.learn(r)
			p.release(r.PushURL, 1)
		}
		p.look()
	}
}

// look has the pusher look again. It never waits.
func (p *pusher) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// gather collects results; none when ctx has ended and there are no more.
func (p *pusher) gather(ctx context.Context) []Result {
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

// giveUp gives up what could not be sent for a day, such as to push URLs that are closed.
func (p *pusher) giveUp(ctx context.Context) error {
	for {
		now := p.cfg.Now()
		n, err := p.store.GiveUpOverdue(ctx, now.Add(-overdueAfter), now)
		if err != nil || n == 0 {
			return err
		}
		p.cfg.Logger.WarnContext(ctx, "pushes were given up: they could not be sent for a day", "number", n)
	}
}
