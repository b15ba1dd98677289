// Package consent is how an app gets a key: the consent page of
// /user-api-key/new and of the 2016 draft, device codes, one-time passwords,
// and, without a user, registration of a client and renewal of a key. What is
// allowed is decided by authority; this package asks it and shows its answers.
package consent

import (
	"embed"
	"net/http"

	"userkeys/authority"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Config is what the handlers need.
type Config struct {
	Authority *authority.Authority
	SignIn    bool // one-time passwords sign browsers in, at /session/otp/
}

// Handlers answer for the ways to a key.
type Handlers struct {
	door      *door.Door
	authority *authority.Authority
	signIn    bool
	pages     pages
}

//go:embed templates/*.html
var templates embed.FS

type pages struct {
	consent page.Template[consentPage]
	payload page.Template[payloadPage]
	denied  page.Template[struct{}]
	refused page.Template[refusedPage]
	device  page.Template[deviceView]
	signIn  page.Template[signInPage]
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{
		door: d, authority: cfg.Authority, signIn: cfg.SignIn,
		pages: pages{
			consent: page.New[consentPage](d.Frame(), templates, "consent", "asking"),
			payload: page.New[payloadPage](d.Frame(), templates, "payload"),
			denied:  page.New[struct{}](d.Frame(), templates, "denied"),
			refused: page.New[refusedPage](d.Frame(), templates, "refused"),
			device:  page.New[deviceView](d.Frame(), templates, "device", "asking"),
			signIn:  page.New[signInPage](d.Frame(), templates, "signin"),
		},
	}
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	d, page := h.door, door.Rules{Who: door.Browser}
	d.Handle("HEAD /user-api-key/new", door.Rules{Who: door.Public, Name: "user_api_keys/new"}, h.probe)
	page.Name = "user_api_keys/new"
	d.Handle("GET /user-api-key/new", page, h.ask)
	page.Who, page.Permission = door.Browser|door.AdminKey, site.AdminGrant // the site may show the question itself
	d.Handle("GET /user-api-key/new.json", page, h.ask)
	d.HandleBoth("POST /user-api-key", door.Rules{
		Who: door.Browser | door.AdminKey, As: door.User, Permission: site.AdminGrant,
		CSRF: door.CheckToken, Body: input.FormOrJSON, Name: "user_api_keys/create",
	}, h.grant)
	d.Handle("POST /user-api-key/deny", door.Rules{
		Who: door.Browser, As: door.User, CSRF: door.CheckToken,
		Body: input.Form,
	}, h.deny)
	d.Handle("GET "+deniedPath, door.Rules{Who: door.Browser},
		func(w http.ResponseWriter, _ *http.Request, c site.Caller) error {
			return h.pages.denied.Show(w, c, http.StatusOK, struct{}{})
		})
	d.Handle("POST /user-api-key/deny.json", door.Rules{
		Who: door.Browser | door.AdminKey, As: door.User, Permission: site.AdminGrant,
		CSRF: door.CheckToken, Body: input.FormOrJSON,
	}, h.deny)
	d.Handle("GET /api_key/generate", door.Rules{Who: door.Browser}, h.draft)

	h.mountDevices()
	d.HandleBoth("GET /user-api-key/otp", door.Rules{Who: door.Browser, Name: "user_api_keys/otp"}, h.oneTime)
	d.HandleBoth("POST /user-api-key/otp", door.Rules{
		Who: door.Browser | door.Key | door.AdminKey, As: door.User, Permission: site.AdminGrant,
		CSRF: door.CheckToken, Body: input.FormOrJSON, Name: "user_api_keys/create_otp",
	}, h.oneTimePost)
	if h.signIn {
		in := door.Rules{Who: door.Browser | door.AppSession, Name: "session/one_time_password"}
		d.Handle("GET /session/otp/{password}", in, h.oneTimeLogin)
		in.CSRF, in.Body = door.CheckToken, input.FormOrJSON
		d.Handle("POST /session/otp/{password}", in, h.oneTimeLoginPost)
	}

	d.HandleBoth("GET /user-api-key-client", door.Rules{Who: door.Public, Name: "user_api_key_clients/show"}, h.clientShow)
	d.HandleBoth("POST /user-api-key-client", door.Rules{
		Who: door.Keyless, Body: input.FormOrJSON,
		Name: "user_api_key_clients/create",
	}, h.clientCreate)
	d.HandleBoth("POST /user-api-key/renew", door.Rules{Who: door.Key, Body: input.FormOrJSON}, h.renew)
}

// mountDevices registers the routes of apps on machines without a browser, and of who types their codes.
func (h *Handlers) mountDevices() {
	program := door.Rules{Who: door.Keyless, Body: input.JSON}
	answer := door.Rules{Who: door.Browser, As: door.User, CSRF: door.CheckToken, Body: input.FormOrJSON}
	for _, rt := range []struct {
		pattern, name string
		rules         door.Rules
		handle        door.Handler
	}{
		{"POST /user-api-key/device", "user_api_keys/device", program, h.deviceBegin},
		{"POST /user-api-key/device/poll", "user_api_keys/device_poll", program, h.devicePoll},
		{"GET " + activatePath, "user_api_keys/activate", door.Rules{Who: door.Browser}, h.activate},
		{"POST " + activatePath, "user_api_keys/activate", answer, h.activatePost},
		{"POST /user-api-key/device/authorize", "user_api_keys/device_authorize", answer, h.deviceAuthorize},
		{"POST /user-api-key/device/deny", "user_api_keys/device_deny", answer, h.deviceDeny},
	} {
		rt.rules.Name = rt.name
		h.door.HandleBoth(rt.pattern, rt.rules, h.whereDevicesAre(rt.handle))
	}
}
