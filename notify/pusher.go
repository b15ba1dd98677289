package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/outward"
)

// PushStore is the outbox. The store package has it by shape.
//
// A delivery is claimed for a while, sent, and finished. Whoever claimed it and is gone
// leaves it to somebody else, who sends it again under the same id.
type PushStore interface {
	// WaitingHosts lists the hosts that something waits for, with when the first of it is due.
	WaitingHosts(ctx context.Context) ([]userkeys.PushHost, error)
	// ClaimDeliveries takes up to n deliveries to a host that are due. Nobody else gets them before until.
	ClaimDeliveries(ctx context.Context, host string, n int, at, until time.Time) ([]userkeys.Delivery, error)
	// PushParcels reads everything that deliveries are made of, as it is now; those of users that are gone are left out.
	PushParcels(ctx context.Context, deliveries []userkeys.Delivery) ([]userkeys.PushParcel, error)
	// FinishDeliveries writes what became of attempts, with the state of their hosts and keys.
	FinishDeliveries(ctx context.Context, results []userkeys.PushResult) error
	// GiveUpOverdue gives up what waits since before a time, and returns how many; 0: that was all.
	GiveUpOverdue(ctx context.Context, queuedBefore, at time.Time) (int, error)
	JobStore
	DeskStore
}

// PusherConfig is what a [Pusher] is made of.
type PusherConfig struct {
	Store    PushStore
	Settings func() userkeys.Settings // the site settings of the moment
	// Secret is the machine secret that every key's push secret is made of, the same on all nodes: 32 bytes at least.
	Secret  []byte
	BaseURL *url.URL // how browsers reach the site
	// Client makes the requests; nil: one of package outward that reaches public addresses, and
	// inside what allowed_internal_hosts and literal addresses in allowed_user_api_push_urls name.
	Client *http.Client
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
}

// How the pusher shares its means.
const (
	inFlight     = 2048 // requests under way, at all hosts
	perHost      = 64   // ... at one that answers well
	firstPerHost = 1    // ... at one that nothing is known of; doubled by every answer
	claimAtOnce  = 64
	claimFor     = time.Minute // until somebody else may take a delivery: far above what an attempt takes
	lookEvery    = 500 * time.Millisecond
	lookPause    = 5 * time.Millisecond // between two looks, however much is going on
	finishAtOnce = 200
	othersFor    = 100 * time.Millisecond // for hosts that are not known to be well, until those that are have their turn again
	// freshFor is how long what was read of rights is believed; with what a write takes it
	// stays far below the second after which nothing is sent for a revoked key (attacks G2).
	freshFor = 300 * time.Millisecond
	// staleAfter is how old it may be when it was read again: where a database is so slow, nothing is sent.
	staleAfter = 800 * time.Millisecond
)

// Pusher sends what the outbox holds. Make one with [NewPusher] and keep [Pusher.Run] running, on as many nodes as there are.
type Pusher struct {
	*Desk
	cfg     PusherConfig
	wake    chan struct{} // something was queued, or a place became free
	results chan userkeys.PushResult
	doubts  chan doubt

	mu    sync.Mutex
	hosts map[string]*hostState
	total int // in flight
}

// hostState is what this node knows of a host.
type hostState struct {
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
		cfg.Client = outward.New(outward.Config{Inward: func() []string { return settings().InternalPushTargets() }})
	}
	p := &Pusher{
		cfg: cfg, wake: make(chan struct{}, 1), results: make(chan userkeys.PushResult, inFlight),
		doubts: make(chan doubt), hosts: map[string]*hostState{},
	}
	p.Desk = NewDesk(DeskConfig{Store: cfg.Store, Settings: cfg.Settings, Now: cfg.Now, Queued: p.Wake})
	return p, nil
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

// pause waits, and tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// round takes what is due and may be sent now, and begins to send it. It tells when to look again.
func (p *Pusher) round(ctx context.Context, sends *sync.WaitGroup) (time.Duration, error) {
	hosts, err := p.cfg.Store.WaitingHosts(ctx)
	if err != nil {
		return lookEvery, err
	}
	p.forgetIdle(hosts)
	slices.SortFunc(hosts, byHealth)
	next := lookEvery
	var errs error
	var others time.Time // since when it is the turn of hosts that are not known to be well
	for _, h := range hosts {
		now := p.cfg.Now()
		switch {
		case health(h) == well:
		case others.IsZero():
			others = now
		case now.Sub(others) > othersFor:
			return 0, errs
		}
		if wait := later(h.DueAt, h.ClosedUntil).Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		n := p.reserve(h)
		if n == 0 {
			continue // a place that becomes free wakes us
		}
		taken, err := p.take(ctx, h.Host, n, now)
		p.release(h.Host, n-len(taken))
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

// The health of a host, best first.
const (
	well    = iota // it took the last push
	unknown        // nothing was delivered there yet
	ill            // it failed last
)

func health(h userkeys.PushHost) int {
	switch {
	case h.Failures > 0:
		return ill
	case h.DeliveredAt.IsZero():
		return unknown
	}
	return well
}

// byHealth puts those that are well first, so that a thousand others delay them by [othersFor] only;
// of the same health, whoever waits longest.
func byHealth(a, b userkeys.PushHost) int {
	return cmp.Or(cmp.Compare(health(a), health(b)), a.DueAt.Compare(b.DueAt))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// take claims deliveries and reads what they are made of.
func (p *Pusher) take(ctx context.Context, host string, n int, now time.Time) ([]userkeys.PushParcel, error) {
	claimed, err := p.cfg.Store.ClaimDeliveries(ctx, host, n, now, now.Add(claimFor))
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	return p.cfg.Store.PushParcels(ctx, claimed)
}

// reserve takes places for deliveries to a host: half of its places at least are asked for at a time, so
// that a busy host costs few look-ups; none if there is no such room.
func (p *Pusher) reserve(h userkeys.PushHost) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.hosts[h.Host]
	if s == nil {
		s = &hostState{allowed: firstPerHost}
		p.hosts[h.Host] = s
	}
	allowed := s.allowed
	if h.Troubled() {
		allowed, s.allowed = 1, firstPerHost
	}
	n := min(allowed-s.inFlight, claimAtOnce, inFlight-p.total)
	if n <= 0 || n < allowed/2 {
		return 0
	}
	s.inFlight += n
	p.total += n
	return n
}

func (p *Pusher) release(host string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.hosts[host]; s != nil {
		s.inFlight -= n
	}
	p.total -= n
}

// learn changes how much a host is given by how it answered.
func (p *Pusher) learn(r userkeys.PushResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.hosts[r.Host]
	switch {
	case s == nil || r.Unmade:
	case r.Outcome == userkeys.PushDelivered:
		s.allowed = min(2*s.allowed, perHost)
	case !r.Answered:
		s.allowed = max(s.allowed/2, firstPerHost)
	}
}

// forgetIdle forgets hosts that nothing waits for.
func (p *Pusher) forgetIdle(waiting []userkeys.PushHost) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts) < 2*len(waiting)+1000 {
		return
	}
	keep := make(map[string]bool, len(waiting))
	for _, h := range waiting {
		keep[h.Host] = true
	}
	for name, s := range p.hosts {
		if s.inFlight == 0 && !keep[name] {
			delete(p.hosts, name)
		}
	}
}

// send makes one attempt. read is when the parcel was read.
func (p *Pusher) send(ctx context.Context, parcel userkeys.PushParcel, read time.Time) userkeys.PushResult {
	d := parcel.Delivery
	r := userkeys.PushResult{ID: d.ID, Attempt: d.Attempt, Host: d.Host}
	v := judge(parcel, p.cfg.Settings(), p.cfg.Now())
	if v.outcome != 0 {
		r.Outcome, r.NextAt, r.Problem, r.Unmade, r.At = v.outcome, v.nextAt, v.problem, true, p.cfg.Now()
		return r
	}
	r.KeyIDs = keyIDs(v.keys)
	res, err := p.post(ctx, parcel, v.keys, read)
	r.At = p.cfg.Now()
	var changed rightsChanged
	switch {
	case errors.As(err, &changed): // what it was to be sent with holds no more: from the start, at once
		r.Outcome, r.Unmade, r.NextAt, r.KeyIDs = userkeys.PushRetried, true, r.At, nil
	case err != nil && ctx.Err() != nil: // our own end cut it, which says nothing of the receiver: whoever looks next sends it
		r.Outcome, r.Unmade, r.NextAt, r.KeyIDs = userkeys.PushRetried, true, r.At, nil
	case err != nil:
		p.cfg.Logger.DebugContext(ctx, "a push failed", "delivery", d.ID, "host", d.Host, "err", outward.Detail(err))
		r.Problem = userkeys.PushProblem(outward.Problem(err))
		again(&r, d.Attempt, d.QueuedAt)
	default:
		answered(&r, res.StatusCode, retryAfter(res.Header, r.At), d.Attempt, d.QueuedAt)
	}
	return r
}

// rightsChanged stops an attempt before a byte of it is written.
type rightsChanged struct{}

func (rightsChanged) Error() string { return "what may be sent has changed" }

// post sends the parcel to keys. When the connection is there and what was read of
// rights is old by then, they are read again, and anything else than before ends the attempt.
func (p *Pusher) post(ctx context.Context, parcel userkeys.PushParcel, keys []userkeys.PushedKey, read time.Time) (*http.Response, error) {
	set := p.cfg.Settings()
	body, err := bodyOf(parcel, keys, set, p.cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	secrets := make([]userkeys.PushSecret, len(keys))
	for i, k := range keys {
		if secrets[i], err = userkeys.NewPushSecret(p.cfg.Secret, k.ID, k.CreatedAt); err != nil {
			return nil, err
		}
	}
	signed, err := userkeys.SignPush(webhookID(parcel.Delivery), p.cfg.Now(), body, secrets...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if p.cfg.Now().Sub(read) > freshFor && !p.stillRight(ctx, parcel.Delivery, keys) {
			cancel(rightsChanged{})
		}
	}})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, parcel.Delivery.PushURL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(userkeys.PushIDHeader, signed.ID)
	req.Header.Set(userkeys.PushTimestampHeader, signed.Timestamp)
	req.Header.Set(userkeys.PushSignatureHeader, signed.Signature)
	req.GetBody = nil // an attempt is one request: a second one would be counted by nobody
	res, err := p.cfg.Client.Do(req)
	if err != nil {
		if why := context.Cause(ctx); errors.As(why, &rightsChanged{}) {
			return nil, why
		}
		return nil, err
	}
	_, _ = io.Copy(io.Discard, res.Body) // its status is the answer; the rest is read so that the connection can be used again
	_ = res.Body.Close()
	return res, nil
}

// A doubt is whether a delivery would still be sent to the same keys.
type doubt struct {
	delivery userkeys.Delivery
	keys     []userkeys.PushedKey
	still    chan bool // with room for the answer
}

// stillRight has a delivery's rights read again and tells whether it would be sent to the same keys.
func (p *Pusher) stillRight(ctx context.Context, d userkeys.Delivery, keys []userkeys.PushedKey) bool {
	asked := doubt{d, keys, make(chan bool, 1)}
	select {
	case p.doubts <- asked:
	case <-ctx.Done():
		return false
	}
	select {
	case still := <-asked.still:
		return still
	case <-ctx.Done():
		return false
	}
}

// readAgain answers doubts until ctx ends, those of all who wait with one read: where everything is slow, a read for each
// would make it slower, also for those who check keys.
func (p *Pusher) readAgain(ctx context.Context) {
	for {
		var asked []doubt
		select {
		case d := <-p.doubts:
			asked = append(asked, d)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(asked) < inFlight; {
			select {
			case d := <-p.doubts:
				asked = append(asked, d)
			default:
				more = false
			}
		}
		p.settle(ctx, asked)
	}
}

// settle answers doubts by what the database has now.
func (p *Pusher) settle(ctx context.Context, asked []doubt) {
	deliveries := make([]userkeys.Delivery, len(asked))
	for i, d := range asked {
		deliveries[i] = d.delivery
	}
	began := p.cfg.Now()
	parcels, err := p.cfg.Store.PushParcels(ctx, deliveries)
	now := p.cfg.Now()
	is := make(map[int64]userkeys.PushParcel, len(parcels))
	if err == nil && now.Sub(began) <= staleAfter {
		for _, parcel := range parcels {
			is[parcel.Delivery.ID] = parcel
		}
	}
	settings := p.cfg.Settings()
	for _, d := range asked {
		parcel, ok := is[d.delivery.ID]
		d.still <- ok && sameKeys(judge(parcel, settings, now), d.keys)
	}
}

// sameKeys tells whether a verdict sends to keys, no more and no fewer.
func sameKeys(v verdict, keys []userkeys.PushedKey) bool {
	return v.outcome == 0 && slices.EqualFunc(v.keys, keys, func(a, b userkeys.PushedKey) bool { return a.ID == b.ID })
}

// finish writes results, many at a time, until ctx ends. A place at a host is free again
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
			p.release(r.Host, 1)
		}
		p.Wake()
	}
}

// gather collects results; none when ctx ended and there are no more.
func (p *Pusher) gather(ctx context.Context) []userkeys.PushResult {
	var batch []userkeys.PushResult
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

// giveUp gives up what could not be sent for a day, such as at hosts that are closed.
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

// SealedSecret is the push secret of a key for its app, sealed to the public key of the grant.
// [userkeys.NotFound] if the key has no push address, [userkeys.Conflict] if the user must approve the app anew.
func (p *Pusher) SealedSecret(ctx context.Context, keyID int64) (string, error) {
	k, err := p.cfg.Store.Key(ctx, keyID)
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
	secret, err := userkeys.NewPushSecret(p.cfg.Secret, k.ID, k.CreatedAt)
	if err != nil {
		return "", err
	}
	return userkeys.SealPushSecret(public, k.Padding, secret)
}
