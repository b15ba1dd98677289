package server

import (
	"net/http"

	"userkeys"
)

// currentUser is what an app learns of the user it acts for.
type currentUser struct {
	ID         int64   `json:"id"`
	Username   string  `json:"username"`
	Name       *string `json:"name"` // null if the user gave none
	Avatar     string  `json:"avatar_template"`
	TrustLevel int     `json:"trust_level"`
	Admin      bool    `json:"admin"`
	Moderator  bool    `json:"moderator"`

	// What waits, where there are notifications.
	Unread    *int   `json:"unread_notifications,omitempty"`
	Urgent    *int   `json:"unread_high_priority_notifications,omitempty"`
	AllUnread *int   `json:"all_unread_notifications_count,omitempty"`
	SeenID    *int64 `json:"seen_notification_id,omitempty"`
}

// sessionCurrent tells a browser or an app who they are. For nobody there is no such thing.
func (s *Server) sessionCurrent(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return userkeys.Errorf(userkeys.NotFound, "nobody is signed in")
	}
	u := currentUser{ID: who.id, Username: who.username, Avatar: s.assets.url("avatar.svg"), Admin: who.admin, Moderator: who.moderator}
	u.TrustLevel = v.User.TrustLevel
	if access, ok := userkeys.FromContext(r.Context()); ok {
		u.TrustLevel = access.TrustLevel
	}
	name, err := s.fullName(r, v, who)
	if err != nil {
		return err
	}
	u.Name = known(name)
	if s.cfg.Inbox != nil {
		counts, err := s.cfg.Inbox.Counts(r.Context(), who.id)
		if err != nil {
			return err
		}
		u.Unread, u.Urgent, u.AllUnread, u.SeenID = &counts.NewOrdinary, &counts.UnreadUrgent, &counts.New, &counts.SeenID
	}
	return writeJSON(w, map[string]currentUser{"current_user": u})
}
