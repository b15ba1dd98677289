package discourse

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Browser is a person at a browser. Its methods return errors and do not fail
// the test, since apps open browsers from goroutines of their own.
type Browser struct {
	s    *Site
	http *http.Client
}

// Browser opens a browser in which a user is signed in; nobody if name is
// empty. Every browser has cookies of its own.
func (s *Site) Browser(name string) *Browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatalf("discourse: %v", err)
	}
	b := &Browser{s, &http.Client{
		Jar: jar, Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if name == "" {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	if u == nil {
		s.t.Fatalf("discourse: there is no user %q", name)
	}
	token := randomHex(16)
	s.logins[token] = u
	site, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatalf("discourse: %v", err)
	}
	jar.SetCookies(site, []*http.Cookie{{Name: loginCookie, Value: token, Path: "/"}})
	return b
}

// Page is what a browser shows.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// Open opens an address, which may be without the site, and follows
// redirects for as long as they stay on the site.
func (b *Browser) Open(address string) (Page, error) {
	return b.follow(b.send(http.MethodGet, address, nil))
}

// SignIn signs in on the login page and goes on to where the person wanted to be.
func (b *Browser) SignIn(name string) (Page, error) {
	p, err := b.Open("/login")
	if err != nil {
		return p, err
	}
	return b.follow(b.submit(p, "Log In", url.Values{"login": {name}, "password": {Password}}))
}

// Approve opens a consent page and agrees. It returns where the answer was
// sent, after following it if that is an app on this machine (http and
// 127.0.0.1), or the payload that the page shows for carrying it by hand.
func (b *Browser) Approve(address string) (string, error) {
	p, err := b.Open(address)
	if err != nil {
		return "", err
	}
	p, err = b.submit(p, "Authorize", nil)
	if err != nil {
		return "", err
	}
	if to := p.Header.Get("Location"); to != "" {
		return to, b.visitApp(to)
	}
	m := shownPayload.FindStringSubmatch(p.Body)
	if m == nil {
		return "", p.problem("shows no payload")
	}
	return html.UnescapeString(m[1]), nil
}

// Activate opens the page where codes are typed, types one and agrees.
func (b *Browser) Activate(verificationURI, code string) error {
	p, err := b.typeCode(verificationURI, code)
	if err != nil {
		return err
	}
	if !strings.Contains(p.Body, completed) {
		if p, err = b.submit(p, "Authorize", nil); err != nil {
			return err
		}
	}
	if !strings.Contains(p.Body, completed) {
		return p.problem("did not authorize the device")
	}
	return nil
}

// DenyCode types a code and refuses. A link that carries its request must be
// cut to its path first: only a code that was typed can be refused.
func (b *Browser) DenyCode(verificationURI, code string) error {
	bare, _, _ := strings.Cut(verificationURI, "?")
	p, err := b.typeCode(bare, code)
	if err != nil {
		return err
	}
	if p, err = b.submit(p, "Deny", nil); err != nil {
		return err
	}
	if !strings.Contains(p.Body, completed) {
		return p.problem("did not deny the device")
	}
	return nil
}

func (b *Browser) typeCode(address, code string) (Page, error) {
	p, err := b.Open(address)
	if err != nil {
		return p, err
	}
	return b.submit(p, "Continue", url.Values{"code": {code}})
}

// visitApp does what a browser does with the answer: open it, if an app listens on this machine.
func (b *Browser) visitApp(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" {
		return nil // a browser leaves other addresses to the system
	}
	app := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := app.Get(address)
	if err != nil {
		return fmt.Errorf("the browser could not open the app's address: %v", err)
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

const completed = `<p class="complete">`

// The site's own pages are regular enough for these.
var (
	shownPayload = regexp.MustCompile(`<code id="user-api-key-payload">([^<]*)</code>`)
	shownProblem = regexp.MustCompile(`<p class="problem">([^<]*)</p>`)
	oneForm      = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)">(.*?)<button>([^<]*)</button>`)
	oneField     = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// problem is an error that tells what the page shows instead.
func (p Page) problem(what string) error {
	why := p.Body
	if m := shownProblem.FindStringSubmatch(p.Body); m != nil {
		why = html.UnescapeString(m[1])
	}
	return fmt.Errorf("the page %s %s: status %d: %.300s", p.URL, what, p.Status, why)
}

// A pageForm is where a form goes and what it sends.
type pageForm struct {
	action string
	fields url.Values
}

// form finds the form whose button says something.
func (p Page) form(button string) (pageForm, error) {
	for _, m := range oneForm.FindAllStringSubmatch(p.Body, -1) {
		if m[3] != button {
			continue
		}
		f := pageForm{html.UnescapeString(m[1]), make(url.Values)}
		for _, in := range oneField.FindAllStringSubmatch(m[2], -1) {
			f.fields.Set(html.UnescapeString(in[1]), html.UnescapeString(in[2]))
		}
		return f, nil
	}
	return pageForm{}, p.problem("has no button " + button)
}

// submit fills in a form of the page and presses its button.
func (b *Browser) submit(p Page, button string, fill url.Values) (Page, error) {
	f, err := p.form(button)
	if err != nil {
		return p, err
	}
	for name, values := range fill {
		f.fields[name] = values
	}
	return b.send(http.MethodPost, f.action, f.fields)
}

// send makes one request as browsers do.
func (b *Browser) send(method, address string, fields url.Values) (Page, error) {
	if strings.HasPrefix(address, "/") {
		address = b.s.URL + address
	}
	req, err := http.NewRequest(method, address, strings.NewReader(fields.Encode()))
	if err != nil {
		return Page{}, err
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	req.Header.Set(browserHeader, "1")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.s.URL)
	}
	res, err := b.http.Do(req)
	if err != nil {
		return Page{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Page{address, res.StatusCode, res.Header, string(body)}, err
}

// follow goes on to where a page redirects to, on this site.
func (b *Browser) follow(p Page, err error) (Page, error) {
	for range 10 {
		if err != nil || p.Status != http.StatusFound {
			return p, err
		}
		to := p.Header.Get("Location")
		if !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, b.s.URL+"/") {
			return p, nil
		}
		p, err = b.send(http.MethodGet, to, nil)
	}
	return p, errors.New("the site redirects in circles")
}
