package server

import (
	"net/http"
	"strconv"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
)

const (
	adminKeysPath  = "/user-api-key/admin/api-keys"
	adminKeysShown = 50 // on a page
)

// adminKeysPage shows the admin API keys and makes new ones.
type adminKeysPage struct {
	Keys        []adminKeyView
	Older       string // address of the next page; empty: this is the last
	Notice      string
	New         string // the text of the key that was just made: shown this once
	NewFor      string // its description
	Description string // what was typed, if it was refused
	Username    string
	Error       string
}

type adminKeyView struct {
	ID          int64
	Description string
	Username    string // empty: anybody
	Made        moment
	Used        moment
	Revoked     moment
}

// adminKeysPage shows an administrator every admin API key.
func (s *Server) adminKeysPage(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	p := adminKeysPage{}
	if r.URL.Query().Get("done") == "revoked" {
		p.Notice = "Revoked. Whatever used that key is refused from now on."
	}
	return s.showAdminKeys(w, r, v, http.StatusOK, p)
}

func (s *Server) showAdminKeys(w http.ResponseWriter, r *http.Request, v userkeys.Visitor, status int, p adminKeysPage) error {
	before, _ := plainID(r.URL.Query().Get("before")) // what is no id is the first page
	keys, err := s.admin.AdminKeys(r.Context(), before, adminKeysShown)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	for _, k := range keys {
		p.Keys = append(p.Keys, adminKeyView{
			ID: k.ID, Description: shownText(k.Description), Username: k.Username,
			Made: momentAt(k.CreatedAt, now), Used: momentAt(k.LastUsedAt, now), Revoked: momentAt(k.RevokedAt, now),
		})
	}
	if id := next(keys, adminKeysShown, adminKeyID); id != nil {
		p.Older = adminKeysPath + "?before=" + strconv.FormatInt(*id, 10)
	}
	return s.pages.AdminKeys(w, status, s.frame(v), p)
}

func adminKeyID(k userkeys.AdminAPIKey) int64 { return k.ID }

// adminKeysPost makes a key and shows it, once. What was typed stays if it is refused.
func (s *Server) adminKeysPost(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	p := adminKeysPage{Description: r.PostForm.Get("description"), Username: r.PostForm.Get("username")}
	text, k, err := s.admin.CreateAdminKey(r.Context(), p.Description, p.Username, s.actor(r, v))
	if err == nil {
		keepSecret(w)
		return s.showAdminKeys(w, r, v, http.StatusOK, adminKeysPage{New: text.Reveal(), NewFor: shownText(k.Description)})
	}
	e := userkeys.AsError(err)
	switch {
	case gateway.WantsJSON(r):
		return err
	case e.Code == userkeys.MissingParameter:
		p.Error = "Say what the key is for, so that others know whether it may be revoked."
	case e.Code == userkeys.InvalidParameters || e.Code == userkeys.NotFound:
		p.Error = sentence(e.Public)
	default:
		return err
	}
	exchangeOf(r).err = err
	return s.showAdminKeys(w, r, v, http.StatusBadRequest, p)
}

// adminKeysRevoke revokes a key of the page.
func (s *Server) adminKeysRevoke(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	id, err := keyID(r.PostForm)
	if err != nil {
		return err
	}
	if err := s.admin.RevokeAdminKey(r.Context(), id, s.actor(r, v)); err != nil {
		return err
	}
	if gateway.WantsJSON(r) {
		return success(w)
	}
	redirect(w, http.StatusSeeOther, adminKeysPath+"?done=revoked")
	return nil
}

// adminKeyJSON is an admin API key in the admin API.
type adminKeyJSON struct {
	ID          int64      `json:"id"`
	Key         string     `json:"key,omitempty"` // once, of a new one
	Description string     `json:"description"`
	Username    *string    `json:"username"` // null: acts as anybody
	CreatedAt   *time.Time `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	RevokedAt   *time.Time `json:"revoked_at"`
}

func adminKeyOf(k userkeys.AdminAPIKey) adminKeyJSON {
	out := adminKeyJSON{
		ID: k.ID, Description: k.Description,
		CreatedAt: notify.JSONTime(k.CreatedAt), LastUsedAt: notify.JSONTime(k.LastUsedAt), RevokedAt: notify.JSONTime(k.RevokedAt),
	}
	if k.UserID != 0 {
		out.Username = &k.Username
	}
	return out
}

func (s *Server) listAdminKeys(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
	q, err := queryOf(r, "before")
	if err != nil {
		return err
	}
	keys, err := s.admin.AdminKeys(r.Context(), q.before, q.limit)
	if err != nil {
		return err
	}
	list := make([]adminKeyJSON, len(keys))
	for i, k := range keys {
		list[i] = adminKeyOf(k)
	}
	return writeJSON(w, map[string]any{"keys": list, "next": next(keys, q.limit, adminKeyID)})
}

func (s *Server) createAdminKey(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	if err := onlyFields(r.PostForm, "description", "username"); err != nil {
		return err
	}
	text, k, err := s.admin.CreateAdminKey(r.Context(), r.PostForm.Get("description"), r.PostForm.Get("username"), s.actor(r, v))
	if err != nil {
		return err
	}
	keepSecret(w)
	out := adminKeyOf(k)
	out.Key = text.Reveal()
	return writeJSON(w, map[string]adminKeyJSON{"key": out})
}

func (s *Server) revokeAdminKey(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	id, err := pathID(r, "admin API key")
	if err != nil {
		return err
	}
	if err := s.admin.RevokeAdminKey(r.Context(), id, s.actor(r, v)); err != nil {
		return err
	}
	return success(w)
}
