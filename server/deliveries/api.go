package deliveries

import (
	"net/http"

	"userkeys/internal/rows"
	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// listDeliveries lists deliveries, newest first: those that wait, or those that were given up.
func (h *Handlers) listDeliveries(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := input.ParseListQuery(r, "dead", "host", "user", "user_id", "before")
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
	names := door.NewNames(h.cfg.Accounts)
	list := make([]rows.Delivery, len(found))
	for i, d := range found {
		name, err := names.Of(r.Context(), d.UserID)
		if err != nil {
			return err
		}
		list[i] = rows.NewDelivery(d, name)
	}
	return door.WriteJSON(w, map[string]any{
		"deliveries": list,
		"next":       door.Next(found, q.Limit, func(d outbox.Delivery) int64 { return d.ID }),
	})
}

func (h *Handlers) deliveryFilter(r *http.Request, q input.Query) (outbox.Filter, error) {
	f := outbox.Filter{Before: q.Before, Limit: q.Limit}
	var err error
	if f.Dead, err = input.Truth("dead", q.Get("dead")); q.Has("dead") && err != nil {
		return f, err
	}
	if f.Host, err = site.ParsePushHost(q.Get("host")); q.Has("host") && err != nil {
		return f, err
	}
	f.UserID, err = door.UserOfQuery(r.Context(), h.cfg.Accounts, q)
	return f, err
}

// listHosts lists every host that something was to be pushed to.
func (h *Handlers) listHosts(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	if _, err := input.ParseListQuery(r); err != nil {
		return err
	}
	hosts, err := h.cfg.Pushes.Hosts(r.Context())
	if err != nil {
		return err
	}
	list, now := make([]rows.PushHost, len(hosts)), h.door.Now()
	for i, h := range hosts {
		list[i] = rows.NewPushHost(h, now)
	}
	return door.WriteJSON(w, map[string][]rows.PushHost{"hosts": list})
}
