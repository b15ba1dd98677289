package admin

import (
	"context"
	"net/http"
	"time"

	"userkeys"
	"userkeys/internal/rows"
	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// listKeys lists users' keys, newest first: of a user, of a client, live ones.
func (h *Handlers) listKeys(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := input.ParseListQuery(r, "user", "user_id", "client_id", "live", "before")
	if err != nil {
		return err
	}
	f, err := h.keyFilter(r, q)
	if err != nil {
		return err
	}
	keys, err := h.cfg.Keys.Keys(r.Context(), f)
	if err != nil {
		return err
	}
	pushes, err := h.pushesOf(r.Context(), keys)
	if err != nil {
		return err
	}
	names, settings, now := door.NewNames(h.cfg.Accounts), h.door.Settings(), h.door.Now()
	list := make([]rows.Key, len(keys))
	for i, k := range keys {
		list[i] = rows.NewKey(k, settings, now)
		if h.cfg.Pushes != nil && k.PushURL != "" {
			list[i].Push = rows.NewKeyPush(pushes[k.ID])
		}
		if list[i].Username, err = names.Of(r.Context(), k.UserID); err != nil {
			return err
		}
	}
	return door.WriteJSON(w, map[string]any{
		"keys": list,
		"next": door.Next(keys, q.Limit, func(k site.UserAPIKey) int64 { return k.ID }),
	})
}

// pushesOf returns, by key id, how pushing goes to the keys that have a push URL.
func (h *Handlers) pushesOf(ctx context.Context, keys []site.UserAPIKey) (map[int64]outbox.KeyState, error) {
	var ids []int64
	for _, k := range keys {
		if k.PushURL != "" {
			ids = append(ids, k.ID)
		}
	}
	if h.cfg.Pushes == nil || len(ids) == 0 {
		return nil, nil
	}
	return h.cfg.Pushes.KeyPushes(ctx, ids)
}

func (h *Handlers) keyFilter(r *http.Request, q input.Query) (site.KeyFilter, error) {
	f := site.KeyFilter{ClientID: q.Get("client_id"), Before: q.Before, Limit: q.Limit}
	var err error
	if f.Live, err = input.Truth("live", q.Get("live")); q.Has("live") && err != nil {
		return f, err
	}
	f.UserID, err = door.UserOfQuery(r.Context(), h.cfg.Accounts, q)
	return f, err
}

func (h *Handlers) revokeKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.ID(r, "key")
	if err != nil {
		return err
	}
	if err := h.cfg.Keys.Revoke(r.Context(), id, c); err != nil {
		return err
	}
	return door.Success(w)
}

// listEvents lists the audit log, newest first: of a user, of a key, of an action, since a time.
func (h *Handlers) listEvents(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := input.ParseListQuery(r, "user", "user_id", "key_id", "action", "since", "before")
	if err != nil {
		return err
	}
	f, err := h.auditFilter(r, q)
	if err != nil {
		return err
	}
	events, err := h.cfg.Keys.AuditEvents(r.Context(), f)
	if err != nil {
		return err
	}
	list := make([]rows.Event, len(events))
	for i, e := range events {
		list[i] = rows.NewEvent(e)
	}
	return door.WriteJSON(w, map[string]any{
		"events": list,
		"next":   door.Next(events, q.Limit, func(e site.AuditEvent) int64 { return e.ID }),
	})
}

func (h *Handlers) auditFilter(r *http.Request, q input.Query) (site.AuditFilter, error) {
	f := site.AuditFilter{Before: q.Before, Limit: q.Limit}
	var err error
	if f.Action, err = site.ParseAuditAction(q.Get("action")); err != nil {
		return f, err
	}
	if f.KeyID, err = q.Number("key_id"); err != nil {
		return f, err
	}
	if q.Has("since") {
		if f.Since, err = time.Parse(time.RFC3339, q.Get("since")); err != nil {
			return f, userkeys.Errorf(userkeys.InvalidParameters, "since must be a time such as 2026-01-31T00:00:00Z")
		}
	}
	f.UserID, err = door.UserOfQuery(r.Context(), h.cfg.Accounts, q)
	return f, err
}
