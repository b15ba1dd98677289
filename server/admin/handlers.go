// Package admin is what a site's administrators see and do: pages for
// settings and admin API keys, and the admin API for the site's own programs:
// settings, users, keys, the audit log, notifications. A page's form and the request of a program that does the same
// have one handler. Users' keys reach nothing here.
package admin

import (
	"context"
	"embed"

	"userkeys"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Keys is what the handlers need of the authority about keys and the audit log.
type Keys interface {
	CreateAdminKey(ctx context.Context, n site.NewAdminAPIKey, by site.Caller) (userkeys.Key, site.AdminAPIKey, error)
	AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error)
	RevokeAdminKey(ctx context.Context, id int64, by site.Caller) error
	Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error)
	Revoke(ctx context.Context, keyID int64, by site.Caller) error
	AuditEvents(ctx context.Context, f site.AuditFilter) ([]site.AuditEvent, error)
}

// Settings is what the handlers need of the authority to show and to change settings.
type Settings interface {
	Pinned(name string) bool
	ChangeSetting(ctx context.Context, name, value string, by site.Caller) error
	ResetSetting(ctx context.Context, name string, by site.Caller) error
}

// Accounts manages the site's accounts. Errors: [userkeys.NotFound],
// [userkeys.InvalidParameters], [userkeys.Conflict].
type Accounts interface {
	Create(ctx context.Context, n site.NewUser, by site.Caller) (site.User, error)
	User(ctx context.Context, id int64) (site.User, error)
	// FindUser reads one user by user name or e-mail address.
	FindUser(ctx context.Context, name string) (site.User, error)
	FindUsers(ctx context.Context, f site.UserFilter) ([]site.User, error)
	// Update lets change have its way with the user as they are now.
	Update(ctx context.Context, id int64, change func(*site.User), by site.Caller) (site.User, error)
	Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	SetPassword(ctx context.Context, id int64, password string, by site.Caller) error
	Delete(ctx context.Context, id int64, by site.Caller) error
}

// Pushes is what the handlers need to know about pushes.
type Pushes interface {
	// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]outbox.KeyState, error)
}

// Config is what the handlers need.
type Config struct {
	Keys      Keys
	Settings  Settings
	Accounts  Accounts      // nil: no accounts are managed here
	Sync      Sync          // nil: no website's users sign in here
	Pushes    Pushes        // nil: nothing is pushed
	Inbox     *notify.Inbox // nil: nobody is notified
	Endpoints bool          // /admin/notifications.json is ours too
}

// Handlers answer for what administrators see and do.
type Handlers struct {
	door  *door.Door
	cfg   Config
	pages pages
}

//go:embed templates/*.html
var templates embed.FS

type pages struct {
	settings page.Template[settingsPage]
	apiKeys  page.Template[apiKeysPage]
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{d, cfg, pages{
		settings: page.New[settingsPage](d.Frame(), templates, "settings"),
		apiKeys:  page.New[apiKeysPage](d.Frame(), templates, "adminkeys"),
	}}
}

// read, write and raw are the admin API: of an administrator's session, or of a program whose admin API key may do what
// may names (nothing: a key that may do everything). Somebody at a browser must have signed in a moment ago for danger.
// The handler of raw reads the body.
func read(may site.AdminPermission) door.Rules {
	return door.Rules{Who: door.Browser | door.AdminKey, As: door.Administrator, Permission: may}
}

func write(may site.AdminPermission) door.Rules {
	return door.Rules{
		Who: door.Browser | door.AdminKey, As: door.Administrator, Permission: may, CSRF: door.CheckToken,
		Body: input.Record,
	}
}

func danger(may site.AdminPermission) door.Rules {
	rules := write(may)
	rules.Fresh = true
	return rules
}

func raw(may site.AdminPermission) door.Rules {
	return door.Rules{
		Who: door.Browser | door.AdminKey, As: door.Administrator, Permission: may, CSRF: door.CheckToken,
		Body: input.Raw,
	}
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	d := h.door
	page := door.Rules{Who: door.Browser, As: door.Administrator}
	form := door.Rules{
		Who: door.Browser, As: door.Administrator, CSRF: door.CheckToken, Body: input.Form, Fresh: true,
	}
	onceForm := form
	onceForm.CSRF = door.CheckOnce

	d.Handle("GET "+door.SettingsPath, page, h.showSettings)
	d.Handle("POST "+door.SettingsPath, form, h.changeSetting)
	d.Handle("GET /user-api-key/admin/settings.json", read(site.AdminSettings), h.listSettings)
	d.Handle("PUT /user-api-key/admin/settings/{name}", danger(site.AdminSettings), h.changeSetting)
	d.Handle("DELETE /user-api-key/admin/settings/{name}", danger(site.AdminSettings), h.changeSetting)

	d.Handle("GET "+apiKeysPath, page, h.apiKeys)
	d.Handle("POST "+apiKeysPath, onceForm, h.apiKeysPost)
	d.Handle("POST "+apiKeysPath+"/revoke", form, h.revokeAPIKey)
	d.Handle("GET /user-api-key/admin/api-keys.json", read(""), h.listAPIKeys)
	d.Handle("POST /user-api-key/admin/api-keys.json", door.Rules{ // no key makes keys
		Who: door.Browser, As: door.Administrator, CSRF: door.CheckToken, Body: input.Record, Fresh: true,
	}, h.createAPIKey)
	d.Handle("POST /user-api-key/admin/api-keys/{id}/revoke.json", danger(""), h.revokeAPIKey)

	d.Handle("GET /user-api-key/admin/keys.json", read(site.AdminKeys), h.listKeys)
	d.Handle("POST /user-api-key/admin/keys/{id}/revoke.json", write(site.AdminKeys), h.revokeKey)
	d.Handle("GET /user-api-key/admin/audit.json", read(site.AdminAudit), h.listEvents)

	if h.cfg.Accounts != nil {
		d.Handle("GET /user-api-key/admin/users.json", read(site.AdminUsers), h.listUsers)
		d.Handle("POST /user-api-key/admin/users.json", danger(site.AdminUsers), h.createUser)
		d.Handle("GET /user-api-key/admin/users/{username}", read(site.AdminUsers), h.showUser)
		d.Handle("PUT /user-api-key/admin/users/{username}", danger(site.AdminUsers), h.putUser)
		d.Handle("DELETE /user-api-key/admin/users/{username}", danger(site.AdminUsers), h.deleteUser)
		if h.cfg.Sync != nil {
			sync := raw(site.AdminUsers)
			sync.Fresh = true
			d.Handle("POST /user-api-key/admin/users/sync.json", sync, h.syncUsers)
		}
		d.Handle("POST /user-api-key/admin/users/{username}/suspend.json", danger(site.AdminUsers), h.suspendUser)
		d.Handle("POST /user-api-key/admin/users/{username}/unsuspend.json", danger(site.AdminUsers), h.unsuspendUser)
	}
	if h.cfg.Inbox != nil {
		notifyUsers := raw(site.AdminNotify)
		notifyUsers.Name = "admin/notifications/create"
		d.Handle("POST /user-api-key/admin/notifications.json", notifyUsers, h.notifyUsers)
		if h.cfg.Endpoints {
			d.Handle("POST /admin/notifications.json", notifyUsers, h.notifyUsers)
		}
	}
}
