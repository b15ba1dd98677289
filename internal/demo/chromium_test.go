package demo_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"userkeys/internal/demo"
	"userkeys/internal/testkit"
)

// TestNotifierShowsWhatIsPushed goes the demo's way in a browser: connect, post a notice on
// The Noticeboard, and see it arrive at Notifier without asking for it.
func TestNotifierShowsWhatIsPushed(t *testing.T) {
	t.Parallel()
	var app http.Handler
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }))
	t.Cleanup(ts.Close)
	site, _ := startPushingSite(t, nil, ts.URL+"/push")
	app = demo.NewNotifier(demo.NotifierConfig{SiteURL: site, URL: ts.URL, KeyBits: 2048})
	b := testkit.Chromium(t)
	b.Open(ts.URL)
	b.Press("button")
	b.At("Sign in to The Noticeboard")
	b.TabTo("#username")
	b.Type("alice\t" + rightPassword + "\r")
	b.At("Allow an app")
	b.Press("#approve")
	b.At("Notifier")
	const inner = `document.querySelector("iframe")?.contentDocument?.body?.innerText ?? ""`
	b.Until(`(` + inner + `).includes("Nothing was pushed yet")`)
	b.Open(site)
	b.At("The Noticeboard")
	b.Press("form[action='/notices'] button")
	b.Until(`[...document.querySelectorAll("li")].some(e => e.innerText.includes("two more altos"))`)
	b.Open(ts.URL)
	b.Until(`(` + inner + `).includes("two more altos") && (` + inner + `).includes("signature verified")`)
	if dir := os.Getenv("USERKEYS_SCREENSHOTS"); dir != "" {
		b.Width(1000)
		b.Picture(filepath.Join(dir, "notifier-pushed.png"))
		b.Dark(true)
		b.Width(360)
		b.Picture(filepath.Join(dir, "notifier-pushed-phone-dark.png"))
		b.Open(site)
		b.Picture(filepath.Join(dir, "noticeboard-phone-dark.png"))
		b.Open(site + "/sign-in")
		b.Picture(filepath.Join(dir, "noticeboard-sign-in-phone-dark.png"))
	}
}
