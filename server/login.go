package server

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

const (
	settingsPath = "/user-api-key/settings"
	logoutPath   = "/user-api-key/logout"
)

// againField asks for the password of somebody who is signed in already.
const againField = "again"

// login asks who somebody is; who is signed in goes where they were going. A user whose app is signed in signs in themselves.
func (s *Server) login(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	back := returnAddress(r.URL.Query().Get("redirect"))
	if v.SignedIn() && v.Session.App == "" && !r.URL.Query().Has(againField) {
		redirect(w, http.StatusSeeOther, back)
		return nil
	}
	return s.pages.Login(w, http.StatusOK, s.frame(v), loginPage{Redirect: back})
}

// loginPost signs somebody in. A refusal keeps the name and the way back, and
// has one text for every reason that would tell who exists.
func (s *Server) loginPost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p := loginPage{Username: cutBytes(r.PostForm.Get("username"), 200), Redirect: returnAddress(r.PostForm.Get("redirect"))}
	_, err := s.accounts.Login(r, r.PostForm.Get("username"), r.PostForm.Get("password"))
	if err == nil {
		redirect(w, http.StatusSeeOther, p.Redirect)
		return nil
	}
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.InvalidCredentials:
		p.Error = sentence(e.Public)
	case userkeys.RateLimited, userkeys.Unavailable:
		p.Error = strings.TrimSpace(sentence(e.Public) + " " + tryAgain(e))
	default:
		return err
	}
	if gateway.WantsJSON(r) {
		return err
	}
	exchangeOf(r).err = err
	gateway.SetRetry(w.Header(), e)
	return s.pages.Login(w, e.Code.Status(), s.frame(v), p)
}

// logout ends the session and goes back to where the form was.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	if err := s.accounts.Logout(r.Context()); err != nil {
		return err
	}
	redirect(w, http.StatusSeeOther, returnAddress(r.PostForm.Get("redirect")))
	return nil
}

// setup asks for the first administrator's name and password, where the link is still good.
func (s *Server) setup(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p := setupPage{Token: r.URL.Query().Get("token")}
	if err := s.accounts.CheckSetup(r.Context(), p.Token); err != nil {
		return s.setupProblem(w, r, v, p, err)
	}
	return s.pages.Setup(w, http.StatusOK, s.frame(v), p)
}

func (s *Server) setupPost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	f := r.PostForm
	p := setupPage{Token: f.Get("token"), Username: cutBytes(f.Get("username"), 200)}
	var err error
	if f.Get("password") != f.Get("password_again") {
		err = userkeys.Errorf(userkeys.InvalidParameters, "the two passwords differ")
	} else {
		_, err = s.accounts.Setup(r, p.Token, f.Get("username"), f.Get("password"))
	}
	if err != nil {
		return s.setupProblem(w, r, v, p, err)
	}
	redirect(w, http.StatusSeeOther, settingsPath)
	return nil
}

// setupProblem shows the page with what is wrong, and without the form where the link is good no more.
func (s *Server) setupProblem(w http.ResponseWriter, r *http.Request, v site.Visitor, p setupPage, err error) error {
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
	exchangeOf(r).err = err
	p.Error = sentence(e.Public)
	return s.pages.Setup(w, e.Code.Status(), s.frame(v), p)
}

// home is the page at the root of a site that has nothing else.
func (s *Server) home(w http.ResponseWriter, _ *http.Request, v site.Visitor) error {
	f := s.frame(v)
	f.Login = s.cfg.Identity.LoginURL("/")
	return s.pages.Home(w, f)
}
