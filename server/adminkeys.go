package server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/site"
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
	site.AdminGrant:      "give apps keys and one-time passwords in a user's name",
}

// termChoices are the ends that the page offers, by their days.
func termChoices(days string) []choiceView {
	var out []choiceView
	for _, n := range []int{7, 30, 90, 365} {
		name := strconv.Itoa(n)
		out = append(out, choiceView{name, "after " + count(n, "day"), name == days})
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

type adminKeyView struct {
	ID          int64
	Description string
	Username    string // empty: anybody
	Permissions string // empty: everything
	Made        moment
	Used        moment
	Ends        moment // unknown: never by itself
	Expired     bool
	Revoked     moment
}

// adminKeysPage shows an administrator every admin API key.
func (s *Server) adminKeysPage(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p := adminKeysPage{}
	if r.URL.Query().Get("done") == "revoked" {
		p.Notice = "Revoked. Whatever used that key is refused from now on."
	}
	return s.showAdminKeys(w, r, v, http.StatusOK, p)
}

func (s *Server) showAdminKeys(w http.ResponseWriter, r *http.Request, v site.Visitor, status int, p adminKeysPage) error {
	before, _ := plainID(r.URL.Query().Get("before")) // what is no id is the first page
	keys, err := s.admin.AdminKeys(r.Context(), before, adminKeysShown)
	if err != nil {
		return err
	}
	if err := s.fresh(r); err != nil {
		if e := userkeys.AsError(err); e.Reason != reasonStaleSignIn && e.Reason != reasonCommandOnly {
			return err
		}
		if p.Command = userkeys.AsError(err).Reason == reasonCommandOnly; !p.Command {
			p.Again = s.signInAgain(adminKeysPath)
		}
	}
	if p.Permissions == nil {
		p.Permissions, p.Terms = permissionChoices(nil), termChoices("")
	}
	now := s.cfg.Now()
	for _, k := range keys {
		p.Keys = append(p.Keys, adminKeyView{
			ID: k.ID, Description: shownText(k.Description), Username: k.Username, Permissions: strings.ReplaceAll(k.Permissions.String(), ",", ", "),
			Made: momentAt(k.CreatedAt, now), Used: momentAt(k.LastUsedAt, now), Revoked: momentAt(k.RevokedAt, now),
			Ends: momentAt(k.ExpiresAt, now), Expired: !k.Live(now) && k.RevokedAt.IsZero(),
		})
	}
	if id := next(keys, adminKeysShown, adminKeyID); id != nil {
		p.Older = adminKeysPath + "?before=" + strconv.FormatInt(*id, 10)
	}
	return s.pages.AdminKeys(w, status, s.frame(v), p)
}

func adminKeyID(k site.AdminAPIKey) int64 { return k.ID }

// adminKeysPost makes a key and shows it, once. What was typed stays if it is refused.
func (s *Server) adminKeysPost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	days := r.PostForm.Get("days")
	p := adminKeysPage{Description: r.PostForm.Get("description"), Username: r.PostForm.Get("username"), Terms: termChoices(days)}
	n := site.NewAdminAPIKey{Description: p.Description, Username: p.Username}
	for _, name := range site.AllAdminPermissions() {
		if r.PostForm.Has("may_" + string(name)) {
			n.Permissions = append(n.Permissions, name)
		}
	}
	p.Permissions = permissionChoices(n.Permissions)
	var err error
	if n.ExpiresAt, err = s.endInDays(days); err != nil {
		return err
	}
	text, k, err := s.makeAdminKey(r, v, n)
	if err == nil {
		keepSecret(w)
		return s.showAdminKeys(w, r, v, http.StatusOK, adminKeysPage{New: text.Reveal(), NewFor: shownText(k.Description)})
	}
	e := userkeys.AsError(err)
	switch {
	case gateway.WantsJSON(r):
		return err
	case e.Reason == reasonStaleSignIn || e.Reason == reasonCommandOnly:
		exchangeOf(r).err = err
		return s.showAdminKeys(w, r, v, e.Code.Status(), p)
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

const (
	reasonStaleSignIn = "sign in again"
	reasonCommandOnly = "the command only"
)

// makeAdminKey makes a key for an administrator who was asked who they are a moment ago: an open browser is not enough
// for what outlives its session.
func (s *Server) makeAdminKey(r *http.Request, v site.Visitor, n site.NewAdminAPIKey) (userkeys.Key, site.AdminAPIKey, error) {
	if err := s.fresh(r); err != nil {
		return "", site.AdminAPIKey{}, err
	}
	return s.admin.CreateAdminKey(r.Context(), n, s.caller(r, v))
}

// fresh refuses a session whose user did not sign in within [FreshSignIn].
func (s *Server) fresh(r *http.Request) error {
	times, ok := s.cfg.Identity.(SignInTimes)
	if !ok {
		return &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: reasonCommandOnly,
			Public: userkeys.NotPermitted + " Admin API keys of this site are made by the command userkeys admin-keys add.",
		}
	}
	at, err := times.SignedInAt(r)
	if err != nil {
		return err
	}
	if since := s.cfg.Now().Sub(at); at.IsZero() || since > FreshSignIn || since < -FreshSignIn {
		return &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: reasonStaleSignIn,
			Public: userkeys.NotPermitted + " Sign in again to make an admin API key: your last sign-in was more than " + waiting(FreshSignIn) + " ago.",
		}
	}
	return nil
}

// signInAgain is where somebody who is signed in proves who they are once more.
func (s *Server) signInAgain(back string) string {
	address := s.cfg.Identity.LoginURL(back)
	if s.accounts == nil {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Set(againField, "1")
	u.RawQuery = q.Encode()
	return u.String()
}

// endInDays reads a number of days as the end of a key; empty is never.
func (s *Server) endInDays(days string) (time.Time, error) {
	if days == "" {
		return time.Time{}, nil
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3650 {
		return time.Time{}, userkeys.Errorf(userkeys.InvalidParameters, "a key ends after 1 to 3650 days, or never")
	}
	return s.cfg.Now().AddDate(0, 0, n), nil
}

// adminKeysRevoke revokes a key of the page.
func (s *Server) adminKeysRevoke(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	id, err := keyID(r.PostForm)
	if err != nil {
		return err
	}
	if err := s.admin.RevokeAdminKey(r.Context(), id, s.caller(r, v)); err != nil {
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
	Username    *string    `json:"username"`    // null: acts as anybody
	Permissions []string   `json:"permissions"` // empty: everything
	CreatedAt   *time.Time `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	ExpiresAt   *time.Time `json:"expires_at"` // null: no end of its own
	RevokedAt   *time.Time `json:"revoked_at"`
}

func adminKeyOf(k site.AdminAPIKey) adminKeyJSON {
	out := adminKeyJSON{
		ID: k.ID, Description: k.Description, Permissions: []string{},
		CreatedAt: notify.JSONTime(k.CreatedAt), LastUsedAt: notify.JSONTime(k.LastUsedAt),
		ExpiresAt: notify.JSONTime(k.ExpiresAt), RevokedAt: notify.JSONTime(k.RevokedAt),
	}
	for _, p := range k.Permissions {
		out.Permissions = append(out.Permissions, string(p))
	}
	if k.UserID != 0 {
		out.Username = &k.Username
	}
	return out
}

func (s *Server) listAdminKeys(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
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

func (s *Server) createAdminKey(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	f := r.PostForm
	if err := onlyFields(f, "description", "username", "permissions", "expires_at"); err != nil {
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
	text, k, err := s.makeAdminKey(r, v, n)
	if err != nil {
		return err
	}
	keepSecret(w)
	out := adminKeyOf(k)
	out.Key = text.Reveal()
	return writeJSON(w, map[string]adminKeyJSON{"key": out})
}

func (s *Server) revokeAdminKey(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	id, err := pathID(r, "admin API key")
	if err != nil {
		return err
	}
	if err := s.admin.RevokeAdminKey(r.Context(), id, s.caller(r, v)); err != nil {
		return err
	}
	return success(w)
}
