package apps

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// appsPage lists the user's apps.
type appsPage struct {
	Apps   []appView
	Ended  []appView   // over for good, for as long as they are remembered
	Guests []guestView // apps that are signed in and have no key in this list
	ByHand bool        // the user may make keys by hand
	Login  string      // where the user signs in, if an app is signed in here
	All    int         // before the filter
	Live   int         // that revoke-all would end
	List   appList
	Notice string
}

// appView is one key on the apps page.
type appView struct {
	ID       int64
	Name     string
	ByHand   bool // the user made it, and no app asked for it
	Can      []string
	Off      []string // scopes that the site no longer allows
	Approved page.Moment
	Used     page.Moment // unknown: not used yet
	Expires  page.Moment // unknown: no end of its own
	Ends     page.Moment // when the first rule ends it, if it is not used before; unknown: never
	Because  string      // ... and by which rule; of one that has ended: why
	Revoked  page.Moment // known: it is revoked, and can be undone
	Push     string      // host; empty: none named
	Pushes   *pushView
	Idle     bool
	SignedIn page.Moment // known: the app is signed in as the user, since then
	GaveBack bool        // it is revoked, by the app itself
}

// guestView is an app that is signed in without a key.
type guestView struct {
	Name  string
	Since page.Moment
}

// appList is how the list is narrowed and ordered.
type appList struct {
	Unused int    // only apps not used for so many days; 0: all
	Sort   string // "used": longest unused first; else newest first
}

// idleDays is what the page offers as a filter and marks in the list.
const idleDays = 30

func parseAppList(q url.Values) appList {
	var l appList
	if n, err := strconv.Atoi(q.Get("unused")); err == nil && 0 < n && n <= 36500 {
		l.Unused = n
	}
	if q.Get("sort") == "used" {
		l.Sort = "used"
	}
	return l
}

// With is the address of the list with another filter or order.
func (l appList) With(unused int, sort string) string {
	q := url.Values{}
	if unused > 0 {
		q.Set("unused", strconv.Itoa(unused))
	}
	if sort != "" {
		q.Set("sort", sort)
	}
	if len(q) == 0 {
		return door.AppsPath
	}
	return door.AppsPath + "?" + q.Encode()
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
	keys, err := h.cfg.Keys.Apps(r.Context(), c.User.ID)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p := appsPage{All: len(keys), List: parseAppList(q), Notice: notices[q.Get("done")]}
	now := h.door.Now()
	pushes, err := h.pushViews(r.Context(), keys, now)
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
	if p.List.Sort == "used" {
		slices.SortStableFunc(keys, func(a, b site.UserAPIKey) int { return a.LastUsedAt.Compare(b.LastUsedAt) })
	}
	for _, k := range keys {
		if k.Live(now) {
			p.Live++
		}
		if p.List.Unused > 0 && (!k.Live(now) || now.Sub(k.LastUsedAt) < time.Duration(p.List.Unused)*page.Day) {
			continue
		}
		a := h.appView(k, sessions, now)
		if push, ok := pushes[k.ID]; ok {
			a.Pushes = &push
		}
		p.Apps = append(p.Apps, a)
	}
	p.Guests = guestViews(sessions, keys, now)
	if p.List.Unused == 0 {
		ended, err := h.cfg.Keys.EndedApps(r.Context(), c.User.ID)
		if err != nil {
			return err
		}
		for _, k := range ended {
			p.Ended = append(p.Ended, h.appView(k, sessions, now))
		}
		p.Guests = guestViews(sessions, slices.Concat(keys, ended), now)
	}
	return h.pages.apps.Show(w, c, http.StatusOK, p)
}

// appJSON is one key for a program that shows the list by itself.
type appJSON struct {
	rows.Key
	Can     []string `json:"localized_scopes"`
	CanUndo bool     `json:"can_undo"`
}

// listApps is the list of [Handlers.apps] for programs, such as the site's own, which shows it in its own design.
func (h *Handlers) listApps(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	keys, err := h.cfg.Keys.Apps(r.Context(), c.User.ID)
	if err != nil {
		return err
	}
	settings, now := h.door.Settings(), h.door.Now()
	list := make([]appJSON, len(keys))
	for i, k := range keys {
		list[i] = appJSON{rows.NewKey(k, settings, now), h.cfg.Keys.Catalog().Sentences(k.Scopes), h.cfg.Keys.CanUndo(k)}
	}
	return door.WriteJSON(w, map[string]any{"apps": list})
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

// guestViews are the sessions of apps that are none of the listed keys'.
func guestViews(sessions []site.AppSession, keys []site.UserAPIKey, now time.Time) []guestView {
	var guests []guestView
	for _, a := range sessions {
		if !slices.ContainsFunc(keys, func(k site.UserAPIKey) bool { return k.ID == a.KeyID }) {
			guests = append(guests, guestView{page.ShownName(a.ApplicationName), page.MomentAt(a.BeganAt, now)})
		}
	}
	return guests
}

// because says in words why a key ended or will end.
func because(why site.Ending, s site.Settings, ended bool) string {
	switch why {
	case site.EndLifetime:
		if ended {
			return "its lifetime was over"
		}
		return "the lifetime that was granted"
	case site.EndUnused:
		if ended {
			return "it was not used for a long time"
		}
		return "if it is not used for " + page.Count(s.RevokeUserAPIKeysUnusedDays, "day")
	case site.EndMaxLife:
		return "keys of this site end after " + page.Count(s.RevokeUserAPIKeysMaxlifeDays, "day")
	case site.EndByAdmin:
		return "an administrator revoked it"
	case site.EndByOwner:
		return "you revoked it"
	case site.EndByApp:
		return "the app itself gave its key back"
	}
	return ""
}

func (h *Handlers) appView(k site.UserAPIKey, sessions []site.AppSession, now time.Time) appView {
	a := appView{
		ID: k.ID, Name: page.ShownName(k.ApplicationName), ByHand: k.ByHand(), Can: h.cfg.Keys.Catalog().Sentences(k.Scopes),
		Approved: page.MomentAt(k.CreatedAt, now),
		Expires:  page.MomentAt(k.ExpiresAt, now), Revoked: page.MomentAt(k.RevokedAt, now),
		GaveBack: k.RevokedBy == site.RevokedByApp, SignedIn: signedInSince(sessions, k.ID, now),
		Idle: k.Live(now) && now.Sub(k.LastUsedAt) >= idleDays*page.Day,
	}
	if k.Used() {
		a.Used = page.MomentAt(k.LastUsedAt, now)
	}
	if k.PushURL != "" {
		a.Push = page.ShownHost(k.PushURL)
	}
	at, why := h.door.Settings().EndOf(k, now)
	a.Ends, a.Because = page.MomentAt(at, now), because(why, h.door.Settings(), !k.Live(now))
	allowed := h.door.Settings().AllowUserAPIKeyScopes
	for _, name := range k.Scopes {
		if !allowed.Has(name) {
			a.Off = append(a.Off, name)
		}
	}
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
	return done(w, r, "revoked")
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
func done(w http.ResponseWriter, r *http.Request, what string) error {
	if gateway.WantsJSON(r) {
		return door.Success(w)
	}
	l := parseAppList(r.PostForm)
	q := url.Values{"done": {what}}
	if l.Unused > 0 {
		q.Set("unused", strconv.Itoa(l.Unused))
	}
	if l.Sort != "" {
		q.Set("sort", l.Sort)
	}
	return door.Redirect(w, http.StatusSeeOther, door.AppsPath+"?"+q.Encode())
}
