package consent

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// oneTime puts an app's request for a one-time password to the user. Nothing is made before they say yes.
func (h *Handlers) oneTime(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	request, err := parseRequest(r, site.ParseOneTimeRequest)
	if err == nil {
		_, err = h.authority.Examine(r.Context(), request)
	}
	if err != nil {
		return h.refuseOneTime(w, r, c, refusal{request, err})
	}
	if !c.SignedIn() {
		return h.door.SendToLogin(w, r)
	}
	q, err := h.authority.Prepare(r.Context(), request, c)
	if err != nil {
		return h.refuseOneTime(w, r, c, refusal{request, err})
	}
	if gateway.WantsJSON(r) {
		return door.WriteJSON(w, map[string]any{
			"consent_id": q.ID, "application_name": q.Name, "public_key": q.KeyText, "auth_redirect": q.AuthRedirect,
			"padding": door.Optional(q.Padding),
		})
	}
	return h.show(w, c, q.Redirect, h.consentPage(q.ID, q.CheckedRequest, door.AddressOf(r)))
}

// refuseOneTime is [Handlers.refuse] for a one-time password: the wire refuses those by status.
func (h *Handlers) refuseOneTime(w http.ResponseWriter, r *http.Request, c site.Caller, no refusal) error {
	e := userkeys.AsError(no.err)
	refused, explained := explain(h.door.Settings(), no.request, e)
	if !explained || gateway.WantsJSON(r) || isMalformed(e) && !gateway.WantsPage(r) {
		return door.RefuseJSON(w, r, e)
	}
	door.Note(r, no.err)
	return h.pages.refused.Show(w, c, e.Code.Status(), refused.readBy(c))
}

// oneTimePost makes a one-time password: for the page's question, for a whole
// request of the user's own program, or for a key where the site allows that.
func (h *Handlers) oneTimePost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	location, err := h.makeOneTime(r, c)
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	// A program with a key that does not ask for JSON follows the redirect, as it does on the wire.
	if wantsJSONAnswer(r, c) {
		return door.WriteJSON(w, map[string]string{"redirect_url": location})
	}
	return door.Redirect(w, http.StatusFound, location)
}

// wantsJSONAnswer is [gateway.WantsJSON] for an answer that exists in both
// forms: here a key alone does not mean JSON.
func wantsJSONAnswer(r *http.Request, c site.Caller) bool {
	if c.Key != 0 {
		return strings.HasSuffix(r.URL.Path, ".json") || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
	}
	return gateway.WantsJSON(r)
}

func (h *Handlers) makeOneTime(r *http.Request, c site.Caller) (string, error) {
	approval := authority.Approval{By: c, Kind: site.KindOneTime}
	if c.Key == 0 && r.PostForm.Has("id") {
		approval.Consent = r.PostForm.Get("id")
	} else {
		if err := mayMakeOneTimeDirectly(r, c, h.door.Settings()); err != nil {
			return "", err
		}
		request, err := site.ParseOneTimeRequest(r.PostForm)
		if err != nil {
			return "", err
		}
		approval.Request = &request
	}
	granted, err := h.authority.Grant(r.Context(), approval)
	return granted.Location, err
}

// mayMakeOneTimeDirectly refuses a whole request, without a page before it, if its sender may not send one.
func mayMakeOneTimeDirectly(r *http.Request, c site.Caller, settings site.Settings) error {
	if c.Key == 0 {
		return mayAskDirectly(r, c)
	}
	access, _ := userkeys.FromContext(r.Context())
	return keyMayMakeOneTime(access, settings)
}

// keyMayMakeOneTime refuses keys that may not make one-time passwords. A key that makes them is as good as the
// password, so it takes the site's word besides the scope.
func keyMayMakeOneTime(a userkeys.Access, s site.Settings) error {
	refused := &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted}
	switch {
	case !s.AllowOneTimePasswordByKey:
		refused.Reason = "not for keys: the setting allow_user_api_key_otp_by_key is off"
	case !a.Scopes.Has(userkeys.ScopeWrite):
		refused.Reason = "missing scope: write"
	default:
		return nil
	}
	return refused
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
// nothing: link scanners and previews look too.
func (h *Handlers) oneTimeLogin(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	password := r.PathValue("password")
	p, err := h.authority.OneTimePassword(r.Context(), password, c.Address)
	if err != nil {
		return h.oneTimeOver(w, r, c, err)
	}
	u, err := h.door.Accounts().User(r.Context(), p.UserID)
	if err != nil {
		return err
	}
	shown := signInPage{Password: password, Username: u.Username, App: page.ShownName(p.ApplicationName)}
	if c.SignedIn() && c.User.ID != u.ID {
		shown.Instead = c.User.Username
	}
	door.KeepSecret(w)
	return h.pages.signIn.Show(w, c, http.StatusOK, shown)
}

// oneTimeOver is 200 and a sentence, as the wire has it.
func (h *Handlers) oneTimeOver(w http.ResponseWriter, r *http.Request, c site.Caller, err error) error {
	if !errors.Is(err, userkeys.ConsentGone) {
		return err
	}
	door.Note(r, err)
	return h.pages.signIn.Show(w, c, http.StatusOK, signInPage{Problem: page.Sentence(userkeys.AsError(err).Public)})
}

// oneTimeLoginPost signs in, once.
func (h *Handlers) oneTimeLoginPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p, err := h.authority.UseOneTimePassword(r.Context(), r.PathValue("password"), c.Address)
	if err != nil {
		return h.oneTimeOver(w, r, c, err)
	}
	if _, err := h.door.Accounts().SignIn(r, p); err != nil {
		return h.oneTimeOver(w, r, c, err)
	}
	door.KeepSecret(w)
	return door.Redirect(w, http.StatusFound, "/")
}

// Bounce answers any page that the official app opens to find out whether it
// may ask for a one-time password (W10.4), and tells whether it did. Of
// other requests it looks at the query only.
func (h *Handlers) Bounce(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, "user_api_public_key=") ||
		!strings.Contains(r.URL.RawQuery, "auth_redirect=") {
		return false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q["user_api_public_key"]) != 1 || len(q["auth_redirect"]) != 1 {
		return false
	}
	if v, err := h.door.Identity().Visitor(r); err != nil || v.SignedIn() {
		return false
	}
	to, problem := bounceTo(h.door.Settings(), q.Get("user_api_public_key"), q.Get("auth_redirect"))
	switch {
	case problem != "":
		h.door.SetHeaders(w.Header())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(problem + "\n"))
	case to != "":
		h.door.SetHeaders(w.Header())
		door.Redirect(w, http.StatusFound, to)
	default:
		return false
	}
	return true
}

// bounceTo is where an app is sent that asks whether it may ask for a one-time password, or what is wrong with
// its request; neither, if it may not.
func bounceTo(settings site.Settings, publicKey, authRedirect string) (to, problem string) {
	if _, err := userkeys.ParsePublicKey(publicKey); err != nil {
		return "", page.Sentence(userkeys.AsError(err).Public)
	}
	back, err := settings.CheckRedirect(authRedirect)
	switch {
	case err != nil:
		return "", page.Sentence(userkeys.AsError(err).Public)
	case settings.AllowsOneTimePasswords() != nil:
		return "", ""
	}
	return back.With("otp", "true"), ""
}
