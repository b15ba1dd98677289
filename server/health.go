package server

import (
	"net/http"
	"time"

	"userkeys"
	"userkeys/site"
)

// healthz tells that the process is alive.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// readyz tells whether requests can be answered now, and by the reason of the error why not.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	if err := s.cfg.Ready(r.Context()); err != nil {
		return refuseJSON(w, r, &userkeys.Error{
			Code: userkeys.Unavailable, Public: "not ready to decide requests", RetryAfter: time.Second,
			Reason: userkeys.AsError(err).Reason, Err: err,
		})
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}
