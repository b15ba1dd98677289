package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"userkeys"
	"userkeys/outward"
)

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
