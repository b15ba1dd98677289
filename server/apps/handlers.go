// Package apps is what a site's user sees of their apps: the list at /my/apps
// with revoking and its undoing, and how notifications reach each app.
package apps

import (
	"context"
	"embed"
	"time"

	"userkeys"
	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Keys is what the handlers need of the authority.
type Keys interface {
	Apps(ctx context.Context, f site.AppFilter) (site.AppList, error)
	// VisitApps notes that a user looks at their apps, and returns when the visit before ended; zero: there was none.
	VisitApps(ctx context.Context, userID int64) (time.Time, error)
	AppSessions(ctx context.Context, userID int64) ([]site.AppSession, error)
	Revoke(ctx context.Context, keyID int64, by site.Caller) error
	RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error)
	CanUndo(k site.UserAPIKey) bool
	// GrantByHand makes a key that no app asked for. Errors: [userkeys.InvalidParameters] for what can be typed again.
	GrantByHand(ctx context.Context, n site.NewKeyByHand, by site.Caller) (userkeys.Key, site.UserAPIKey, error)
	UndoRevoke(ctx context.Context, keyID int64, by site.Caller) error
	Catalog() *userkeys.Catalog
}

// Pushes is what the handlers need to know and to do about pushes.
type Pushes interface {
	// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]outbox.KeyState, error)
	// SendTest queues a test for one key of by's own, or anybody's for an administrator. Errors: [userkeys.NotFound],
	// [userkeys.Conflict] (no push address, not allowed now, not live), [userkeys.RateLimited].
	SendTest(ctx context.Context, keyID int64, by site.Caller) error
	// ResumeKey switches pushing to a key on again, and queues again what was given up for it in the last day.
	ResumeKey(ctx context.Context, keyID int64, by site.Caller) error
}

// Config is what the handlers need.
type Config struct {
	Keys       Keys
	Pushes     Pushes // nil: nothing is pushed
	Standalone bool   // / and /u/{username}/preferences/apps are ours too
}

// Handlers answer for what a user sees of their apps.
type Handlers struct {
	door  *door.Door
	cfg   Config
	pages pages
}

//go:embed templates/*.html
var templates embed.FS

type pages struct {
	apps   page.Template[appsPage]
	newKey page.Template[newKeyPage]
	home   page.Template[homePage]
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{d, cfg, pages{
		apps:   page.New[appsPage](d.Frame(), templates, "apps"),
		newKey: page.New[newKeyPage](d.Frame(), templates, "newkey"),
		home:   page.New[homePage](d.Frame(), templates, "home"),
	}}
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	d := h.door
	everyBrowser := door.Rules{Who: door.Browser | door.AppSession}
	read := door.Rules{Who: door.Browser | door.AppSession, As: door.User}
	form := door.Rules{Who: door.Browser, As: door.User, CSRF: door.CheckToken, Body: input.Form}

	d.Handle("GET "+door.AppsPath, read, h.apps)
	d.Handle("GET "+newKeyPath, door.Rules{Who: door.Browser, As: door.User}, h.newKey)
	d.Handle("POST "+newKeyPath, door.Rules{
		Who: door.Browser, As: door.User, CSRF: door.CheckOnce, Body: input.Form, Fresh: true,
	}, h.makeKey)
	d.Handle("GET /user-api-key/apps.json", door.Rules{
		Who: door.Browser | door.AppSession | door.AdminKey, As: door.User,
		Permission: site.AdminKeys, OrPermission: site.AdminGrant,
	}, h.listApps)
	d.HandleBoth("POST /user-api-key/revoke", door.Rules{
		Who: door.Browser | door.AppSession | door.Key | door.AdminKey, As: door.User,
		Permission: site.AdminKeys, OrPermission: site.AdminGrant,
		CSRF: door.CheckToken, Body: input.FormOrJSON, Name: "user_api_keys/revoke",
	}, h.revoke)
	d.HandleBoth("POST /user-api-key/undo-revoke", door.Rules{
		Who: door.Browser | door.AdminKey, As: door.User, Permission: site.AdminGrant,
		CSRF: door.CheckToken, Body: input.FormOrJSON, Name: "user_api_keys/undo_revoke",
	}, h.undoRevoke)
	d.Handle("POST /user-api-key/revoke-all", door.Rules{
		Who: door.Browser | door.AppSession, As: door.User, CSRF: door.CheckToken, Body: input.Form,
	}, h.revokeAll)
	if h.cfg.Pushes != nil {
		d.Handle("POST /user-api-key/push-test", form, h.pushTest)
		d.Handle("POST /user-api-key/push-resume", form, h.pushResume)
	}

	if h.cfg.Standalone {
		d.Handle("GET /{$}", everyBrowser, h.home)
		d.Handle("GET /u/{username}/preferences/apps", read, h.preferencesApps)
	}
}
