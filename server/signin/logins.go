package signin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// Logins lets people sign in through providers. A sign-in is under way in the browser that began it, and is finished
// there, once, within ten minutes.
type Logins interface {
	// Choices are the ways to sign in, as the login page shows them.
	Choices() []site.LoginChoice
	// Begin returns where the browser has to go. Errors: [userkeys.NotFound] if there is no such login,
	// [userkeys.Unavailable] if the provider does not answer.
	Begin(w http.ResponseWriter, r *http.Request, name string, wish site.LoginWish) (string, error)
	// Finish signs in whom the provider names, and returns where to go. Errors: [userkeys.ConsentGone] if the sign-in is
	// not under way in this browser; [userkeys.InvalidCredentials] for whoever may not sign in;
	// [site.NameQuestion].
	Finish(w http.ResponseWriter, r *http.Request, name string) (back string, err error)
}

// choosePage asks for a user name.
type choosePage struct {
	site.NameQuestion
	Login    string // its name in addresses
	Title    string // of the login
	Redirect string
	Others   bool // there are other ways to sign in
}

// Taken reports whether the name that the provider gave is another account's, which could be their own.
func (p choosePage) Taken() bool { return p.Trouble == site.NameTaken }

// wayIn is a provider as the login page shows it.
type wayIn struct{ Title, Address string }

func (h *Handlers) waysIn(back string, again bool) []wayIn {
	if h.cfg.Logins == nil {
		return nil
	}
	var out []wayIn
	for _, c := range h.cfg.Logins.Choices() {
		q := url.Values{"redirect": {back}}
		if again {
			q.Set(door.AgainField, "1")
		}
		out = append(out, wayIn{c.Title, loginPath + "/" + c.Name + "?" + q.Encode()})
	}
	return out
}

// begin sends the browser to a provider.
func (h *Handlers) begin(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	q := r.URL.Query()
	return h.sendAway(w, r, c, site.LoginWish{Back: door.ReturnAddress(q.Get("redirect")), Again: q.Has(door.AgainField)})
}

// beginNamed does it again for somebody who had to choose a user name.
func (h *Handlers) beginNamed(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	f := r.PostForm
	return h.sendAway(w, r, c, site.LoginWish{
		Back: door.ReturnAddress(f.Get("redirect")), Username: userkeys.Shorten(f.Get("username"), 200),
	})
}

func (h *Handlers) sendAway(w http.ResponseWriter, r *http.Request, c site.Caller, wish site.LoginWish) error {
	address, err := h.cfg.Logins.Begin(w, r, r.PathValue("name"), wish)
	if err != nil {
		return h.refuse(w, r, c, loginPage{err: err, Redirect: wish.Back})
	}
	w.Header().Set("Cache-Control", "no-store")
	return door.Redirect(w, http.StatusSeeOther, address)
}

// callback is where a provider sends the browser back to.
func (h *Handlers) callback(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	name := r.PathValue("name")
	back, err := h.cfg.Logins.Finish(w, r, name)
	if back == "" {
		back = door.AppsPath
	}
	var q *site.NameQuestion
	switch {
	case err == nil:
		return door.Redirect(w, http.StatusSeeOther, back)
	case errors.As(err, &q) && !gateway.WantsJSON(r):
		return h.choose(w, c, choosePage{NameQuestion: *q, Login: name, Redirect: back})
	}
	return h.refuse(w, r, c, loginPage{err: err, Redirect: back})
}

// choose asks for a user name. It is no refusal, and the log tells of none.
func (h *Handlers) choose(w http.ResponseWriter, c site.Caller, p choosePage) error {
	p.Theirs, p.Chosen = shownName(p.Theirs), shownName(p.Chosen)
	choices := h.cfg.Logins.Choices()
	p.Others = h.door.Passwords() || len(choices) > 1
	for _, choice := range choices {
		if choice.Name == p.Login { // Chromium applies form-action also to where the form's answer leads
			w.Header().Set("Content-Security-Policy", door.CSP(address(choice.To)))
			p.Title = choice.Title
		}
	}
	return h.pages.choose.Show(w, c, http.StatusConflict, p)
}

// shownName is a name of elsewhere as the page repeats it: people know theirs, however long it is.
func shownName(name string) string { return userkeys.Shorten(page.ShownText(name), 100) }

// address is u as a policy takes it; nil if there is none.
func address(u *url.URL) *userkeys.Redirect {
	if u == nil {
		return nil
	}
	to, err := userkeys.ParseRedirect(u.String())
	if err != nil {
		return nil
	}
	return &to
}

// refuse shows the login page with what went wrong, for what somebody can do something about.
func (h *Handlers) refuse(w http.ResponseWriter, r *http.Request, c site.Caller, p loginPage) error {
	err := p.err
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.InvalidCredentials, userkeys.ConsentGone:
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
	return h.showLogin(w, c, e.Code.Status(), p)
}
