package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

// oneTimeRoutes are one-time passwords (W10.1).
func (s *Server) oneTimeRoutes() []route {
	return []route{
		{"GET /user-api-key/otp", page, anyone, "user_api_keys/otp", s.oneTime},
		{"GET /user-api-key/otp.json", page, anyone, "user_api_keys/otp", s.oneTime},
		{"POST /user-api-key/otp", either.needing(site.AdminGrant), signedIn, "user_api_keys/create_otp", s.oneTimePost},
		{"POST /user-api-key/otp.json", either.needing(site.AdminGrant), signedIn, "user_api_keys/create_otp", s.oneTimePost},
	}
}

// oneTimePage asks whether an app may sign in as the user.
type oneTimePage struct {
	ConsentID string
	To        destination
	Name      string
	Return    string
	Details   []detail
}

// oneTime puts an app's request for a one-time password to the user. Nothing is made before they say yes (OT2).
func (s *Server) oneTime(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	request, err := parseRequest(r, site.ParseOneTimeRequest)
	if err == nil {
		_, err = s.oneTimes.ExamineOneTime(r.Context(), request)
	}
	if err != nil {
		return s.refuseOneTime(w, r, v, request, err)
	}
	if !v.SignedIn() {
		return s.sendToLogin(w, r)
	}
	q, err := s.oneTimes.PrepareOneTime(r.Context(), request, s.caller(r, v))
	if err != nil {
		return s.refuseOneTime(w, r, v, request, err)
	}
	if gateway.WantsJSON(r) {
		return writeJSON(w, map[string]any{
			"consent_id": q.ID, "application_name": q.Name, "public_key": q.KeyText, "auth_redirect": q.AuthRedirect, "padding": known(q.Padding),
		})
	}
	w.Header().Set("Content-Security-Policy", csp(q.Redirect))
	return s.pages.OneTime(w, s.frame(v), oneTimePage{
		ConsentID: q.ID, To: destinationOf(q.Redirect), Name: shownName(q.Name), Return: addressOf(r),
		Details: []detail{{"Full address", q.Redirect.String()}},
	})
}

// refuseOneTime is [Server.refuse] for a one-time password: the wire refuses those by status (W10.1).
func (s *Server) refuseOneTime(w http.ResponseWriter, r *http.Request, v site.Visitor, q site.AuthorizationRequest, err error) error {
	e := userkeys.AsError(err)
	page, explained := s.explain(q, e)
	if !explained || gateway.WantsJSON(r) {
		return refuseJSON(w, r, e)
	}
	exchangeOf(r).err = err
	return s.pages.Refused(w, e.Code.Status(), s.frame(v), page)
}

// oneTimePost makes a one-time password: for the page's question, for a whole
// request of the user's own program, or for a key where the site allows that.
func (s *Server) oneTimePost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	location, err := s.makeOneTime(r, v)
	if err != nil {
		return err
	}
	keepSecret(w)
	// A program with a key that does not ask for JSON follows the redirect, as it does on the wire.
	if wantsJSONAnswer(r) {
		return writeJSON(w, map[string]string{"redirect_url": location})
	}
	redirect(w, http.StatusFound, location)
	return nil
}

// wantsJSONAnswer is [gateway.WantsJSON] for an answer that exists in both
// forms: here a key alone does not mean JSON.
func wantsJSONAnswer(r *http.Request) bool {
	if _, keyed := userkeys.FromContext(r.Context()); keyed {
		return strings.HasSuffix(r.URL.Path, ".json") || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
	}
	return gateway.WantsJSON(r)
}

func (s *Server) makeOneTime(r *http.Request, v site.Visitor) (string, error) {
	b := s.caller(r, v)
	if access, keyed := userkeys.FromContext(r.Context()); keyed {
		if err := s.keyMayMakeOneTime(access); err != nil {
			return "", err
		}
		b = site.KeyCaller(access, s.cfg.ClientIP(r))
	} else if r.PostForm.Has("id") {
		return s.oneTimes.GrantOneTime(r.Context(), r.PostForm.Get("id"), b)
	} else if err := mayAskDirectly(r, v); err != nil {
		return "", err
	}
	request, err := site.ParseOneTimeRequest(r.PostForm)
	if err != nil {
		return "", err
	}
	return s.oneTimes.GrantOneTimeDirect(r.Context(), request, b)
}

// keyMayMakeOneTime: a key that makes one-time passwords is as good as the
// password, so it takes the site's word besides the scope (Discourse 40964, OT1).
func (s *Server) keyMayMakeOneTime(a userkeys.Access) error {
	switch {
	case !s.site.Settings().AllowOneTimePasswordByKey:
		return &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "not for keys: the setting allow_user_api_key_otp_by_key is off"}
	case !a.Scopes.Has(userkeys.ScopeWrite):
		return &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "missing scope: write"}
	}
	return nil
}

// signInPage asks whether to sign in with a one-time password.
type signInPage struct {
	Password string
	Username string // who would be signed in; empty: the link is over
	Instead  string // who is signed in now, if somebody else
	App      string
	Problem  string
}

// oneTimeLogin shows whom a one-time password signs in. Looking consumes
// nothing: link scanners and previews look too (OT4).
func (s *Server) oneTimeLogin(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	password := r.PathValue("password")
	p, err := s.oneTimes.OneTimePassword(r.Context(), password, s.cfg.ClientIP(r))
	if err != nil {
		return s.oneTimeOver(w, r, v, err)
	}
	u, err := s.accounts.User(r.Context(), p.UserID)
	if err != nil {
		return err
	}
	page := signInPage{Password: password, Username: u.Username, App: shownName(p.ApplicationName)}
	if v.SignedIn() && v.User.ID != u.ID {
		page.Instead = v.User.Username
	}
	keepSecret(w)
	return s.pages.SignIn(w, s.frame(v), page)
}

// oneTimeOver is 200 and a sentence, as the wire has it.
func (s *Server) oneTimeOver(w http.ResponseWriter, r *http.Request, v site.Visitor, err error) error {
	if !errors.Is(err, userkeys.ConsentGone) {
		return err
	}
	exchangeOf(r).err = err
	return s.pages.SignIn(w, s.frame(v), signInPage{Problem: sentence(userkeys.AsError(err).Public)})
}

// oneTimeLoginPost signs in, once.
func (s *Server) oneTimeLoginPost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p, err := s.oneTimes.UseOneTimePassword(r.Context(), r.PathValue("password"), s.cfg.ClientIP(r))
	if err != nil {
		return s.oneTimeOver(w, r, v, err)
	}
	if _, err := s.accounts.SignIn(r, p); err != nil {
		return s.oneTimeOver(w, r, v, err)
	}
	keepSecret(w)
	redirect(w, http.StatusFound, "/")
	return nil
}

// Bounce answers any page that the official app opens to find out whether it
// may ask for a one-time password (W10.4), and tells whether it did. Of
// other requests it looks at the query only.
func (s *Server) Bounce(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, "user_api_public_key=") || !strings.Contains(r.URL.RawQuery, "auth_redirect=") {
		return false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q["user_api_public_key"]) != 1 || len(q["auth_redirect"]) != 1 {
		return false
	}
	if v, err := s.cfg.Identity.Visitor(r); err != nil || v.SignedIn() {
		return false
	}
	to, problem := s.bounceTo(q.Get("user_api_public_key"), q.Get("auth_redirect"))
	switch {
	case problem != "":
		s.setHeaders(w.Header(), route{}, requestID())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(problem + "\n"))
	case to != "":
		s.setHeaders(w.Header(), route{}, requestID())
		redirect(w, http.StatusFound, to)
	default:
		return false
	}
	return true
}

func (s *Server) bounceTo(publicKey, authRedirect string) (to, problem string) {
	settings := s.site.Settings()
	if _, err := userkeys.ParsePublicKey(publicKey); err != nil {
		return "", sentence(userkeys.AsError(err).Public)
	}
	back, err := settings.CheckRedirect(authRedirect)
	switch {
	case err != nil:
		return "", sentence(userkeys.AsError(err).Public)
	case settings.AllowsOneTimePasswords() != nil:
		return "", ""
	}
	return back.With("otp", "true"), ""
}
