package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts a real Chromium. The pages are plain HTML, but what a browser
// makes of their policy and their script only a browser can tell.
func browser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: a browser takes seconds to start")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Chromium")
		}
		t.Skip("there is no Chromium on this machine; make test installs it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	// The defaults keep a page drawing that Chromium takes for hidden: without frames no click arrives.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// listening serves f's site over real HTTP, with alice signed in.
func (f *fakeSite) listening(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "session", Value: "alice"})
		f.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func run[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// inPage evaluates an expression in the page.
func inPage[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	return run(t, ctx, chromedp.Evaluate[T](expression))
}

// press clicks an answer as somebody does who has looked at the page: the click
// that gives the window its focus is not meant for a button, and does not count.
func press(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	run(t, ctx, chromedp.Click("h1"))
	run(t, ctx, chromedp.Poll[bool]("!"+approveDisabled))
	run(t, ctx, chromedp.Click(selector))
}

func overHTTP(c *Config) { c.BaseURL = &url.URL{Scheme: "http", Host: "site.example"} }

const approveDisabled = `document.getElementById("approve").disabled`

func TestGR8_GR9_ApprovingInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	f := newSite(t, overHTTP)
	site := f.listening(t)
	app := make(chan string, 1)
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" {
			app <- r.URL.RawQuery + " from " + r.Referer()
		}
		w.Header().Set("Content-Type", "text/html")
	}))
	defer callback.Close()

	run(t, ctx, chromedp.Navigate(site+ask("auth_redirect="+callback.URL+"/cb?state=1")))
	// On a busy machine the half second may be over before anybody looks.
	if !inPage[bool](t, ctx, approveDisabled+" || performance.now() > 500") {
		t.Error("Approve can be pressed right after the page appeared")
	}
	if inPage[string](t, ctx, `document.activeElement.tagName`) == "BUTTON" {
		t.Error("a button has the focus")
	}
	run(t, ctx, chromedp.Poll[bool]("!"+approveDisabled))
	if !inPage[bool](t, ctx, `window.dispatchEvent(new Event("focus")), `+approveDisabled) {
		t.Error("Approve can be pressed right after the window got the focus back")
	}
	press(t, ctx, "#approve")
	select {
	case got := <-app:
		if !strings.HasPrefix(got, "state=1&payload=") || !strings.HasSuffix(got, " from ") {
			t.Errorf("the app got %q", got)
		}
	case <-ctx.Done():
		t.Fatal("the browser did not follow the redirect: is it in the page's policy?")
	}
}

func TestApprovingForAnotherSchemeLeavesThePageStanding(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	f := newSite(t, overHTTP)
	site := f.listening(t)
	run(t, ctx, chromedp.Navigate(site+ask("auth_redirect=discourse://auth_redirect")))
	run(t, ctx, chromedp.Poll[bool]("!"+approveDisabled))
	inPage[bool](t, ctx, `document.getElementById("approve").click(), document.getElementById("approve").click(), true`)
	run(t, ctx, chromedp.Poll[bool](`document.getElementById("sent").textContent.includes("go back to the app")`))
	for f.authority.count() == 0 && ctx.Err() == nil {
		run(t, ctx, chromedp.Sleep(10*time.Millisecond))
	}
	if n := f.authority.count(); n != 1 {
		t.Errorf("RQ21 a double click made %d keys", n)
	}
}

func TestCopyingThePayloadInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	f := newSite(t, overHTTP)
	site := f.listening(t)
	run(t, ctx, chromedp.Navigate(site+ask("-auth_redirect")))
	press(t, ctx, "#approve")
	run(t, ctx, chromedp.WaitVisible("#copy-api-key-btn"))
	inPage[bool](t, ctx, `navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }, true`)
	run(t, ctx, chromedp.Click("#copy-api-key-btn"))
	run(t, ctx, chromedp.Poll[bool](`document.getElementById("copied").textContent === "Copied."`))
	copied, shown := inPage[string](t, ctx, `window.copied`), inPage[string](t, ctx, `document.getElementById("user-api-key-payload").textContent`)
	if copied == "" || strings.ContainsAny(copied, " \n") || copied != strings.ReplaceAll(shown, "\n", "") {
		t.Errorf("copied %q of %q", copied, shown)
	}
}
