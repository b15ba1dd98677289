package door

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/server/input"
	"userkeys/site"
)

// A Handler answers one request of a caller, who is the zero Caller with an
// address where nobody is signed in and no key calls. The door renders the error.
type Handler func(w http.ResponseWriter, r *http.Request, c site.Caller) error

// Rules are what a request must keep to before its handler is called. The
// zero value lets a program in that has no key, without a body.
type Rules struct {
	Who Callers
	As  Role
	// what an admin API key with named permissions must have; empty: such a key may not pass
	Permission site.AdminPermission
	// OrPermission is another permission that is enough.
	OrPermission site.AdminPermission
	CSRF         CSRF
	Body         input.Body
	// Fresh asks somebody at a browser to have signed in within the last [FreshSignIn]: an open browser is not enough
	// for what can outlive its session. Keys are not asked. See [SignInTimes] for who cannot be asked either.
	Fresh bool
	// Authorization says that an admin API key may also stand in Authorization, as a bearer token or a Basic password, as
	// clients of RFC 7662 send it. Browsers remember passwords and send them along, so what a page of another origin made
	// a browser send is refused.
	Authorization bool
	// JSON says that every refusal is JSON: only programs ask here.
	JSON bool
	// Within is how long deciding may take; after it the answer is 503. Zero: as long as the server lets it.
	Within time.Duration
	Long   bool   // the answer takes long: it ends with the caller's key or session
	Name   string // X-Discourse-Route, on the routes of the wire
}

// Callers is a set of callers that a route answers. It refuses all others: a key must not make other keys, and
// an app in a session of its own must not give itself more than its user gave it.
type Callers uint

const (
	// Keyless is a program that has no key. Cookies that it sends say nothing.
	Keyless Callers = 0
	// Public is everybody, without a look at session or key: health, files.
	Public Callers = 1 << (iota - 1)
	// Browser is somebody at a browser, in a session that they began themselves, or not signed in.
	Browser
	// AppSession is a browser that an app signed in with a one-time password. It may read and revoke. It may not
	// approve anything in its user's place, undo what they did, change anything else or administer the site.
	AppSession
	// Key is an app with a user API key.
	Key
	// AdminKey is the site's own program with an admin API key whose permissions cover Rules.Permission.
	AdminKey
	// AnyAdminKey is the site's own program with an admin API key. The key's permissions do not matter.
	AnyAdminKey
)

// Role is who a caller must be.
type Role int

const (
	// Anyone is everybody, known or not.
	Anyone Role = iota
	// Known is an app with its key, or somebody who is signed in. Others are refused.
	Known
	// User is Known, but others are sent to the login page if they are at a browser.
	User
	// Administrator is a User who administers the site.
	Administrator
)

// CSRF is how a route is protected from requests that a page of another site makes a browser send.
type CSRF int

const (
	// NoCSRF protects nothing: for what changes nothing, and for callers that are no browsers.
	NoCSRF CSRF = iota
	// CheckOrigin refuses cross-origin requests.
	CheckOrigin
	// CheckToken besides wants the token of the session in the form or in X-CSRF-Token.
	CheckToken
	// CheckOnce besides wants the one-time token of a form that makes something, and spends it (see [NewForm]).
	CheckOnce
)

// Lets tells whether one of callers is let in.
func (rules Rules) Lets(callers Callers) bool { return rules.Who&callers != 0 }

// opens reports whether a good admin API key may pass.
func (rules Rules) opens(k site.AdminAPIKey) bool {
	return rules.Lets(AnyAdminKey) || k.Permissions.Has(rules.Permission) ||
		rules.OrPermission != "" && k.Permissions.Has(rules.OrPermission)
}

// A Route is a pattern with its rules.
type Route struct {
	Pattern string // METHOD and path
	Rules
	handle Handler
}

// Handle registers a handler for a pattern, METHOD and path.
func (d *Door) Handle(pattern string, rules Rules, h Handler) {
	d.routes = append(d.routes, Route{pattern, rules, h})
}

// HandlerOf returns a handler of d that is not mounted with the others: for another server than the site's.
func HandlerOf(d *Door, pattern string, rules Rules, h Handler) http.Handler {
	return d.serve(Route{pattern, rules, h})
}

// HandleBoth registers a handler for a pattern and for the same with .json at its end.
func (d *Door) HandleBoth(pattern string, rules Rules, h Handler) {
	d.Handle(pattern, rules, h)
	d.Handle(pattern+".json", rules, h)
}

// Routes are all that were registered.
func (d *Door) Routes() []Route { return slices.Clone(d.routes) }

// Mount registers every route on mux.
func (d *Door) Mount(mux *http.ServeMux) {
	paths := map[string]map[string]Route{}
	for _, rt := range d.routes {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if paths[path] == nil {
			paths[path] = map[string]Route{}
		}
		paths[path][method] = rt
	}
	for path, methods := range paths {
		mux.Handle(path, d.byMethod(methods))
	}
}

// byMethod picks the route of a path. It is ours, and not left to the mux, so that a wrong
// method gets the right refusal whatever else is mounted beside.
func (d *Door) byMethod(methods map[string]Route) http.Handler {
	handlers := map[string]http.Handler{}
	for method, rt := range methods {
		handlers[method] = d.serve(rt)
	}
	if get, ok := handlers["GET"]; ok && handlers["HEAD"] == nil {
		handlers["HEAD"] = get
	}
	allow := strings.Join(slices.Sorted(maps.Keys(handlers)), ", ")
	refuse := d.serve(Route{"", Rules{Who: Public}, func(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
		w.Header().Set("Allow", allow)
		return userkeys.Errorf(userkeys.MethodNotAllowed, "this address answers %s only", allow)
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := handlers[r.Method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		refuse.ServeHTTP(w, r)
	})
}

// ErrNotLoggedIn is the refusal of a caller who is not signed in and has no key; its words are the wire's.
var ErrNotLoggedIn = userkeys.Errorf(userkeys.NotLoggedIn, "You need to be logged in to do that.")

// ErrNothingHere refuses an address that nothing answers for.
var ErrNothingHere = userkeys.Errorf(userkeys.NotFound, "there is nothing at this address")

// Unknown answers for paths that nothing else answers for: 404, as JSON or as a page.
func (d *Door) Unknown() http.Handler {
	return d.serve(Route{"", Rules{Who: Public}, func(http.ResponseWriter, *http.Request, site.Caller) error {
		return ErrNothingHere
	}})
}
