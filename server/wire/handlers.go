// Package wire answers what apps of the wire ask a site: what the site is and
// allows, whose key the app has, users and their status, notifications, "do not
// disturb", and the secret that pushes are signed with. It also signs a user's
// programs in, and tells load balancers whether the site is alive and ready.
package wire

import (
	"context"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// Authority is what the handlers need of the authority.
type Authority interface {
	gateway.Checker
	Look(ctx context.Context, key string) (userkeys.Access, time.Time, error)
	Apps(ctx context.Context, f site.AppFilter) (site.AppList, error)
	ChargePushSecret(a userkeys.Access) error
	Catalog() *userkeys.Catalog
}

// Users is what the endpoints that apps ask for need of a site's users. The
// store package has it by shape.
type Users interface {
	// User finds a user by id. Errors: [userkeys.NotFound].
	User(ctx context.Context, id int64) (site.User, error)
	// UserNamed finds a user by name, whatever its case. Errors: [userkeys.NotFound].
	UserNamed(ctx context.Context, username string) (site.User, error)
	// UserStatus is a user's status at a time. Errors: [userkeys.NotFound] if there is none.
	UserStatus(ctx context.Context, userID int64, at time.Time) (site.UserStatus, error)
	SetUserStatus(ctx context.Context, userID int64, u site.UserStatus) error
	ClearUserStatus(ctx context.Context, userID int64) error
}

// Pushes is what the handlers need of those who push.
type Pushes interface {
	// SealedSecret is the push secret of a key, sealed to the public key of its grant. Errors: [userkeys.NotFound] if the
	// key has no push address.
	SealedSecret(ctx context.Context, keyID int64) (payload string, err error)
}

// Config is what the handlers need.
type Config struct {
	Authority  Authority
	Users      Users                           // nil: no /u/{username}.json and no /user-status
	Inbox      *notify.Inbox                   // nil: no notifications
	Pushes     Pushes                          // nil: nothing is pushed
	Endpoints  bool                            // the paths of [EndpointPaths] are ours
	Standalone bool                            // and so is every other path
	Ready      func(ctx context.Context) error // nil: no /healthz and /readyz
}

// Handlers answer what apps ask.
type Handlers struct {
	door *door.Door
	cfg  Config
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers { return &Handlers{d, cfg} }

// EndpointPaths are the paths of what apps of the wire ask a site for about
// itself, whose key they have, notifications and news of them; for a site that has nothing
// of its own there. /u/{username}.json and the admin endpoints are not among them.
func EndpointPaths() []string {
	paths := []string{"/site/basic-info.json", "/about.json", "/session", "/session.json", "/session/"}
	for _, p := range []string{
		"/notifications", "/notifications/totals", "/notifications/mark-read",
		"/notifications/read", "/do-not-disturb", "/user-status",
	} {
		paths = append(paths, p, p+".json")
	}
	return append(paths, "/message-bus/", "/events")
}

// FallbackPaths are those of [EndpointPaths] that an app asks first of all: whose key it has, and what is new. A
// site before a website may answer them where the website has nothing.
func FallbackPaths() []string {
	return []string{"/session/current.json", "/notifications.json", "/notifications/totals.json"}
}

// readable is what a browser or an app may read, and a program of the site whose admin API key may do what may names.
func readable(may site.AdminPermission, name string) door.Rules {
	return door.Rules{
		Who: door.Browser | door.AppSession | door.Key | door.AdminKey, As: door.Known, Permission: may,
		Name: name,
	}
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	d, public := h.door, door.Rules{Who: door.Public}
	d.Handle("GET /.well-known/user-api-key", public, h.description)
	d.Handle("GET /user-api-key/openapi.json", public, h.openAPI)
	if h.cfg.Standalone {
		d.Handle("GET /openapi.json", public, h.openAPI)
	}
	if h.cfg.Ready != nil {
		d.Handle("GET /healthz", public, h.healthz)
		d.Handle("GET /readyz", public, h.readyz)
	}
	d.Handle(introspectPattern, introspectRules, h.introspectByKey)
	if h.cfg.Pushes != nil {
		d.HandleBoth("GET /user-api-key/push-secret", door.Rules{Who: door.Key, Body: input.FormOrJSON}, h.pushSecret)
	}
	if !h.cfg.Endpoints {
		return
	}
	d.Handle("GET /site/basic-info.json", door.Rules{Who: door.Public, Name: "site/basic_info"}, h.basicInfo)
	d.Handle("GET /about.json", door.Rules{Who: door.Public, Name: "about/index"}, h.about)
	d.HandleBoth("GET /session/current", door.Rules{
		Who: door.Browser | door.AppSession | door.Key | door.AnyAdminKey, Name: "session/current",
	}, h.sessionCurrent)
	if d.Accounts() != nil {
		h.mountSessions()
	}
	if h.cfg.Users != nil {
		user := readable(site.AdminUsers, "users/show")
		user.As = door.Anyone // the handler refuses strangers, after it has looked whether there is such an address
		d.Handle("GET /u/{username}", user, h.user)
		d.HandleBoth("GET /user-status", readable(site.AdminUsers, "user_status/get"), h.userStatus)
		d.HandleBoth("PUT /user-status", changing("user_status/set"), h.setUserStatus)
		d.HandleBoth("DELETE /user-status", changing("user_status/clear"), h.clearUserStatus)
	}
	if h.cfg.Inbox != nil {
		d.HandleBoth("GET /notifications", readable(site.AdminNotify, "notifications/index"), h.notifications)
		d.HandleBoth("GET /notifications/totals", readable(site.AdminNotify, "notifications/totals"), h.notificationTotals)
		mark := changing("notifications/mark_read")
		mark.Who |= door.AppSession
		d.HandleBoth("PUT /notifications/mark-read", mark, h.markRead)
		d.HandleBoth("PUT /notifications/read", mark, h.markOneRead)
		d.HandleBoth("POST /do-not-disturb", changing("do_not_disturb/create"), h.quiet)
		d.HandleBoth("DELETE /do-not-disturb", changing("do_not_disturb/destroy"), h.endQuiet)
	}
}

// changing is what changes something for a browser or an app. The handler reads the body.
func changing(name string) door.Rules {
	return door.Rules{Who: door.Browser | door.Key, As: door.Known, CSRF: door.CheckToken, Body: input.Raw, Name: name}
}

// mountSessions registers what a user's program signs in and out by.
func (h *Handlers) mountSessions() {
	d, browser := h.door, door.Browser|door.AppSession
	d.HandleBoth("GET /session/csrf", door.Rules{Who: browser, Name: "session/csrf"}, h.csrf)
	if d.Passwords() {
		d.HandleBoth("POST /session", door.Rules{
			Who: browser, CSRF: door.CheckOrigin, Body: input.FormOrJSON, Name: "session/create",
		}, h.sessionCreate)
	}
	d.Handle("DELETE /session/{username}", door.Rules{
		Who: browser, As: door.User, CSRF: door.CheckToken, Body: input.FormOrJSON, Name: "session/destroy",
	}, h.sessionDestroy)
}
