package server

import (
	"errors"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
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
	// QuietUntil is when "do not disturb" ends; absent unless it lasts.
	QuietUntil *string `json:"do_not_disturb_until,omitempty"`
}

// sessionCurrent tells a browser or an app who they are. For nobody there is no such thing.
func (s *Server) sessionCurrent(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return nobody(w, r, "nobody is signed in")
	}
	name, err := s.fullName(r, v, who)
	if errors.Is(err, userkeys.NotFound) {
		return nobody(w, r, "the user was deleted a moment ago")
	}
	if err != nil {
		return err
	}
	u := currentUser{ID: who.id, Username: who.username, Avatar: s.assets.url("avatar.svg"), Admin: who.admin, Moderator: who.moderator}
	u.TrustLevel = v.User.TrustLevel
	if access, ok := userkeys.FromContext(r.Context()); ok {
		u.TrustLevel = access.TrustLevel
	}
	u.Name = known(name)
	if s.cfg.Inbox != nil {
		state, err := s.cfg.Inbox.State(r.Context(), who.id)
		if err != nil {
			return err
		}
		counts := &state.Counts
		if state.QuietUntil.After(s.cfg.Now()) {
			u.QuietUntil = known(wireTime(state.QuietUntil))
		}
		u.Unread, u.Urgent, u.AllUnread, u.SeenID = &counts.NewOrdinary, &counts.UnreadUrgent, &counts.New, &counts.SeenID
	}
	return writeJSON(w, map[string]currentUser{"current_user": u})
}

// nobody answers 404 without a body, as on the wire; why is for the log.
func nobody(w http.ResponseWriter, r *http.Request, why string) error {
	exchangeOf(r).err = userkeys.Errorf(userkeys.NotFound, "%s", why)
	w.WriteHeader(http.StatusNotFound)
	return nil
}

// csrf gives a user's program the token that its forms must carry.
func (s *Server) csrf(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	token, err := s.accounts.FormToken(r)
	if err != nil {
		return err
	}
	keepSecret(w)
	return writeJSON(w, map[string]string{"csrf": token})
}

// sessionCreate signs a user's program in, as the login page does a browser.
// A refusal has both shapes that programs look for: error, and errors.
func (s *Server) sessionCreate(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	name := r.PostForm.Get("login")
	if name == "" {
		name = r.PostForm.Get("username")
	}
	u, err := s.accounts.Login(r, name, r.PostForm.Get("password"))
	if err != nil {
		e := userkeys.AsError(err)
		exchangeOf(r).err = err
		gateway.SetRetry(w.Header(), e)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if e.Code != userkeys.InvalidCredentials { // the wire's answer to a wrong password is 200 with an error in it
			w.WriteHeader(e.Code.Status())
		}
		return writeJSON(w, map[string]any{"error": e.Public, "errors": []string{e.Public}, "error_type": e.Code.Type(), "reason": reasonOf(e)})
	}
	setUsername(w, u.Username)
	return writeJSON(w, map[string]currentUser{"user": s.currentUser(u)})
}

func (s *Server) currentUser(u site.User) currentUser {
	c := currentUser{
		ID: u.ID, Username: u.Username, Name: known(u.Name), Avatar: s.assets.url("avatar.svg"),
		TrustLevel: u.TrustLevel, Admin: u.Admin, Moderator: u.Moderator,
	}
	return c
}

// sessionDestroy signs the user out who is named, and nobody else.
func (s *Server) sessionDestroy(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	name := strings.TrimSuffix(r.PathValue("username"), ".json")
	if !strings.EqualFold(name, v.User.Username) {
		return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	if err := s.accounts.Logout(r.Context()); err != nil {
		return err
	}
	return success(w)
}
