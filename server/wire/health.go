package wire

import (
	"net/http"
	"time"

	"userkeys"
	"userkeys/server/door"
	"userkeys/site"
)

// healthz tells that the process is alive.
func (h *Handlers) healthz(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// readyz tells whether requests can be answered now, and by the reason of the error why not.
func (h *Handlers) readyz(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	if err := h.cfg.Ready(r.Context()); err != nil {
		return door.RefuseJSON(w, r, &userkeys.Error{
			Code: userkeys.Unavailable, Public: "not ready to decide requests", RetryAfter: time.Second,
			Reason: userkeys.AsError(err).Reason, Err: err,
		})
	}
	return door.WriteJSON(w, map[string]string{"status": "ready"})
}
