package server

import (
	"errors"
	"net/http"

	"userkeys"
	"userkeys/site"
)

// clientRoutes are registered clients (W15).
func (s *Server) clientRoutes() []route {
	var all []route
	for _, path := range []string{"/user-api-key-client", "/user-api-key-client.json"} {
		all = append(all,
			route{"GET " + path, bare, anyone, "user_api_key_clients/show", s.clientShow},
			route{"POST " + path, programForm, anyone, "user_api_key_clients/create", s.clientCreate})
	}
	return all
}

// clientShow tells whether a client registered; of others it tells nothing.
func (s *Server) clientShow(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	q, err := userkeys.ParseParameters(r.URL.RawQuery)
	if err == nil && q.Get("client_id") == "" {
		err = userkeys.Errorf(userkeys.MissingParameter, "param is missing or the value is empty: client_id")
	}
	if err == nil {
		_, err = s.clients.RegisteredClient(r.Context(), q.Get("client_id"))
	}
	switch {
	case errors.Is(err, userkeys.NotFound):
		return refuseJSON(w, r, userkeys.Errorf(userkeys.InvalidParameters, "no client is registered by this client_id"))
	case err != nil:
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// clientCreate registers an app by itself. The limit is charged before anything is looked at.
func (s *Server) clientCreate(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	ip := s.cfg.ClientIP(r)
	err := s.clients.ChargeRegistration(r.Context(), ip)
	var c site.Client
	if err == nil {
		c, err = site.ParseClientRegistration(r.PostForm)
	}
	if err == nil {
		err = s.clients.RegisterClient(r.Context(), c, ip)
	}
	if err != nil {
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	return success(w)
}
