package wire

import (
	"errors"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/server/door"
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
func (h *Handlers) sessionCurrent(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if !c.SignedIn() {
		return nobody(w, r, "nobody is signed in")
	}
	name, err := h.fullName(r, c)
	if errors.Is(err, userkeys.NotFound) {
		return nobody(w, r, "the user was deleted a moment ago")
	}
	if err != nil {
		return err
	}
	u := h.currentUser(c.User)
	u.Name = door.Optional(name)
	if h.cfg.Inbox != nil {
		state, err := h.cfg.Inbox.State(r.Context(), c.User.ID)
		if err != nil {
			return err
		}
		counts := &state.Counts
		if state.QuietUntil.After(h.door.Now()) {
			u.QuietUntil = door.Optional(notify.WireTime(state.QuietUntil))
		}
		u.Unread, u.Urgent, u.AllUnread, u.SeenID = &counts.NewOrdinary, &counts.UnreadUrgent, &counts.New, &counts.SeenID
	}
	return door.WriteJSON(w, map[string]currentUser{"current_user": u})
}

// nobody answers 404 without a body, as on the wire; why is for the log.
func nobody(w http.ResponseWriter, r *http.Request, why string) error {
	door.Note(r, userkeys.Errorf(userkeys.NotFound, "%s", why))
	w.WriteHeader(http.StatusNotFound)
	return nil
}

// csrf gives a user's program the token that its forms must carry.
func (h *Handlers) csrf(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	token, err := h.door.Accounts().FormToken(r)
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	return door.WriteJSON(w, map[string]string{"csrf": token})
}

// sessionCreate signs a user's program in, as the login page does a browser.
// A refusal has both shapes that programs look for: error, and errors.
func (h *Handlers) sessionCreate(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	name := r.PostForm.Get("login")
	if name == "" {
		name = r.PostForm.Get("username")
	}
	u, err := h.door.Accounts().Login(r, name, r.PostForm.Get("password"))
	if err != nil {
		e := userkeys.AsError(err)
		door.Note(r, err)
		gateway.SetRetry(w.Header(), e)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if e.Code != userkeys.InvalidCredentials { // the wire's answer to a wrong password is 200 with an error in it
			w.WriteHeader(e.Code.Status())
		}
		return door.WriteJSON(w, map[string]any{
			"error": e.Public, "errors": []string{e.Public}, "error_type": e.Code.Type(),
			"reason": door.Reason(e),
		})
	}
	door.SetUsername(w, u.Username)
	return door.WriteJSON(w, map[string]currentUser{"user": h.currentUser(u)})
}

func (h *Handlers) currentUser(u site.User) currentUser {
	c := currentUser{
		ID: u.ID, Username: u.Username, Name: door.Optional(u.Name), Avatar: h.door.Frame().Asset("avatar.svg"),
		TrustLevel: u.TrustLevel, Admin: u.Admin, Moderator: u.Moderator,
	}
	return c
}

// sessionDestroy signs the user out who is named, and nobody else.
func (h *Handlers) sessionDestroy(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	name := strings.TrimSuffix(r.PathValue("username"), ".json")
	if !strings.EqualFold(name, c.User.Username) {
		return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	if err := h.door.Accounts().Logout(r.Context()); err != nil {
		return err
	}
	return door.Success(w)
}
