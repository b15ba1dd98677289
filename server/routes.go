package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"userkeys"
	"userkeys/site"
)

// A handler answers one request of visitor v, who is zero where nobody is
// signed in or a key calls. Errors are rendered by the adapter.
type handler func(w http.ResponseWriter, r *http.Request, v site.Visitor) error

// A door is a set of rules that a route is registered behind. The adapter
// holds them, so that no handler can forget one.
type door struct {
	// adminKeys lets a request with an admin API key pass, as the user it names; all others but bare ones refuse it.
	adminKeys bool
	// permission is what an admin API key with named permissions must have; empty: such a key may not pass.
	permission site.AdminPermission
	keys       bool // a request with a key may pass; all others are refused it, for keys cannot make keys
	session    bool // the browser's session is looked up
	// appSessions lets a session pass that an app began with a one-time password; all others refuse it. Such a
	// session may read and revoke. What its user would have to approve, what undoes what they did, and what changes
	// or administers anything is for a session that the user began: else an app could keep what it is given.
	appSessions bool
	origin      bool // cross-origin requests are refused
	token       bool // a session's form must carry its token
	form        bool // the body is a form of at most maxBody, strictly read into r.PostForm; no other body is
	json        bool // the body may be JSON as well
	lists       bool // ... with booleans and with lists of texts, which are read as a|b
	only        bool // the body is JSON and nothing else
	once        bool // the form makes something: its one-time token is spent
	long        bool // the answer takes long: it ends with its key, and its session is looked at again
}

var (
	bare        = door{keys: true}                                                                                     // looks at nobody: health, probe, files
	page        = door{session: true}                                                                                  // read by a browser
	current     = door{adminKeys: true, keys: true, session: true, appSessions: true}                                  // read by a browser or an app
	form        = door{session: true, origin: true, token: true, form: true}                                           // changes something for a session
	onceForm    = door{session: true, origin: true, token: true, form: true, once: true}                               // makes something for a session, once
	openForm    = door{session: true, appSessions: true, origin: true, form: true}                                     // the form of somebody who is not signed in yet, such as the login
	wireForm    = door{session: true, origin: true, token: true, form: true, json: true}                               // a form that scripts send too
	trusted     = wireForm.forPrograms()                                                                               // wireForm, also for the site's own programs with an admin API key
	adminRead   = page.forPrograms()                                                                                   // the admin API, reading
	adminWrite  = door{adminKeys: true, session: true, origin: true, token: true, form: true, json: true, lists: true} // the admin API, changing something
	ownWrite    = door{session: true, origin: true, token: true, form: true, json: true, lists: true}                  // adminWrite for an administrator's session only: no key may pass
	either      = door{adminKeys: true, keys: true, session: true, origin: true, token: true, form: true, json: true}  // trusted, also for apps with their key
	openWire    = door{session: true, appSessions: true, origin: true, form: true, json: true}                         // openForm that scripts send too
	program     = door{form: true, json: true, only: true}                                                             // an app before it has a key, which sends JSON; cookies beside say nothing
	programForm = door{form: true, json: true}                                                                         // an app before it has a key, which sends JSON or a form
	keyOnly     = door{keys: true, form: true, json: true}                                                             // an app with its key, and nobody else
	bodied      = door{keys: true, session: true, origin: true, token: true}                                           // changes something, for a session or an app; the handler reads the body
	listen      = door{keys: true, session: true, appSessions: true, origin: true, long: true}                         // waits for news, for a session or an app; the handler reads the body
	ownBody     = door{adminKeys: true, session: true, origin: true, token: true}                                      // changes something, for a session or the site's own programs; the handler reads the body
)

// forPrograms is d for the site's own programs too.
func (d door) forPrograms() door {
	d.adminKeys = true
	return d
}

// needing is d for the site's own programs whose key may do what p names.
func (d door) needing(p site.AdminPermission) door {
	d.permission = p
	return d
}

// anyPermission lets every admin API key pass.
const anyPermission site.AdminPermission = "any"

// forAppSessions is d for sessions that an app began too.
func (d door) forAppSessions() door {
	d.appSessions = true
	return d
}

// who may pass.
type who int

const (
	anyone who = iota
	signedIn
	administrator
)

// A route is one line of the table.
type route struct {
	pattern string // METHOD and path
	door    door
	who     who
	name    string // X-Discourse-Route, on the routes of the wire
	handle  handler
}

// routes is every route of the server.
func (s *Server) routes() []route {
	all := []route{
		{"HEAD /user-api-key/new", bare, anyone, "user_api_keys/new", s.probe},
		{"GET /user-api-key/new", page, anyone, "user_api_keys/new", s.consent},
		{"GET /user-api-key/new.json", page, anyone, "user_api_keys/new", s.consent},
		{"POST /user-api-key", trusted.needing(site.AdminGrant), signedIn, "user_api_keys/create", s.grant},
		{"POST /user-api-key.json", trusted.needing(site.AdminGrant), signedIn, "user_api_keys/create", s.grant},
		{"POST /user-api-key/deny", form, signedIn, "", s.deny},
		{"POST /user-api-key/revoke", either.needing(site.AdminKeys).forAppSessions(), signedIn, "user_api_keys/revoke", s.revoke},
		{"POST /user-api-key/revoke.json", either.needing(site.AdminKeys).forAppSessions(), signedIn, "user_api_keys/revoke", s.revoke},
		{"POST /user-api-key/undo-revoke", trusted.needing(site.AdminGrant), signedIn, "user_api_keys/undo_revoke", s.undoRevoke},
		{"POST /user-api-key/undo-revoke.json", trusted.needing(site.AdminGrant), signedIn, "user_api_keys/undo_revoke", s.undoRevoke},
		{"POST /user-api-key/revoke-all", form.forAppSessions(), signedIn, "", s.revokeAll},
		{"GET /my/apps", page.forAppSessions(), signedIn, "", s.apps},
		{"GET /user-api-key/settings", page, administrator, "", s.settings},
		{"POST /user-api-key/settings", form, administrator, "", s.settingsPost},
		{"GET " + assetsPath + "{name}", bare, anyone, "", s.asset},
	}
	for _, domain := range []func() []route{
		s.draftRoutes, s.deviceRoutes, s.clientRoutes, s.oneTimeRoutes, s.renewRoutes,
		s.adminRoutes, s.discoveryRoutes, s.endpointRoutes, s.notificationRoutes, s.pushRoutes, s.quietRoutes, s.busRoutes,
	} {
		all = append(all, domain()...)
	}
	if s.accounts != nil {
		all = append(all, s.accountRoutes()...)
	}
	if s.cfg.Ready != nil {
		all = append(all, s.healthRoutes()...)
	}
	if s.endpoints() {
		all = append(all, s.sessionRoutes()...)
	}
	if s.cfg.Standalone {
		all = append(all, s.standaloneRoutes()...)
	}
	return all
}

func (s *Server) accountRoutes() []route {
	return []route{
		{"GET /user-api-key/login", page.forAppSessions(), anyone, "", s.login},
		{"POST /user-api-key/login", openForm, anyone, "", s.loginPost},
		{"POST /user-api-key/logout", form.forAppSessions(), anyone, "", s.logout},
		{"GET /user-api-key/setup", page.forAppSessions(), anyone, "", s.setup},
		{"POST /user-api-key/setup", openForm, anyone, "", s.setupPost},
	}
}

func (s *Server) healthRoutes() []route {
	return []route{
		{"GET /healthz", bare, anyone, "", s.healthz},
		{"GET /readyz", bare, anyone, "", s.readyz},
	}
}

func (s *Server) sessionRoutes() []route {
	all := []route{
		{"GET /session/current", current.needing(anyPermission), anyone, "session/current", s.sessionCurrent},
		{"GET /session/current.json", current.needing(anyPermission), anyone, "session/current", s.sessionCurrent},
	}
	if s.accounts == nil {
		return all
	}
	return append(all, []route{
		{"GET /login", page.forAppSessions(), anyone, "", s.login},
		{"POST /login", openForm, anyone, "", s.loginPost},
		{"GET /session/csrf", page.forAppSessions(), anyone, "session/csrf", s.csrf},
		{"GET /session/csrf.json", page.forAppSessions(), anyone, "session/csrf", s.csrf},
		{"POST /session", openWire, anyone, "session/create", s.sessionCreate},
		{"POST /session.json", openWire, anyone, "session/create", s.sessionCreate},
		{"DELETE /session/{username}", wireForm.forAppSessions(), signedIn, "session/destroy", s.sessionDestroy},
		{"GET /session/otp/{password}", page.forAppSessions(), anyone, "session/one_time_password", s.oneTimeLogin},
		{"POST /session/otp/{password}", wireForm.forAppSessions(), anyone, "session/one_time_password", s.oneTimeLoginPost},
	}...)
}

func (s *Server) standaloneRoutes() []route {
	return []route{
		{"GET /{$}", page.forAppSessions(), anyone, "", s.home},
		{"POST /logout", form.forAppSessions(), anyone, "", s.logout},
		{"GET /u/{username}/preferences/apps", page.forAppSessions(), signedIn, "", s.preferencesApps},
	}
}

// Mount registers every route on mux, and answers what is unknown below /user-api-key/ (and,
// standalone, anywhere).
func (s *Server) Mount(mux *http.ServeMux) {
	paths := map[string]map[string]route{}
	for _, rt := range s.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if paths[path] == nil {
			paths[path] = map[string]route{}
		}
		paths[path][method] = rt
	}
	for path, methods := range paths {
		mux.Handle(path, s.byMethod(methods))
	}
	unknown := s.Unknown()
	mux.Handle("/user-api-key/", unknown)
	if s.cfg.Standalone {
		mux.Handle("/", unknown)
	}
}

// byMethod picks the route of a path. It is ours, and not left to the mux, so that a wrong
// method gets the right refusal whatever else is mounted beside.
func (s *Server) byMethod(methods map[string]route) http.Handler {
	handlers := map[string]http.Handler{}
	for method, rt := range methods {
		handlers[method] = s.serve(rt)
	}
	if get, ok := handlers["GET"]; ok && handlers["HEAD"] == nil {
		handlers["HEAD"] = get
	}
	allow := strings.Join(slices.Sorted(maps.Keys(handlers)), ", ")
	refuse := s.serve(route{door: bare, handle: func(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
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

func (s *Server) unknown(http.ResponseWriter, *http.Request, site.Visitor) error {
	return userkeys.Errorf(userkeys.NotFound, "there is nothing at this address")
}

// Unknown answers for paths that nothing else answers for: 404, as JSON or as
// a page. For whoever gives the server more paths than it has routes.
func (s *Server) Unknown() http.Handler { return s.serve(route{door: bare, handle: s.unknown}) }
