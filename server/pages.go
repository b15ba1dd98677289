package server

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"userkeys/site"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages renders every page into one frame. Each page is a method, so that a
// template cannot be handed the wrong value.
type pages struct{ byName map[string]*template.Template }

var pageNames = []string{"device", "onetime", "signin", "consent", "payload", "denied", "refused", "apps", "login", "setup", "settings", "adminkeys", "deliveries", "home", "problem"}

func loadPages(a assets) (*pages, error) {
	funcs := template.FuncMap{"asset": a.url, "sentence": sentence, "number": number, "page": withPage}
	base, err := template.New("frame.html").Funcs(funcs).ParseFS(templateFiles, "templates/frame.html", "templates/asking.html")
	if err != nil {
		return nil, err
	}
	p := &pages{byName: map[string]*template.Template{}}
	for _, name := range pageNames {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, err
		}
		p.byName[name] = t
	}
	return p, nil
}

// frame is what stands around every page.
type frame struct {
	Site    string
	User    string // empty: nobody is signed in
	Admin   bool
	App     string // the app that began the session; empty: the user did
	CSRF    string
	Form    string // one-time token, for the page's form that makes something
	Login   string // where to sign in; empty where there is nothing to offer
	Logout  string // where the sign-out form goes; empty if the embedder's site does that
	HasHome bool
	Pushes  bool // there are deliveries for administrators to see
}

func (s *Server) frame(v site.Visitor) frame {
	f := frame{Site: s.site.Settings().Title, HasHome: s.cfg.Standalone, Pushes: s.cfg.Pushes != nil}
	if v.SignedIn() {
		f.User, f.Admin, f.CSRF, f.Form = v.User.Username, v.User.Admin && v.Session.App == "", v.Session.CSRF, newForm(s.cfg.Now())
		if v.Session.App != "" {
			f.App = shownName(v.Session.App)
		}
		if s.accounts != nil {
			f.Logout = logoutPath
		}
	}
	return f
}

// view is one page: what stands around it, its title, and the value that its template shows.
type view struct {
	frame
	Title string
	Page  any
}

// withPage is v with another page in it, for a part that several pages have.
func withPage(v view, page any) view {
	v.Page = page
	return v
}

// show renders a page whole before it sends the first byte.
func (p *pages) show(w http.ResponseWriter, status int, name string, v view) error {
	var b bytes.Buffer
	if err := p.byName[name].Execute(&b, v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// consentPage asks the user.
type consentPage struct {
	ConsentID string
	To        destination
	Name      string
	Ask       askView
	Write     bool
	SignsIn   bool   // the answer has a one-time password
	Push      string // host; empty: none named
	Pushes    bool
	Lifetime  string // empty: no end of its own
	Until     moment
	Unused    int // days; 0: never
	MaxLife   int // days; 0: none
	Return    string
	Details   []detail
	Device    *deviceAsk // nil: the app asked in this browser
}

// deviceAsk is what a consent page says and sends besides, where a device asked.
type deviceAsk struct {
	Problem  string // why it cannot be approved; empty: it can
	IP       string
	Asked    moment
	Approval string // token of this page; empty: the code must be typed first
	Request  string // token of the address that led here
}

type detail struct{ Name, Value string }

func (p *pages) Consent(w http.ResponseWriter, f frame, c consentPage) error {
	return p.show(w, http.StatusOK, "consent", view{f, "Allow access?", c})
}

// payloadPage hands over a sealed payload.
type payloadPage struct {
	Name    string
	Payload template.HTML // base64 in lines; see sealedHTML
}

func (p *pages) Payload(w http.ResponseWriter, f frame, c payloadPage) error {
	return p.show(w, http.StatusOK, "payload", view{f, "Copy this to the app", c})
}

// Device shows a state of the device authorization.
func (p *pages) Device(w http.ResponseWriter, f frame, c deviceView) error {
	title := "Connect a device"
	if c.State == "complete" {
		title = "Done"
	}
	return p.show(w, http.StatusOK, "device", view{f, title, c})
}

func (p *pages) OneTime(w http.ResponseWriter, f frame, c oneTimePage) error {
	return p.show(w, http.StatusOK, "onetime", view{f, "Sign in on an app?", c})
}

func (p *pages) SignIn(w http.ResponseWriter, f frame, c signInPage) error {
	return p.show(w, http.StatusOK, "signin", view{f, "Sign in", c})
}

func (p *pages) Denied(w http.ResponseWriter, f frame) error {
	return p.show(w, http.StatusOK, "denied", view{f, "Nothing was given", nil})
}

// refusedPage says why the site will not put a request to anybody.
type refusedPage struct {
	What    string
	Author  string // what the app's author can do
	Site    string // what an administrator can do
	Trust   bool   // it is the user who may not
	Barred  bool   // ... whatever the site's rules for apps are: the account itself may not act
	Details []detail
}

func (p *pages) Refused(w http.ResponseWriter, status int, f frame, c refusedPage) error {
	return p.show(w, status, "refused", view{f, "No key for this app", c})
}

func (p *pages) Apps(w http.ResponseWriter, f frame, c appsPage) error {
	return p.show(w, http.StatusOK, "apps", view{f, "Your apps", c})
}

// loginPage asks who somebody is.
type loginPage struct {
	Username string
	Redirect string
	Error    string
}

func (p *pages) Login(w http.ResponseWriter, status int, f frame, c loginPage) error {
	return p.show(w, status, "login", view{f, "Sign in", c})
}

// setupPage makes the first administrator.
type setupPage struct {
	Token    string
	Username string
	Error    string
	Closed   bool // the link is spent: there is nothing to fill in
}

func (p *pages) Setup(w http.ResponseWriter, status int, f frame, c setupPage) error {
	return p.show(w, status, "setup", view{f, "Set up this site", c})
}

func (p *pages) Settings(w http.ResponseWriter, status int, f frame, c settingsPage) error {
	return p.show(w, status, "settings", view{f, "Settings", c})
}

func (p *pages) AdminKeys(w http.ResponseWriter, status int, f frame, c adminKeysPage) error {
	return p.show(w, status, "adminkeys", view{f, "API keys", c})
}

func (p *pages) Deliveries(w http.ResponseWriter, f frame, c deliveriesPage) error {
	return p.show(w, http.StatusOK, "deliveries", view{f, "Deliveries", c})
}

func (p *pages) Home(w http.ResponseWriter, f frame) error {
	return p.show(w, http.StatusOK, "home", view{f, f.Site, nil})
}

// problemPage says what went wrong.
type problemPage struct {
	Title string
	What  string
	Help  string
	Apps  bool   // offer the apps page
	Login string // offer to sign in there
	ID    string
}

func (p *pages) Problem(w http.ResponseWriter, status int, f frame, c problemPage) error {
	return p.show(w, status, "problem", view{f, c.Title, c})
}
