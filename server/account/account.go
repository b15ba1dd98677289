package account

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// accountPage shows somebody their account.
type accountPage struct {
	status   int // of the answer; 0: 200
	Notice   string
	Password bool   // there is a password to change
	Error    string // why it was not changed
	Sessions []sessionView
	Others   int // sessions besides this one
	From     []identityView
}

type sessionView struct {
	ID      string // empty: it cannot be ended by itself
	Device  string
	Address string
	Through string // the title of the login; empty: none
	App     string // that began it; empty: the user
	Since   page.Moment
	Seen    page.Moment
	This    bool
}

type identityView struct {
	Title string
	Name  string // as the provider calls the user
	Since page.Moment
	Last  page.Moment
}

var notices = map[string]string{
	"password": "Your password is changed, and all your other sessions have ended.",
	"session":  "The session has ended.",
	"others":   "All your other sessions have ended.",
}

func (h *Handlers) show(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.showPage(w, r, c, accountPage{Notice: notices[r.URL.Query().Get("done")]})
}

func (h *Handlers) showPage(w http.ResponseWriter, r *http.Request, c site.Caller, p accountPage) error {
	sessions, identities, err := h.read(r, c)
	if err != nil {
		return err
	}
	if h.door.Passwords() {
		if p.Password, err = h.cfg.Accounts.HasPassword(r.Context(), c.User); err != nil {
			return err
		}
	}
	now := h.door.Now()
	for _, s := range sessions {
		v := sessionView{
			ID: s.ID, Device: page.ShownText(s.Device()), Address: s.Address, Through: h.loginTitle(s.Login),
			Since: page.MomentAt(s.BeganAt, now), Seen: page.MomentAt(s.SeenAt, now), This: s.ID == c.Session.ID,
		}
		if s.App != "" {
			v.App = page.ShownName(s.App)
		}
		if !v.This {
			p.Others++
		}
		p.Sessions = append(p.Sessions, v)
	}
	for _, id := range identities {
		p.From = append(p.From, identityView{
			Title: h.issuerTitle(id.Issuer), Name: page.ShownText(cmp.Or(id.Username, id.Subject)),
			Since: page.MomentAt(id.CreatedAt, now), Last: page.MomentAt(id.SignedInAt, now),
		})
	}
	return h.page.Show(w, c, cmp.Or(p.status, http.StatusOK), p)
}

// read reads the sessions, this one first, and the identities of somebody.
func (h *Handlers) read(r *http.Request, c site.Caller) ([]site.UserSession, []site.Identity, error) {
	sessions, err := h.cfg.Accounts.UserSessions(r.Context(), c.User.ID)
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(sessions, func(a, b site.UserSession) int {
		switch c.Session.ID {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return 0
	})
	identities, err := h.cfg.Accounts.Identities(r.Context(), c.User.ID)
	return sessions, identities, err
}

func (h *Handlers) choices() []site.LoginChoice {
	if h.cfg.Logins == nil {
		return nil
	}
	return h.cfg.Logins.Choices()
}

// loginTitle is what people read of a login that the configuration may not have any more.
func (h *Handlers) loginTitle(name string) string {
	for _, l := range h.choices() {
		if l.Name == name {
			return l.Title
		}
	}
	return name
}

func (h *Handlers) issuerTitle(issuer string) string {
	for _, l := range h.choices() {
		if l.Issuer == issuer {
			return l.Title
		}
	}
	return page.ShownText(issuer)
}

// list answers with what the page shows.
func (h *Handlers) list(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	sessions, identities, err := h.read(r, c)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, map[string]any{
		"user":     rows.NewUser(c.User),
		"sessions": rows.NewSessions(sessions, c.Session.ID), "identities": rows.NewIdentities(identities),
	})
}

// done answers a change: a program gets its success, a person the page again.
func done(w http.ResponseWriter, r *http.Request, what string) error {
	if gateway.WantsJSON(r) {
		return door.Success(w)
	}
	return door.Redirect(w, http.StatusSeeOther, door.AccountPath+"?done="+what)
}

func (h *Handlers) endSession(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.Required(r.PostForm, "id")
	if err != nil {
		return err
	}
	if id == c.Session.ID {
		return userkeys.Errorf(userkeys.InvalidParameters, "this is the session that you are in; sign out to end it")
	}
	if err := h.cfg.Accounts.EndSession(r.Context(), c.User.ID, id); err != nil {
		return err
	}
	return done(w, r, "session")
}

func (h *Handlers) endOthers(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	if err := h.cfg.Accounts.EndOtherSessions(r); err != nil {
		return err
	}
	return done(w, r, "others")
}

// changePassword changes the password of whoever knows the old one.
func (h *Handlers) changePassword(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	f := r.PostForm
	var err error
	if f.Has("new_again") && f.Get("new_again") != f.Get("new") {
		err = userkeys.Errorf(userkeys.InvalidParameters, "the two new passwords differ")
	} else {
		err = h.cfg.Accounts.ChangePassword(r, f.Get("old"), f.Get("new"))
	}
	if err == nil {
		return done(w, r, "password")
	}
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.InvalidParameters, userkeys.InvalidCredentials, userkeys.Conflict, userkeys.RateLimited,
		userkeys.Unavailable:
	default:
		return err
	}
	if gateway.WantsJSON(r) {
		return err
	}
	door.Note(r, err)
	gateway.SetRetry(w.Header(), e)
	return h.showPage(w, r, c, accountPage{
		status: e.Code.Status(), Error: strings.TrimSpace(page.Sentence(e.Public) + " " + door.TryAgain(e)),
	})
}
