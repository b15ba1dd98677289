package server

import (
	"net/http"
	"time"

	"userkeys"
	"userkeys/site"
)

// renewRoutes are renewal of keys by the app.
func (s *Server) renewRoutes() []route {
	return []route{
		{"POST /user-api-key/renew", keyOnly, anyone, "", s.renew},
		{"POST /user-api-key/renew.json", keyOnly, anyone, "", s.renew},
	}
}

// renew gives the key that asks a successor. No browser and no user is needed:
// nothing widens, and only the app that was approved can open the answer.
func (s *Server) renew(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	access, keyed := userkeys.FromContext(r.Context())
	if !keyed {
		return refuseJSON(w, r, &userkeys.Error{Code: userkeys.NotLoggedIn, Public: "send the key that is to be renewed in the header User-Api-Key", Reason: "no key"})
	}
	nonce := r.PostForm.Get("nonce")
	if len(nonce) > 500 || !userkeys.IsText(nonce) {
		return userkeys.Errorf(userkeys.InvalidParameters, "nonce must be a text of at most 500 bytes")
	}
	renewed, err := s.clients.Renew(r.Context(), access, nonce, s.cfg.ClientIP(r))
	if err != nil {
		return err
	}
	keepSecret(w)
	answer := map[string]string{"payload": renewed.Payload}
	if !renewed.ExpiresAt.IsZero() {
		answer["expires_at"] = renewed.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return writeJSON(w, answer)
}
