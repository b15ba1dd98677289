package apps

import (
	"maps"
	"net/http"
	"net/url"
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

// appsPage is a page of the user's apps.
type appsPage struct {
	site.AppList
	Rows   []appView
	Undo   *appView    // what was just revoked, and can come back
	Guests []guestView // apps that are signed in and have no live key
	More   int         // how many more of these there are
	ByHand bool        // the user may make keys by hand
	Login  string      // where the user signs in, if an app is signed in here
	List   appList
	Notice string
}

// Total is how many apps the user has, whatever the list shows.
func (p appsPage) Total() int64 { return p.Live + p.Ended }

// searchFrom is from how many apps on the page has a search.
const searchFrom = 10

// Search reports whether the page has a search.
func (p appsPage) Search() bool { return p.Total() >= searchFrom || p.List.Text != "" }

// appView is one key on the apps page.
type appView struct {
	ID       int64
	Name     string
	New      bool   // approved since the user's last visit
	ByHand   bool   // the user made it, and no app asked for it
	Over     bool   // it has ended
	Where    string // what the answer with the key went to; empty: not known
	With     string // the browser it was approved with; empty: not known
	Reach    string // what it can do, in few words
	Strong   bool   // that is to act as the user
	Can      []string
	Off      []string // scopes that the site no longer allows
	Approved page.Moment
	Used     page.Moment // unknown: not used yet
	Ends     string      // of a live one: a sentence of when it ends
	EndsAt   page.Moment // when the first rule ends it, or it ended; unknown: never
	Because  string      // by which rule, or why it ended
	Push     string      // host; empty: none named
	Pushes   *pushView
	SignedIn page.Moment // known: the app is signed in as the user, since then
	CanUndo  bool
}

// Short is the name for the buttons, whose pages have it in full.
func (a appView) Short() string { return userkeys.Shorten(a.Name, 60) }

// guestView is an app that is signed in without a live key.
type guestView struct {
	KeyID int64 // of a key that it gave back; 0: it had none
	Name  string
	Since page.Moment
}

// appList is how the list is narrowed and ordered, and which page of it is shown.
type appList struct {
	Ended  bool
	Text   string // that is searched for
	Unused int    // only apps not used for so many days; 0: all
	Sort   string // "used": longest unused first; else newest first
	Page   int    // 0: the first
}

// maxText is how many characters a search has.
const maxText = 100

func parseAppList(q url.Values) appList {
	within := func(name string, most int) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 1 || n > most {
			return 0
		}
		return n
	}
	l := appList{Ended: q.Get("show") == "ended", Page: within("page", 1_000_000)}
	l.Text = userkeys.Shorten(strings.TrimSpace(userkeys.Printable(q.Get("q"))), maxText)
	if !l.Ended {
		l.Unused = within("unused", 36500)
		if q.Get("sort") == "used" {
			l.Sort = "used"
		}
	}
	return l
}

// values are the parameters of l, without those that say nothing.
func (l appList) values() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" && value != "0" {
			q.Set(name, value)
		}
	}
	if l.Ended {
		q.Set("show", "ended")
	}
	set("q", l.Text)
	set("unused", strconv.Itoa(l.Unused))
	set("sort", l.Sort)
	set("page", strconv.Itoa(l.Page))
	return q
}

// address is that of the list l.
func (l appList) address() string {
	if q := l.values(); len(q) > 0 {
		return door.AppsPath + "?" + q.Encode()
	}
	return door.AppsPath
}

// With is the address of the first page of the live apps with another filter or order.
func (l appList) With(unused int, sort string) string {
	return appList{Text: l.Text, Unused: unused, Sort: sort}.address()
}

// OfEnded is the address of the first page of those that have ended.
func (l appList) OfEnded() string { return appList{Ended: true, Text: l.Text}.address() }

// Everything is the address of the list without a search.
func (l appList) Everything() string {
	l.Text, l.Page = "", 0
	return l.address()
}

// At is the address of another page of the list.
func (l appList) At(pageNumber int) string {
	l.Page = pageNumber
	if pageNumber == 1 {
		l.Page = 0
	}
	return l.address()
}

// Previous and Next are the addresses of the pages beside this one; empty: there is none.
func (p appsPage) Previous() string {
	if p.Page == 1 {
		return ""
	}
	return p.List.At(p.Page - 1)
}

// Next is the address of the page after this one.
func (p appsPage) Next() string {
	if p.Page == p.Pages {
		return ""
	}
	return p.List.At(p.Page + 1)
}

// filter is what l selects of a user's apps.
func (l appList) filter(userID int64, now time.Time) site.AppFilter {
	f := site.AppFilter{UserID: userID, Ended: l.Ended, Text: l.Text, LongestFirst: l.Sort == "used", Page: l.Page}
	if l.Unused > 0 {
		f.UnusedSince = now.Add(-time.Duration(l.Unused) * page.Day)
	}
	return f
}

var notices = map[string]string{
	"revoked": "Revoked. The app can no longer use its key. You can undo this for 24 hours.",
	"undone":  "Undone. The app can use its key again.",
	"all":     "All keys are revoked, and apps that were signed in as you are signed out.",
	"tested":  "A test is on its way. Load this page again in a moment to see how it went.",
	"soon":    "A test was sent to the app a moment ago. Wait ten seconds before the next one.",
	"resumed": "Notifications are sent to the app again: from now on, and what was given up in the last day. What came " +
		"while they were switched off is not sent.",
}

// apps shows the user which apps have a key and what each may do.
func (h *Handlers) apps(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	q, now := r.URL.Query(), h.door.Now()
	p := appsPage{List: parseAppList(q), Notice: notices[q.Get("done")]}
	var err error
	if p.AppList, err = h.cfg.Keys.Apps(r.Context(), p.List.filter(c.User.ID, now)); err != nil {
		return err
	}
	pushes, err := h.pushViews(r.Context(), p.Apps, now)
	if err != nil {
		return err
	}
	sessions, err := h.cfg.Keys.AppSessions(r.Context(), c.User.ID)
	if err != nil {
		return err
	}
	if c.Session.App != "" {
		p.Login = h.door.Identity().LoginURL(door.AppsPath)
	}
	p.ByHand = c.Session.App == "" && h.mayMakeKeys(c) == nil
	before := h.lastVisit(r, c)
	for _, k := range p.Apps {
		a := h.appView(k, sessions, now)
		a.New = !before.IsZero() && k.CreatedAt.After(before)
		if push, ok := pushes[k.ID]; ok {
			a.Pushes = &push
		}
		p.Rows = append(p.Rows, a)
	}
	p.Guests, p.More = guestViews(sessions, now)
	if p.Undo, err = h.undoable(r, c, sessions); err != nil {
		return err
	}
	return h.pages.apps.Show(w, c, http.StatusOK, p)
}

// lastVisit notes that the user looks at the page, and returns when the visit before ended; the zero time: there was
// none. An app that is signed in as the user is no visit. The page shows without marks where this cannot be stored.
func (h *Handlers) lastVisit(r *http.Request, c site.Caller) time.Time {
	if c.Session.App != "" {
		return time.Time{}
	}
	before, err := h.cfg.Keys.VisitApps(r.Context(), c.User.ID)
	if err != nil {
		door.Note(r, err)
	}
	return before
}

// undoable is the app that the page says was just revoked, if that can be undone.
func (h *Handlers) undoable(r *http.Request, c site.Caller, sessions []site.AppSession) (*appView, error) {
	q := r.URL.Query()
	id, err := strconv.ParseInt(q.Get("key"), 10, 64)
	if err != nil || q.Get("done") != "revoked" || c.Session.App != "" {
		return nil, nil
	}
	l, err := h.cfg.Keys.Apps(r.Context(), site.AppFilter{UserID: c.User.ID, KeyID: id, Ended: true})
	if err != nil || len(l.Apps) == 0 || !h.cfg.Keys.CanUndo(l.Apps[0].UserAPIKey) {
		return nil, err
	}
	a := h.appView(l.Apps[0], sessions, h.door.Now())
	return &a, nil
}

// appJSON is one key for a program that shows the list by itself.
type appJSON struct {
	rows.Key
	Can          []string `json:"localized_scopes"`
	CanUndo      bool     `json:"can_undo"`
	Destination  string   `json:"destination,omitempty"`
	ApprovedWith string   `json:"approved_with,omitempty"`
}

// appsJSON is a page of the list.
type appsJSON struct {
	Apps  []appJSON `json:"apps"`
	Page  int       `json:"page"`
	Pages int       `json:"pages"`
	Found int64     `json:"found"`
	Live  int64     `json:"live"`
	Ended int64     `json:"ended"`
}

// listApps is the list of [Handlers.apps] for programs, such as the site's own, which shows it in its own design.
func (h *Handlers) listApps(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	settings, now := h.door.Settings(), h.door.Now()
	l, err := h.cfg.Keys.Apps(r.Context(), parseAppList(r.URL.Query()).filter(c.User.ID, now))
	if err != nil {
		return err
	}
	answer := appsJSON{make([]appJSON, len(l.Apps)), l.Page, l.Pages, l.Found, l.Live, l.Ended}
	for i, k := range l.Apps {
		answer.Apps[i] = appJSON{
			rows.NewKey(k.UserAPIKey, settings, now), h.cfg.Keys.Catalog().Sentences(k.Scopes),
			h.cfg.Keys.CanUndo(k.UserAPIKey), k.Destination, k.ApprovedWith,
		}
	}
	return door.WriteJSON(w, answer)
}

// signedInSince is when the newest session began that ends with a key; unknown if there is none.
func signedInSince(sessions []site.AppSession, keyID int64, now time.Time) page.Moment {
	for _, a := range sessions {
		if a.KeyID == keyID {
			return page.MomentAt(a.BeganAt, now)
		}
	}
	return page.Moment{}
}

// mostGuests is how many apps that are signed in without a key the page shows.
const mostGuests = 20

// guestViews are the apps that are signed in without a live key, and how many more there are.
func guestViews(sessions []site.AppSession, now time.Time) (shown []guestView, more int) {
	for _, a := range sessions {
		switch {
		case a.KeyID != 0 && !a.KeyEnded:
		case len(shown) == mostGuests:
			more++
		default:
			shown = append(shown, guestView{a.KeyID, page.ShownName(a.ApplicationName), page.MomentAt(a.BeganAt, now)})
		}
	}
	return shown, more
}

func (h *Handlers) appView(k site.App, sessions []site.AppSession, now time.Time) appView {
	settings := h.door.Settings()
	a := appView{
		ID: k.ID, Name: page.ShownName(k.ApplicationName), ByHand: k.ByHand(), Over: !k.Live(now),
		Where: where(k.Destination), With: page.ShownText(k.ApprovedWith),
		Can: h.cfg.Keys.Catalog().Sentences(k.Scopes), Approved: page.MomentAt(k.CreatedAt, now),
		SignedIn: signedInSince(sessions, k.ID, now), CanUndo: h.cfg.Keys.CanUndo(k.UserAPIKey),
	}
	if k.Used() {
		a.Used = page.MomentAt(k.LastUsedAt, now)
	}
	if k.PushURL != "" {
		a.Push = page.ShownHost(k.PushURL)
	}
	at, why := settings.EndOf(k.UserAPIKey, now)
	a.EndsAt, a.Because = page.MomentAt(at, now), because(why, settings, a.Over)
	if !a.Over {
		a.Ends = ends(k.UserAPIKey, settings, now)
	}
	var works userkeys.Scopes
	for _, name := range k.Scopes {
		if settings.AllowUserAPIKeyScopes.Has(name) {
			works = append(works, name)
		} else {
			a.Off = append(a.Off, name)
		}
	}
	a.Reach, a.Strong = reach(works, h.cfg.Keys.Catalog().Sentences(works))
	return a
}

// preferencesApps leads from where Discourse has the list to where ours is.
func (h *Handlers) preferencesApps(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	return door.Redirect(w, http.StatusFound, door.AppsPath)
}

// revoke ends a key: the caller's own for a request with one, else one of the user's.
func (h *Handlers) revoke(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if c.Key != 0 {
		return h.revokeItself(w, r, c)
	}
	id, err := input.ID(r, "key")
	if err != nil {
		return err
	}
	if err := h.cfg.Keys.Revoke(r.Context(), id, c); err != nil {
		return err
	}
	return doneTo(w, r, "revoked", url.Values{"key": {strconv.FormatInt(id, 10)}})
}

// revokeItself ends the key that asks. It may not name another, not even of the same user.
func (h *Handlers) revokeItself(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if r.PostForm.Has("id") && r.PostForm.Get("id") != strconv.FormatInt(c.Key, 10) {
		return &userkeys.Error{
			Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted,
			Reason: "a key revokes only itself",
		}
	}
	if err := h.cfg.Keys.Revoke(r.Context(), c.Key, c); err != nil {
		return err
	}
	return door.Success(w)
}

// undoRevoke gives a key back what a revocation took. No key can ask for it.
func (h *Handlers) undoRevoke(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	id, err := input.ID(r, "key")
	if err != nil {
		return err
	}
	if err := h.cfg.Keys.UndoRevoke(r.Context(), id, c); err != nil {
		return err
	}
	return done(w, r, "undone")
}

// revokeAll ends every key of the user.
func (h *Handlers) revokeAll(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if _, err := h.cfg.Keys.RevokeAll(r.Context(), c.User.ID, c); err != nil {
		return err
	}
	return done(w, r, "all")
}

// done answers a form of the apps page: a browser goes back to the list as it was.
func done(w http.ResponseWriter, r *http.Request, what string) error { return doneTo(w, r, what, nil) }

// doneTo is [done] with more parameters for the page.
func doneTo(w http.ResponseWriter, r *http.Request, what string, more url.Values) error {
	if gateway.WantsJSON(r) {
		return door.Success(w)
	}
	q := parseAppList(r.PostForm).values()
	q.Set("done", what)
	maps.Copy(q, more)
	return door.Redirect(w, http.StatusSeeOther, door.AppsPath+"?"+q.Encode())
}
