package scenario_test

// A real browser: from the request to the app's answer, the apps page, the first administrator.

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
)

// pagesOf is a site with alice, bob and the administrator root, for browsers.
func pagesOf(t *testing.T) *testkit.Site {
	t.Helper()
	s := testkit.NewSite(t, dbtest.SQLite(t))
	s.User("alice")
	s.User("bob")
	s.User("root", testkit.Admin)
	return s
}

// signIn signs in on the login page that b shows, with the keyboard only.
func signIn(b *testkit.Browser, name, password string) {
	b.At("Sign in")
	b.TabTo("#username")
	b.Type(name + "\t" + password + "\r")
}

// proper checks what must hold on every page, wide and narrow.
func proper(t *testing.T, b *testkit.Browser) {
	t.Helper()
	at := b.Address()
	if n := testkit.Eval[int](b, `document.querySelectorAll("h1").length`); n != 1 {
		t.Errorf("%s has %d main headings", at, n)
	}
	if lang := testkit.Eval[string](b, `document.documentElement.lang`); lang != "en" {
		t.Errorf("%s does not tell its language: %q", at, lang)
	}
	if nameless := testkit.Eval[string](b, `[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
		.filter(e => ![...e.labels].some(l => l.textContent.trim())).map(e => e.outerHTML).join(" ")`); nameless != "" {
		t.Errorf("%s has fields without a label: %s", at, nameless)
	}
	if nameless := testkit.Eval[string](b, `[...document.querySelectorAll("a, button, summary")]
		.filter(e => !e.textContent.trim()).map(e => e.outerHTML).join(" ")`); nameless != "" {
		t.Errorf("%s has links or buttons without a name: %s", at, nameless)
	}
	if twice := testkit.Eval[string](b,
		`[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i).join(" ")`); twice != "" {
		t.Errorf("%s has ids twice: %s", at, twice)
	}
	if lost := testkit.Eval[string](b, `[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].flatMap(e =>
		((e.getAttribute("aria-describedby") ?? "") + " " + (e.getAttribute("aria-labelledby") ?? "")).split(" ")).filter(id => id && !document.getElementById(id)).join(" ")`); lost != "" {
		t.Errorf("%s refers to ids that are not there: %s", at, lost)
	}
	for _, width := range []int64{320, 1000} {
		b.Width(width)
		if over := testkit.Eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s is %d pixels too wide at %d", at, over, width)
		}
		if seen := testkit.Eval[int](b, `innerWidth`); seen != int(width) {
			t.Errorf("the window is %d wide, not %d", seen, width)
		}
	}
}

// program is an app's page at a loopback address, that sends its visitors on to a page elsewhere.
func program(t *testing.T, address string) (redirect string, got <-chan url.Values) {
	t.Helper()
	answers := make(chan url.Values, 10)
	end := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><h1>Connected</h1><textarea></textarea>`)
	}))
	t.Cleanup(end.Close)
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	first := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			answers <- r.URL.Query()
			http.Redirect(w, r, end.URL+"/connected", http.StatusFound)
		}
	})}}
	first.Start()
	t.Cleanup(first.Close)
	return "http://" + ln.Addr().String() + "/callback?state=a%20b", answers
}

// open decrypts the payload, as the app does, and calls with the key.
func open(t *testing.T, app *testkit.App, sealed string) {
	t.Helper()
	padding, err := userkeys.ParsePadding(app.Params.Get("padding"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := userkeys.OpenPayload(app.Private, padding, sealed)
	if err != nil {
		t.Fatalf("the answer %q: %v", sealed, err)
	}
	if payload.Nonce != app.Params.Get("nonce") {
		t.Errorf("the nonce came back as %q", payload.Nonce)
	}
	app.Key = payload.Key
	app.Call("GET", "/session/current.json").Must(t, http.StatusOK, `"username":"alice"`)
}

// The main path with the keyboard only: an app at an address of this machine
// gets its key, although its page sends the browser on to yet another one
// (Chromium applies form-action to every redirect after the form).
func TestChromiumFromAnonymousToALoopbackApp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, address string
		scripts       bool
	}{
		{"127.0.0.1", "127.0.0.1:0", true},
		{"RFC 8252 the IPv6 loopback", "[::1]:0", true},
		{"without JavaScript", "127.0.0.1:0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to, got := program(t, tt.address)
			b := testkit.Chromium(t)
			s := pagesOf(t)
			if !tt.scripts {
				b.NoScripts()
			}
			app := s.App("desktop", "read,session_info").With("auth_redirect", to, "padding", "oaep",
				"nonce", "a+b c%2F&d=\u00e9", "application_name", "Bob & Co. <b>\"Reader\"</b>")
			b.Open(s.URL + app.Path())
			proper(t, b)
			signIn(b, "alice", testkit.Password)
			b.At("Allow an app")
			here, err := url.Parse(b.Address())
			if err != nil || here.Query().Encode() != app.Params.Encode() {
				t.Errorf("the request came back as %q, %v", here, err)
			}
			if name := b.Text("#application-name"); name != app.Params.Get("application_name") {
				t.Errorf("the page calls the app %q", name)
			}
			proper(t, b)
			b.Until(`!document.getElementById("approve").disabled`)
			b.TabTo("#deny")
			b.TabTo("#approve")
			b.Type("\r")
			b.At("Connected")
			answer := <-got
			if answer.Get("state") != "a b" {
				t.Errorf("the app's own parameter came back as %q", answer.Get("state"))
			}
			open(t, app, answer.Get("payload"))
		})
	}
}

// The address of an app on the device: no program here opens it, but the
// browser must try to, with nothing before or after the payload.
func TestChromiumToACustomScheme(t *testing.T) {
	t.Parallel()
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			b := testkit.Chromium(t)
			b.Expect("Failed to launch 'discourse://auth_redirect?payload=") // as it must: there is no such app here
			s := pagesOf(t)
			if !scripts {
				b.NoScripts()
			}
			app := s.App("mobile", "read,session_info").With("auth_redirect", "discourse://auth_redirect")
			b.Open(s.URL + app.Path())
			signIn(b, "alice", testkit.Password)
			b.At("Allow an app")
			b.Press("#approve")
			to := b.Asked("discourse:")
			sealed, ok := strings.CutPrefix(to, "discourse://auth_redirect?payload=")
			if !ok {
				t.Fatalf("the browser was sent to %q", to)
			}
			sealed, err := url.QueryUnescape(sealed)
			if err != nil {
				t.Fatal(err)
			}
			open(t, app, sealed)
			if scripts {
				b.Until(`document.getElementById("sent").textContent.includes("go back to the app")`)
			}
		})
	}
}

// Without a redirect the payload is shown, and copied in one line.
func TestChromiumShowsThePayloadAndCopiesItInOneLine(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := pagesOf(t)
	editor, _ := program(t, "127.0.0.1:0")
	app := s.App("terminal", "session_info")
	b.Open(s.URL + app.Path())
	signIn(b, "alice", testkit.Password)
	b.At("Allow an app")
	b.Press("#approve")
	b.At("Copy this")
	proper(t, b)
	shown := b.Text("#user-api-key-payload")
	open(t, app, shown)
	b.TabTo("#copy-api-key-btn")
	b.Type(" ")
	b.Until(`document.getElementById("copied").textContent !== ""`)
	if said := b.Text("#copied"); said != "Copied." {
		t.Errorf("the page says %q", said)
	}
	b.Open(strings.Replace(editor, "/callback", "/other", 1))
	b.Open(editor)
	b.At("Connected")
	b.TabTo("textarea")
	b.Paste()
	pasted := testkit.Eval[string](b, `document.querySelector("textarea").value`)
	if pasted != strings.ReplaceAll(shown, "\n", "") || strings.ContainsAny(pasted, " \r\n") {
		t.Errorf("pasted %q, shown %q", pasted, shown)
	}
}

// An app's name is text that a stranger chose: the longest one on the smallest
// phone must not push out of sight that nobody has verified it.
func TestChromiumALongNameHidesNothing(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := pagesOf(t)
	b.Width(320)
	b.Open(s.URL + s.App("long", "session_info").With("application_name", strings.Repeat("W", 200)).Path())
	signIn(b, "alice", testkit.Password)
	b.At("Allow an app")
	for _, selector := range []string{
		"#destination", "h1", ".claimed .tag", "#scopes li", "#signed-in-as", "#deny",
		"#approve",
	} {
		seen := testkit.Eval[bool](b, fmt.Sprintf(`(e => {
			scrollTo(0, e.getBoundingClientRect().top + scrollY - innerHeight / 2); // only the page: nothing in it scrolls for a reader
			const r = e.getBoundingClientRect();
			return r.height > 0 && r.right <= innerWidth && e.contains(document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2));
		})(document.querySelector(%q))`, selector))
		if !seen {
			t.Errorf("%s cannot be seen", selector)
		}
	}
}

// A user mistypes the password, is signed in as somebody else, and denies.
func TestChromiumWrongPasswordNotYouAndDeny(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("the server responded with a status of 403") // the wrong password
	s := pagesOf(t)
	to, got := program(t, "127.0.0.1:0")
	app := s.App("desktop", "write,session_info").With("auth_redirect", to, "padding", "oaep")
	s.Set("allow_user_api_key_scopes", "read|write|session_info")
	b.Open(s.URL + app.Path())
	signIn(b, "bob", "not the password")
	b.Until(`document.getElementById("login-error")`)
	proper(t, b)
	if name := testkit.Eval[string](b, `document.getElementById("username").value`); name != "bob" {
		t.Errorf("the name is lost: %q", name)
	}
	if focused := testkit.Eval[string](b, `document.activeElement.id`); focused != "password" {
		t.Errorf("the focus is on %q, not on the password", focused)
	}
	b.Type(testkit.Password + "\r")
	b.At("Allow an app")
	if who := b.Text("#signed-in-as"); who != "bob" {
		t.Errorf("signed in as %q", who)
	}
	if !strings.Contains(b.Text("#write-warning"), "could act as you") {
		t.Error("nothing says what write means")
	}
	proper(t, b)
	b.TabTo("#not-you button")
	b.Type("\r")
	signIn(b, "alice", testkit.Password)
	b.At("Allow an app")
	if who := b.Text("#signed-in-as"); who != "alice" {
		t.Errorf("signed in as %q", who)
	}
	if here, err := url.Parse(b.Address()); err != nil || here.Query().Encode() != app.Params.Encode() {
		t.Errorf("the request came back as %q, %v", here, err)
	}
	b.Press("#deny")
	b.At("Connected")
	if answer := <-got; len(s.Keys()) != 0 || answer.Get("error") != "access_denied" || answer.Has("payload") {
		t.Errorf("denied, but %d keys were made and the app was told %v", len(s.Keys()), answer)
	}
	b.Open(s.URL + app.With("auth_redirect", "discourse://auth_redirect").Path())
	b.Press("#deny")
	b.At("Nothing was given")
	proper(t, b)
}

// The apps page, where a user sees and revokes keys.
func TestChromiumAppsPage(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := pagesOf(t)
	alice := s.Person("alice")
	one, two := s.App("one", "session_info").Connect(alice), s.App("two", "read,session_info").Connect(alice)
	alive := func(app *testkit.App) bool {
		return app.Call("GET", "/session/current.json").StatusCode == http.StatusOK
	}
	b.Open(s.URL + "/my/apps")
	signIn(b, "alice", testkit.Password)
	b.At("Your apps")
	proper(t, b)
	id := s.Keys()[1].ID // newest first: the one of "one"
	if n := testkit.Eval[bool](b, fmt.Sprintf(`document.querySelector("#key-%d form button").checkVisibility()`, id)); n {
		t.Error("the details are not folded")
	}
	b.TabTo(fmt.Sprintf("#key-%d summary", id))
	b.Type("\r")
	b.TabTo(fmt.Sprintf("#key-%d form button", id))
	proper(t, b)
	b.Type("\r")
	b.Until(fmt.Sprintf(`document.querySelector("#undo") && !document.querySelector("#key-%d")`, id))
	if alive(one) || !alive(two) {
		t.Errorf("revoked one: one is alive: %v, two is alive: %v", alive(one), alive(two))
	}
	proper(t, b)
	b.TabTo("#undo button")
	b.Type("\r")
	b.Until(fmt.Sprintf(`document.querySelector("#key-%d")`, id))
	if !alive(one) {
		t.Error("undone, but the key is still refused")
	}
	b.TabTo("details.all summary")
	b.Type("\r")
	b.TabTo(`form[action$="/revoke-all"] button`)
	b.Type("\r")
	b.Until(`document.querySelector(".empty") && !document.querySelector(".key, details.all")`)
	if alive(one) || alive(two) {
		t.Error("revoked all, but a key is alive")
	}
	b.Press(`form[action$="/logout"] button`)
	b.Until(`location.pathname === "/" && document.querySelector("main a.first")?.textContent === "Sign in"`)
	b.Open(s.URL + "/my/apps")
	b.At("Sign in")
}

func TestChromiumEmptyAppsPage(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := pagesOf(t)
	b.Open(s.URL + "/u/bob/preferences/apps")
	signIn(b, "bob", testkit.Password)
	b.At("Your apps")
	if !strings.Contains(b.Text("#no-apps"), "No app has a key yet") {
		t.Errorf("the page says %q", b.Text("main"))
	}
	proper(t, b)
}

// The first administrator, from the link that the server prints to a changed setting.
func TestChromiumFirstAdministratorAndSettings(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("the server responded with a status of 400") // the bad value, and the two passwords that differ
	s := testkit.NewSite(t, dbtest.SQLite(t), testkit.Pinned("title", "The Noticeboard"))
	token, needed, err := s.Identity.SetupToken(t.Context())
	if err != nil || !needed {
		t.Fatalf("no setup link: %v, %v", needed, err)
	}
	b.Open(s.URL + "/user-api-key/setup?token=" + url.QueryEscape(token))
	b.At("Set up")
	proper(t, b)
	b.Type("root\t" + testkit.Password + "\tanother\r")
	b.Until(`document.getElementById("setup-error")`)
	proper(t, b)
	b.TabTo("#password")
	b.Type(testkit.Password + "\t" + testkit.Password + "\r")
	b.At("Settings")
	proper(t, b)
	if pinned := testkit.Eval[int](b, `document.querySelectorAll("#title form").length`); pinned != 0 {
		t.Error("a pinned setting can be changed")
	}
	set := func(name, value string) {
		b.Do(chromedp.Click("details:has(#"+name+") > summary"), chromedp.SetValue("#"+name+"-value", value),
			chromedp.Click("#"+name+" button"))
	}
	set("max_user_api_reqs_per_minute", "7")
	b.Until(`document.querySelector("#max_user_api_reqs_per_minute .good")`)
	if got := s.Authority.Settings().MaxUserAPIReqsPerMinute; got != 7 {
		t.Errorf("saved 7, in force is %d", got)
	}
	proper(t, b)
	b.Press(`#max_user_api_reqs_per_minute button[value="reset"]`)
	b.Until(`document.getElementById("max_user_api_reqs_per_minute-value")?.value === "20"`)
	set("allowed_user_api_auth_redirects", "javascript:alert(1)//")
	b.Until(`document.getElementById("allowed_user_api_auth_redirects-error")`)
	proper(t, b)
	b.Open(s.URL + "/user-api-key/settings#allowed_user_api_push_urls") // as other pages link to it
	b.Until(`document.querySelector("details:has(#allowed_user_api_push_urls)").open`)
}

// The pages of refused requests and of unknown addresses.
func TestChromiumRefusals(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("the server responded with a status of 4")
	s := pagesOf(t)
	for _, path := range []string{
		s.App("x", "session_info").With("auth_redirect", "https://evil.example/"+strings.Repeat("long", 100)).Path(),
		s.App("x", "everything").Path(),
		s.App("x", "session_info").With("public_key", "none").Path(),
		"/nothing-here", "/user-api-key/setup?token=old",
	} {
		b.Open(s.URL + path)
		proper(t, b)
	}
	b.Open(s.URL + "/")
	proper(t, b)
	b.Press("a.first")
	signIn(b, "bob", testkit.Password)
	b.Until(`document.querySelector("nav")`)
	proper(t, b)
	b.Open(s.URL + "/user-api-key/settings") // not for bob
	proper(t, b)
}
