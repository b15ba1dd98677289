package apps

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// loginPage asks who somebody is.
type loginPage struct {
	Username string
	Redirect string
	Error    string
}

// setupPage makes the first administrator.
type setupPage struct {
	err      error // why the account was not made
	Token    string
	Username string
	Error    string
	Closed   bool // the link is spent: there is nothing to fill in
}

// homePage is the start page of a site that has nothing else.
type homePage struct {
	Login string // where to sign in
}

// login asks who somebody is; who is signed in goes where they were going. A user whose app is signed in signs
// in themselves.
func (h *Handlers) login(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	back := door.ReturnAddress(r.URL.Query().Get("redirect"))
	if c.SignedIn() && c.Session.App == "" && !r.URL.Query().Has(door.AgainField) {
		return door.Redirect(w, http.StatusSeeOther, back)
	}
	return h.pages.login.Show(w, c, http.StatusOK, loginPage{Redirect: back})
}

// loginPost signs somebody in. A refusal keeps the name and the way back, and
// has one text for every reason that would tell who exists.
func (h *Handlers) loginPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := loginPage{
		Username: userkeys.Shorten(r.PostForm.Get("username"), 200),
		Redirect: door.ReturnAddress(r.PostForm.Get("redirect")),
	}
	_, err := h.door.Accounts().Login(r, r.PostForm.Get("username"), r.PostForm.Get("password"))
	if err == nil {
		return door.Redirect(w, http.StatusSeeOther, p.Redirect)
	}
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.InvalidCredentials:
		p.Error = page.Sentence(e.Public)
	case userkeys.RateLimited, userkeys.Unavailable:
		p.Error = strings.TrimSpace(page.Sentence(e.Public) + " " + door.TryAgain(e))
	default:
		return err
	}
	if gateway.WantsJSON(r) {
		return err
	}
	door.Note(r, err)
	gateway.SetRetry(w.Header(), e)
	return h.pages.login.Show(w, c, e.Code.Status(), p)
}

// logout ends the session and goes back to where the form was.
func (h *Handlers) logout(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	if err := h.door.Accounts().Logout(r.Context()); err != nil {
		return err
	}
	return door.Redirect(w, http.StatusSeeOther, door.ReturnAddress(r.PostForm.Get("redirect")))
}

// setup asks for the first administrator's name and password, where the link is still good.
func (h *Handlers) setup(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := setupPage{Token: r.URL.Query().Get("token")}
	if p.err = h.door.Accounts().CheckSetup(r.Context(), p.Token); p.err != nil {
		return h.setupProblem(w, r, c, p)
	}
	return h.pages.setup.Show(w, c, http.StatusOK, p)
}

func (h *Handlers) setupPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	f := r.PostForm
	p := setupPage{Token: f.Get("token"), Username: userkeys.Shorten(f.Get("username"), 200)}
	if f.Get("password") != f.Get("password_again") {
		p.err = userkeys.Errorf(userkeys.InvalidParameters, "the two passwords differ")
	} else {
		_, p.err = h.door.Accounts().Setup(r, p.Token, f.Get("username"), f.Get("password"))
	}
	if p.err != nil {
		return h.setupProblem(w, r, c, p)
	}
	return door.Redirect(w, http.StatusSeeOther, door.SettingsPath)
}

// setupProblem shows the page with what is wrong, and without the form where the link is good no more.
func (h *Handlers) setupProblem(w http.ResponseWriter, r *http.Request, c site.Caller, p setupPage) error {
	err := p.err
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.InvalidParameters, userkeys.Conflict:
	case userkeys.ConsentGone:
		p.Closed = true
	default:
		return err
	}
	if gateway.WantsJSON(r) {
		return err
	}
	door.Note(r, err)
	p.Error = page.Sentence(e.Public)
	return h.pages.setup.Show(w, c, e.Code.Status(), p)
}

// home is the page at the root of a site that has nothing else.
func (h *Handlers) home(w http.ResponseWriter, _ *http.Request, c site.Caller) error {
	return h.pages.home.Show(w, c, http.StatusOK, homePage{h.door.Identity().LoginURL("/")})
}
