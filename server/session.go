package server

import (
	"net/http"

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
		u.TrustLevel, u.Admin, u.Moderator = access.TrustLevel, access.Admin, access.Moderator
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
