package consent

import (
	"net/http"
	"time"

	"userkeys"
	"userkeys/server/door"
	"userkeys/site"
)

// renew gives the key that asks a successor. No browser and no user is needed:
// nothing widens, and only the app that was approved can open the answer.
func (h *Handlers) renew(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	access, keyed := userkeys.FromContext(r.Context())
	if !keyed {
		return door.RefuseJSON(w, r, &userkeys.Error{
			Code:   userkeys.NotLoggedIn,
			Public: "send the key that is to be renewed in the header User-Api-Key", Reason: "no key",
		})
	}
	nonce := r.PostForm.Get("nonce")
	if len(nonce) > 500 || !userkeys.IsText(nonce) {
		return userkeys.Errorf(userkeys.InvalidParameters, "nonce must be a text of at most 500 bytes")
	}
	renewed, err := h.authority.Renew(r.Context(), access, nonce, c.Address)
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	answer := map[string]string{"payload": renewed.Payload}
	if !renewed.ExpiresAt.IsZero() {
		answer["expires_at"] = renewed.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return door.WriteJSON(w, answer)
}
