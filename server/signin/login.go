package signin

import (
	"net/http"
	"net/url"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/consent/question"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// loginPage asks who somebody is.
type loginPage struct {
	err      error // what went wrong
	Username string
	Redirect string
	Error    string
	Again    bool // somebody who is signed in has to prove it

	Passwords bool    // there is a form for a password
	Ways      []wayIn // through providers
	SignedOut bool    // somebody has just signed out

	Asks *question.Destination // who asks for access on the page after this one; nil: nobody
}

// setupPage makes the first administrator.
type setupPage struct {
	err      error // why the account was not made
	Token    string
	Username string
	Error    string
	Closed   bool // the link is spent: there is nothing to fill in
}

// login asks who somebody is; who is signed in goes where they were going. A user whose app is signed in signs
// in themselves.
func (h *Handlers) login(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	back := door.ReturnAddress(r.URL.Query().Get("redirect"))
	if c.SignedIn() && c.Session.App == "" && !r.URL.Query().Has(door.AgainField) {
		return door.Redirect(w, http.StatusSeeOther, back)
	}
	p := loginPage{Redirect: back, SignedOut: r.URL.Query().Has(signedOutField)}
	p.Again = r.URL.Query().Has(door.AgainField)
	if ways := h.waysIn(back, p.Again); len(ways) == 1 && !h.door.Passwords() && !p.SignedOut {
		return door.Redirect(w, http.StatusSeeOther, ways[0].Address)
	}
	return h.showLogin(w, c, http.StatusOK, p)
}

// signedOutField is the parameter of the login page for somebody who has just signed out, whom it must not sign in
// again at once.
const signedOutField = "signed_out"

// showLogin shows the login page with all ways to sign in.
func (h *Handlers) showLogin(w http.ResponseWriter, c site.Caller, status int, p loginPage) error {
	p.Passwords, p.Ways = h.door.Passwords(), h.waysIn(p.Redirect, p.Again)
	p.Asks = question.Behind(p.Redirect, h.door.Settings())
	return h.pages.login.Show(w, c, status, p)
}

// loginPost signs somebody in. A refusal keeps the name and the way back, and
// has one text for every reason that would tell who exists.
func (h *Handlers) loginPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := loginPage{
		Username: userkeys.Shorten(r.PostForm.Get("username"), 200),
		Redirect: door.ReturnAddress(r.PostForm.Get("redirect")), Again: r.PostForm.Has(door.AgainField),
	}
	_, err := h.door.Accounts().Login(r, r.PostForm.Get("username"), r.PostForm.Get("password"))
	if err == nil {
		return door.Redirect(w, http.StatusSeeOther, p.Redirect)
	}
	p.err = err
	return h.refuse(w, r, c, p)
}

// logout ends the session and goes back to where the form was.
func (h *Handlers) logout(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.door.Accounts().Logout(r.Context()); err != nil {
		return err
	}
	back := door.ReturnAddress(r.PostForm.Get("redirect"))
	if c.Session.Login != "" { // a page that asks for a sign-in would be signed in again by the provider
		back = loginPath + "?" + url.Values{signedOutField: {"1"}, "redirect": {back}}.Encode()
	}
	return door.Redirect(w, http.StatusSeeOther, back)
}

// setup asks for the first administrator's name and password, where the link is still good.
func (h *Handlers) setup(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := setupPage{Token: r.URL.Query().Get("token")}
	if p.err = h.door.Accounts().CheckSetup(r.Context(), p.Token); p.err != nil {
		return h.setupProblem(w, r, c, p)
	}
	hideToken(w)
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
