package admin

import (
	"encoding/json"
	"net/http"
	"strconv"

	"userkeys"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// maxNotifyBody has room for a thousand names and the largest data.
const maxNotifyBody = 256 << 10

// notifyUsers is the site's program telling users something: one, or many at a time.
func (h *Handlers) notifyUsers(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if !input.IsJSON(r) {
		return userkeys.Errorf(userkeys.UnsupportedMedia, "the body must be application/json")
	}
	o, err := input.ReadObject(w, r, maxNotifyBody)
	if err != nil {
		return err
	}
	a, err := parseNotify(o)
	if err != nil {
		return err
	}
	if a.IdempotencyKey, err = idempotencyKey(r, a.IdempotencyKey); err != nil {
		return err
	}
	a.Caller = c
	told, err := h.cfg.Inbox.Add(r.Context(), a)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, map[string]any{
		"success": "OK", "created": len(told.IDs), "ids": told.IDs,
		"repeated": told.Repeated, "queued": told.Queued,
	})
}

// idempotencyKey is the one of the header Idempotency-Key or of the body. Two that differ would each promise
// something else.
func idempotencyKey(r *http.Request, inBody string) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	switch {
	case len(values) == 0:
		return inBody, nil
	case len(values) > 1 || values[0] == "" || inBody != "" && inBody != values[0]:
		return "", userkeys.Errorf(userkeys.InvalidParameters,
			"say one idempotency key: in the header Idempotency-Key or as idempotency_key")
	}
	return values[0], nil
}

// parseNotify reads what to tell whom. Every member is known and has its own type:
// a mistyped name would tell half of it.
func parseNotify(o input.Object) (site.Announcement, error) {
	var a site.Announcement
	var username string
	var kind json.RawMessage
	var push bool
	n, m := &a.Notification, &a.Message
	fields := map[string]any{
		"username": &username, "usernames": &a.Usernames, "notification_type": &kind, "data": &n.Data, "topic_id": &n.TopicID,
		"post_number": &n.PostNumber, "slug": &n.Slug, "fancy_title": &n.FancyTitle, "high_priority": &n.HighPriority,
		"title": &m.Title, "excerpt": &m.Excerpt, "link": &m.Link, "from": &m.From, "push": &push,
		"idempotency_key": &a.IdempotencyKey,
	}
	for name, raw := range o {
		to, ok := fields[name]
		if !ok {
			return a, userkeys.Errorf(userkeys.InvalidParameters,
				"there is no member %s here", strconv.QuoteToASCII(userkeys.Shorten(name, 64)))
		}
		if string(raw) == "null" || json.Unmarshal(raw, to) != nil {
			return a, userkeys.Errorf(userkeys.InvalidParameters, "%s has a value of the wrong type", name)
		}
	}
	_, one := o["username"]
	_, many := o["usernames"]
	if one == many {
		return a, userkeys.Errorf(userkeys.InvalidParameters, "say who is told: username for one, or usernames for a list")
	}
	if one {
		a.Usernames = []string{username}
	}
	if _, said := o["push"]; said {
		a.Push = &push
	}
	if _, said := o["idempotency_key"]; said && a.IdempotencyKey == "" {
		return a, userkeys.Errorf(userkeys.InvalidParameters, "idempotency_key is empty; leave it out for none")
	}
	if len(kind) == 0 && m.Title == "" {
		return a, userkeys.Errorf(userkeys.MissingParameter,
			"notification_type is missing: a name such as mentioned, or its number; or say a title")
	}
	if len(kind) == 0 {
		return a, nil // the message makes it custom
	}
	var err error
	n.Type, err = parseKind(kind)
	return a, err
}

// parseKind reads a type by its number or Discourse's name of it.
func parseKind(raw json.RawMessage) (int, error) {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return site.ParseNotificationType(name)
	}
	var n int
	if err := json.Unmarshal(raw, &n); err != nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "notification_type must be a name or a number")
	}
	if n == 0 { // 0 would be as if there were none
		return 0, userkeys.Errorf(userkeys.InvalidParameters,
			"notification_type must be a name such as mentioned, or a number from 1 to 9999")
	}
	return n, nil
}
