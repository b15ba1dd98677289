package wire

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// userJSON is a user as others see them.
type userJSON struct {
	ID         int64       `json:"id"`
	Username   string      `json:"username"`
	Name       *string     `json:"name"`
	Avatar     string      `json:"avatar_template"`
	TrustLevel int         `json:"trust_level"`
	Admin      bool        `json:"admin"`
	Moderator  bool        `json:"moderator"`
	CreatedAt  string      `json:"created_at"`
	Status     *statusJSON `json:"status,omitempty"`
}

// userWithKeys is the same for those who may manage the user's keys: a list, or null for none.
type userWithKeys struct {
	userJSON
	Keys []appKeyJSON `json:"user_api_keys"`
}

// appKeyJSON is a key of a user as the wire shows it (20).
type appKeyJSON struct {
	ID              int64    `json:"id"`
	ApplicationName string   `json:"application_name"`
	Scopes          []string `json:"scopes"` // in words
	CreatedAt       string   `json:"created_at"`
	LastUsedAt      string   `json:"last_used_at"`
	ExpiresAt       *string  `json:"expires_at"`
}

// user shows a user to those who are signed in.
func (h *Handlers) user(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	name, isJSON := strings.CutSuffix(r.PathValue("username"), ".json")
	if !isJSON && !gateway.WantsJSON(r) {
		return door.ErrNothingHere // there is no page for people here
	}
	if !c.SignedIn() {
		return door.ErrNotLoggedIn
	}
	u, err := h.cfg.Users.UserNamed(r.Context(), name)
	if err == nil && !u.Active && !staff(c.User) {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	if err != nil {
		return err
	}
	shown := userJSON{
		ID: u.ID, Username: u.Username, Name: door.Optional(u.Name), Avatar: h.door.Frame().Asset("avatar.svg"),
		TrustLevel: u.TrustLevel,
		Admin:      u.Admin, Moderator: u.Moderator, CreatedAt: notify.WireTime(u.CreatedAt),
	}
	if shown.Status, err = h.statusOf(r, u.ID); err != nil {
		return err
	}
	if c.Key != 0 || c.User.ID != u.ID && !c.User.Admin { // a key learns nothing of other keys
		return door.WriteJSON(w, map[string]userJSON{"user": shown})
	}
	keys, err := h.liveKeys(r, u.ID)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, map[string]userWithKeys{"user": {shown, keys}})
}

// staff tells whether u is an administrator or a moderator.
func staff(u site.User) bool { return u.Admin || u.Moderator }

// mostKeys is how many of a user's keys are listed with the user; the page of their apps has all.
const mostKeys = 1000

// liveKeys lists a user's keys, the one longest unused first.
func (h *Handlers) liveKeys(r *http.Request, userID int64) ([]appKeyJSON, error) {
	f := site.AppFilter{UserID: userID, LongestFirst: true, Limit: mostKeys}
	list, err := h.cfg.Authority.Apps(r.Context(), f)
	if err != nil {
		return nil, err
	}
	var out []appKeyJSON
	for _, k := range list.Apps {
		shown := appKeyJSON{
			ID: k.ID, ApplicationName: k.ApplicationName, Scopes: h.cfg.Authority.Catalog().Sentences(k.Scopes),
			CreatedAt: notify.WireTime(k.CreatedAt), LastUsedAt: notify.WireTime(k.LastUsedAt),
		}
		if !k.ExpiresAt.IsZero() {
			shown.ExpiresAt = door.Optional(notify.WireTime(k.ExpiresAt))
		}
		out = append(out, shown)
	}
	return out, nil
}

// fullName is the name of who asks, which a key does not know.
func (h *Handlers) fullName(r *http.Request, c site.Caller) (string, error) {
	if c.Key == 0 || h.cfg.Users == nil {
		return c.User.Name, nil
	}
	u, err := h.cfg.Users.User(r.Context(), c.User.ID)
	return u.Name, err
}

// Bounds of a status, in characters.
const (
	maxEmoji       = 100
	maxDescription = 100
)

// statusJSON is the line beside a user's name.
type statusJSON struct {
	Description string  `json:"description"`
	Emoji       string  `json:"emoji"`
	EndsAt      *string `json:"ends_at"`
}

// statusOf is a user's status; nil if there is none.
func (h *Handlers) statusOf(r *http.Request, userID int64) (*statusJSON, error) {
	u, err := h.cfg.Users.UserStatus(r.Context(), userID, h.door.Now())
	if errors.Is(err, userkeys.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	shown := &statusJSON{Description: u.Description, Emoji: u.Emoji}
	if !u.EndsAt.IsZero() {
		shown.EndsAt = door.Optional(notify.WireTime(u.EndsAt))
	}
	return shown, nil
}

// userStatus shows one's own status; null if there is none.
func (h *Handlers) userStatus(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	status, err := h.statusOf(r, c.User.ID)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, status)
}

func (h *Handlers) setUserStatus(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	fields, err := input.ReadFields(w, r)
	if err != nil {
		return err
	}
	status, err := parseStatus(fields, h.door.Now())
	if err != nil {
		return err
	}
	if err := h.cfg.Users.SetUserStatus(r.Context(), c.User.ID, status); err != nil {
		return err
	}
	return door.Success(w)
}

func parseStatus(fields url.Values, now time.Time) (site.UserStatus, error) {
	status := site.UserStatus{SetAt: now}
	for _, f := range []struct {
		name string
		most int
		to   *string
	}{{"description", maxDescription, &status.Description}, {"emoji", maxEmoji, &status.Emoji}} {
		text := strings.TrimSpace(fields.Get(f.name))
		if text == "" {
			return status, userkeys.Errorf(userkeys.MissingParameter,
				"%s is missing: a status has an emoji and a description", f.name)
		}
		if !userkeys.IsText(text) || utf8.RuneCountInString(text) > f.most {
			return status, userkeys.Errorf(userkeys.InvalidParameters,
				"%s must be one line of at most %d characters", f.name, f.most)
		}
		*f.to = text
	}
	ends := fields.Get("ends_at")
	if ends == "" {
		return status, nil
	}
	at, err := time.Parse(time.RFC3339, ends)
	if err != nil || !at.After(now) || at.Year() > 9999 {
		return status, userkeys.Errorf(userkeys.InvalidParameters,
			"ends_at must be a time to come, such as 2030-01-31T18:00:00Z, or left out")
	}
	status.EndsAt = at.UTC()
	return status, nil
}

func (h *Handlers) clearUserStatus(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.cfg.Users.ClearUserStatus(r.Context(), c.User.ID); err != nil {
		return err
	}
	return door.Success(w)
}
