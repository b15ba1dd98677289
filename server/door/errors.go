package door

import (
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/page"
)

// problemPage says what went wrong.
type problemPage struct {
	Title string
	What  string
	Help  string
	Apps  bool   // offer the apps page
	Login string // offer to sign in there
	Form  string // the page that the form was on
	ID    string
}

// fail renders err: once, and here only.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := WithReason(r, userkeys.AsError(err))
	switch {
	case e.Code == userkeys.InvalidCSRF:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(e.Code.Status())
		_, _ = w.Write([]byte(`["BAD CSRF"]`)) // the wire's body, for people and programs alike
	case stateOf(r).json || gateway.WantsJSON(r):
		gateway.WriteError(w, e)
	default:
		d.failPage(w, r, e)
	}
}

// failPage renders err as a page.
func (d *Door) failPage(w http.ResponseWriter, r *http.Request, e *userkeys.Error) {
	x := stateOf(r)
	gateway.SetRetry(w.Header(), e)
	what := strings.TrimPrefix(e.Public, userkeys.NotPermitted+" ") // the reason, where there is one, is enough
	problem := problemPage{Title: problemTitle(e.Code), What: page.Sentence(what), ID: x.id}
	if e.Reason == reasonAppSession {
		problem.Title, problem.Login = "Sign in yourself", d.cfg.Identity.LoginURL(placeOf(r))
	}
	if e.Reason == errStaleSignIn.Reason {
		problem.Title, problem.Login = "Sign in again", d.LoginAgainURL(formPage(r, d.cfg.BaseURL))
	}
	switch e.Code {
	case userkeys.ConsentGone:
		problem.Help = "If you approved it a moment ago, the app is already in your list. If not, go back to the app and " +
			"start again there."
		problem.Apps = true
	case userkeys.NotLoggedIn:
		problem.Help = "Your session has ended. Sign in, then do it again."
		problem.Login = d.cfg.Identity.LoginURL(AppsPath)
	case userkeys.Conflict:
		if r.Method == http.MethodPost {
			problem.Form = formPage(r, d.cfg.BaseURL)
		}
	case userkeys.RateLimited, userkeys.Unavailable:
		problem.Help = TryAgain(e)
	}
	if err := d.problem.Show(w, x.caller, e.Code.Status(), problem); err != nil {
		d.cfg.Logger.ErrorContext(r.Context(), "an error page could not be written", "id", x.id, "error", err)
	}
}

// placeOf is where somebody goes on who had to sign in first: where they were, or, after a form, their apps.
func placeOf(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return AddressOf(r)
	}
	return AppsPath
}

// formPage is the page of this site that r's form was on; the apps page if that is not known.
func formPage(r *http.Request, base *url.URL) string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Scheme != base.Scheme || from.Host != base.Host || !localPath(from.RequestURI()) {
		return AppsPath
	}
	return from.RequestURI()
}

// TryAgain tells a person how long to wait; nothing where waiting does not
// help, as for an account that only an administrator unlocks.
func TryAgain(e *userkeys.Error) string {
	if e.RetryAfter <= 0 {
		return ""
	}
	return "Try again in " + page.Waiting(e.RetryAfter) + "."
}

func problemTitle(c userkeys.Code) string {
	switch c {
	case userkeys.NotFound:
		return "Nothing here"
	case userkeys.InvalidAccess, userkeys.UserNotAllowed:
		return "Not permitted"
	case userkeys.NotLoggedIn:
		return "You are signed out"
	case userkeys.ConsentGone:
		return "This request is closed"
	case userkeys.RateLimited:
		return "Too many requests"
	case userkeys.Unavailable:
		return "Not available right now"
	case userkeys.Internal:
		return "Something went wrong"
	}
	return "That did not work"
}
