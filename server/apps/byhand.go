package apps

import (
	"errors"
	"net/http"
	"strconv"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

const (
	newKeyPath  = door.AppsPath + "/new"
	scopePrefix = "allow_" // of the names of the boxes
)

// newKeyPage makes a key by hand, and shows it once.
type newKeyPage struct {
	Form   string // one-time token of the form
	Again  string // where to sign in again first; empty: there is no need
	Name   string // what was typed, if it was refused
	Scopes []scopeBox
	Terms  []termOption
	Error  string

	New  string // the text of the key that was just made: shown this once
	For  string // its name
	Can  []string
	Ends page.Moment
	Curl string // how to try it
}

type scopeBox struct {
	Field, Sentence string
	Checked         bool
}

type termOption struct {
	Days     int
	Words    string
	Selected bool
}

// newKey shows the form. Nothing is ticked: who makes a key says what it may do.
func (h *Handlers) newKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.mayMakeKeys(c); err != nil {
		return err
	}
	p := h.form(site.NewKeyByHand{Days: h.door.Settings().DaysByHand()})
	var err error
	if p.Again, err = h.door.AgainURL(r, newKeyPath); err != nil {
		return err
	}
	return h.pages.newKey.Show(w, c, http.StatusOK, p)
}

// mayMakeKeys refuses a user who may make no keys by hand. A site that does not know when somebody signed in makes
// none, because it could not ask them to prove who they are.
func (h *Handlers) mayMakeKeys(c site.Caller) error {
	if _, ok := h.door.Identity().(door.SignInTimes); !ok {
		return userkeys.Errorf(userkeys.KeysNotAllowed,
			"this site makes no keys by hand, because it cannot tell when you signed in")
	}
	return h.door.Settings().CheckMakerByHand(c.User)
}

// form is the form with what was typed.
func (h *Handlers) form(n site.NewKeyByHand) newKeyPage {
	settings, catalog := h.door.Settings(), h.cfg.Keys.Catalog()
	p := newKeyPage{Form: door.NewForm(h.door.Now()), Name: n.Name}
	may := settings.ScopesByHand(catalog)
	for i, sentence := range catalog.Sentences(may) {
		p.Scopes = append(p.Scopes, scopeBox{scopePrefix + may[i], sentence, n.Scopes.Has(may[i])})
	}
	longest := settings.MaxDaysByHand()
	for _, days := range []int{1, 7, 30, 90, 365} {
		if days < longest {
			p.Terms = append(p.Terms, termOption{days, page.Count(days, "day"), days == n.Days})
		}
	}
	p.Terms = append(p.Terms, termOption{longest, page.Count(longest, "day"), longest == n.Days})
	return p
}

// makeKey makes a key and shows it. The form is spent, so that a page that is loaded again neither shows the key nor
// makes another one. What was typed stays if it is refused.
func (h *Handlers) makeKey(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.mayMakeKeys(c); err != nil {
		return err
	}
	f := r.PostForm
	n := site.NewKeyByHand{Name: f.Get("name")}
	n.Days, _ = strconv.Atoi(f.Get("days")) // what is no number is no lifetime, and refused
	for _, s := range h.cfg.Keys.Catalog().Scopes() {
		if f.Has(scopePrefix + s.Name) {
			n.Scopes = append(n.Scopes, s.Name)
		}
	}
	text, k, err := h.cfg.Keys.GrantByHand(r.Context(), n, c)
	if errors.Is(err, userkeys.InvalidParameters) && !gateway.WantsJSON(r) {
		door.Note(r, err)
		p := h.form(n)
		p.Error = page.Sentence(userkeys.AsError(err).Public)
		return h.pages.newKey.Show(w, c, http.StatusBadRequest, p)
	}
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	catalog := h.cfg.Keys.Catalog()
	return h.pages.newKey.Show(w, c, http.StatusOK, newKeyPage{
		New: text.Reveal(), For: page.ShownName(k.ApplicationName), Can: catalog.Sentences(k.Scopes),
		Ends: page.MomentAt(k.ExpiresAt, h.door.Now()),
		Curl: "curl -H 'User-Api-Key: " + text.Reveal() + "' " + h.door.BaseURL() + tryPath(catalog, k.Scopes),
	})
}

// tryPath is an address of the site that a key with these scopes may read.
func tryPath(catalog *userkeys.Catalog, scopes userkeys.Scopes) string {
	for _, path := range []string{"/session/current.json", "/notifications.json"} {
		if catalog.Covers(scopes, http.MethodGet, path) {
			return path
		}
	}
	return "/"
}
