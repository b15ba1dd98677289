package server

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/site"
)

const activatePath = "/user-api-key/activate"

// deviceRoutes are the device authorization (W22).
func (s *Server) deviceRoutes() []route {
	both := func(method, path string, d door, w who, name string, h handler) []route {
		h = s.whereDevicesAre(h)
		return []route{{method + " " + path, d, w, name, h}, {method + " " + path + ".json", d, w, name, h}}
	}
	var all []route
	for _, r := range [][]route{
		both("POST", "/user-api-key/device", program, anyone, "user_api_keys/device", s.deviceBegin),
		both("POST", "/user-api-key/device/poll", program, anyone, "user_api_keys/device_poll", s.devicePoll),
		both("GET", activatePath, page, anyone, "user_api_keys/activate", s.activate),
		both("POST", activatePath, wireForm, signedIn, "user_api_keys/activate", s.activatePost),
		both("POST", "/user-api-key/device/authorize", wireForm, signedIn, "user_api_keys/device_authorize", s.deviceAuthorize),
		both("POST", "/user-api-key/device/deny", wireForm, signedIn, "user_api_keys/device_deny", s.deviceDeny),
	} {
		all = append(all, r...)
	}
	return all
}

// whereDevicesAre answers only while the site has the device authorization.
func (s *Server) whereDevicesAre(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
		if !s.site.Settings().AllowUserAPIKeyDeviceAuth {
			return s.unknown(w, r, v)
		}
		return h(w, r, v)
	}
}

const maxDeviceRequest = 10_000 // bytes

// deviceBegin gives an app the codes of its device authorization.
func (s *Server) deviceBegin(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	ip := s.cfg.ClientIP(r)
	if err := s.devices.ChargeDeviceCreate(ip); err != nil {
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	request, err := site.ParseDeviceRequest(r.PostForm)
	if err != nil {
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	d, err := s.devices.BeginDevice(r.Context(), request, ip)
	if err != nil {
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	keepSecret(w)
	address := s.base() + activatePath
	return writeJSON(w, map[string]any{
		"device_code": d.DeviceCode, "user_code": site.ShowUserCode(d.UserCode),
		"verification_uri": address, "verification_uri_with_request": address + "?request=" + d.RequestToken,
		"expires_in": int(site.DeviceLifetime / time.Second), "interval": int(site.DevicePollInterval / time.Second),
	})
}

// devicePoll tells an app how its request stands: always 200, for apps take anything else for the end.
func (s *Server) devicePoll(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	d, err := s.devices.PollDevice(r.Context(), r.PostForm.Get("device_code"), s.cfg.ClientIP(r))
	if err != nil {
		return refuseJSON(w, r, userkeys.AsError(err))
	}
	keepSecret(w)
	answer := map[string]string{"status": "expired_token"}
	switch d.State {
	case site.DevicePending:
		answer["status"] = "authorization_pending"
	case site.DeviceDenied:
		answer["status"] = "access_denied"
	case site.DeviceAuthorized:
		answer["status"], answer["payload"] = "authorized", d.Payload
	}
	return writeJSON(w, answer)
}

// deviceView is a state of the activation, as page and as model.
type deviceView struct {
	State   string // enter_code, authorize or complete
	Request string // token of the address that led here
	Code    string // as typed, where it was wrong
	Problem string
	Invalid bool // what was typed cannot be a code
	Expired bool // ... is not known, or over
	Denied  bool
	NoTrust bool

	Question *authority.DeviceQuestion
	Consent  consentPage
}

func (s *Server) deviceView(q authority.DeviceQuestion) deviceView {
	here := activatePath
	if q.Request != "" {
		here += "?request=" + url.QueryEscape(q.Request)
	}
	v := deviceView{State: "authorize", Request: q.Request, Question: &q, Consent: s.consentPage("", q.CheckedRequest, here)}
	v.Consent.Device = &deviceAsk{IP: q.IP, Asked: momentAt(q.Asked, s.cfg.Now()), Approval: q.Approval, Request: q.Request}
	return v
}

// showDevice answers with a state, always 200 but where somebody has to wait.
func (s *Server) showDevice(w http.ResponseWriter, r *http.Request, v site.Visitor, d deviceView) error {
	if gateway.WantsJSON(r) {
		return writeJSON(w, s.deviceModel(v, d))
	}
	return s.pages.Device(w, s.frame(v), d)
}

// activate shows the page where the code is typed, or what the address's token
// stands for. A code in the address is never taken: somebody else would have filled it in (DV3).
func (s *Server) activate(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	q := r.URL.Query()
	token := q.Get("request")
	if !site.IsRequestToken(token) {
		token = ""
	}
	bare := r.URL.Path
	if token != "" {
		bare += "?request=" + url.QueryEscape(token)
	}
	switch {
	case !v.SignedIn() && gateway.WantsJSON(r):
		return s.sendToLogin(w, r)
	case !v.SignedIn():
		redirect(w, http.StatusFound, s.cfg.Identity.LoginURL(bare))
		return nil
	case q.Has("code"):
		redirect(w, http.StatusFound, bare)
		return nil
	case token == "" && q.Get("done") != "":
		return s.showDevice(w, r, v, deviceView{State: "complete", Denied: q.Get("done") == doneDenied})
	case token == "":
		return s.showDevice(w, r, v, deviceView{State: "enter_code"})
	}
	question, err := s.devices.PreviewDevice(r.Context(), token, s.caller(r, v))
	if err != nil {
		return s.deviceProblem(w, r, v, deviceView{State: "enter_code"}, err)
	}
	return s.showDevice(w, r, v, s.deviceView(question))
}

// deviceProblem shows what is wrong with a code on the page where it is typed.
func (s *Server) deviceProblem(w http.ResponseWriter, r *http.Request, v site.Visitor, d deviceView, err error) error {
	e := userkeys.AsError(err)
	switch {
	case authority.IsDeviceCodeInvalid(err):
		d.Invalid = true
	case errors.Is(err, userkeys.ConsentGone):
		d.Expired = true
	case errors.Is(err, userkeys.UserNotAllowed):
		d.NoTrust = true
	default:
		return err
	}
	exchangeOf(r).err = err
	d.Problem = sentence(e.Public)
	if d.Consent.Device != nil {
		d.Consent.Device.Problem = d.Problem
	}
	return s.showDevice(w, r, v, d)
}

// activatePost shows the request whose code was typed, and binds it to the user.
func (s *Server) activatePost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	typed := r.PostForm.Get("code")
	question, err := s.devices.ActivateDevice(r.Context(), typed, "", s.caller(r, v))
	if err != nil {
		return s.deviceProblem(w, r, v, deviceView{State: "enter_code", Code: cutBytes(typed, 40)}, err)
	}
	if err := s.site.Settings().CheckGrantor(v.User); err != nil {
		return s.deviceProblem(w, r, v, s.deviceView(question), err)
	}
	return s.showDevice(w, r, v, s.deviceView(question))
}

// deviceAuthorize answers yes, with the token of the page that asked, or with
// the address's token and the code that was typed.
func (s *Server) deviceAuthorize(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	f, b := r.PostForm, s.caller(r, v)
	approval := f.Get("approval_token")
	choice, err := parseChoice(f)
	if err != nil {
		return err
	}
	if approval == "" && !site.IsRequestToken(f.Get("request")) { // a code alone names no app that anybody has seen
		return s.showDevice(w, r, v, deviceView{State: "enter_code", Invalid: true, Problem: "Type the code first: the next page says who asks."})
	}
	if approval == "" {
		question, err := s.devices.ActivateDevice(r.Context(), f.Get("code"), f.Get("request"), b)
		if err != nil {
			return s.deviceProblem(w, r, v, deviceView{State: "enter_code", Code: cutBytes(f.Get("code"), 40)}, err)
		}
		approval = question.Approval
	}
	if _, err := s.devices.AuthorizeDevice(r.Context(), approval, b, choice); err != nil {
		if errors.Is(err, userkeys.UserNotAllowed) {
			return err
		}
		return s.deviceProblem(w, r, v, deviceView{State: "enter_code"}, err)
	}
	return s.deviceDone(w, r, v, doneApproved)
}

// deviceDeny answers no. Only the page that asked may: an address's token is
// known to whoever saw it.
func (s *Server) deviceDeny(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	if err := s.devices.DenyDevice(r.Context(), r.PostForm.Get("approval_token"), s.caller(r, v)); err != nil {
		return s.deviceProblem(w, r, v, deviceView{State: "enter_code"}, err)
	}
	return s.deviceDone(w, r, v, doneDenied)
}

// What was answered, in the address of the last page.
const (
	doneApproved = "approved"
	doneDenied   = "denied"
)

// deviceDone ends an answer: a browser goes to a page of its own, which it may load again.
func (s *Server) deviceDone(w http.ResponseWriter, r *http.Request, v site.Visitor, done string) error {
	if gateway.WantsJSON(r) {
		return s.showDevice(w, r, v, deviceView{State: "complete", Denied: done == doneDenied})
	}
	redirect(w, http.StatusSeeOther, activatePath+"?done="+done)
	return nil
}

// deviceModel is a state for programs, by the wire's names.
func (s *Server) deviceModel(v site.Visitor, d deviceView) map[string]any {
	m := map[string]any{"state": d.State, "current_user": s.person(v)}
	if d.State == "complete" {
		m["denied"] = d.Denied
		return m
	}
	m["request_token"], m["approval_token"] = nil, nil
	m["no_trust_level"], m["invalid_code"], m["expired_code"] = d.NoTrust, d.Invalid, d.Expired
	if q := d.Question; q != nil {
		m["request_token"], m["approval_token"] = known(q.Request), known(q.Approval)
		m["device_auth"] = map[string]any{
			"application_name": q.Name, "localized_scopes": s.site.Catalog().Sentences(q.Scopes), "write_scope": d.Consent.Write,
			"unregistered_client": !q.Registered, "expires_at": q.Until.UTC().Format(time.RFC3339),
			"requested_from": q.IP, "requested_at": q.Asked.UTC().Format(time.RFC3339),
		}
	}
	return m
}
