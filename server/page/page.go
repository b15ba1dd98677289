// Package page makes pages: what stands around each of them, the files that
// they load, and how they say times, numbers and what an app calls itself. You
// go here to change how all pages look.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"

	"userkeys/site"
)

//go:embed templates/*.html
var templates embed.FS

const logoutPath = "/user-api-key/logout"

// Config is what a [Frame] shows.
type Config struct {
	Title      func() string // the site's name
	HasAccount bool          // users see their own account here
	Pushes     bool          // there are deliveries for administrators to see
	SignOut    bool          // people sign out here, and not at an embedder's
}

// Frame stands around every page of a site.
type Frame struct {
	cfg    Config
	assets assets
	base   *template.Template
}

// NewFrame makes a frame. It panics if its files cannot be read, because they are part of the program.
func NewFrame(cfg Config) *Frame {
	f := &Frame{cfg: cfg, assets: loadAssets()}
	funcs := template.FuncMap{"asset": f.Asset, "sentence": Sentence, "number": number, "page": withPage}
	f.base = template.Must(template.New("frame.html").Funcs(funcs).ParseFS(templates, "templates/frame.html"))
	return f
}

// view is one page: what its frame shows, and the value that its template shows.
type view struct {
	Site    string
	User    string // empty: nobody is signed in
	Admin   bool
	App     string // the app that began the session; empty: the user did
	CSRF    string
	Logout  string // where the sign-out form goes; empty if the embedder's site does that
	Account bool   // the user sees their own account here
	Pushes  bool   // there are deliveries for administrators to see
	Page    any
}

func (f *Frame) around(c site.Caller, page any) view {
	v := view{Site: f.cfg.Title(), Pushes: f.cfg.Pushes, Page: page}
	if !c.SignedIn() || c.Key != 0 {
		return v
	}
	v.User, v.Admin, v.CSRF = c.User.Username, c.Admin(), c.Session.CSRF
	v.Account = f.cfg.HasAccount && c.Session.App == ""
	if c.Session.App != "" {
		v.App = ShownName(c.Session.App)
	}
	if f.cfg.SignOut {
		v.Logout = logoutPath
	}
	return v
}

// withPage is v with another page in it, for a part that several pages have.
func withPage(v view, page any) view {
	v.Page = page
	return v
}

// A Template shows a T as a page.
type Template[T any] struct {
	frame    *Frame
	name     string
	template *template.Template
}

// New makes a page of the file templates/name.html in files, which defines "title" and "main", and of the parts that it
// uses. It panics if they cannot be read, because they are part of the program.
func New[T any](f *Frame, files fs.FS, name string, parts ...string) Template[T] {
	t := template.Must(f.base.Clone())
	for _, part := range append(parts, name) {
		t = template.Must(t.ParseFS(files, "templates/"+part+".html"))
	}
	return Template[T]{f, name, t}
}

// Show answers c with the page of value. It renders the page whole before it sends the first byte.
func (t Template[T]) Show(w http.ResponseWriter, c site.Caller, status int, value T) error {
	var b bytes.Buffer
	if err := t.template.Execute(&b, t.frame.around(c, value)); err != nil {
		return fmt.Errorf("page %s: %w", t.name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}
