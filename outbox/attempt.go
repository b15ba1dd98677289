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
)

// send makes one attempt. read is when the parcel was read.
func (p *Pusher) send(ctx context.Context, parcel Details, read time.Time) Result {
	d := parcel.Delivery
	r := Result{ID: d.ID, Claim: d.Claim, PushURL: d.PushURL}
	v := judge(parcel, p.cfg.Settings(), p.cfg.Now())
	if v.outcome != 0 {
		r.Outcome, r.NextAt, r.Problem, r.Unmade, r.Deferred, r.At = v.outcome, v.nextAt, v.problem, true, v.outcome == Retried, p.cfg.Now()
		return r
	}
	r.KeyIDs = keyIDs(v.keys)
	res, reached, err := p.post(ctx, parcel, v.keys, read)
	r.Reached = reached
	r.At = p.cfg.Now()
	switch {
	case errors.As(err, &rightsChanged{}): // what it was to be sent with holds no more, or nobody can tell: from the start
		r.Outcome, r.Unmade, r.NextAt, r.KeyIDs = Retried, true, r.At.Add(doubtPause), nil
	case err != nil && ctx.Err() != nil: // our own end cut it, which says nothing of the receiver: whoever looks next sends it
		r.Outcome, r.Unmade, r.NextAt, r.KeyIDs = Retried, true, r.At, nil
	case err != nil:
		p.cfg.Logger.DebugContext(ctx, "a push failed", "delivery", d.ID, "host", d.Host, "err", outward.Detail(err))
		r.Problem = Problem(outward.Problem(err))
		again(&r, d.Attempt+1, d.QueuedAt)
	default:
		answered(&r, res.StatusCode, retryAfter(res.Header, r.At), d.Attempt+1, d.QueuedAt)
	}
	return r
}

// rightsChanged stops an attempt before a byte of its body is written.
type rightsChanged struct{}

func (rightsChanged) Error() string { return "what may be sent has changed" }

// post sends the parcel to keys, and tells whether anybody took the connection. The gate before the body reads rights
// again if what was read is old by then, and lets nothing pass if anything has changed. What passes is written at once,
// or the attempt ends: see [outward.Config].
func (p *Pusher) post(ctx context.Context, parcel Details, keys []Key, read time.Time) (res *http.Response, reached bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var took atomic.Bool
	req, err := p.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { took.Store(true) },
	}), parcel, keys)
	if err != nil {
		return nil, false, err
	}
	req.Body = io.NopCloser(&gate{Reader: req.Body, open: func() error {
		if p.cfg.Now().Sub(read) > freshFor && !p.stillRight(ctx, parcel.Delivery, keys) {
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
		return nil, took.Load(), err
	}
	_, _ = io.Copy(io.Discard, res.Body) // its status is the answer; the rest is read so that the connection can be used again
	_ = res.Body.Close()
	return res, true, nil
}

// A gate is asked before the first byte of a body is read, which is when the connection is there: a request's context
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

// request makes the request of a parcel to keys, signed for each of them.
func (p *Pusher) request(ctx context.Context, parcel Details, keys []Key) (*http.Request, error) {
	body, err := bodyOf(parcel, keys, p.cfg.Settings(), p.cfg.BaseURL)
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, parcel.Delivery.PushURL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(userkeys.PushIDHeader, signed.ID)
	req.Header.Set(userkeys.PushTimestampHeader, signed.Timestamp)
	req.Header.Set(userkeys.PushSignatureHeader, signed.Signature)
	req.GetBody = nil // an attempt is one request: a second one would be counted by nobody
	return req, nil
}

// A doubt is whether a delivery would still be sent to the same keys.
type doubt struct {
	delivery Delivery
	keys     []Key
	still    chan bool // with room for the answer
}

// stillRight has a delivery's rights read again and tells whether it would be sent to the same keys.
func (p *Pusher) stillRight(ctx context.Context, d Delivery, keys []Key) bool {
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
	deliveries := make([]Delivery, len(asked))
	for i, d := range asked {
		deliveries[i] = d.delivery
	}
	began := p.cfg.Now()
	parcels, err := p.cfg.Store.DeliveryDetails(ctx, deliveries)
	now := p.cfg.Now()
	is := make(map[int64]Details, len(parcels))
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
func sameKeys(v verdict, keys []Key) bool {
	return v.outcome == 0 && slices.EqualFunc(v.keys, keys, func(a, b Key) bool { return a.ID == b.ID })
}
