// Package account is what users see and change of their own account: the password, the sessions, and where they sign
// in from. It is mounted only where the site has its own accounts.
package account

import (
	"context"
	"embed"
	"net/http"

	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Accounts is what the handlers need of the site's accounts.
type Accounts interface {
	// HasPassword reports whether the user can sign in with a password.
	HasPassword(ctx context.Context, u site.User) (bool, error)
	// ChangePassword gives the sender of r, who knows the old one, a new password, and ends their other sessions.
	// Errors: [userkeys.InvalidCredentials], [userkeys.InvalidParameters], [userkeys.RateLimited], [userkeys.Conflict].
	ChangePassword(r *http.Request, old, text string) error
	// UserSessions lists the sessions of a user, the one that was used last first.
	UserSessions(ctx context.Context, userID int64) ([]site.UserSession, error)
	// EndSession ends the session of a user that has the id. Errors: [userkeys.NotFound].
	EndSession(ctx context.Context, userID int64, id string) error
	// EndOtherSessions ends all sessions of the sender of r but the one that r came with.
	EndOtherSessions(r *http.Request) error
	// Identities lists who a user is to providers that sign people in.
	Identities(ctx context.Context, userID int64) ([]site.Identity, error)
}

// Config is what the handlers need.
type Config struct {
	Accounts Accounts
	Logins   interface { // nil: no provider signs people in
		// Choices are the ways to sign in through providers.
		Choices() []site.LoginChoice
	}
}

// Handlers answer for what users do to their own account.
type Handlers struct {
	door *door.Door
	cfg  Config
	page page.Template[accountPage]
}

//go:embed templates/*.html
var templates embed.FS

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{d, cfg, page.New[accountPage](d.Frame(), templates, "account")}
}

// Mount registers the routes. They are for sessions that their user began: an app in a session of its own does not
// learn where its user is.
func (h *Handlers) Mount() {
	d := h.door
	read := door.Rules{Who: door.Browser, As: door.User}
	form := door.Rules{Who: door.Browser, As: door.User, CSRF: door.CheckToken, Body: input.FormOrJSON}
	d.Handle("GET "+door.AccountPath, read, h.show)
	d.Handle("GET "+door.AccountPath+".json", read, h.list)
	d.HandleBoth("POST "+door.AccountPath+"/end-session", form, h.endSession)
	d.HandleBoth("POST "+door.AccountPath+"/end-other-sessions", form, h.endOthers)
	if d.Passwords() {
		d.HandleBoth("POST "+door.AccountPath+"/password", form, h.changePassword)
	}
}
