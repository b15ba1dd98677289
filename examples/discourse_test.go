package examples_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"userkeys/client"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/discourse"
)

// newDiscourse is a Discourse site with alice and bob, quick polls, and no limits that tests would run into.
func newDiscourse(t *testing.T, era discourse.Era) *discourse.Site {
	t.Helper()
	s := discourse.Start(t, era)
	s.AddUser(discourse.User{Name: "alice"})
	s.AddUser(discourse.User{Name: "bob"})
	s.Set("user_api_key_device_poll_interval", "1")
	s.Set("max_user_api_reqs_per_minute", "10000")
	s.Set("max_user_api_reqs_per_day", "100000")
	return s
}

// typeCodeAt has alice type the code that a program shows.
func typeCodeAt(t *testing.T, s *discourse.Site, p *program) {
	t.Helper()
	address, code := p.says(`[Oo]pen (\S+) and type`), p.says(`type ([A-Z0-9]{4}-[A-Z0-9]{4})`)
	if err := s.Browser("alice").Activate(address, code); err != nil {
		t.Fatal(err)
	}
}

// good tells which of the site's keys, oldest first, are still good.
func good(s *discourse.Site) (out []bool) {
	for _, k := range s.Keys() {
		out = append(out, k.Good(s.Clock.Now()))
	}
	return out
}

func mustBeGood(t *testing.T, s *discourse.Site, want ...bool) {
	t.Helper()
	if got := good(s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("of the keys are good: %v, want %v", got, want)
	}
}

// holds tells whether a text has one of the site's keys.
func holds(s *discourse.Site, text string) bool {
	for _, k := range s.Keys() {
		if strings.Contains(text, k.Key.Reveal()) {
			return true
		}
	}
	return false
}

// firewall makes something before the site refuse the next calls: with the 403 of a dead key, but not in the site's name.
func firewall(s *discourse.Site, method string, times int) {
	s.Fail(discourse.Fault{
		Method: method, Times: times, Status: http.StatusForbidden,
		Header: http.Header{"Content-Type": {"text/html"}}, Body: "<h1>403 Forbidden</h1>",
	})
}

func TestNotifierOnDiscourse(t *testing.T) {
	t.Parallel()
	s, d := newDiscourse(t, discourse.New), newMachine(t)
	login := []string{"--flow", "device", "--every", "20ms", s.URL}
	p := start(t, "notifier", d.env, login...)
	typeCodeAt(t, s, p)
	p.says("Watching " + s.URL)
	shown := "Notifier 1 new on " + s.URL + "\n"
	s.Notify("bob", discourse.Notification{Title: "Not hers"})
	s.Notify("alice", discourse.Notification{Title: "A title", From: "bob"})
	d.shows(shown)

	firewall(s, http.MethodGet, 6)
	p.says("403")
	s.Notify("alice", discourse.Notification{Title: "Another title", From: "bob"})
	d.shows(shown + "Notifier 2 new on " + s.URL + "\n") // it went on
	if !holds(s, d.read(d.file)) {
		t.Error("the key is not kept")
	}
	s.Revoke(s.Keys()[0].ID)
	p.must(1, "no longer takes the key")
	if holds(s, d.read(d.file)) || holds(s, p.said()) {
		t.Error("a dead key is kept, or was printed")
	}

	p = start(t, "notifier", d.env, login...)
	typeCodeAt(t, s, p)
	p.says("Watching")
	mustBeGood(t, s, true) // the same installation: the new key is in the old one's place
	firewall(s, http.MethodPost, 1)
	run(t, "notifier", d.env, "--logout").must(1, "the key stays", "403")
	if !holds(s, d.read(d.file)) {
		t.Error("the key is forgotten, and still good")
	}
	run(t, "notifier", d.env, "--logout").must(0)
	mustBeGood(t, s, false)
	if holds(s, d.read(d.file)) {
		t.Error("the key is still kept")
	}
	p.must(1, "no longer takes the key")
	d.keep(s.URL, s.Keys()[0].Key.Reveal(), 0o600)
	run(t, "notifier", d.env, "--logout").must(0) // it had ended before
}

func TestCIOnDiscourse(t *testing.T) {
	t.Parallel()
	const message = "Build 17 is green: everything passed."
	s := newDiscourse(t, discourse.New)
	bob := &client.Credential{Site: s.URL, Key: s.Mint("bob", "write")}
	form := url.Values{"title": {"What the builds come to"}, "raw": {"One reply to each build, from now on."}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/posts.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var begun struct {
		ID int64 `json:"topic_id"`
	}
	if err := client.Do(bob.Client(nil), req, &begun); err != nil {
		t.Fatal(err)
	}
	env := []string{"USERKEYS_SITE=" + s.URL, fmt.Sprintf("USERKEYS_TOPIC=%d", begun.ID)}

	p := start(t, "ci", env, message)
	typeCodeAt(t, s, p)
	p.must(0, "posted")
	mustBeGood(t, s, true, false) // bob's, and that of the run
	if k := s.Keys()[1]; k.User != "alice" || k.ExpiresAt.IsZero() || holds(s, p.said()) {
		t.Errorf("the key is %s's and has no end, or was printed", k.User)
	}
	var topic struct {
		Stream struct {
			Posts []struct{ Username, Raw string } `json:"posts"`
		} `json:"post_stream"`
	}
	if err := bob.Get(t.Context(), nil, fmt.Sprintf("/t/%d.json", begun.ID), &topic); err != nil {
		t.Fatal(err)
	}
	if posts := topic.Stream.Posts; len(posts) != 2 || posts[1].Username != "alice" || posts[1].Raw != message {
		t.Errorf("in the topic is %+v", posts)
	}

	dead := s.Keys()[1].Key
	for _, tt := range []struct {
		key, message string
		code         int
		says         string
	}{
		{bob.Key.Reveal(), message, 0, "posted"},
		{bob.Key.Reveal(), "too short", 1, "422"},
		{dead.Reveal(), message, 3, "403"},
		{s.Mint("alice", "read").Reveal(), message, 1, "403"}, // Discourse does not say which scope, nor does the key
	} {
		run(t, "ci", append(env, "USERKEYS_KEY="+tt.key), tt.message).must(tt.code, tt.says)
	}
	s.Set("max_user_api_reqs_per_day", "1")
	run(t, "ci", append(env, "USERKEYS_KEY="+bob.Key.Reveal()), message).must(5, "429")
}

func TestWebappOnDiscourse(t *testing.T) {
	t.Parallel()
	for _, era := range []discourse.Era{discourse.Middle, discourse.New} { // the oldest has no totals
		t.Run(string(era), func(t *testing.T) {
			t.Parallel()
			a, s := newWebapp(t, "yes"), newDiscourse(t, era)
			s.Set("allowed_user_api_auth_redirects", a.url+"/callback?*")
			s.Notify("alice", discourse.Notification{Title: "A title", From: "bob"})
			v := a.visitor(t)
			connect := func(name string) {
				t.Helper()
				address := v.Post("/connect", url.Values{"site": {s.URL}}).Must(t, 303).Header.Get("Location")
				to, err := s.Browser(name).Approve(address)
				if err != nil {
					t.Fatal(err)
				}
				v.Get(to).Must(t, 303)
			}
			connect("alice")
			v.Get("/").Must(t, 200, s.URL+": 1 notifications")
			connect("bob") // at another account there
			v.Get("/").Must(t, 200, s.URL+": 0 notifications")
			mustBeGood(t, s, false, true)
			if _, content := a.kept(t); holds(s, content) || holds(s, a.said()) {
				t.Error("a key can be read")
			}

			firewall(s, http.MethodPost, 1)
			v.Submit(v.Get("/"), "/disconnect").Must(t, 400, "403")
			v.Get("/").Must(t, 200, s.URL+": 0 notifications")
			v.Submit(v.Get("/"), "/disconnect").Must(t, 303)
			v.Get("/").Must(t, 200, "No site is connected")
			mustBeGood(t, s, false, false)

			connect("alice")
			s.Revoke(s.Keys()[len(s.Keys())-1].ID)
			v.Get("/").Must(t, 200, "no longer takes the key")
			v.Submit(v.Get("/"), "/disconnect").Must(t, 303)
			v.Get("/").Must(t, 200, "No site is connected")
		})
	}
}

func TestBrowserOnDiscourse(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("status of 404") // Discourse's pages name an icon, those of the stand-in do not
	s := newDiscourse(t, discourse.New)
	s.Notify("alice", discourse.Notification{TopicID: 1, PostNumber: 1, Title: "A <b>bold</b> title", From: "bob"})
	page := servePage(t, s.URL)
	s.Set("enable_cors", "true")
	s.Set("cors_origins", strings.TrimSuffix(page, "/"))
	s.Set("allowed_user_api_auth_redirects", page)
	b.Open(s.URL + "/login")
	await(b, `fetch("/session", {method: "POST", redirect: "manual", body: new URLSearchParams({
		login: "alice", password: "`+discourse.Password+`", authenticity_token: document.querySelector("[name=authenticity_token]").value,
	})})`)
	connect := func() {
		b.Open(page)
		ready(b, "connect")
		b.Press("#connect")
		b.Press("form[action='/user-api-key'] button")
		ready(b, "logout")
	}

	connect()
	if got := b.Text("#said") + b.Text("#list"); got != "You are alice.new: A <b>bold</b> title (bob)" {
		t.Errorf("the page says %q", got)
	}
	if holds(s, await(b, everything)) {
		t.Error("the page, or what the browser keeps, has the key")
	}
	b.Press("#logout")
	ready(b, "connect")
	if got := b.Text("#said"); !strings.HasPrefix(got, "Logged out.") {
		t.Errorf("the page says %q", got)
	}
	mustBeGood(t, s, false)

	b.Expect("status of 403")
	connect()
	firewall(s, http.MethodPost, 1)
	b.Expect("CORS policy") // which a firewall knows nothing of
	b.Expect("net::ERR_FAILED")
	b.Press("#logout")
	ready(b, "logout")
	if got := b.Text("#said"); !strings.Contains(got, "cannot be reached") {
		t.Errorf("the page says %q", got)
	}
	s.Revoke(s.Keys()[0].ID)
	b.Open(page)
	ready(b, "connect")
	if got := b.Text("#said"); !strings.Contains(got, "no longer takes the key") {
		t.Errorf("the page says %q", got)
	}
}
