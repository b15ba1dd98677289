// Package signin is how people come in at a browser: with a password, through a provider that names them, with the
// link of an administrator on the machine, and, for the first administrator, with the setup link. It is mounted only
// where the site has its own accounts.
package signin

import (
	"embed"
	"net/http"

	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Links signs in administrators with a link that was made on the machine.
type Links interface {
	// CheckSignInLink tells whom SignInByLink would sign in now. Errors: [userkeys.ConsentGone].
	CheckSignInLink(r *http.Request, token string) (site.User, error)
	// SignInByLink spends the link. Errors: [userkeys.ConsentGone].
	SignInByLink(r *http.Request, token string) (site.User, error)
}

// Config is what the handlers need.
type Config struct {
	Logins     Logins // nil: no provider signs people in
	Links      Links  // nil: there are no such links
	Endpoints  bool   // /login is ours too
	Standalone bool   // and so is /logout
}

// Handlers answer for signing in and out.
type Handlers struct {
	door  *door.Door
	cfg   Config
	pages pages
}

//go:embed templates/*.html
var templates embed.FS

type pages struct {
	login  page.Template[loginPage]
	choose page.Template[choosePage]
	setup  page.Template[setupPage]
	link   page.Template[linkPage]
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{d, cfg, pages{
		login:  page.New[loginPage](d.Frame(), templates, "login"),
		choose: page.New[choosePage](d.Frame(), templates, "choose"),
		setup:  page.New[setupPage](d.Frame(), templates, "setup"),
		link:   page.New[linkPage](d.Frame(), templates, "link"),
	}}
}

const loginPath = "/user-api-key/login"

// Mount registers the routes.
func (h *Handlers) Mount() {
	d := h.door
	look := door.Rules{Who: door.Browser | door.AppSession}
	signIn := door.Rules{Who: door.Browser | door.AppSession, CSRF: door.CheckOrigin, Body: input.Form}
	signOut := door.Rules{Who: door.Browser | door.AppSession, CSRF: door.CheckToken, Body: input.Form}
	d.Handle("GET "+loginPath, look, h.login)
	d.Handle("POST /user-api-key/logout", signOut, h.logout)
	if h.cfg.Endpoints {
		d.Handle("GET /login", look, h.login)
	}
	if h.cfg.Standalone {
		d.Handle("POST /logout", signOut, h.logout)
	}
	loginPost := h.loginPost
	if d.Passwords() {
		d.Handle("GET /user-api-key/setup", look, h.setup)
		d.Handle("POST /user-api-key/setup", signIn, h.setupPost)
	} else { // the page stays, and takes nothing
		loginPost = func(http.ResponseWriter, *http.Request, site.Caller) error { return door.ErrNothingHere }
	}
	d.Handle("POST "+loginPath, signIn, loginPost)
	if h.cfg.Endpoints {
		d.Handle("POST /login", signIn, loginPost)
	}
	if h.cfg.Logins != nil && len(h.cfg.Logins.Choices()) > 0 {
		d.Handle("GET "+loginPath+"/{name}", look, h.begin)
		d.Handle("POST "+loginPath+"/{name}", signIn, h.beginNamed)
		d.Handle("GET "+loginPath+"/{name}/callback", look, h.callback)
	}
	if h.cfg.Links != nil {
		d.Handle("GET /user-api-key/sign-in-link", look, h.link)
		d.Handle("POST /user-api-key/sign-in-link", signIn, h.linkPost)
	}
}
