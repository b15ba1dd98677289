package door

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

// loadFrame reads what stands around every page. That it can be read is known before anything runs: it is part of the program.
func loadFrame(d *Door) *template.Template {
	funcs := template.FuncMap{"asset": d.Asset, "sentence": Sentence, "number": number, "page": withPage}
	return template.Must(template.New("frame.html").Funcs(funcs).ParseFS(templates, "templates/frame.html"))
}

// frame is what stands around a page.
type frame struct {
	Site    string
	User    string // empty: nobody is signed in
	Admin   bool
	App     string // the app that began the session; empty: the user did
	CSRF    string
	Logout  string // where the sign-out form goes; empty if the embedder's site does that
	HasHome bool
	Pushes  bool // there are deliveries for administrators to see
}

func (d *Door) frameOf(c site.Caller) frame {
	f := frame{Site: d.Settings().Title, HasHome: d.cfg.HasHome, Pushes: d.cfg.Pushes}
	if !c.SignedIn() || c.Key != 0 {
		return f
	}
	f.User, f.Admin, f.CSRF = c.User.Username, c.User.Admin && c.Session.App == "", c.Session.CSRF
	if c.Session.App != "" {
		f.App = ShownName(c.Session.App)
	}
	if d.accounts != nil {
		f.Logout = logoutPath
	}
	return f
}

// view is one page: what stands around it, and the value that its template shows.
type view struct {
	frame
	Page any
}

// withPage is v with another page in it, for a part that several pages have.
func withPage(v view, page any) view {
	v.Page = page
	return v
}

// A Page shows a T by the template of its name, so that a template cannot be handed the wrong value.
type Page[T any] struct {
	door     *Door
	name     string
	template *template.Template
}

// NewPage makes a page of the file templates/name.html in files, which defines "title" and "main", and of the parts that it
// uses. It panics if they cannot be read, because they are part of the program.
func NewPage[T any](d *Door, files fs.FS, name string, parts ...string) Page[T] {
	t := template.Must(d.frame.Clone())
	for _, part := range append(parts, name) {
		t = template.Must(t.ParseFS(files, "templates/"+part+".html"))
	}
	return Page[T]{d, name, t}
}

// Show answers c with the page of value.
func (p Page[T]) Show(w http.ResponseWriter, c site.Caller, status int, value T) error {
	return p.show(w, status, view{p.door.frameOf(c), value})
}

// show renders a page whole before it sends the first byte.
func (p Page[T]) show(w http.ResponseWriter, status int, v view) error {
	var b bytes.Buffer
	if err := p.template.Execute(&b, v); err != nil {
		return fmt.Errorf("page %s: %w", p.name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}
