package door

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/page"
)

// problemPage says what went wrong, who can help, and has one way on.
type problemPage struct {
	Title  string
	What   string
	Help   string
	Way    way
	SignIn bool // the way leads to the login page
	ID     string
}

// way is where a page leads.
type way struct{ Address, Text string }

// fail renders err: once, and here only.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := WithReason(r, userkeys.AsError(err))
	switch {
	case e.Code == userkeys.InvalidCSRF && !gateway.WantsPage(r):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(e.Code.Status())
		_, _ = w.Write([]byte(`["BAD CSRF"]`)) // the wire's body
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
	problem := problemPage{ID: x.id, Title: "That did not work", Way: way{"/", "To the start page"}}
	words := problemWords[e.Code]
	problem.Title, problem.What, problem.Help = cmp.Or(words.title, problem.Title), words.what, words.help
	if problem.What == "" { // the reason, where there is one, is enough
		problem.What = page.Sentence(strings.TrimPrefix(e.Public, userkeys.NotPermitted+" "))
	}
	signIn := func(address string) { problem.Way, problem.SignIn = way{address, "Sign in"}, true }
	switch e.Code {
	case userkeys.ConsentGone:
		problem.Way = way{AppsPath, "Your apps"}
	case userkeys.NotLoggedIn:
		signIn(d.cfg.Identity.LoginURL(AppsPath))
	case userkeys.Conflict, userkeys.InvalidCSRF, userkeys.BodyTooLarge, userkeys.InvalidParameters:
		if from := FormPage(d, r); from != "" {
			problem.Way = way{from, "Back to the page"}
		}
	case userkeys.RateLimited, userkeys.Unavailable:
		problem.Help = TryAgain(e)
	}
	switch e.Reason {
	case reasonAppSession:
		problem.Title = "Sign in yourself"
		signIn(d.cfg.Identity.LoginURL(placeOf(r)))
	case errStaleSignIn.Reason:
		problem.Title = "Sign in again"
		signIn(d.LoginAgainURL(cmp.Or(FormPage(d, r), AppsPath)))
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

// FormPage is the page of this site that r's form was on, which the browser names as where it comes from; empty if
// that is not known.
func FormPage(d *Door, r *http.Request) string {
	base, from := d.cfg.BaseURL, &url.URL{}
	if u, err := url.Parse(r.Referer()); err == nil {
		from = u
	}
	if from.Scheme != base.Scheme || from.Host != base.Host || !localPath(from.RequestURI()) {
		return ""
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

// problemWords are what pages say of errors; where they say nothing of what went wrong, the error's public text does.
var problemWords = map[userkeys.Code]struct{ title, what, help string }{
	userkeys.NotFound: {
		"Nothing here", "", "If a link or an app brought you here, tell whoever made it.",
	},
	userkeys.InvalidAccess:  {title: "Not permitted"},
	userkeys.UserNotAllowed: {title: "Not permitted"},
	userkeys.NotLoggedIn: {
		"You are signed out", "", "Your session has ended. Sign in, then do it again.",
	},
	userkeys.ConsentGone: {
		"This request is closed", "",
		"If you approved it a moment ago, the app is already in your list. If not, go back to the app and start again there.",
	},
	userkeys.RateLimited: {title: "Too many requests"},
	userkeys.Unavailable: {title: "Not available right now"},
	userkeys.Internal: {
		"Something went wrong", "", "Try again. If it happens again, tell whoever runs this site the reference below.",
	},
	userkeys.MethodNotAllowed: {
		"There is no page here", "This address only takes what a form or an app sends. Nothing was done.",
		"If a link or an app brought you here, tell whoever made it.",
	},
	userkeys.BodyTooLarge: {
		"That is too large", "What your browser sent is larger than this page takes. Nothing was done.", "",
	},
	userkeys.UnsupportedMedia: {
		"That cannot be read", "What your browser sent is not of a kind that this address takes. Nothing was done.",
		"If an app brought you here, tell whoever made it.",
	},
	userkeys.InvalidCSRF: {
		"This page is out of date", "You have signed in or out since the page was opened. Nothing was done.",
		"Open the page again, and do it once more.",
	},
}
