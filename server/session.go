package server

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
)

// currentUser is what an app learns of the user it acts for.
type currentUser struct {
	ID         int64   `json:"id"`
	Username   string  `json:"username"`
	Name       *string `json:"name"` // null if the user gave none, and for keys
	Avatar     string  `json:"avatar_template"`
	TrustLevel int     `json:"trust_level"`
	Admin      bool    `json:"admin"`
	Moderator  bool    `json:"moderator"`
}

// sessionCurrent tells a browser or an app who they are. For nobody there is no such thing.
func (s *Server) sessionCurrent(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	u := s.currentUser(v.User)
	access, keyed := userkeys.FromContext(r.Context())
	switch {
	case keyed:
		u.ID, u.Username = access.UserID, access.Username
		u.TrustLevel, u.Admin, u.Moderator = access.TrustLevel, access.Admin, access.Moderator
	case !v.SignedIn():
		return userkeys.Errorf(userkeys.NotFound, "nobody is signed in")
	}
	return writeJSON(w, map[string]currentUser{"current_user": u})
}

// csrf gives a user's program the token that its forms must carry.
func (s *Server) csrf(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
	token, err := s.accounts.FormToken(r)
	if err != nil {
		return err
	}
	keepSecret(w)
	return writeJSON(w, map[string]string{"csrf": token})
}

// sessionCreate signs a user's program in, as the login page does a browser.
// A refusal has both shapes that programs look for: error, and errors.
func (s *Server) sessionCreate(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
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
		w.WriteHeader(e.Code.Status())
		return writeJSON(w, map[string]any{"error": e.Public, "errors": []string{e.Public}, "error_type": e.Code.Type(), "reason": reasonOf(e)})
	}
	setUsername(w, u.Username)
	return writeJSON(w, map[string]currentUser{"user": s.currentUser(u)})
}

func (s *Server) currentUser(u userkeys.User) currentUser {
	c := currentUser{
		ID: u.ID, Username: u.Username, Name: present(u.Name), Avatar: s.assets.url("avatar.svg"),
		TrustLevel: u.TrustLevel, Admin: u.Admin, Moderator: u.Moderator,
	}
	return c
}

// sessionDestroy signs the user out who is named, and nobody else.
func (s *Server) sessionDestroy(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	name := strings.TrimSuffix(r.PathValue("username"), ".json")
	if !strings.EqualFold(name, v.User.Username) {
		return userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	if err := s.accounts.Logout(r.Context()); err != nil {
		return err
	}
	return success(w)
}
