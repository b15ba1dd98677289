package server

import (
	"net/http"
	"time"

	"userkeys"
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
	u := currentUser{Avatar: s.assets.url("avatar.svg")}
	access, keyed := userkeys.FromContext(r.Context())
	switch {
	case keyed:
		u.ID, u.Username = access.UserID, access.Username
		if access.Standing != nil {
			u.TrustLevel, u.Admin, u.Moderator = access.TrustLevel, access.Admin, access.Moderator
		}
	case v.SignedIn():
		u.ID, u.Username, u.TrustLevel = v.User.ID, v.User.Username, v.User.TrustLevel
		u.Admin, u.Moderator = v.User.Admin, v.User.Moderator
		if v.User.Name != "" {
			u.Name = &v.User.Name
		}
	default:
		return userkeys.Errorf(userkeys.NotFound, "nobody is signed in")
	}
	return writeJSON(w, map[string]currentUser{"current_user": u})
}

// healthz tells that the process is alive.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ userkeys.Visitor) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// readyz tells whether requests can be answered now.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
	if err := s.cfg.Ready(r.Context()); err != nil {
		return refuseJSON(w, r, &userkeys.Error{
			Code: userkeys.Unavailable, Public: "not ready to decide requests", RetryAfter: time.Second, Err: err,
		})
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}
