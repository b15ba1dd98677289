package consent

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/server/consent/question"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// probe tells apps which generation of the wire this site speaks. It looks at nothing.
func (h *Handlers) probe(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	w.Header().Set("Auth-Api-Version", "4")
	if h.door.Settings().AllowUserAPIKeyDeviceAuth {
		w.Header().Set("Auth-Api-Device-Code", "true")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// ask puts an app's request to the user. What is wrong with the request is
// said before anybody is asked to sign in.
func (h *Handlers) ask(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	request, err := parseRequest(r, site.ParseAuthorizationRequest)
	if err != nil {
		return h.refuse(w, r, c, refusal{request, err})
	}
	own := h.door.Settings().UserAPIKeyConsentPage
	if own == "" || gateway.WantsJSON(r) {
		return h.putToUser(w, r, c, request)
	}
	// The website's page puts it to the user. It gets the question from here, as JSON, for the user whom it names.
	if _, err := h.authority.Examine(r.Context(), request); err != nil {
		return h.refuse(w, r, c, refusal{request, err})
	}
	return door.Redirect(w, http.StatusFound, own+"?"+r.URL.Query().Encode())
}

// putToUser puts a request to the user, once they are signed in, as a page or as its model.
func (h *Handlers) putToUser(w http.ResponseWriter, r *http.Request, c site.Caller,
	request site.AuthorizationRequest,
) error {
	if !c.SignedIn() {
		if _, err := h.authority.Examine(r.Context(), request); err != nil {
			return h.refuse(w, r, c, refusal{request, err})
		}
		return h.door.SendToLogin(w, r)
	}
	asked, err := h.authority.Prepare(r.Context(), request, c)
	if err != nil {
		return h.refuse(w, r, c, refusal{request, err})
	}
	if gateway.WantsJSON(r) {
		return door.WriteJSON(w, h.readyModel(c, asked))
	}
	return h.show(w, c, asked.Redirect, h.consentPage(asked.ID, asked.CheckedRequest, door.AddressOf(r)))
}

func parseRequest(r *http.Request, parse func(url.Values) (site.AuthorizationRequest,
	error),
) (site.AuthorizationRequest, error) {
	parameters, err := userkeys.ParseParameters(r.URL.RawQuery)
	if err != nil {
		return site.AuthorizationRequest{}, err
	}
	return parse(parameters)
}

// consentPage asks the user about q. here is the address that shows the question again.
func (h *Handlers) consentPage(id string, q site.CheckedRequest, here string) consentPage {
	c := consentPage{
		ConsentID: id, To: question.To(q.Redirect), Name: page.ShownName(q.Name), Return: here,
		OneTime: q.Kind == site.KindOneTime,
	}
	if !c.OneTime {
		c.Ask, c.Pushes = about(h, q, nil), q.Push
		c.Details = []detail{{"Scopes", q.Scopes.String()}, {"Client id", page.ShownText(q.ClientID)}}
	}
	c.Details = append(c.Details,
		detail{"Encryption", "RSA, " + strconv.Itoa(q.Key.Bits()) + " bits, padding " + string(q.Pad)})
	if q.PushURL != "" {
		c.Push = page.ShownHost(q.PushURL)
	}
	if q.Redirect != nil {
		c.Details = append(c.Details, detail{"Full address", q.Redirect.String()})
	}
	return c
}

// about is the question of q, with what was chosen before; nil: everything, as asked.
func about(h *Handlers, q site.CheckedRequest, chosen *site.Choice) question.Ask {
	rules := question.Rules{Settings: h.door.Settings(), Catalog: h.authority.Catalog(), Now: h.door.Now()}
	return rules.About(q, chosen)
}

// show answers with the page of a question.
func (h *Handlers) show(w http.ResponseWriter, c site.Caller, to *userkeys.Redirect, p consentPage) error {
	w.Header().Set("Content-Security-Policy", door.CSP(to))
	status := http.StatusOK
	if p.Problem != "" {
		status = http.StatusBadRequest
	}
	return h.pages.consent.Show(w, c, status, p)
}

// chooseAgain shows an open question again to a user who approved nothing of it.
func (h *Handlers) chooseAgain(w http.ResponseWriter, r *http.Request, c site.Caller, y authority.Approval) error {
	open, err := h.authority.OpenConsent(r.Context(), y.Consent, c)
	if err != nil {
		return err
	}
	checked, err := h.authority.Examine(r.Context(), open.Request)
	if err != nil {
		return err
	}
	p := h.consentPage(open.ID, checked, door.FormPage(h.door, r))
	p.nothing(about(h, checked, &y.Choice))
	return h.show(w, c, checked.Redirect, p)
}

// grant answers yes. Of a page's form only the consent's id and the user's choice count.
// A program that knows the session's token, or has an admin API key, may send the whole request instead.
func (h *Handlers) grant(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	approval := authority.Approval{By: c, Consent: r.PostForm.Get("id")}
	if r.PostForm.Has("id") {
		var err error
		if approval.Choice, err = question.ParseChoice(r.PostForm, h.authority.Catalog()); err != nil {
			return err
		}
		if question.ChoseNothing(approval.Choice) && !gateway.WantsJSON(r) {
			return h.chooseAgain(w, r, c, approval)
		}
	} else {
		if err := mayAskDirectly(r, c); err != nil {
			return err
		}
		request, err := site.ParseAuthorizationRequest(r.PostForm)
		if err != nil {
			return err
		}
		approval.Request = &request
	}
	granted, err := h.authority.Grant(r.Context(), approval)
	if err != nil {
		return err
	}
	return h.handOver(w, r, c, granted)
}

// mayAskDirectly tells a user's program, which read the session's token out of
// an answer and sends it in a header that no form can send, and the site's own
// program with an admin API key, from a page's form. Others are told what is missing.
func mayAskDirectly(r *http.Request, c site.Caller) error {
	switch {
	case c.AdminKey != 0, c.Session.CSRF != "" && r.Header.Get(door.TokenHeader) != "":
		return nil
	case c.Session.CSRF == "":
		return userkeys.Errorf(userkeys.InvalidAccess,
			"id is missing: a session's whole request is not taken on this site; send the id of a consent page, or use an "+
				"admin API key")
	}
	return userkeys.Errorf(userkeys.InvalidAccess,
		"id is missing: to send a whole request without a consent page, send the session's token in the header %s, not as "+
			"the field %s", door.TokenHeader, input.TokenField)
}

// handOver gives the app its answer: by the way back, or to be copied.
func (h *Handlers) handOver(w http.ResponseWriter, r *http.Request, c site.Caller, granted authority.Granted) error {
	door.KeepSecret(w)
	name := page.ShownName(granted.Key.ApplicationName)
	switch {
	case gateway.WantsJSON(r) && granted.Location != "":
		return door.WriteJSON(w, map[string]string{"redirect_url": granted.Location})
	case gateway.WantsJSON(r):
		return door.WriteJSON(w, map[string]string{
			"payload":      granted.Payload,
			"instructions": "Copy this payload to " + name + ". It is not yet the key: the app makes the key of it.",
		})
	case granted.Location != "":
		return door.Redirect(w, http.StatusFound, granted.Location)
	}
	sealed, err := sealedHTML(granted.Payload)
	if err != nil {
		return err
	}
	return h.pages.payload.Show(w, c, http.StatusOK, payloadPage{Name: name, Payload: sealed})
}

// sealedHTML lets a payload into a page as it is. A template would write each
// plus sign as a character reference, and apps that read the page as text would copy that.
func sealedHTML(payload string) (template.HTML, error) {
	for _, c := range []byte(payload) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '+' && c != '/' && c != '=' && c != '\n' {
			return "", errors.New("server: the sealed payload is no base64")
		}
	}
	return template.HTML(payload), nil
}

// deny answers no. Only a program on the user's own machine, which waits for the answer, is told.
func (h *Handlers) deny(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	location, err := h.authority.Deny(r.Context(), r.PostForm.Get("id"), c)
	switch {
	case err != nil:
		return err
	case gateway.WantsJSON(r):
		return door.WriteJSON(w, map[string]*string{"redirect_url": door.Optional(location)})
	case location != "":
		return door.Redirect(w, http.StatusFound, location)
	}
	return door.Redirect(w, http.StatusSeeOther, deniedPath)
}

// deniedPath is where a browser goes after a no: a page of its own, which it may load again.
const deniedPath = "/user-api-key/denied"
