package notify

import (
	"context"
	"slices"

	"userkeys"
)

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
