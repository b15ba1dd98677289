package discourse

import (
	"net/http"
	"strings"
)

// A handler answers a call. It runs while the site's mutex is held.
type handler func(*call) (answer, error)

// A route is one line of the site's routing table.
type route struct {
	method  string
	path    string // without .json; {name} is a parameter
	action  string // Discourse's name, by which scopes permit
	handler handler
	since   Era
	rules   rules
}

// rules are what is asked of a call before its handler runs.
type rules int

const (
	login  rules = 1 << iota // somebody must be signed in
	open                     // nobody is looked for, and no CSRF token
	sealed                   // the answer must not be kept by anybody, in the newest era
)

// routes are the site's routes; the message bus is beside them.
var routes = []route{
	{"HEAD", "/user-api-key/new", "user_api_keys/new", (*call).probe, Old, open | sealed},
	{"GET", "/user-api-key/new", "user_api_keys/new", (*call).consent, Old, sealed},
	{"POST", "/user-api-key", "user_api_keys/create", (*call).create, Old, login | sealed},
	{"POST", "/user-api-key/revoke", revokeAction, (*call).revoke, Old, login},

	{"POST", "/user-api-key/device", "user_api_keys/create_device", (*call).deviceCreate, New, open | sealed},
	{"POST", "/user-api-key/device/poll", "user_api_keys/poll_device", (*call).devicePoll, New, open | sealed},
	{"GET", "/user-api-key/activate", "user_api_keys/activate", (*call).activatePage, New, sealed},
	{"POST", "/user-api-key/activate", "user_api_keys/activate", (*call).activate, New, sealed},
	{"POST", authorizePath, "user_api_keys/authorize_device", (*call).deviceAuthorize, New, login | sealed},
	{"POST", denyPath, "user_api_keys/deny_device", (*call).deviceDeny, New, login | sealed},

	{"GET", "/login", "static/show", (*call).loginPage, Old, 0},
	{"POST", "/login", "static/enter", (*call).enter, Old, open},
	{"POST", "/session", "session/create", (*call).signIn, Old, 0},
	{"GET", "/session/current", "session/current", (*call).currentSession, Old, 0},

	{"GET", "/notifications", "notifications/index", (*call).notifications, Old, login},
	{"GET", "/notifications/totals", "notifications/totals", (*call).totals, Middle, login},
	{"PUT", "/notifications/mark-read", "notifications/mark_read", (*call).markRead, Old, login},
	{"PUT", "/notifications/read", "notifications/mark_read", (*call).markRead, Old, login},

	{"GET", "/", "list/latest", (*call).home, Old, 0},
	{"GET", "/about", "about/index", (*call).about, Old, 0},
	{"GET", "/latest", "list/latest", (*call).latest, Old, 0},
	{"GET", "/t/{id}", "topics/show", (*call).topic, Old, 0},
	{"GET", "/t/{slug}/{id}", "topics/show", (*call).topic, Old, 0},
	{"POST", "/posts", "posts/create", (*call).createPost, Old, login},
}

const (
	authorizePath = "/user-api-key/device/authorize"
	denyPath      = "/user-api-key/device/deny"

	revokeAction = "user_api_keys/revoke"
	busAction    = "message_bus/poll"
)

// nowhere is the route of every other address: it too asks who is there.
var nowhere = route{path: "/", action: "permalinks/show", handler: (*call).notFound}

func (c *call) notFound() (answer, error) { return answer{}, errNotFound }

// find sets the call's route and its path parameters. HEAD is answered as GET is.
func (c *call) find() {
	for _, method := range []string{c.r.Method, http.MethodGet} {
		for _, r := range routes {
			if r.method == method && !c.s.Era.before(r.since) && c.match(r.path) {
				c.route = r
				return
			}
		}
		if c.r.Method != http.MethodHead {
			break
		}
	}
	c.route = nowhere
	c.route.method = c.r.Method
	if c.unsafe() {
		c.route.rules = open // the router itself answers
	}
}

func (c *call) match(pattern string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(c.path, "/")
	if len(want) != len(got) {
		return false
	}
	found := make(map[string]string)
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok && got[i] != "" {
			found[strings.TrimSuffix(name, "}")] = got[i]
		} else if w != got[i] {
			return false
		}
	}
	for name, value := range found {
		c.params[name] = value
	}
	return true
}

// unsafe tells whether the method may change something.
func (c *call) unsafe() bool {
	return c.r.Method != http.MethodGet && c.r.Method != http.MethodHead && c.r.Method != http.MethodOptions
}

// handle answers the call. The message bus sits before the application and
// has rules of its own.
func (s *Site) handle(w http.ResponseWriter, c *call) {
	s.mu.Lock()
	a, done := s.edge(c)
	if !done && c.isPoll() {
		p := s.newPoll(c)
		c.finish(http.StatusOK)
		s.mu.Unlock()
		p.serve(w)
		return
	}
	if !done {
		a = c.answer()
	}
	c.finish(a.status)
	s.mu.Unlock()
	c.write(w, a)
}

// edge is what comes before the application: limits per address, and what
// browsers ask about other origins.
func (s *Site) edge(c *call) (answer, bool) {
	if a, done := s.addressLimit(c); done {
		return a, true
	}
	if origins := s.origins(); len(origins) > 0 {
		allowOrigin(c.header, origins, c.r.Header.Get("Origin"))
		if c.r.Method == http.MethodOptions && c.r.Header.Get("Access-Control-Request-Method") != "" {
			return answer{status: http.StatusOK}, true
		}
	}
	return answer{}, false
}

// answer runs the route's handler, if the call may.
func (c *call) answer() answer {
	c.find()
	c.header.Set("X-Discourse-Route", c.route.action)
	if c.route.rules&sealed != 0 && c.s.Era == New {
		c.header.Set("Cache-Control", "no-store")
		c.header.Set("Pragma", "no-cache")
		c.header.Set("Expires", "0")
		c.header.Set("Referrer-Policy", "same-origin")
	} else {
		c.header.Set("Cache-Control", "no-cache, no-store")
	}
	a, err := c.run()
	if err != nil {
		a = c.render(err)
	}
	return a
}

func (c *call) run() (answer, error) {
	if c.route.rules&open == 0 {
		if err := c.authenticate(); err != nil {
			return answer{}, err
		}
		if c.user != nil {
			c.header.Set("X-Discourse-Username", c.user.Name)
		}
		if c.unsafe() && c.key == nil && !c.hasToken() {
			return text(http.StatusForbidden, `["BAD CSRF"]`), nil
		}
	}
	switch {
	case c.badly:
		return answer{}, &failure{status: http.StatusBadRequest, alwaysJSON: true, text: "The request could not be read."}
	case c.route.rules&login != 0 && c.user == nil:
		return answer{}, errNotLoggedIn
	}
	return c.route.handler(c)
}

// origins are the origins that scripts may call from, if the site lets any.
func (s *Site) origins() []string {
	if !s.on("enable_cors") {
		return nil
	}
	var out []string
	for _, list := range []struct{ name, separator string }{{"cors_origin", ","}, {"cors_origins", "|"}} {
		for origin := range strings.SplitSeq(s.settings[list.name], list.separator) {
			if origin = strings.TrimSpace(origin); origin != "" {
				out = append(out, origin)
			}
		}
	}
	return out
}

// allowOrigin names the caller's origin if it is listed and else the first:
// no Vary, and nothing that lets scripts read the limits' headers.
func allowOrigin(h http.Header, origins []string, origin string) {
	allowed := origins[0]
	for _, o := range origins {
		if o == origin {
			allowed = o
		}
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	h.Set("Access-Control-Allow-Headers", "Content-Type, Cache-Control, X-Requested-With, X-CSRF-Token, "+
		"Discourse-Present, User-Api-Key, User-Api-Client-Id, Authorization")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", "POST, PUT, GET, OPTIONS, DELETE")
	h.Set("Access-Control-Max-Age", "7200")
}
