package discourse

import (
	"crypto/rand"
	"encoding/base64"
	"html"
	"mime"
	"regexp"
	"slices"
	"strings"
	"time"

	"userkeys"
)

// A device is an authorization by code: an app without a browser asks, and
// its user agrees on another machine. Only the newest era has it.
type device struct {
	grant
	code, userCode, request string // the app's secret; what is typed; what a link carries
	approval                string // what the page for the typed code repeats
	boundTo                 *User  // who typed the code, and in which session
	session                 *session
	ends                    time.Time
	state                   string // of the poll
	payload                 string
}

// The states of a device, as the poll tells them.
const (
	pending    = "authorization_pending"
	authorized = "authorized"
	denied     = "access_denied"
	expired    = "expired_token"
)

const (
	deviceLifetime  = 10 * time.Minute
	payloadLifetime = time.Minute // of what nobody has fetched yet
	maxDeviceGrant  = 10000
	codeAlphabet    = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	userCodeLength  = 8
)

// deviceLengths are the longest parameters, in bytes.
var deviceLengths = []struct {
	name string
	most int
}{
	{"client_id", 200},
	{"application_name", 200},
	{"nonce", 256},
	{"public_key", 4096},
	{"push_url", 2000},
	{"scopes", 500},
}

const maxDeviceScopes = 20

// deviceCreate starts an authorization. Everything that could make its answer
// fail is asked now, when the app can still be told.
func (c *call) deviceCreate() (answer, error) {
	if f := c.s.limits.charge(limit{"device_create_" + c.address(), 20, 60, ""}, c.now); f != nil {
		return answer{}, f
	}
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); kind != "application/json" || !c.json {
		return answer{}, errInvalidAccess
	}
	d := &device{
		code: randomHex(32), userCode: newUserCode(), request: newRequestToken(),
		state: pending, ends: c.now.Add(deviceLifetime),
	}
	if err := c.check(&d.grant, deviceChecks...); err != nil {
		return answer{}, err
	}
	d.redirect = "" // there is nobody to send anywhere
	c.s.devices = append(c.s.devices, d)
	activate := "http://" + c.r.Host + "/user-api-key/activate"
	return data(map[string]any{
		"device_code": d.code, "user_code": d.userCode, "verification_uri": activate,
		"verification_uri_with_request": activate + "?request=" + d.request,
		"expires_in":                    int(deviceLifetime.Seconds()),
		"interval":                      c.s.number("user_api_key_device_poll_interval"),
	}), nil
}

var deviceChecks = []check{
	checkPresence, checkDevice, checkScopes, checkKey, checkDeviceKey, checkPadding, checkExpiry, checkRoom,
}

func newUserCode() string {
	b := make([]byte, userCodeLength)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	for i := range b {
		b[i] = codeAlphabet[int(b[i])%len(codeAlphabet)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

func newRequestToken() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func checkDevice(c *call, g *grant) error {
	total := 0
	for _, l := range deviceLengths {
		total += len(c.param(l.name))
		if len(c.param(l.name)) > l.most {
			return invalidParameter(l.name + " is too long")
		}
	}
	switch {
	case total > maxDeviceGrant, len(g.scopes) > maxDeviceScopes:
		return invalidParameter("the request is too large")
	case slices.Contains(g.scopes, "one_time_password"):
		return invalidParameter("scopes")
	}
	return nil
}

func checkDeviceKey(_ *call, g *grant) error {
	if bits := g.public.Bits(); bits < 2048 || bits > 8192 {
		return invalidParameter("public_key must have 2048 to 8192 bits")
	}
	return nil
}

// checkRoom asks whether the answer will fit.
func checkRoom(c *call, g *grant) error {
	p := userkeys.Payload{Key: userkeys.Key(strings.Repeat("0", 32)), Nonce: g.nonce}
	if g.lifetime > 0 {
		p.ExpiresAt = c.now.Add(g.lifetime)
	}
	if err := p.Fits(g.public, g.padding); err != nil {
		return invalidParameter(err.Error())
	}
	return nil
}

// devicePoll tells how far the user is. An authorized payload is handed out once.
func (c *call) devicePoll() (answer, error) {
	code := c.param("device_code")
	f := c.s.limits.chargeAll(c.now,
		limit{"device_poll_" + c.address(), 60, 60, ""}, limit{"device_poll_" + code, 60, 60, ""})
	if f != nil {
		return answer{}, f
	}
	d := c.s.device(c.now, func(d *device) bool { return d.code == code })
	if d == nil {
		return data(map[string]string{"status": expired}), nil
	}
	body := map[string]string{"status": d.state}
	if d.state == authorized {
		body["payload"] = d.payload
		d.ends = c.now
	}
	return data(body), nil
}

// device finds an authorization that has not ended; nil if there is none.
func (s *Site) device(now time.Time, is func(*device) bool) *device {
	for _, d := range s.devices {
		if now.Before(d.ends) && is(d) {
			return d
		}
	}
	return nil
}

var requestToken = regexp.MustCompile(`\A[A-Za-z0-9_-]{8}\z`)

// activatePage asks for the code. Codes in the address are never taken, so
// that nobody can send a link which has them filled in.
func (c *call) activatePage() (answer, error) {
	token := c.param("request")
	if !requestToken.MatchString(token) {
		token = ""
	}
	bare := "/user-api-key/activate"
	if token != "" {
		bare += "?request=" + token
	}
	switch {
	case c.user == nil:
		return c.toLogin(bare), nil
	case c.has("code"):
		return redirect("/user-api-key/activate"), nil
	case token == "":
		return c.enterCode(), nil
	}
	f := c.s.limits.chargeAll(c.now, limit{"device_request_" + c.address(), 120, 3600, ""},
		limit{"device_request_" + c.user.Name, 30, 60, ""}, limit{"device_request_" + token, 30, 60, ""})
	if f != nil {
		return answer{}, f
	}
	d := c.s.device(c.now, func(d *device) bool { return d.request == token && d.state == pending })
	if d == nil {
		return c.enterCode("expired_code"), nil
	}
	m := c.deviceModel("enter_code", d)
	m["request_token"] = token
	form := codeForm("/user-api-key/device/authorize", c.csrfToken(), hidden{"request", token})
	return c.state(m, frame(describe(d)+form)), nil
}

// activate takes a typed code and binds the authorization to who typed it.
func (c *call) activate() (answer, error) {
	if c.user == nil {
		return c.toLogin("/user-api-key/activate"), nil
	}
	d, flag, err := c.typed()
	if err != nil {
		return answer{}, err
	}
	if flag != "" {
		return c.enterCode(flag), nil
	}
	d.boundTo, d.session, d.approval = c.user, c.browserSession(), randomHex(16)
	m := c.deviceModel("authorize", d)
	m["approval_token"] = d.approval
	fields := []hidden{{"authenticity_token", c.csrfToken()}, {"approval_token", d.approval}}
	return c.state(m, frame(describe(d)+form("Authorize", "/user-api-key/device/authorize", fields...)+
		form("Deny", "/user-api-key/device/deny", fields...))), nil
}

// typed finds the authorization whose code was typed, or the flag that says why there is none.
func (c *call) typed() (d *device, flag string, err error) {
	code := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToUpper(c.param("code")))
	f := c.s.limits.chargeAll(c.now, limit{"device_activate_" + c.address(), 30, 3600, ""},
		limit{"device_activate_user_" + c.user.Name, 10, 60, ""}, limit{"device_activate_code_" + code, 10, 60, ""})
	if f != nil {
		return nil, "", f
	}
	if len(code) != userCodeLength {
		return nil, "invalid_code", nil
	}
	d = c.s.device(c.now, func(d *device) bool { return strings.ReplaceAll(d.userCode, "-", "") == code })
	if d == nil || d.state != pending || d.boundTo != nil && d.boundTo != c.user {
		return nil, "expired_code", nil
	}
	return d, "", nil
}

// browserSession is what an approval is bound to, beside the user.
func (c *call) browserSession() *session {
	c.csrfToken()
	return c.session
}

// enterCode asks for a code, again if flags say why.
func (c *call) enterCode(flags ...string) answer {
	m := map[string]any{"state": "enter_code", "current_user": c.me()}
	problem := ""
	for _, f := range flags {
		m[f] = true
		problem = `<p class="problem">` + strings.ReplaceAll(f, "_", " ") + "</p>\n"
	}
	return c.state(m, frame(problem+codeForm("/user-api-key/activate", c.csrfToken())))
}

func codeForm(action, token string, fields ...hidden) string {
	return form("Continue", action, append([]hidden{{"authenticity_token", token}, {"code", ""}}, fields...)...)
}

func (c *call) deviceModel(state string, d *device) map[string]any {
	about := map[string]any{
		"application_name": d.application,
		"localized_scopes": localized(d.scopes), "write_scope": slices.Contains(d.scopes, "write"),
		"unregistered_client": true, "expires_at": nil,
	}
	if d.lifetime > 0 {
		about["expires_at"] = stamp(c.now.Add(d.lifetime))
	}
	return map[string]any{
		"state": state, "device_auth": about, "no_trust_level": !c.s.mayGrant(c.user), "current_user": c.me(),
	}
}

func describe(d *device) string {
	scopes := strings.Join(localized(d.scopes), ", ")
	return "<h1>" + html.EscapeString(d.application) + "</h1>\n<p>" + html.EscapeString(scopes) + "</p>\n"
}

// decide finds the authorization that an approval token of this user's session is for.
func (c *call) decide() *device {
	token := c.param("approval_token")
	return c.s.device(c.now, func(d *device) bool {
		return token != "" && d.approval == token && d.state == pending &&
			d.boundTo == c.user && d.session == c.browserSession()
	})
}

// deviceAuthorize makes the key; the app fetches it with its next poll, or nobody does.
func (c *call) deviceAuthorize() (answer, error) {
	d, flag := c.decide(), "expired_code"
	if d == nil && c.has("request") {
		var err error
		if d, flag, err = c.typed(); err != nil {
			return answer{}, err
		}
		if d != nil && d.request != c.param("request") {
			d, flag = nil, "expired_code"
		}
	}
	if d == nil {
		return c.enterCode(flag), nil
	}
	if err := checkTrust(c, nil); err != nil {
		return answer{}, err
	}
	payload, err := c.s.seal(c.s.addKey(c.user, d.grant, c.now), d.grant)
	if err != nil {
		return answer{}, err
	}
	d.state, d.payload, d.ends = authorized, payload, c.now.Add(payloadLifetime)
	return c.complete(false), nil
}

func (c *call) deviceDeny() (answer, error) {
	d := c.decide()
	if d == nil {
		return c.enterCode("expired_code"), nil
	}
	d.state, d.ends = denied, c.now.Add(payloadLifetime)
	return c.complete(true), nil
}

func (c *call) complete(refused bool) answer {
	said := "You may close this page: the app was authorized."
	if refused {
		said = "You may close this page: the app was denied."
	}
	model := map[string]any{"state": "complete", "denied": refused, "current_user": c.me()}
	return c.state(model, frame(`<p class="complete">`+said+"</p>"))
}
