package consent

import (
	"errors"
	"net/http"

	"userkeys"
	"userkeys/server/door"
	"userkeys/site"
)

// clientShow tells whether a client registered; of others it tells nothing.
func (h *Handlers) clientShow(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := userkeys.ParseParameters(r.URL.RawQuery)
	if err == nil && q.Get("client_id") == "" {
		err = userkeys.Errorf(userkeys.MissingParameter, "param is missing or the value is empty: client_id")
	}
	if err == nil {
		_, err = h.authority.RegisteredClient(r.Context(), q.Get("client_id"))
	}
	switch {
	case errors.Is(err, userkeys.NotFound):
		return door.RefuseJSON(w, r, userkeys.Errorf(userkeys.InvalidParameters, "no client is registered by this client_id"))
	case err != nil:
		return door.RefuseJSON(w, r, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// clientCreate registers an app by itself. The limit is charged before anything is looked at.
func (h *Handlers) clientCreate(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	err := h.authority.ChargeRegistration(r.Context(), c.Address)
	var client site.Client
	if err == nil {
		client, err = site.ParseClientRegistration(r.PostForm)
	}
	if err == nil {
		err = h.authority.RegisterClient(r.Context(), client, c.Address)
	}
	if err != nil {
		return door.RefuseJSON(w, r, err)
	}
	return door.Success(w)
}
