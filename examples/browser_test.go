package examples_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// newPage serves the page for a site that lets it call.
func newPage(t *testing.T, s *testkit.Site) string {
	t.Helper()
	page := servePage(t, s.URL)
	s.Set("cors_origins", strings.TrimSuffix(page, "/"))
	return page
}

// servePage serves the page as whoever ships it would: with the address of their site in it.
func servePage(t *testing.T, site string) string {
	t.Helper()
	html, err := os.ReadFile("browser/index.html")
	if err != nil {
		t.Fatal(err)
	}
	const example = "https://forum.example"
	if n := strings.Count(string(html), example); n != 2 {
		t.Fatalf("the page names the site %d times; README.md says 2", n)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(strings.ReplaceAll(string(html), example, site))) // a browser that left needs none
	})
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "browser/app.js") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// ready waits for the page to have done its work, with the button that is left to press.
func ready(b *testkit.Browser, button string) {
	b.Until(`document.getElementById("` + button + `")?.hidden === false`)
}

// signInAndApprove is the way from the page's button through the site.
func signInAndApprove(b *testkit.Browser) {
	b.Press("#connect")
	b.At("Sign in")
	b.TabTo("#username")
	b.Type("alice\t" + testkit.Password + "\r")
	b.At("Allow an app")
	b.Press("#approve")
	b.At("What is new")
	ready(b, "logout")
}

// await is what a promise of the page comes to.
func await(b *testkit.Browser, promise string) string {
	testkit.Eval[bool](b, `(() => { window.cameTo = null; Promise.resolve(`+promise+`).then(v => { window.cameTo = String(v); }); return true; })()`)
	b.Until("window.cameTo !== null")
	return testkit.Eval[string](b, "window.cameTo")
}

// everything is all that a script of the page's origin can read: the page, its address, and what the browser keeps.
const everything = `new Promise(resolve => {
	const opening = indexedDB.open("userkeys-example");
	opening.onsuccess = () => {
		const all = opening.result.transaction("kept").objectStore("kept").getAll();
		all.onsuccess = () => {
			opening.result.close();
			resolve([document.documentElement.outerHTML, location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), JSON.stringify(all.result)].join("\n"));
		};
	};
})`

// privateKey is what a script gets that tries to read the page's private key.
const privateKey = `new Promise((resolve, reject) => {
	const opening = indexedDB.open("userkeys-example");
	opening.onsuccess = () => {
		const login = opening.result.transaction("kept").objectStore("kept").get("login");
		login.onsuccess = () => {
			opening.result.close();
			crypto.subtle.exportKey("pkcs8", login.result.privateKey).then(() => resolve("the key"), e => resolve(e.name));
		};
	};
})`

func TestBrowser(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := newSite(t)
	notify(t, s, "alice", 2)
	page := newPage(t, s)
	b.Open(page)
	ready(b, "connect")
	signInAndApprove(b)
	if got := b.Text("#said"); got != "You are alice." {
		t.Errorf("the page says %q", got)
	}
	if got := testkit.Eval[string](b, `[...document.querySelectorAll("#list li")].map(li => li.textContent).join("|")`); got != "new: A <b>bold</b> & plain title (bob)|new: A <b>bold</b> & plain title (bob)" {
		t.Errorf("the list is %q", got)
	}
	if b.Address() != page {
		t.Errorf("the address is %s", b.Address())
	}
	seen := await(b, everything)
	secret(t, s, "the page, or what the browser keeps", seen)
	if !strings.Contains(seen, `"sealed":`) {
		t.Errorf("the browser keeps nothing: %s", seen)
	}

	if got := await(b, privateKey); got != "InvalidAccessError" {
		t.Errorf("to read the private key gives %q", got)
	}
	b.Open(page) // another day
	ready(b, "logout")
	if got := b.Text("#said"); got != "You are alice." {
		t.Errorf("the page says %q", got)
	}
	b.Press("#logout")
	ready(b, "connect")
	if got := b.Text("#said"); !strings.HasPrefix(got, "Logged out.") || s.Keys()[0].RevokedAt.IsZero() {
		t.Errorf("the page says %q, and the key is %+v", got, s.Keys()[0])
	}
	if seen := await(b, everything); strings.Contains(seen, "sealed") || strings.Contains(seen, "alice") {
		t.Errorf("after the logout there is %s", seen)
	}
}

func TestBrowserRefused(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("status of 403")
	s := newSite(t)
	page := newPage(t, s)

	b.Open(page + "?payload=AAAA") // somebody's link, to a browser that asked for nothing
	ready(b, "connect")
	if got := b.Text("#said"); !strings.Contains(got, "answers another request") || b.Address() != page {
		t.Errorf("the page says %q at %s", got, b.Address())
	}

	b.Press("#connect")
	asked := b.Asked(s.URL + "/user-api-key/new?")
	for _, must := range []string{"padding=oaep", "auth_redirect=" + strings.TrimPrefix(query("", page), "=")} {
		if !strings.Contains(asked, must) {
			t.Errorf("the page asks for %s, which lacks %s", asked, must)
		}
	}
	b.At("Sign in")
	b.Open(page + "?" + query("payload", forge(t, asked))) // sealed to the right key, by somebody else
	ready(b, "connect")
	if got := b.Text("#said"); !strings.Contains(got, "answers another request") {
		t.Errorf("the page says %q", got)
	}
	if seen := await(b, everything); strings.Contains(seen, "sealed") {
		t.Errorf("the wrong answer is kept: %s", seen)
	}

	signInAndApprove(b)
	revokeAll(t, s.Person("alice"))
	b.Open(page)
	ready(b, "connect")
	if got := b.Text("#said"); !strings.Contains(got, "no longer takes the key") {
		t.Errorf("the page says %q", got)
	}
}

// TestBrowserWithoutCORS: a site that does not list the page's origin is told from one that refuses.
func TestBrowserWithoutCORS(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("CORS policy")
	b.Expect("net::ERR_FAILED")
	s := newSite(t)
	page := newPage(t, s)
	s.Set("cors_origins", "")
	b.Open(page)
	ready(b, "connect")
	signInAndApprove(b)
	if got := b.Text("#said"); !strings.Contains(got, "does not let this page call it") {
		t.Errorf("the page says %q", got)
	}
}

// TestBrowserPolicy: code from elsewhere does not run in the page, nor does the page reach anybody but the site.
func TestBrowserPolicy(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("Content Security Policy")
	b.Expect("violated by")
	s := newSite(t)
	called := make(chan struct{}, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	t.Cleanup(elsewhere.Close)
	b.Open(newPage(t, s))
	ready(b, "connect")
	if got := await(b, `fetch("`+elsewhere.URL+`", {mode: "no-cors"}).then(() => "sent", () => "refused")`); got != "refused" {
		t.Errorf("to send something elsewhere is %s", got)
	}
	if got := testkit.Eval[string](b, `(() => {
		const script = document.createElement("script");
		script.textContent = "window.ran = true";
		document.body.append(script);
		return window.ran ? "ran" : "refused";
	})()`); got != "refused" {
		t.Errorf("a script in the page %s", got)
	}
	if len(called) > 0 {
		t.Error("the page called somebody else")
	}
	text, err := os.ReadFile("browser/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(string(text), not) {
			t.Errorf("app.js has %s", not)
		}
	}
}
