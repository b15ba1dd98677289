package door

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// TokenHeader is the header that carries a session's token, by the wire's name.
const TokenHeader = "X-CSRF-Token"

// oneKey refuses a request with a user's key and an admin API key: it cannot be both.
func (d *Door) oneKey(rt Route, next http.Handler) http.Handler {
	if rt.Who == Public {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, keyed := userkeys.FromContext(r.Context()) // by a key wherever it stood
		if adminKeyed(r) && (keyed || r.Header[userkeys.KeyHeader] != nil) {
			// it is written
			_ = RefuseJSON(w, r, userkeys.Errorf(userkeys.InvalidParameters,
				"a request has either a User-Api-Key or an Api-Key, not both"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkKey has a request's key checked, unless a guard further out did: so that an
// embedder who mounts the pages bare is as safe as one who guards them.
func (d *Door) checkKey(rt Route, next http.Handler) http.Handler {
	if rt.Who == Public {
		return next
	}
	return d.guard(next)
}

// loadSession has the accounts load the session of a request without a key. A key stands alone: cookies beside
// it say nothing.
func (d *Door) loadSession(rt Route, next http.Handler) http.Handler {
	if d.accounts == nil || !rt.Lets(Browser) {
		return next
	}
	sessions := d.accounts.Sessions(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := userkeys.FromContext(r.Context()); ok || adminKeyed(r) {
			next.ServeHTTP(w, r)
			return
		}
		if rt.Long {
			stateOf(r).came = r
		}
		sessions.ServeHTTP(w, r)
	})
}

// cutStreams ends what is answered for long when its key ends.
func (d *Door) cutStreams(rt Route, next http.Handler) http.Handler {
	if !rt.Long {
		return next
	}
	return d.cut(next)
}

// enter tells who sends r, and reads its body.
func (d *Door) enter(rt Route, w http.ResponseWriter, r *http.Request) (c site.Caller, err error) {
	if access, ok := userkeys.FromContext(r.Context()); ok {
		return d.enterKey(rt, w, r, access)
	}
	if rt.Authorization && d.checkOrigin(r) != nil {
		return c, errElsewhere
	}
	if adminKeyed(r) && rt.Who != Public {
		return d.enterAdminKey(rt, w, r)
	}
	return d.enterBrowser(rt, w, r)
}

// errElsewhere refuses what a page of another origin made a browser send with a password that it remembers.
var errElsewhere = &userkeys.Error{
	Code: userkeys.InvalidAccess, Reason: "page of another origin",
	Public: userkeys.NotPermitted + " Pages of other sites may not ask this.",
}

// enterBrowser looks at a request without a key in the order of cost: where it came
// from, its body, who sends it, and whether their session wrote the form.
func (d *Door) enterBrowser(rt Route, w http.ResponseWriter, r *http.Request) (c site.Caller, err error) {
	if rt.CSRF >= CheckOrigin {
		if err := d.checkOrigin(r); err != nil {
			return c, &userkeys.Error{Code: userkeys.InvalidCSRF, Err: err}
		}
	}
	if err := input.Read(w, r, rt.Body); err != nil {
		return c, err
	}
	if rt.Lets(Browser) {
		if c, err = d.cfg.Identity.Visitor(r); err != nil {
			return site.Caller{}, err
		}
	}
	c.Address = stateOf(r).ip
	if c.SignedIn() {
		c.Device = site.DeviceName(r.UserAgent())
		stateOf(r).caller = c
		SetUsername(w, c.User.Username)
	}
	if rt.CSRF >= CheckToken && !tokenHolds(r, c) {
		return c, userkeys.Errorf(userkeys.InvalidCSRF, "the form's token is not this session's")
	}
	return c, nil
}

// checkOrigin refuses what a page of another origin made a browser send. What
// the browser says of it outranks an Origin that names this site: the check
// behind asks the two the other way round. That check lets every safe method
// pass, so it is asked as for a POST: what is behind such a rule is nobody else's to read.
func (d *Door) checkOrigin(r *http.Request) error {
	switch from := r.Header.Get("Sec-Fetch-Site"); from {
	case "", "same-origin", "none":
		as := r.WithContext(r.Context()) // a shallow copy
		as.Method = http.MethodPost
		return d.origins.Check(as)
	default:
		return fmt.Errorf("sent from another site: %q", userkeys.Shorten(from, 20))
	}
}

// tokenHolds tells whether r may act for c's session. Nobody's session needs
// no token; a session without one rests on the checks of Origin and
// Sec-Fetch-Site, of which every browser that keeps cookies sends one.
func tokenHolds(r *http.Request, c site.Caller) bool {
	if !c.SignedIn() {
		return true
	}
	if c.Session.CSRF == "" {
		return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	}
	given := r.PostForm.Get(input.TokenField)
	if h := r.Header.Get(TokenHeader); given == "" && h != "" {
		given = h
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(c.Session.CSRF)) == 1 ||
		c.Session.EarlyCSRF != "" && subtle.ConstantTimeCompare([]byte(given), []byte(c.Session.EarlyCSRF)) == 1
}

// enterKey is the app that sends a request with a key that was found good.
func (d *Door) enterKey(rt Route, w http.ResponseWriter, r *http.Request, access userkeys.Access) (site.Caller, error) {
	v := site.KeyCaller(access, stateOf(r).ip)
	stateOf(r).caller = v
	SetUsername(w, access.Username)
	if !rt.Lets(Key | Public) {
		return v, &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "not for keys"}
	}
	if !rt.Body.Parsed() {
		return v, nil
	}
	return v, input.ReadLenient(w, r)
}

// adminKeyed tells whether r has an admin API key, good or not. Only the
// header counts: a key in an address gets into logs and histories.
func adminKeyed(r *http.Request) bool { return r.Header[site.AdminKeyHeader] != nil }

// adminKeyOfAuthorization moves an admin API key from Authorization to the header of its own. The user name beside a
// Basic password says nothing: clients of RFC 7662 send a name of their own there. A key in both places, or two in
// Authorization, are two lines of that header, which enterAdminKey refuses.
func adminKeyOfAuthorization(r *http.Request) *http.Request {
	var keys []string
	for _, line := range r.Header["Authorization"] {
		kind, key, _ := strings.Cut(line, " ")
		if strings.EqualFold(kind, "basic") {
			_, key, _ = (&http.Request{Header: http.Header{"Authorization": {line}}}).BasicAuth()
		} else if !strings.EqualFold(kind, "bearer") {
			continue
		}
		keys = append(keys, strings.TrimSpace(key))
	}
	if len(keys) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header[site.AdminKeyHeader] = append(r.Header[site.AdminKeyHeader], keys...)
	delete(r.Header, "Authorization")
	return r
}

// enterAdminKey is who sends a request with an admin API key. No session is
// looked up, and what protects sessions is only left out once the key was found good.
func (d *Door) enterAdminKey(rt Route, w http.ResponseWriter, r *http.Request) (site.Caller, error) {
	nobody := site.Caller{}
	if !rt.Lets(AdminKey | AnyAdminKey) {
		return nobody, &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: "not for admin API keys",
			Public: userkeys.NotPermitted + " An admin API key is not for this address.",
		}
	}
	keys, names := r.Header[site.AdminKeyHeader], r.Header[site.AdminUsernameHeader]
	if len(keys) != 1 || len(names) > 1 {
		return nobody, userkeys.Errorf(userkeys.InvalidParameters,
			"an admin API key may be sent once, and so may Api-Username")
	}
	u, k, err := d.cfg.Authority.CheckAdminKey(r.Context(), keys[0], strings.TrimSpace(strings.Join(names, "")))
	if err != nil {
		return nobody, err
	}
	v := site.Caller{User: u, AdminKey: k.ID, Address: stateOf(r).ip}
	x := stateOf(r)
	x.caller, x.adminKey = v, k
	if !rt.opens(k) {
		return nobody, missingPermission(rt.Permission)
	}
	SetUsername(w, u.Username)
	return v, input.Read(w, r, rt.Body)
}

// missingPermission tells the holder of a good admin API key what its permissions lack.
func missingPermission(p site.AdminPermission) error {
	e := &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: "missing permission: " + string(p),
		Public: userkeys.NotPermitted + " This admin API key lacks the permission " + string(p) + ".",
	}
	if p == "" {
		e.Reason, e.Public = "missing permission", userkeys.NotPermitted+" This is for admin API keys that may do everything."
	}
	return e
}

// SendToLogin asks somebody at a browser to sign in and come back. Programs,
// and forms whose session ended, get a refusal.
func (d *Door) SendToLogin(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || gateway.WantsJSON(r) {
		return userkeys.Errorf(userkeys.NotLoggedIn, "you need to be signed in to do that")
	}
	return Redirect(w, http.StatusFound, d.cfg.Identity.LoginURL(AddressOf(r)))
}

// errAppSession refuses what only a session that the user began may do.
func errAppSession(app string) error {
	return &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: reasonAppSession,
		Public: userkeys.NotPermitted + " This browser was signed in by the app \"" + page.ShownName(app) +
			"\", which may look and revoke only. Sign in yourself to do more.",
	}
}

const reasonAppSession = "session of an app"

// errNoAdministrator refuses u what is for administrators. A program learns that it is about the user whom its
// key acts as.
func errNoAdministrator(k site.AdminAPIKey, u site.User) error {
	if k.ID == 0 {
		return userkeys.Errorf(userkeys.InvalidAccess, "only an administrator may see this page")
	}
	return userkeys.Errorf(userkeys.InvalidAccess,
		"only an administrator may do this: the admin API key acts as %s, who is none", u.Username)
}
