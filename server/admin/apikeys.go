package admin

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

const (
	apiKeysPath  = "/user-api-key/admin/api-keys"
	apiKeysShown = 50 // on a page
)

// apiKeysPage shows the admin API keys and makes new ones.
type apiKeysPage struct {
	status      int // of the answer; 0: 200
	Keys        []apiKeyView
	Older       string // address of the next page; empty: this is the last
	Notice      string
	Form        string // one-time token of the form
	New         string // the text of the key that was just made: shown this once
	NewFor      string // its description
	Description string // what was typed, if it was refused
	Username    string
	Permissions []choiceView
	Terms       []choiceView
	Error       string
	Again       string // where to sign in again first; empty: there is no need
	Command     bool   // keys are made by the command only
}

// choiceView is a box to tick.
type choiceView struct {
	Name    string
	What    string
	Checked bool
}

// permissionSentences say what each permission allows.
var permissionSentences = map[site.AdminPermission]string{
	site.AdminUsers:      "read and change users, but no administrators",
	site.AdminKeys:       "list and revoke the keys of users' apps",
	site.AdminClients:    "nothing yet: kept for registered apps",
	site.AdminSettings:   "read and change settings",
	site.AdminAudit:      "read the audit log",
	site.AdminDeliveries: "see, replay and discard deliveries",
	site.AdminNotify:     "notify users, and read their notifications",
	site.AdminIntrospect: "ask whether users' keys are good, and have requests with them checked",
	site.AdminGrant:      "ask and answer for a user: give apps keys and one-time passwords, list and revoke their keys",
}

// termChoices are the ends that the page offers, by their days.
func termChoices(days string) []choiceView {
	var out []choiceView
	for _, n := range []int{7, 30, 90, 365} {
		name := strconv.Itoa(n)
		out = append(out, choiceView{name, "after " + page.Count(n, "day"), name == days})
	}
	return out
}

func permissionChoices(checked site.AdminPermissions) []choiceView {
	var out []choiceView
	for _, p := range site.AllAdminPermissions() {
		out = append(out, choiceView{string(p), permissionSentences[p], len(checked) > 0 && checked.Has(p)})
	}
	return out
}

type apiKeyView struct {
	ID          int64
	Description string
	Username    string // empty: anybody
	Permissions string // empty: everything
	Made        page.Moment
	Used        page.Moment
	Ends        page.Moment // unknown: never by itself
	Expired     bool
	Revoked     page.Moment
}

// apiKeys shows an administrator every admin API key.
func (h *Handlers) apiKeys(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := apiKeysPage{}
	if r.URL.Query().Get("done") == "revoked" {
		p.Notice = "Revoked. Whatever used that key is refused from now on."
	}
	return h.showAPIKeys(w, r, c, p)
}

func (h *Handlers) showAPIKeys(w http.ResponseWriter, r *http.Request, c site.Caller, p apiKeysPage) error {
	before, _ := input.ParseID(r.URL.Query().Get("before")) // what is no id is the first page
	keys, err := h.cfg.Keys.AdminKeys(r.Context(), before, apiKeysShown)
	if err != nil {
		return err
	}
	p.Command = !h.knowsSignIns()
	if p.Again, err = h.door.AgainURL(r, apiKeysPath); err != nil {
		return err
	}
	if p.Permissions == nil {
		p.Permissions, p.Terms = permissionChoices(nil), termChoices("")
	}
	now := h.door.Now()
	p.Form = door.NewForm(now)
	for _, k := range keys {
		p.Keys = append(p.Keys, apiKeyView{
			ID: k.ID, Description: page.ShownText(k.Description), Username: k.Username,
			Permissions: strings.ReplaceAll(k.Permissions.String(), ",", ", "),
			Made:        page.MomentAt(k.CreatedAt, now), Used: page.MomentAt(k.LastUsedAt, now),
			Revoked: page.MomentAt(k.RevokedAt, now),
			Ends:    page.MomentAt(k.ExpiresAt, now), Expired: !k.Live(now) && k.RevokedAt.IsZero(),
		})
	}
	if id := door.Next(keys, apiKeysShown, apiKeyID); id != nil {
		p.Older = apiKeysPath + "?before=" + strconv.FormatInt(*id, 10)
	}
	return h.pages.apiKeys.Show(w, c, cmp.Or(p.status, http.StatusOK), p)
}

func apiKeyID(k site.AdminAPIKey) int64 { return k.ID }

// apiKeysPost makes a key and shows it, once. What was typed stays if it is refused.
func (h *Handlers) apiKeysPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	days := r.PostForm.Get("days")
	p := apiKeysPage{
		Description: r.PostForm.Get("description"), Username: r.PostForm.Get("username"),
		Terms: termChoices(days),
	}
	n := site.NewAdminAPIKey{Description: p.Description, Username: p.Username}
	for _, name := range site.AllAdminPermissions() {
		if r.PostForm.Has("may_" + string(name)) {
			n.Permissions = append(n.Permissions, name)
		}
	}
	p.Permissions = permissionChoices(n.Permissions)
	var err error
	if n.ExpiresAt, err = h.endInDays(days); err != nil {
		return err
	}
	text, k, err := h.makeAPIKey(r, c, n)
	if err == nil {
		door.KeepSecret(w)
		return h.showAPIKeys(w, r, c, apiKeysPage{New: text.Reveal(), NewFor: page.ShownText(k.Description)})
	}
	e := userkeys.AsError(err)
	switch {
	case gateway.WantsJSON(r):
		return err
	case errors.Is(err, errCommandOnly):
		door.Note(r, err)
		p.status = e.Code.Status()
		return h.showAPIKeys(w, r, c, p)
	case e.Code == userkeys.MissingParameter:
		p.Error = "Say what the key is for, so that others know whether it may be revoked."
	case e.Code == userkeys.InvalidParameters || e.Code == userkeys.NotFound:
		p.Error = page.Sentence(e.Public)
	default:
		return err
	}
	door.Note(r, err)
	p.status = http.StatusBadRequest
	return h.showAPIKeys(w, r, c, p)
}

var errCommandOnly = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "the command only",
	Public: userkeys.NotPermitted + " Admin API keys of this site are made by the command userkeys admin-keys add.",
}

// knowsSignIns reports whether people can be asked for a fresh sign-in.
func (h *Handlers) knowsSignIns() bool {
	_, ok := h.door.Identity().(door.SignInTimes)
	return ok
}

// makeAPIKey makes a key, where the rules of its route could ask for a fresh sign-in.
func (h *Handlers) makeAPIKey(
	r *http.Request, c site.Caller, n site.NewAdminAPIKey,
) (userkeys.Key, site.AdminAPIKey, error) {
	if !h.knowsSignIns() {
		return "", site.AdminAPIKey{}, errCommandOnly
	}
	return h.cfg.Keys.CreateAdminKey(r.Context(), n, c)
}

// endInDays reads a number of days as the end of a key; empty is never.
func (h *Handlers) endInDays(days string) (time.Time, error) {
	if days == "" {
		return time.Time{}, nil
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3650 {
		return time.Time{}, userkeys.Errorf(userkeys.InvalidParameters, "a key ends after 1 to 3650 days, or never")
	}
	return h.door.Now().AddDate(0, 0, n), nil
}

func (h *Handlers) listAPIKeys(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := input.ParseListQuery(r, "before")
	if err != nil {
		return err
	}
	keys, err := h.cfg.Keys.AdminKeys(r.Context(), q.Before, q.Limit)
	if err != nil {
		return err
	}
	list := make([]rows.AdminKey, len(keys))
	for i, k := range keys {
		list[i] = rows.NewAdminKey(k)
	}
	return door.WriteJSON(w, map[string]any{"keys": list, "next": door.Next(keys, q.Limit, apiKeyID)})
}

func (h *Handlers) createAPIKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	f := r.PostForm
	if err := input.OnlyFields(f, "description", "username", "permissions", "expires_at"); err != nil {
		return err
	}
	n := site.NewAdminAPIKey{Description: f.Get("description"), Username: f.Get("username")}
	var err error
	if n.Permissions, err = site.ParseAdminPermissions(f.Get("permissions")); err != nil {
		return err
	}
	if end := f.Get("expires_at"); end != "" {
		if n.ExpiresAt, err = time.Parse(time.RFC3339, end); err != nil {
			return userkeys.Errorf(userkeys.InvalidParameters, "expires_at must be a time such as 2027-01-31T12:00:00Z")
		}
	}
	text, k, err := h.makeAPIKey(r, c, n)
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	out := rows.NewAdminKey(k)
	out.Key = text.Reveal()
	return door.WriteJSON(w, map[string]rows.AdminKey{"key": out})
}

// revokeAPIKey revokes the key that an address or the page's form names.
func (h *Handlers) revokeAPIKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.ID(r, "admin API key")
	if err != nil {
		return err
	}
	if err := h.cfg.Keys.RevokeAdminKey(r.Context(), id, c); err != nil {
		return err
	}
	if gateway.WantsJSON(r) {
		return door.Success(w)
	}
	return door.Redirect(w, http.StatusSeeOther, apiKeysPath+"?done=revoked")
}
