package signin

import (
	"net/http"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// linkPage asks whether to sign in with an administrator's link, which a mere look does not spend.
type linkPage struct {
	Token    string
	Username string
	Error    string // the link is spent or too old
}

func (h *Handlers) link(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p := linkPage{Token: r.URL.Query().Get("token")}
	u, err := h.cfg.Links.CheckSignInLink(r, p.Token)
	if err != nil {
		return h.linkProblem(w, r, c, err)
	}
	p.Username = u.Username
	hideToken(w)
	return h.pages.link.Show(w, c, http.StatusOK, p)
}

// hideToken keeps the address of a page, which has a token in it, from the pages that it links to. The form still tells
// its origin.
func hideToken(w http.ResponseWriter) { w.Header().Set("Referrer-Policy", "strict-origin") }

func (h *Handlers) linkPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if _, err := h.cfg.Links.SignInByLink(r, r.PostForm.Get("token")); err != nil {
		return h.linkProblem(w, r, c, err)
	}
	return door.Redirect(w, http.StatusSeeOther, door.SettingsPath)
}

func (h *Handlers) linkProblem(w http.ResponseWriter, r *http.Request, c site.Caller, err error) error {
	e := userkeys.AsError(err)
	if e.Code != userkeys.ConsentGone || gateway.WantsJSON(r) {
		return err
	}
	door.Note(r, err)
	return h.pages.link.Show(w, c, e.Code.Status(), linkPage{Error: page.Sentence(e.Public)})
}
