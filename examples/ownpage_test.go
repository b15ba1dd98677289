package examples_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
)

// newNotebook is the website of the example ownpage, with userkeys before it.
func newNotebook(t *testing.T) *testkit.Site {
	t.Helper()
	address := nettest.ReserveAddress(t)
	s := newSite(t, testkit.Behind("http://"+address))
	s.User("anna")
	s.User("ben")
	s.Set("user_api_key_consent_page", "/allow")
	s.Set("max_admin_api_reqs_per_minute", "1000")
	p := start(t, "ownpage", []string{
		"OWNPAGE_SITE=" + s.URL, "OWNPAGE_KEY=" + s.Program("", site.AdminGrant).Key.Reveal(), "OWNPAGE_PASSWORD=open sesame",
		"OWNPAGE_LISTEN=" + address,
	})
	eventually(t, func() error {
		select {
		case <-p.ended:
			t.Fatalf("it ended: %s", p.said())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return s
}

// TestOwnPage plays an app, from the website's own sign-in over its own question to the button that revokes: no page of
// userkeys is seen, and there is no second password.
func TestOwnPage(t *testing.T) {
	t.Parallel()
	s := newNotebook(t)
	app := s.App("reader", "read,session_info").With("auth_redirect", "http://127.0.0.1:7777/back")
	anna := s.Visitor()
	follow := func(a testkit.Answer, to string) testkit.Answer {
		t.Helper()
		if got := a.Header.Get("Location"); !strings.HasPrefix(got, to) {
			t.Fatalf("%d leads to %q, want %q: %.500s", a.StatusCode, got, to, a.Body)
		}
		return anna.Get(a.Header.Get("Location"))
	}
	login := follow(follow(app.Ask(anna), "/allow?"), "/enter?to=").Must(t, 200, "Come in")
	anna.Submit(login, "/enter", "name", "anna", "password", "wrong").Must(t, http.StatusForbidden)
	question := follow(anna.Submit(login, "/enter", "name", "anna", "password", "open sesame"), "/allow?")
	question.Must(t, 200, "127.0.0.1:7777 wants", "App reader", "<strong>anna</strong>")
	form, _ := question.Form("/allow")
	back := anna.Post("/allow", url.Values{"id": form["id"], "scope": {"read"}, "answer": {"yes"}}).Must(t, http.StatusFound)
	to, err := url.Parse(back.Header.Get("Location"))
	if err != nil || to.Host != "127.0.0.1:7777" {
		t.Fatalf("%v, %v", to, err)
	}
	payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, to.Query().Get("payload"))
	if err != nil {
		t.Fatal(err)
	}
	app.Key = payload.Key
	app.Call("GET", "/notes").Must(t, 200, "notes of anna")
	app.Call("GET", "/notes", "X-Userkeys-Username", "ben").Must(t, 200, "notes of anna")
	if k := s.Keys()[0]; k.Scopes.String() != "read" {
		t.Errorf("anna left read only, and the key has %s", k.Scopes)
	}
	anna.Get("/notes").Must(t, 200, "notes of nobody")

	list := anna.Get("/apps").Must(t, 200, "App reader", "Take back")
	anna.Submit(list, "/apps").Must(t, http.StatusSeeOther)
	if a := app.Call("GET", "/notes"); !a.IsRefused() {
		t.Errorf("the key works after it was taken back: %d %s", a.StatusCode, a.Body)
	}
	anna.Get("/apps").Must(t, 200, "No app may use your notebook")
}

// TestOwnPageRefuses: a no, a question of another user, and a form of another website give nothing.
func TestOwnPageRefuses(t *testing.T) {
	t.Parallel()
	s := newNotebook(t)
	app := s.App("reader", "read").With("auth_redirect", "http://127.0.0.1:7777/back")
	in := func(name string) *testkit.Person {
		p := s.Visitor()
		p.Post("/enter", url.Values{"name": {name}, "password": {"open sesame"}, "to": {"https://evil.example/"}}).Must(t, http.StatusSeeOther)
		return p
	}
	anna, ben := in("anna"), in("ben")
	ask := func() url.Values {
		form, ok := anna.Get(strings.Replace(app.Path(), "/user-api-key/new", "/allow", 1)).Must(t, 200).Form("/allow")
		if !ok {
			t.Fatal("there is no question")
		}
		return url.Values{"id": form["id"], "scope": {"read"}, "answer": {"yes"}}
	}
	yes := ask()
	ben.Post("/allow", yes).Must(t, http.StatusForbidden, "answered already")
	foreign := anna.Request("POST", "/allow", yes.Encode())
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	anna.Do(foreign).Must(t, http.StatusForbidden)
	no := ask()
	no.Set("answer", "no")
	a := anna.Post("/allow", no).Must(t, http.StatusFound)
	if to := a.Header.Get("Location"); to != "http://127.0.0.1:7777/back?error=access_denied" {
		t.Errorf("a no leads to %q", to)
	}
	// What is wrong with a request is said before anybody is asked.
	app.With("auth_redirect", "https://evil.example/").Ask(anna).Must(t, 200, "No key for this app")
	if n := len(s.Keys()); n != 0 {
		t.Errorf("%d keys were given", n)
	}
}
