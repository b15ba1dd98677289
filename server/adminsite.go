package server

import (
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// settingJSON is one setting in the admin API. A list is written a|b, a
// secret is never written.
type settingJSON struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Kind    string   `json:"kind"`
	Value   *string  `json:"value"` // null of a secret
	Set     bool     `json:"set"`   // whether it has a value, for secrets
	Default string   `json:"default"`
	Min     *int     `json:"min,omitempty"` // of a number
	Max     *int     `json:"max,omitempty"`
	Changed bool     `json:"changed"`
	Pinned  bool     `json:"pinned"` // by the configuration: cannot be changed here
	Summary string   `json:"summary"`
}

func (s *Server) settingJSON(d site.Setting, inForce site.Settings) settingJSON {
	value, _ := inForce.Value(d.Name) // the table knows its own names
	out := settingJSON{
		Name: d.Name, Aliases: append([]string{}, d.Aliases...), Kind: string(d.Kind), Set: value != "", Default: d.Default,
		Changed: value != d.Default, Pinned: s.site.Pinned(d.Name), Summary: d.Summary,
	}
	if !d.Secret {
		out.Value = &value
	}
	if d.Kind == site.SettingInt {
		out.Min, out.Max = &d.Min, &d.Max
	}
	return out
}

func (s *Server) listSettings(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	inForce := s.site.Settings()
	var list []settingJSON
	for _, d := range site.AllSettings() {
		list = append(list, s.settingJSON(d, inForce))
	}
	return writeJSON(w, map[string][]settingJSON{"settings": list})
}

// settingNamed is the setting of the address and the name it was called by,
// which may be an older one that takes its value in another form.
func settingNamed(r *http.Request) (d site.Setting, called string, err error) {
	if called, err = nameDotJSON(r, "name"); err == nil {
		d, err = site.FindSetting(called)
	}
	return d, called, err
}

func (s *Server) putSetting(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	d, called, err := settingNamed(r)
	if err != nil {
		return err
	}
	if err := onlyFields(r.PostForm, "value"); err != nil {
		return err
	}
	value, err := required(r.PostForm, "value")
	if err != nil {
		return err
	}
	if d.Secret && value == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "give the new secret, or DELETE the setting to remove it")
	}
	if err := s.site.ChangeSetting(r.Context(), called, value, s.caller(r, v)); err != nil {
		return err
	}
	return s.answerSetting(w, d)
}

func (s *Server) deleteSetting(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	d, _, err := settingNamed(r)
	if err != nil {
		return err
	}
	if err := s.site.ResetSetting(r.Context(), d.Name, s.caller(r, v)); err != nil {
		return err
	}
	return s.answerSetting(w, d)
}

func (s *Server) answerSetting(w http.ResponseWriter, d site.Setting) error {
	return writeJSON(w, map[string]settingJSON{"setting": s.settingJSON(d, s.site.Settings())})
}

// keyJSON is a user's key in the admin API.
type keyJSON struct {
	ID              int64      `json:"id"`
	UserID          int64      `json:"user_id"`
	Username        string     `json:"username,omitempty"`
	ClientID        string     `json:"client_id"`
	ApplicationName string     `json:"application_name"`
	Scopes          []string   `json:"scopes"`
	PushURL         string     `json:"push_url,omitempty"`
	CreatedAt       *time.Time `json:"created_at"`
	LastUsedAt      *time.Time `json:"last_used_at"` // null: never
	ExpiresAt       *time.Time `json:"expires_at"`
	RevokedAt       *time.Time `json:"revoked_at"`
	RevokedBy       string     `json:"revoked_by,omitempty"`

	Push *notify.KeyPushJSON `json:"push,omitempty"` // of a key with a push address
}

// listKeys lists users' keys, newest first: of a user, of a client, live ones.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	q, err := queryOf(r, "user", "user_id", "client_id", "live", "before")
	if err != nil {
		return err
	}
	f, err := s.keyFilter(r, q)
	if err != nil {
		return err
	}
	keys, err := s.admin.Keys(r.Context(), f)
	if err != nil {
		return err
	}
	pushes, err := s.keyPushes(r.Context(), keys)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	list := make([]keyJSON, len(keys))
	for i, k := range keys {
		list[i] = keyJSON{
			ID: k.ID, UserID: k.UserID, ClientID: k.ClientID, ApplicationName: k.ApplicationName, Scopes: append([]string{}, k.Scopes...),
			PushURL: k.PushURL, CreatedAt: notify.JSONTime(k.CreatedAt), ExpiresAt: notify.JSONTime(k.ExpiresAt),
			RevokedAt: notify.JSONTime(k.RevokedAt), RevokedBy: string(k.RevokedBy),
		}
		if k.Used() {
			list[i].LastUsedAt = notify.JSONTime(k.LastUsedAt)
		}
		if push, ok := pushes[k.ID]; ok {
			list[i].Push = notify.NewKeyPushJSON(push)
		}
		if list[i].Username, err = s.nameOf(r, k.UserID, names); err != nil {
			return err
		}
	}
	return writeJSON(w, map[string]any{"keys": list, "next": next(keys, q.limit, func(k site.UserAPIKey) int64 { return k.ID })})
}

func (s *Server) keyFilter(r *http.Request, q query) (site.KeyFilter, error) {
	f := site.KeyFilter{ClientID: q.Get("client_id"), Before: q.before, Limit: q.limit}
	var err error
	if f.Live, err = truth("live", q.Get("live")); q.Has("live") && err != nil {
		return f, err
	}
	f.UserID, err = s.userOfQuery(r, q)
	return f, err
}

// userOfQuery is the user whose things a list is to have, by user_id or user; 0 for everybody's.
func (s *Server) userOfQuery(r *http.Request, q query) (int64, error) {
	id, err := q.number("user_id")
	if err != nil || !q.Has("user") {
		return id, err
	}
	if id != 0 || s.cfg.Accounts == nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "name the user by user_id, or by user where this site has its own accounts")
	}
	u, err := s.cfg.Accounts.FindUser(r.Context(), q.Get("user"))
	return u.ID, err
}

// nameOf is a user's name, where this site has accounts; names remembers those found.
func (s *Server) nameOf(r *http.Request, id int64, names map[int64]string) (string, error) {
	name, ok := names[id]
	if ok || s.cfg.Accounts == nil {
		return name, nil
	}
	u, err := s.cfg.Accounts.User(r.Context(), id)
	if err != nil && userkeys.AsError(err).Code != userkeys.NotFound { // deleted a moment ago
		return "", err
	}
	names[id] = u.Username
	return u.Username, nil
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	id, err := pathID(r, "key")
	if err != nil {
		return err
	}
	if err := s.keys.Revoke(r.Context(), id, s.caller(r, v)); err != nil {
		return err
	}
	return success(w)
}

// eventJSON is a line of the audit log.
type eventJSON struct {
	ID       int64      `json:"id"`
	At       *time.Time `json:"at"`
	Actor    actorJSON  `json:"actor"`
	Action   string     `json:"action"`
	UserID   int64      `json:"user_id,omitempty"`
	KeyID    int64      `json:"key_id,omitempty"`
	ClientID string     `json:"client_id,omitempty"`
	Detail   string     `json:"detail"`
}

type actorJSON struct {
	Kind   string `json:"kind"`
	UserID int64  `json:"user_id,omitempty"`
	IP     string `json:"ip,omitempty"`
	Admin  bool   `json:"admin"`
}

// listEvents lists the audit log, newest first.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	q, err := queryOf(r, "before")
	if err != nil {
		return err
	}
	events, err := s.admin.AuditEvents(r.Context(), q.before, q.limit)
	if err != nil {
		return err
	}
	list := make([]eventJSON, len(events))
	for i, e := range events {
		list[i] = eventJSON{
			ID: e.ID, At: notify.JSONTime(e.At), Action: e.Action, UserID: e.UserID, KeyID: e.KeyID, ClientID: e.ClientID, Detail: e.Detail,
			Actor: actorJSON{Kind: string(e.Caller.Kind()), UserID: e.Caller.User.ID, IP: e.Caller.Address, Admin: e.Caller.Admin()},
		}
	}
	return writeJSON(w, map[string]any{"events": list, "next": next(events, q.limit, func(e site.AuditEvent) int64 { return e.ID })})
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
