package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/internal/outward"
	"userkeys/site"
)

// send makes one attempt of a delivery that was read at a time.
func (p *pusher) send(ctx context.Context, details Details, read time.Time) Result {
	d := details.Delivery
	r := Result{ID: d.ID, Claim: d.Claim, PushURL: d.PushURL}
	todo := p.decide(details, p.cfg.Settings(), p.cfg.Now())
	if todo.outcome != 0 {
		r.Outcome, r.Problem, r.Unmade = todo.outcome, todo.problem, true
		r.NextAt, r.Deferred = todo.nextAt, todo.outcome == Retried
		r.At = p.cfg.Now()
		return r
	}
	r.KeyIDs = keyIDs(todo.keys)
	res, reached, err := p.post(ctx, push{details, todo.keys, read})
	r.Reached = reached
	r.At = p.cfg.Now()
	switch {
	case errors.As(err, &rightsChanged{}): // it may have to go to other keys, or to nobody: decide again from the start
		r.unmade(r.At.Add(changedPause))
	case err != nil && ctx.Err() != nil: // this node stops, which says nothing of the receiver: the next node sends it
		r.unmade(r.At)
	case err != nil:
		p.cfg.Logger.DebugContext(ctx, "a push failed", "delivery", d.ID, "host", d.Host, "err", outward.Detail(err))
		r.Problem = Problem(outward.Problem(err))
		r.again(d.Attempt+1, d.QueuedAt)
	default:
		r.answered(res.StatusCode, retryAfter(res.Header, r.At), d.Attempt+1, d.QueuedAt)
	}
	return r
}

// push is one request: the details of a delivery, read at a time, for some of its keys.
type push struct {
	Details
	keys []Key
	read time.Time
}

// rightsChanged stops an attempt before a byte of its body is written.
type rightsChanged struct{}

func (rightsChanged) Error() string { return "what may be sent has changed" }

// post sends a push, and reports whether the host took the connection. Before the body is written, a gate reads the
// rights again if they were read too long ago, and stops the push if anything has changed. What passes is written at
// once, or the attempt ends: see [outward.Config].
func (p *pusher) post(ctx context.Context, to push) (res *http.Response, reached bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var connected atomic.Bool
	req, err := p.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), to)
	if err != nil {
		return nil, false, err
	}
	req.Body = io.NopCloser(&gate{Reader: req.Body, open: func() error {
		if p.cfg.Now().Sub(to.read) > freshFor && !p.stillRight(ctx, to) {
			cancel(rightsChanged{})
			return rightsChanged{}
		}
		return nil
	}})
	res, err = p.cfg.Client.Do(req)
	if err != nil {
		if why := context.Cause(ctx); errors.As(why, &rightsChanged{}) {
			err = why
		}
		return nil, connected.Load(), err
	}
	_, _ = io.Copy(io.Discard, res.Body) // only the status counts; the rest is read so that the connection can be reused
	_ = res.Body.Close()
	return res, true, nil
}

// A gate calls open before the first byte of a body is read. That is when the connection is there: a request's context
// is not looked at between the two.
type gate struct {
	io.Reader
	open   func() error
	opened bool
}

func (g *gate) Read(b []byte) (int, error) {
	if !g.opened {
		if err := g.open(); err != nil {
			return 0, err
		}
		g.opened = true
	}
	return g.Reader.Read(b)
}

// request makes the request of a push, signed for each of its keys.
func (p *pusher) request(ctx context.Context, to push) (*http.Request, error) {
	body, err := bodyOf(to.Details, to.keys, p.cfg.Settings(), p.cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	secrets := make([]userkeys.PushSecret, len(to.keys))
	for i, k := range to.keys {
		if secrets[i], err = userkeys.NewPushSecret(p.cfg.Secret, k.ID, k.CreatedAt); err != nil {
			return nil, err
		}
	}
	signed, err := userkeys.SignPush(webhookID(to.Delivery), p.cfg.Now(), body, secrets...)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Delivery.PushURL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(userkeys.PushIDHeader, signed.ID)
	req.Header.Set(userkeys.PushTimestampHeader, signed.Timestamp)
	req.Header.Set(userkeys.PushSignatureHeader, signed.Signature)
	req.GetBody = nil // an attempt is one request: a second one would not be counted
	return req, nil
}

// A recheck asks whether a push would still go to the same keys.
type recheck struct {
	push
	still chan bool // with room for the result
}

// stillRight has the rights of a push read again, and reports whether it would still go to the same keys.
func (p *pusher) stillRight(ctx context.Context, to push) bool {
	asked := recheck{to, make(chan bool, 1)}
	select {
	case p.rechecks <- asked:
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

// recheckAll does rechecks until ctx ends, all that wait with one query: where everything is slow, a query for each
// would make it slower, also for those who check keys.
func (p *pusher) recheckAll(ctx context.Context) {
	for {
		var asked []recheck
		select {
		case c := <-p.rechecks:
			asked = append(asked, c)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(asked) < inFlight; {
			select {
			case c := <-p.rechecks:
				asked = append(asked, c)
			default:
				more = false
			}
		}
		p.recheck(ctx, asked)
	}
}

// recheck answers rechecks by what the database has now.
func (p *pusher) recheck(ctx context.Context, asked []recheck) {
	deliveries := make([]Delivery, len(asked))
	for i, c := range asked {
		deliveries[i] = c.Delivery
	}
	began := p.cfg.Now()
	found, err := p.store.DeliveryDetails(ctx, deliveries)
	now := p.cfg.Now()
	byID := make(map[int64]Details, len(found))
	if err == nil && now.Sub(began) <= staleAfter {
		for _, d := range found {
			byID[d.Delivery.ID] = d
		}
	}
	settings := p.cfg.Settings()
	for _, c := range asked {
		d, ok := byID[c.Delivery.ID]
		c.still <- ok && sameKeys(p.decide(d, settings, now), c.keys)
	}
}

// decide adds to d what the configuration says of it, and asks the rules.
func (p *pusher) decide(d Details, s site.Settings, now time.Time) decision {
	d.PausesAt = d.User.Pauses(p.cfg.PauseAfter)
	return decide(d, s, now)
}

// sameKeys reports whether a delivery is sent to keys, no more and no fewer.
func sameKeys(todo decision, keys []Key) bool {
	return todo.outcome == 0 && slices.EqualFunc(todo.keys, keys, func(a, b Key) bool { return a.ID == b.ID })
}

// keyIDs returns the ids of keys in order.
func keyIDs(keys []Key) []int64 {
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	slices.Sort(ids)
	return ids
}
