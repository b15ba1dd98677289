package admin

import (
	"context"
	"net/http"

	"userkeys"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// Sync takes over the users of a website whose people sign in here.
type Sync interface {
	// ParseSync reads a list of users. Errors: [userkeys.InvalidParameters].
	ParseSync(text []byte) (site.Sync, error)
	// Sync does what the list says. Errors: [userkeys.InvalidParameters] for a login that there is not.
	Sync(ctx context.Context, s site.Sync, by site.Caller) ([]site.SyncOutcome, error)
}

// Bounds of one request to sync users.
const (
	maxSyncBody  = 2 << 20
	maxSyncUsers = 1000
)

// syncUsers makes, changes and suspends users as a website tells of its own.
func (h *Handlers) syncUsers(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if !input.IsJSON(r) {
		return userkeys.Errorf(userkeys.UnsupportedMedia, "the body must be application/json")
	}
	text, err := input.ReadAll(w, r, maxSyncBody)
	if err != nil {
		return err
	}
	s, err := h.cfg.Sync.ParseSync(text)
	if err != nil {
		return err
	}
	if len(s.Users) > maxSyncUsers {
		return userkeys.Errorf(userkeys.InvalidParameters, "one request takes at most %d users", maxSyncUsers)
	}
	s.SparesAdmins = door.AdminAPIKey(r).Narrow()
	outcomes, err := h.cfg.Sync.Sync(r.Context(), s, c)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, rows.NewSync(outcomes))
}
