package server

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/site"
)

// probe tells apps which generation of the wire this site speaks. It looks at nothing.
func (s *Server) probe(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	w.Header().Set("Auth-Api-Version", "4")
	if s.site.Settings().AllowUserAPIKeyDeviceAuth {
		w.Header().Set("Auth-Api-Device-Code", "true")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// consent puts an app's request to the user. What is wrong with the request is
// said before anybody is asked to sign in.
func (s *Server) consent(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	request, err := parseRequest(r, site.ParseAuthorizationRequest)
	if err != nil {
		return s.refuse(w, r, v, request, err)
	}
	return s.putToUser(w, r, v, request)
}

// putToUser puts a request to the user, once they are signed in, as a page or as its model.
func (s *Server) putToUser(w http.ResponseWriter, r *http.Request, v site.Visitor, request site.AuthorizationRequest) error {
	if !v.SignedIn() {
		if _, err := s.consents.Examine(r.Context(), request); err != nil {
			return s.refuse(w, r, v, request, err)
		}
		return s.sendToLogin(w, r)
	}
	question, err := s.consents.Prepare(r.Context(), request, s.caller(r, v))
	if err != nil {
		return s.refuse(w, r, v, request, err)
	}
	if gateway.WantsJSON(r) {
		return writeJSON(w, s.readyModel(v, question))
	}
	w.Header().Set("Content-Security-Policy", csp(question.Redirect))
	return s.pages.Consent(w, s.frame(v), s.consentPage(question.ID, question.CheckedRequest, addressOf(r)))
}

func parseRequest(r *http.Request, parse func(url.Values) (site.AuthorizationRequest, error)) (site.AuthorizationRequest, error) {
	parameters, err := userkeys.ParseParameters(r.URL.RawQuery)
	if err != nil {
		return site.AuthorizationRequest{}, err
	}
	return parse(parameters)
}

func (s *Server) consentPage(id string, q site.CheckedRequest, here string) consentPage {
	site, now := s.site.Settings(), s.cfg.Now()
	c := consentPage{
		ConsentID: id, To: destinationOf(q.Redirect), Name: shownName(q.Name),
		Ask: s.askView(q), Write: q.Scopes.Has(userkeys.ScopeWrite), SignsIn: q.Scopes.Has(userkeys.ScopeOneTimePassword),
		Pushes: q.Push, Unused: site.RevokeUserAPIKeysUnusedDays, MaxLife: site.RevokeUserAPIKeysMaxlifeDays,
		Return: here,
		Details: []detail{
			{"Scopes", q.Scopes.String()},
			{"Client id", shownText(q.ClientID)},
			{"Encryption", "RSA, " + strconv.Itoa(q.Key.Bits()) + " bits, padding " + string(q.Pad)},
		},
	}
	if q.PushURL != "" {
		c.Push = pushHost(q.PushURL)
	}
	if q.Ends > 0 {
		c.Lifetime, c.Until = lifetime(q.Ends), momentAt(now.Add(q.Ends), now)
		c.Unused, c.MaxLife = sooner(c.Unused, q.Ends), sooner(c.MaxLife, q.Ends)
	}
	if q.Redirect != nil {
		c.Details = append(c.Details, detail{"Full address", q.Redirect.String()})
	}
	return c
}

// sooner is days if a key would end by them before its lifetime does; else 0.
func sooner(days int, lifetime time.Duration) int {
	if time.Duration(days)*day < lifetime {
		return days
	}
	return 0
}

// refuse answers a request that will not be put to the user. What every
// program must see as malformed is JSON whatever it asked for (W4.3); the
// rest is a page that says what would help. The page makes no link of what was sent (RD46).
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v site.Visitor, q site.AuthorizationRequest, err error) error {
	e := userkeys.AsError(err)
	switch e.Code {
	case userkeys.MissingParameter, userkeys.InvalidParameters, userkeys.InvalidPadding:
		return refuseJSON(w, r, e)
	}
	page, explained := s.explain(q, e)
	if !explained {
		return err
	}
	exchangeOf(r).err = err
	if gateway.WantsJSON(r) {
		return writeJSON(w, s.refusedModel(v, q, e))
	}
	return s.pages.Refused(w, http.StatusOK, s.frame(v), page)
}

// explain is the page that says what would help with a refusal; false for one that needs no such page.
func (s *Server) explain(q site.AuthorizationRequest, e *userkeys.Error) (refusedPage, bool) {
	site := s.site.Settings()
	page := refusedPage{What: sentence(e.Public)}
	switch e.Code {
	case userkeys.InvalidPublicKey, userkeys.PayloadTooLarge:
		page.Author = "send an RSA public key as PEM text, of 2048 bits or more, with line ends and plus signs percent-encoded, and a short nonce."
	case userkeys.InvalidExpiry:
		page.Author = "ask for expires_in_seconds as a whole number, or leave it out."
		page.Site = "the setting max_user_api_key_expiry_days holds the longest lifetime, " + count(site.MaxUserAPIKeyExpiryDays, "day") + " at present."
	case userkeys.ScopeNotAllowed:
		page.Author = "ask only for scopes that this site gives: " + strings.Join(site.AllowUserAPIKeyScopes, ", ") + "."
		page.Site = "the setting allow_user_api_key_scopes lists what an app may have."
		page.Details = append(page.Details, detail{"Scopes asked for", shownText(q.Scopes.String())})
	case userkeys.RedirectNotAllowed:
		page.Author = "ask this site's administrator to allow the address, or leave auth_redirect out: the user then copies the answer."
		page.Site = "the setting allowed_user_api_auth_redirects lists where answers may be sent."
		page.Details = append(page.Details, detail{"Address asked for (auth_redirect)", shownText(q.AuthRedirect)})
	case userkeys.KeysNotAllowed:
		page.Site = "the setting allow_user_api_keys is off. Apps that have a key keep it."
	case userkeys.UserNotAllowed:
		page.Trust = true
		page.Site = "the setting user_api_key_allowed_groups says who may give an app a key: by trust level or allowed group."
		if page.Barred = e.Reason == authority.ReasonMayNotAct; page.Barred {
			page.Site = "make the account active or end its suspension: userkeys user set NAME --active, userkeys user unsuspend NAME, or Store.UpdateUser in a program with userkeys built in."
		}
	default:
		return page, false
	}
	return page, true
}

// refuseJSON answers with an error in the wire's shape, whatever was asked for.
func refuseJSON(w http.ResponseWriter, r *http.Request, e *userkeys.Error) error {
	exchangeOf(r).err = e
	gateway.WriteError(w, e)
	return nil
}

// grant answers yes. Of a page's form only the consent's id and the user's choice count (RQ20).
// A program that knows the session's token, or has an admin API key, may send the whole request instead.
func (s *Server) grant(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	if !r.PostForm.Has("id") {
		if err := mayAskDirectly(r, v); err != nil {
			return err
		}
		return s.grantDirect(w, r, v)
	}
	choice, err := parseChoice(r.PostForm)
	if err != nil {
		return err
	}
	granted, err := s.consents.Grant(r.Context(), r.PostForm.Get("id"), s.caller(r, v), choice)
	if err != nil {
		return err
	}
	return s.handOver(w, r, v, granted)
}

// mayAskDirectly tells a user's program, which read the session's token out of
// an answer and sends it in a header that no form can send, and the site's own
// program with an admin API key, from a page's form. Others are told what is missing.
func mayAskDirectly(r *http.Request, v site.Visitor) error {
	switch {
	case v.AdminKey != 0, v.Session.CSRF != "" && r.Header.Get(tokenHeader) != "":
		return nil
	case v.Session.CSRF == "":
		return userkeys.Errorf(userkeys.InvalidAccess, "id is missing: a session's whole request is not taken on this site; send the id of a consent page, or use an admin API key")
	}
	return userkeys.Errorf(userkeys.InvalidAccess, "id is missing: to send a whole request without a consent page, send the session's token in the header %s, not as the field %s", tokenHeader, tokenField)
}

func (s *Server) grantDirect(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	request, err := site.ParseAuthorizationRequest(r.PostForm)
	if err != nil {
		return err
	}
	granted, err := s.consents.GrantDirect(r.Context(), request, s.caller(r, v))
	if err != nil {
		return err
	}
	return s.handOver(w, r, v, granted)
}

// handOver gives the app its answer: by the way back, or to be copied.
func (s *Server) handOver(w http.ResponseWriter, r *http.Request, v site.Visitor, granted authority.Granted) error {
	keepSecret(w)
	name := shownName(granted.Key.ApplicationName)
	switch {
	case gateway.WantsJSON(r) && granted.Location != "":
		return writeJSON(w, map[string]string{"redirect_url": granted.Location})
	case gateway.WantsJSON(r):
		return writeJSON(w, map[string]string{"payload": granted.Payload, "instructions": "Copy this payload to " + name + ". It is not yet the key: the app makes the key of it."})
	case granted.Location != "":
		redirect(w, http.StatusFound, granted.Location)
		return nil
	}
	sealed, err := sealedHTML(granted.Payload)
	if err != nil {
		return err
	}
	return s.pages.Payload(w, s.frame(v), payloadPage{Name: name, Payload: sealed})
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
func (s *Server) deny(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	location, err := s.consents.Deny(r.Context(), r.PostForm.Get("id"), s.caller(r, v))
	switch {
	case err != nil:
		return err
	case location != "":
		redirect(w, http.StatusFound, location)
		return nil
	}
	return s.pages.Denied(w, s.frame(v))
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
