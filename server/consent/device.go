package consent

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/server/consent/question"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

const activatePath = "/user-api-key/activate"

// whereDevicesAre answers only while the site has the device authorization.
func (h *Handlers) whereDevicesAre(handle door.Handler) door.Handler {
	return func(w http.ResponseWriter, r *http.Request, c site.Caller) error {
		if !h.door.Settings().AllowUserAPIKeyDeviceAuth {
			return door.ErrNothingHere
		}
		return handle(w, r, c)
	}
}

// deviceBegin gives an app the codes of its device authorization.
func (h *Handlers) deviceBegin(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.authority.ChargeDeviceCreate(c.Address); err != nil {
		return door.RefuseJSON(w, r, err)
	}
	request, err := site.ParseDeviceRequest(r.PostForm)
	if err != nil {
		return door.RefuseJSON(w, r, err)
	}
	d, err := h.authority.BeginDevice(r.Context(), request, c.Address)
	if err != nil {
		return door.RefuseJSON(w, r, err)
	}
	door.KeepSecret(w)
	address := h.door.BaseURL() + activatePath
	return door.WriteJSON(w, map[string]any{
		"device_code": d.DeviceCode, "user_code": site.ShowUserCode(d.UserCode),
		"verification_uri": address, "verification_uri_with_request": address + "?request=" + d.RequestToken,
		"expires_in": int(site.DeviceLifetime / time.Second), "interval": int(site.DevicePollInterval / time.Second),
	})
}

// devicePoll tells an app how its request stands: always 200, for apps take anything else for the end.
func (h *Handlers) devicePoll(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	d, err := h.authority.PollDevice(r.Context(), r.PostForm.Get("device_code"), c.Address)
	if err != nil {
		return door.RefuseJSON(w, r, err)
	}
	door.KeepSecret(w)
	answer := map[string]string{"status": "expired_token"}
	switch d.State {
	case site.DevicePending:
		answer["status"] = "authorization_pending"
	case site.DeviceDenied:
		answer["status"] = "access_denied"
	case site.DeviceAuthorized:
		answer["status"], answer["payload"] = "authorized", d.Payload
	}
	return door.WriteJSON(w, answer)
}

// deviceView is a state of the activation, as page and as model.
type deviceView struct {
	err     error  // what is wrong with the code or the user
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

func (h *Handlers) deviceView(q authority.DeviceQuestion) deviceView {
	here := activatePath
	if q.Request != "" {
		here += "?request=" + url.QueryEscape(q.Request)
	}
	v := deviceView{
		State: "authorize", Request: q.Request, Question: &q,
		Consent: h.consentPage("", q.CheckedRequest, here),
	}
	v.Consent.Device = &deviceAsk{
		IP: q.IP, Asked: page.MomentAt(q.Asked, h.door.Now()), Approval: q.Approval,
		Request: q.Request,
	}
	return v
}

// showDevice answers with a state. The status is 200 also where a code is wrong.
func (h *Handlers) showDevice(w http.ResponseWriter, r *http.Request, c site.Caller, d deviceView) error {
	if gateway.WantsJSON(r) {
		return door.WriteJSON(w, h.deviceModel(c, d))
	}
	return h.pages.device.Show(w, c, http.StatusOK, d)
}

// activate shows the page where the code is typed, or what the address's token
// stands for. It never takes a code from the address, because somebody else may have written it there.
func (h *Handlers) activate(w http.ResponseWriter, r *http.Request, c site.Caller) error {
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
	case !c.SignedIn() && gateway.WantsJSON(r):
		return h.door.SendToLogin(w, r)
	case !c.SignedIn():
		return door.Redirect(w, http.StatusFound, h.door.Identity().LoginURL(bare))
	case q.Has("code"):
		return door.Redirect(w, http.StatusFound, bare)
	case token == "" && q.Get("done") != "":
		return h.showDevice(w, r, c, deviceView{State: "complete", Denied: q.Get("done") == doneDenied})
	case token == "":
		return h.showDevice(w, r, c, deviceView{State: "enter_code"})
	}
	question, err := h.authority.PreviewDevice(r.Context(), token, c)
	if err != nil {
		return h.deviceProblem(w, r, c, deviceView{State: "enter_code", err: err})
	}
	return h.showDevice(w, r, c, h.deviceView(question))
}

// deviceProblem shows what is wrong with a code on the page where it is typed.
func (h *Handlers) deviceProblem(w http.ResponseWriter, r *http.Request, c site.Caller, d deviceView) error {
	err := d.err
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
	door.Note(r, err)
	d.Problem = page.Sentence(e.Public)
	d.Consent.Problem = d.Problem
	return h.showDevice(w, r, c, d)
}

// activatePost shows the request whose code was typed, and binds it to the user.
func (h *Handlers) activatePost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	typed := r.PostForm.Get("code")
	question, err := h.authority.ActivateDevice(r.Context(), typed, "", c)
	if err != nil {
		return h.deviceProblem(w, r, c, deviceView{State: "enter_code", Code: userkeys.Shorten(typed, 40), err: err})
	}
	if err := h.door.Settings().CheckGrantor(c.User); err != nil {
		d := h.deviceView(question)
		d.err = err
		return h.deviceProblem(w, r, c, d)
	}
	return h.showDevice(w, r, c, h.deviceView(question))
}

// deviceAuthorize answers yes, with the token of the page that asked, or with
// the address's token and the code that was typed.
func (h *Handlers) deviceAuthorize(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	f, b := r.PostForm, c
	approval := f.Get("approval_token")
	choice, err := question.ParseChoice(f, h.authority.Catalog())
	if err != nil {
		return err
	}
	if approval == "" && !site.IsRequestToken(f.Get("request")) { // a code alone names no app that anybody has seen
		return h.showDevice(w, r, c, deviceView{
			State: "enter_code", Invalid: true,
			Problem: "Type the code first: the next page says who asks.",
		})
	}
	if approval == "" {
		asked, err := h.authority.ActivateDevice(r.Context(), f.Get("code"), f.Get("request"), b)
		if err != nil {
			return h.deviceProblem(w, r, c, deviceView{State: "enter_code", Code: userkeys.Shorten(f.Get("code"), 40), err: err})
		}
		approval = asked.Approval
	}
	if question.ChoseNothing(choice) && !gateway.WantsJSON(r) {
		return h.chooseAgainForDevice(w, r, c, authority.Approval{Device: approval, Choice: choice})
	}
	_, err = h.authority.Grant(r.Context(), authority.Approval{By: b, Device: approval, Choice: choice})
	if err != nil {
		if errors.Is(err, userkeys.UserNotAllowed) {
			return err
		}
		return h.deviceProblem(w, r, c, deviceView{State: "enter_code", err: err})
	}
	return h.deviceDone(w, r, c, doneApproved)
}

// chooseAgainForDevice is [Handlers.chooseAgain] for a device.
func (h *Handlers) chooseAgainForDevice(w http.ResponseWriter, r *http.Request, c site.Caller,
	y authority.Approval,
) error {
	asked, err := h.authority.OpenDevice(r.Context(), y.Device, c)
	if err != nil {
		return h.deviceProblem(w, r, c, deviceView{State: "enter_code", err: err})
	}
	d := h.deviceView(asked)
	d.Consent.nothing(about(h, asked.CheckedRequest, &y.Choice))
	return h.showDevice(w, r, c, d)
}

// deviceDeny answers no. It takes the token of the page that asked, and not the token of the address, which others
// may have seen.
func (h *Handlers) deviceDeny(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.authority.DenyDevice(r.Context(), r.PostForm.Get("approval_token"), c); err != nil {
		return h.deviceProblem(w, r, c, deviceView{State: "enter_code", err: err})
	}
	return h.deviceDone(w, r, c, doneDenied)
}

// What was answered, in the address of the last page.
const (
	doneApproved = "approved"
	doneDenied   = "denied"
)

// deviceDone ends an answer: a browser goes to a page of its own, which it may load again.
func (h *Handlers) deviceDone(w http.ResponseWriter, r *http.Request, c site.Caller, done string) error {
	if gateway.WantsJSON(r) {
		return h.showDevice(w, r, c, deviceView{State: "complete", Denied: done == doneDenied})
	}
	return door.Redirect(w, http.StatusSeeOther, activatePath+"?done="+done)
}

// deviceModel is a state for programs, by the wire's names.
func (h *Handlers) deviceModel(c site.Caller, d deviceView) map[string]any {
	m := map[string]any{"state": d.State, "current_user": h.person(c)}
	if d.State == "complete" {
		m["denied"] = d.Denied
		return m
	}
	m["request_token"], m["approval_token"] = nil, nil
	m["no_trust_level"], m["invalid_code"], m["expired_code"] = d.NoTrust, d.Invalid, d.Expired
	if q := d.Question; q != nil {
		m["request_token"], m["approval_token"] = door.Optional(q.Request), door.Optional(q.Approval)
		m["device_auth"] = map[string]any{
			"application_name": q.Name, "localized_scopes": h.authority.Catalog().Sentences(q.Scopes),
			"write_scope":         q.Scopes.Has(userkeys.ScopeWrite),
			"unregistered_client": !q.Registered, "expires_at": q.Until.UTC().Format(time.RFC3339),
			"requested_from": q.IP, "requested_at": q.Asked.UTC().Format(time.RFC3339),
		}
	}
	return m
}
