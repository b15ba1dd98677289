package testkit

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Answer is an HTTP answer that was read to its end.
type Answer struct {
	*http.Response
	Body string
}

// Must fails the test unless the answer has this status, and every text of
// must in its body.
func (a Answer) Must(t testing.TB, status int, must ...string) Answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d; body: %.500s",
			a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.Body)
	}
	for _, m := range must {
		if !strings.Contains(a.Body, m) {
			t.Errorf("%s %s: the answer lacks %q: %.2000s", a.Request.Method, a.Request.URL.Path, m, a.Body)
		}
	}
	return a
}

// MustNot fails the test if the body or a header has one of the texts.
func (a Answer) MustNot(t testing.TB, texts ...string) Answer {
	t.Helper()
	var headers strings.Builder
	_ = a.Header.Write(&headers) // to memory
	for _, m := range texts {
		if strings.Contains(a.Body, m) || strings.Contains(headers.String(), m) {
			t.Errorf("%s %s: the answer has %q", a.Request.Method, a.Request.URL.Path, m)
		}
	}
	return a
}

// Person is somebody at a browser: it keeps cookies, sends what browsers send
// with forms, and follows no redirect by itself.
type Person struct {
	Site *Site
	Name string
	HTTP *http.Client
	t    testing.TB
}

// Visitor is a person who is not signed in.
func (s *Site) Visitor() *Person {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &Person{Site: s, t: s.t, HTTP: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Person is the user of that name, signed in at a browser of their own.
func (s *Site) Person(name string) *Person {
	s.t.Helper()
	p := s.Visitor()
	p.Name = name
	p.Login(name, Password).Must(s.t, http.StatusSeeOther)
	return p
}

// Do sends a request and reads the answer.
func (p *Person) Do(r *http.Request) Answer {
	p.t.Helper()
	a, err := p.Try(r)
	if err != nil {
		p.t.Fatal(err)
	}
	checkOpenAPI(p.t, a)
	return a
}

// Try is [Person.Do] for a server that may be gone.
func (p *Person) Try(r *http.Request) (Answer, error) {
	res, err := p.HTTP.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Answer{Response: res, Body: string(body)}, err
}

// Request makes a request to a path of the site, or to a whole address.
func (p *Person) Request(method, path, body string) *http.Request {
	p.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = p.Site.URL + path
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// Get opens a page.
func (p *Person) Get(path string) Answer { return p.Do(p.Request("GET", path, "")) }

// Post submits a form as a page of the site itself does.
func (p *Person) Post(path string, form url.Values) Answer {
	p.t.Helper()
	return p.Do(p.form(path, form))
}

func (p *Person) form(path string, form url.Values) *http.Request {
	p.t.Helper()
	r := p.Request("POST", path, form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.Site.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// Login signs in on the login page.
func (p *Person) Login(name, password string) Answer {
	return p.Post("/user-api-key/login", url.Values{"username": {name}, "password": {password}})
}

// Submit sends the form of the page whose action is path, as it stands, with
// the given changes.
func (p *Person) Submit(page Answer, path string, change ...string) Answer {
	p.t.Helper()
	form, ok := formOf(page.Body, path)
	if !ok {
		p.t.Fatalf("the page has no form for %s: %.1000s", path, page.Body)
	}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return p.Post(path, form)
}

// Follow loads the page of the site that a is a redirect to, and loads it again: a page that ends something may be
// reloaded.
func (p *Person) Follow(a Answer) Answer {
	p.t.Helper()
	to := a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || to == "" {
		p.t.Fatalf("%d %s: no redirect to a page: %.300s", a.StatusCode, to, a.Body)
	}
	page := p.Get(to)
	if again := p.Get(to); again.StatusCode != page.StatusCode {
		p.t.Errorf("GET %s: %d, and %d when it is loaded again", to, page.StatusCode, again.StatusCode)
	}
	return page
}

// formOf reads the fields of the first form with that action.
func formOf(page, action string) (url.Values, bool) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, false
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attribute(n, "action") == action {
			form := url.Values{}
			for c := range n.Descendants() {
				if name := attribute(c, "name"); c.Type == html.ElementNode && c.Data == "input" && name != "" {
					form.Add(name, attribute(c, "value"))
				}
			}
			return form, true
		}
	}
	return nil, false
}

// Text is the text of the element with that id.
func (a Answer) Text(id string) (string, bool) {
	root, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		return "", false
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && attribute(n, "id") == id {
			var text strings.Builder
			for c := range n.Descendants() {
				if c.Type == html.TextNode {
					text.WriteString(c.Data)
				}
			}
			return text.String(), true
		}
	}
	return "", false
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
