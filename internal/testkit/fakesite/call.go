package fakesite

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// A call is one request of a test. The zero value is a GET by nobody in a browser.
type Call struct {
	Method, Path string
	As           string // who is signed in
	Key          string // User-Api-Key, or the name of one that [KeyText] gives
	AdminKey     string // Api-Key
	Acts         string // Api-Username
	Twice        string // a header that is there twice
	// Form is the body. The session's token is added unless NoToken is set. The id "consent-1" stands for that of the
	// first consent record that a page of the site had, and so on.
	Form    map[string]string
	Body    string
	Header  map[string]string
	NoToken bool
}

// Answer is what came back.
type Answer struct {
	*http.Response
	Text string
}

// Do makes a call, and holds what must be so for every answer of every test.
func (f *Site) Do(c Call) Answer {
	f.T.Helper()
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	r := httptest.NewRequest(c.Method, c.Path, strings.NewReader(f.body(c)))
	r.Host = "site.example"
	if host := c.Header["Host"]; host != "" {
		r.Host = host
	}
	if c.Form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.As != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: c.As})
	}
	if c.Key != "" {
		r.Header.Set(userkeys.KeyHeader, c.Key)
	} else if c.Method == http.MethodPost {
		r.Header.Set("Origin", "https://site.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if c.AdminKey != "" {
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set(site.AdminKeyHeader, c.AdminKey)
	}
	if c.Acts != "" {
		r.Header.Set(site.AdminUsernameHeader, c.Acts)
	}
	c.setHeader(r.Header)
	if key := r.Header.Get(userkeys.KeyHeader); key != "" {
		r.Header.Set(userkeys.KeyHeader, KeyText(key))
	}
	if c.Twice != "" {
		r.Header.Add(c.Twice, r.Header.Get(c.Twice))
	}
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, r)
	a := Answer{w.Result(), w.Body.String()}
	f.CheckAnswer(c, a)
	if m := askedID.FindStringSubmatch(a.Text); m != nil {
		f.questions = append(f.questions, m[1]+m[2])
	}
	return a
}

// body is the body of a call: its form, with the tokens that it needs, or its text.
func (f *Site) body(c Call) string {
	if c.Form == nil {
		return c.Body
	}
	fields := url.Values{}
	for name, value := range c.Form {
		fields.Set(name, f.question(value))
	}
	if _, given := c.Form[input.TokenField]; !given && !c.NoToken && c.As != "" {
		fields.Set(input.TokenField, "token-of-"+c.As)
		if _, given := c.Form[door.OnceField]; !given {
			fields.Set(door.OnceField, door.NewForm(Now))
		}
	}
	return fields.Encode()
}

// setHeader sets the headers of a call. An empty value removes a header.
func (c Call) setHeader(h http.Header) {
	for name, value := range c.Header {
		if h.Set(name, value); value == "" {
			h.Del(name)
		}
	}
}

// askedID finds the id of a consent record in a consent page, or in its JSON.
var askedID = regexp.MustCompile(`(?s)id="approve-form".*?name="id" value="([^"]+)"|"consent_id":"([^"]+)"`)

// question is the id of the consent record that a test calls by name; other texts stay as they are.
func (f *Site) question(name string) string {
	for i, id := range f.questions {
		if name == fmt.Sprintf("consent-%d", i+1) {
			return id
		}
	}
	return name
}

// Asked is how many consent records pages of the site had.
func (f *Site) Asked() int { return len(f.questions) }

// CheckAnswer holds what must be so for every answer.
func (f *Site) CheckAnswer(c Call, a Answer) {
	f.T.Helper()
	if len(a.Text) > 128<<10 {
		f.T.Errorf("%s %s: the answer has %d bytes", c.Method, c.Path, len(a.Text))
	}
	if a.Header.Get("X-Request-Id") == "" && c.Key == "" {
		f.T.Errorf("%s %s: no request id", c.Method, c.Path)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		return
	}
	testkit.CheckPage(f.T, c.Method+" "+c.Path, a.Header)
	testkit.CheckHTML(f.T, c.Method+" "+c.Path, a.Text)
}

// Must holds that an answer has a status and texts.
func (a Answer) Must(t *testing.T, status int, texts ...string) Answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d; body %s", a.StatusCode, status, userkeys.Shorten(a.Text, 2000))
	}
	for _, text := range texts {
		if !strings.Contains(a.Text, text) {
			t.Errorf("the answer lacks %q: %s", text, userkeys.Shorten(a.Text, 4000))
		}
	}
	return a
}

// MustNot holds that none of texts is in an answer or its headers.
func (a Answer) MustNot(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.Text, text) {
			t.Errorf("the answer has %q: %s", text, userkeys.Shorten(a.Text, 4000))
		}
		for name, values := range a.Header {
			if strings.Contains(strings.Join(values, "\n"), text) {
				t.Errorf("the header %s has %q", name, text)
			}
		}
	}
}

// Aliased is a text with the names that tests have for consent records and admin API keys in place of what is random.
func (f *Site) Aliased(text string) string {
	for i, id := range f.questions {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("consent-%d", i+1))
	}
	return madeKey.ReplaceAllString(text, "${1}newkey")
}

var madeKey = regexp.MustCompile(`(<code id="user-api-key-payload">)[0-9a-f]{64}`)
