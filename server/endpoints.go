package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

// Users is what the endpoints that apps ask for need of a site's users. The
// store package has it by shape.
type Users interface {
	// User finds a user by id. [userkeys.NotFound].
	User(ctx context.Context, id int64) (site.User, error)
	// UserNamed finds a user by name, whatever its case. [userkeys.NotFound].
	UserNamed(ctx context.Context, username string) (site.User, error)
	// UserStatus is a user's status at a time. [userkeys.NotFound] if there is none.
	UserStatus(ctx context.Context, userID int64, at time.Time) (site.UserStatus, error)
	SetUserStatus(ctx context.Context, userID int64, u site.UserStatus) error
	ClearUserStatus(ctx context.Context, userID int64) error
}

// EndpointPaths are the paths of what apps of the wire ask a site for about
// itself, whose key they have, notifications and news of them; for a site that has nothing
// of its own there. /u/{username}.json and the admin endpoints are not among them.
func EndpointPaths() []string {
	paths := []string{"/site/basic-info.json", "/about.json", "/session", "/session.json", "/session/"}
	for _, p := range []string{"/notifications", "/notifications/totals", "/notifications/mark-read", "/notifications/read", "/do-not-disturb", "/user-status"} {
		paths = append(paths, p, p+".json")
	}
	return append(paths, "/message-bus/", "/events")
}

// FallbackPaths are those of [EndpointPaths] that an app asks first of all: whose key it has, and what is new. A
// site before a website may answer them where the website has nothing.
func FallbackPaths() []string {
	return []string{"/session/current.json", "/notifications.json", "/notifications/totals.json"}
}

func (s *Server) endpoints() bool { return s.cfg.Endpoints || s.cfg.Standalone }

// endpointRoutes are what apps ask a site about itself, its users and sessions.
func (s *Server) endpointRoutes() []route {
	if !s.endpoints() {
		return nil
	}
	all := []route{
		{"GET /site/basic-info.json", bare, anyone, "site/basic_info", s.basicInfo},
		{"GET /about.json", bare, anyone, "about/index", s.about},
	}
	if s.cfg.Users == nil {
		return all
	}
	all = append(all, route{"GET /u/{username}", current.needing(site.AdminUsers), anyone, "users/show", s.user})
	for _, end := range []string{"", ".json"} {
		all = append(all,
			route{"GET /user-status" + end, current.needing(site.AdminUsers), anyone, "user_status/get", s.userStatus},
			route{"PUT /user-status" + end, bodied, anyone, "user_status/set", s.setUserStatus},
			route{"DELETE /user-status" + end, bodied, anyone, "user_status/clear", s.clearUserStatus})
	}
	return all
}

// basicInfo is what an app shows of a site before anybody signs in.
func (s *Server) basicInfo(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	set := s.site.Settings()
	icon := s.base() + s.assets.url("icon.png")
	return writeJSON(w, map[string]any{
		"title": set.Title, "description": set.SiteDescription, "login_required": false,
		"logo_url": icon, "logo_small_url": icon, "mobile_logo_url": icon, "apple_touch_icon_url": icon, "favicon_url": icon,
		// The colors of the pages' style in its light form.
		"header_primary_color": "1b2733", "header_background_color": "ffffff",
	})
}

// about tells what the site is. It counts nothing: it is for strangers.
func (s *Server) about(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	set := s.site.Settings()
	return writeJSON(w, map[string]any{"about": map[string]string{"title": set.Title, "description": set.SiteDescription}})
}

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
func (s *Server) user(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	name, isJSON := strings.CutSuffix(r.PathValue("username"), ".json")
	if !isJSON && !gateway.WantsJSON(r) {
		return s.unknown(w, r, v) // there is no page for people here
	}
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	u, err := s.cfg.Users.UserNamed(r.Context(), name)
	if err == nil && !u.Active && !who.staff() {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	if err != nil {
		return err
	}
	shown := userJSON{
		ID: u.ID, Username: u.Username, Name: known(u.Name), Avatar: s.assets.url("avatar.svg"), TrustLevel: u.TrustLevel,
		Admin: u.Admin, Moderator: u.Moderator, CreatedAt: wireTime(u.CreatedAt),
	}
	if shown.Status, err = s.statusOf(r, u.ID); err != nil {
		return err
	}
	if who.keyed || who.id != u.ID && !who.admin { // a key learns nothing of other keys
		return writeJSON(w, map[string]userJSON{"user": shown})
	}
	keys, err := s.liveKeys(r, u.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]userWithKeys{"user": {shown, keys}})
}

// liveKeys lists a user's keys, the one longest unused first.
func (s *Server) liveKeys(r *http.Request, userID int64) ([]appKeyJSON, error) {
	keys, err := s.keys.Apps(r.Context(), userID)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(keys, func(a, b site.UserAPIKey) int { return a.LastUsedAt.Compare(b.LastUsedAt) })
	var out []appKeyJSON
	for _, k := range keys {
		if !k.Live(s.cfg.Now()) {
			continue
		}
		shown := appKeyJSON{
			ID: k.ID, ApplicationName: k.ApplicationName, Scopes: s.site.Catalog().Sentences(k.Scopes),
			CreatedAt: wireTime(k.CreatedAt), LastUsedAt: wireTime(k.LastUsedAt),
		}
		if !k.ExpiresAt.IsZero() {
			shown.ExpiresAt = known(wireTime(k.ExpiresAt))
		}
		out = append(out, shown)
	}
	return out, nil
}

// fullName is the name of who asks, which a key does not know.
func (s *Server) fullName(r *http.Request, v site.Visitor, who asker) (string, error) {
	if !who.keyed || s.cfg.Users == nil {
		return v.User.Name, nil
	}
	u, err := s.cfg.Users.User(r.Context(), who.id)
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
func (s *Server) statusOf(r *http.Request, userID int64) (*statusJSON, error) {
	u, err := s.cfg.Users.UserStatus(r.Context(), userID, s.cfg.Now())
	if errors.Is(err, userkeys.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	shown := &statusJSON{Description: u.Description, Emoji: u.Emoji}
	if !u.EndsAt.IsZero() {
		shown.EndsAt = known(wireTime(u.EndsAt))
	}
	return shown, nil
}

// userStatus shows one's own status; null if there is none.
func (s *Server) userStatus(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	status, err := s.statusOf(r, who.id)
	if err != nil {
		return err
	}
	return writeJSON(w, status)
}

func (s *Server) setUserStatus(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	status, err := parseStatus(fields, s.cfg.Now())
	if err != nil {
		return err
	}
	if err := s.cfg.Users.SetUserStatus(r.Context(), who.id, status); err != nil {
		return err
	}
	return success(w)
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
			return status, userkeys.Errorf(userkeys.MissingParameter, "%s is missing: a status has an emoji and a description", f.name)
		}
		if !userkeys.IsText(text) || utf8.RuneCountInString(text) > f.most {
			return status, userkeys.Errorf(userkeys.InvalidParameters, "%s must be one line of at most %d characters", f.name, f.most)
		}
		*f.to = text
	}
	ends := fields.Get("ends_at")
	if ends == "" {
		return status, nil
	}
	at, err := time.Parse(time.RFC3339, ends)
	if err != nil || !at.After(now) || at.Year() > 9999 {
		return status, userkeys.Errorf(userkeys.InvalidParameters, "ends_at must be a time to come, such as 2030-01-31T18:00:00Z, or left out")
	}
	status.EndsAt = at.UTC()
	return status, nil
}

func (s *Server) clearUserStatus(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	if err := s.cfg.Users.ClearUserStatus(r.Context(), who.id); err != nil {
		return err
	}
	return success(w)
}
