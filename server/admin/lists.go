package admin

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/server/door"
)

// userOfQuery is the user whose things a list is to have, by user_id or user; 0 for everybody'h.
func (h *Handlers) userOfQuery(r *http.Request, q door.Query) (int64, error) {
	id, err := q.Number("user_id")
	if err != nil || !q.Has("user") {
		return id, err
	}
	if id != 0 || h.cfg.Accounts == nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "name the user by user_id, or by user where this site has its own accounts")
	}
	u, err := h.cfg.Accounts.FindUser(r.Context(), q.Get("user"))
	return u.ID, err
}

// nameOf is a user's name, where this site has accounts; names remembers those found.
func (h *Handlers) nameOf(r *http.Request, id int64, names map[int64]string) (string, error) {
	name, ok := names[id]
	if ok || h.cfg.Accounts == nil {
		return name, nil
	}
	u, err := h.cfg.Accounts.User(r.Context(), id)
	if err != nil && userkeys.AsError(err).Code != userkeys.NotFound { // deleted a moment ago
		return "", err
	}
	names[id] = u.Username
	return u.Username, nil
}

// next is the cursor to the page after a list; nil at its end.
func next[T any](list []T, limit int, id func(T) int64) *int64 {
	if len(list) < limit {
		return nil
	}
	last := id(list[len(list)-1])
	return &last
}

// truth reads a yes or no.
func truth(name, text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, userkeys.Errorf(userkeys.InvalidParameters, "%s must be true or false", name)
}
