package server

import (
	"encoding/json"
	"net/http"
	"strconv"

	"userkeys"
)

// maxNotifyBody has room for a thousand names and the largest data.
const maxNotifyBody = 256 << 10

// notifyUsers is the site's program telling users something: one, or many at a time.
func (s *Server) notifyUsers(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	if mediaType(r) != "application/json" {
		return userkeys.Errorf(userkeys.UnsupportedMedia, "the body must be application/json")
	}
	body, err := readUpTo(w, r, maxNotifyBody)
	if err != nil {
		return err
	}
	o, err := parseObject(body)
	if err != nil {
		return err
	}
	usernames, n, err := parseNotify(o)
	if err != nil {
		return err
	}
	told, err := s.cfg.Inbox.Add(r.Context(), userkeys.Announcement{Usernames: usernames, Notification: n, Actor: s.actor(r, v)})
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"success": "OK", "created": len(told.IDs), "ids": told.IDs})
}

// parseNotify reads what to tell whom. Every member is known and has its own type:
// a mistyped name would tell half of it.
func parseNotify(o object) (usernames []string, n userkeys.Notification, err error) {
	var username string
	var kind json.RawMessage
	fields := map[string]any{
		"username": &username, "usernames": &usernames, "notification_type": &kind, "data": &n.Data, "topic_id": &n.TopicID,
		"post_number": &n.PostNumber, "slug": &n.Slug, "fancy_title": &n.FancyTitle, "high_priority": &n.HighPriority,
	}
	for name, raw := range o {
		to, ok := fields[name]
		if !ok {
			return nil, n, userkeys.Errorf(userkeys.InvalidParameters, "there is no member %s here", strconv.QuoteToASCII(cutBytes(name, 64)))
		}
		if string(raw) == "null" || json.Unmarshal(raw, to) != nil {
			return nil, n, userkeys.Errorf(userkeys.InvalidParameters, "%s has a value of the wrong type", name)
		}
	}
	_, one := o["username"]
	_, many := o["usernames"]
	if one == many {
		return nil, n, userkeys.Errorf(userkeys.InvalidParameters, "say who is told: username for one, or usernames for a list")
	}
	if one {
		usernames = []string{username}
	}
	if len(kind) == 0 {
		return nil, n, userkeys.Errorf(userkeys.MissingParameter, "notification_type is missing: a name such as mentioned, or its number")
	}
	n.Type, err = parseKind(kind)
	return usernames, n, err
}

// parseKind reads a type by its number or Discourse's name of it.
func parseKind(raw json.RawMessage) (int, error) {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return userkeys.ParseNotificationType(name)
	}
	var n int
	if err := json.Unmarshal(raw, &n); err != nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "notification_type must be a name or a number")
	}
	return n, nil
}
