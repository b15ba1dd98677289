package demo_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"userkeys/internal/demo"
)

// person is a browser with its cookies.
type person struct {
	t  *testing.T
	hc *http.Client
}

func newPerson(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, &http.Client{Jar: jar}}
}

func (p *person) do(req *http.Request, err error) (string, *http.Response) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.hc.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body), resp
}

func (p *person) open(address string) (string, *http.Response) {
	p.t.Helper()
	return p.do(http.NewRequestWithContext(p.t.Context(), "GET", address, nil))
}

// press submits a form of the page at origin.
func (p *person) press(origin, path string, fields url.Values) (string, *http.Response) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", origin+path, strings.NewReader(fields.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", formType)
		req.Header.Set("Origin", origin)
	}
	return p.do(req, err)
}

var hiddenField = regexp.MustCompile(`<input type="(?:hidden|checkbox)" name="([^"]+)" value="([^"]*)"(?: checked)?>`)

// hidden reads the hidden fields of the form that posts to action.
func hidden(t *testing.T, page, action string) url.Values {
	t.Helper()
	_, form, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		t.Fatalf("no form for %s in:\n%s", action, page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	fields := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(form, -1) {
		fields.Set(m[1], strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[2]))
	}
	return fields
}

// connect goes from the app's button to its page of news.
func (p *person) connect(app, site string) string {
	p.t.Helper()
	page, _ := p.press(app, "/connect", nil)
	fields := hidden(p.t, page, "/sign-in")
	fields.Set("username", "alice")
	fields.Set("password", rightPassword)
	page, _ = p.press(site, "/sign-in", fields)
	page, resp := p.press(site, "/user-api-key", hidden(p.t, page, "/user-api-key"))
	if got := resp.Request.URL.String(); got != app+"/" {
		p.t.Fatalf("the approval ends at %s:\n%s", got, page)
	}
	return page
}

func TestNotifierFromButtonToDisconnect(t *testing.T) {
	t.Parallel()
	site := startSite(t, nil)
	app := startNotifier(t, site)
	p := newPerson(t)
	page, resp := p.open(app)
	if !strings.Contains(page, "Connect to The Noticeboard") || strings.Contains(page, "<script") {
		t.Fatalf("the first page is %s", page)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+site) {
		t.Errorf("the connect form could not lead to the site: %s", csp)
	}
	page = p.connect(app, site)
	want := func(page string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(page, text) {
				t.Errorf("the page lacks %q:\n%s", text, page)
			}
		}
	}
	want(page, "<strong>alice</strong>", "<strong>2</strong> unread notifications", "<strong>1</strong> unread messages",
		"read your notifications and mark them as read", "Tomatoes to give away")
	if showsKey(page) {
		t.Error("the page shows the key")
	}
	page, _ = p.press(app, "/mark-read", nil)
	want(page, "<strong>0</strong> unread notifications", "marked as read")
	page, _ = p.press(app, "/try", nil)
	want(page, "the site said", "403 invalid_access")
	page, _ = p.press(app, "/disconnect", nil)
	want(page, "The key has revoked itself", "Connect to The Noticeboard")
	apps, _ := p.open(site + "/my/apps?show=ended")
	want(apps, "Notifier", "the app itself gave its key back")
}

func TestNotifierNoticesThatItsKeyWasRevoked(t *testing.T) {
	t.Parallel()
	site := startSite(t, nil)
	app := startNotifier(t, site)
	p := newPerson(t)
	p.connect(app, site)
	apps, _ := p.open(site + "/my/apps")
	p.press(site, "/user-api-key/revoke", hidden(t, apps, "/user-api-key/revoke"))
	page, _ := p.open(app)
	if !strings.Contains(page, "no longer takes the key") || !strings.Contains(page, "Connect to The Noticeboard") {
		t.Errorf("the app shows %s", page)
	}
}

func TestNotifierKeepsItsKeyWhenTheLimitIsHit(t *testing.T) {
	t.Parallel()
	site := startSite(t, nil)
	app := startNotifier(t, site)
	p := newPerson(t)
	page := p.connect(app, site)
	for range 20 {
		if page, _ = p.open(app); strings.Contains(page, "429 Too Many Requests") {
			break
		}
	}
	if !strings.Contains(page, "429 Too Many Requests") || !strings.Contains(page, "Disconnect") {
		t.Errorf("after many calls the app shows %s", page)
	}
}

func TestNotifierRefusesAnswersItDidNotAskFor(t *testing.T) {
	t.Parallel()
	site := startSite(t, nil)
	app := startNotifier(t, site)

	stranger := newPerson(t)
	if _, resp := stranger.open(app + "/callback?payload=AAAA"); resp.StatusCode != 400 {
		t.Errorf("a browser that asked for nothing was answered %d", resp.StatusCode)
	}
	p := newPerson(t)
	p.press(app, "/connect", nil)
	if page, resp := p.open(app + "/callback?payload=AAAA"); resp.StatusCode != 400 || !strings.Contains(page, "was cut off") {
		t.Errorf("a payload that is none was answered %d", resp.StatusCode)
	}
	// PK30: another browser's answer, sealed to another key pair, is of no use here.
	mallory := newPerson(t)
	var stolen string
	mallory.hc.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/callback" {
			stolen = req.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, _ := mallory.press(app, "/connect", nil)
	fields := hidden(t, page, "/sign-in")
	fields.Set("username", "alice")
	fields.Set("password", rightPassword)
	page, _ = mallory.press(site, "/sign-in", fields)
	mallory.press(site, "/user-api-key", hidden(t, page, "/user-api-key"))
	if stolen == "" {
		t.Fatal("no answer came")
	}
	if _, resp := p.open(stolen); resp.StatusCode != 400 {
		t.Errorf("another browser's answer was taken: %d", resp.StatusCode)
	}
}

func TestNotifierProtectsItsVisitors(t *testing.T) {
	t.Parallel()
	site := startSite(t, nil)
	app := startNotifier(t, site)
	p := newPerson(t)
	p.connect(app, site)
	req, err := http.NewRequestWithContext(t.Context(), "POST", app+"/disconnect", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if _, resp := p.do(req, nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form was answered %d", resp.StatusCode)
	}
	req, err = http.NewRequestWithContext(t.Context(), "GET", app+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	if _, resp := p.do(req, nil); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a name pointed here was answered %d", resp.StatusCode)
	}
	for _, c := range p.hc.Jar.Cookies(mustParse(t, app)) {
		if c.Name == "notifier_visit" && len(c.Value) != 32 {
			t.Errorf("the cookie's value is %q", c.Value)
		}
	}
}

func TestNewNotifierPanicsOnAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("NewNotifier took ftp://")
		}
	}()
	demo.NewNotifier(demo.NotifierConfig{SiteURL: "ftp://x", URL: "http://127.0.0.1:1"})
}
