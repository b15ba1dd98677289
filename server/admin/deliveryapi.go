package admin

import (
	"net/http"

	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/site"
)

// listDeliveries lists deliveries, newest first: those that wait, or those that were given up.
func (h *Handlers) listDeliveries(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := door.ParseListQuery(r, "dead", "host", "user", "user_id", "before")
	if err != nil {
		return err
	}
	f, err := h.deliveryFilter(r, q)
	if err != nil {
		return err
	}
	found, err := h.cfg.Pushes.Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	list := make([]outbox.DeliveryJSON, len(found))
	for i, d := range found {
		name, err := h.nameOf(r, d.UserID, names)
		if err != nil {
			return err
		}
		list[i] = outbox.NewDeliveryJSON(d, name)
	}
	return door.WriteJSON(w, map[string]any{"deliveries": list, "next": next(found, q.Limit, func(d outbox.Delivery) int64 { return d.ID })})
}

func (h *Handlers) deliveryFilter(r *http.Request, q door.Query) (outbox.Filter, error) {
	f := outbox.Filter{Before: q.Before, Limit: q.Limit}
	var err error
	if f.Dead, err = truth("dead", q.Get("dead")); q.Has("dead") && err != nil {
		return f, err
	}
	if f.Host, err = site.ParsePushHost(q.Get("host")); q.Has("host") && err != nil {
		return f, err
	}
	f.UserID, err = h.userOfQuery(r, q)
	return f, err
}

// listPushHosts lists every host that something was to be pushed to.
func (h *Handlers) listPushHosts(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	if _, err := door.ParseListQuery(r); err != nil {
		return err
	}
	hosts, err := h.cfg.Pushes.Hosts(r.Context())
	if err != nil {
		return err
	}
	list, now := make([]outbox.PushHostJSON, len(hosts)), h.door.Now()
	for i, h := range hosts {
		list[i] = outbox.NewPushHostJSON(h, now)
	}
	return door.WriteJSON(w, map[string][]outbox.PushHostJSON{"hosts": list})
}
