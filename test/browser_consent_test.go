package scenario_test

// The consent page in a real browser: what a choice changes is shown at once, by the style sheet alone.

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
)

// inSight reports whether a reader sees what the selector finds.
func inSight(b *testkit.Browser, selector string) bool {
	return testkit.Eval[bool](b, fmt.Sprintf(`(document.querySelector(%q)?.getClientRects().length ?? 0) > 0`, selector))
}

// TestChromiumAChoiceShowsAtOnceWhatItChanges unticks and chooses without JavaScript, and reads what the page says then.
func TestChromiumAChoiceShowsAtOnceWhatItChanges(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.Expect("the server responded with a status of 400") // nothing was chosen
	s := pagesOf(t)
	s.Set("allow_user_api_key_scopes", "read|write|push|notifications")
	s.Set("allowed_user_api_push_urls", "https://push.example/hook")
	b.NoScripts()
	app := s.App("web", "read,write,push").With("push_url", "https://push.example/hook", "expires_in_seconds", "2592000")
	b.Open(s.URL + app.Path())
	signIn(b, "alice", testkit.Password)
	b.At("Allow an app to use your account on")
	sees := func(what string, yes, no []string) {
		t.Helper()
		for _, selector := range yes {
			if !inSight(b, selector) {
				t.Errorf("%s: %s is not shown", what, selector)
			}
		}
		for _, selector := range no {
			if inSight(b, selector) {
				t.Errorf("%s: %s is shown", what, selector)
			}
		}
	}
	tick := func(name string) { b.Do(chromedp.Click(`[name="allow_` + name + `"]`)) }
	sees("as asked", []string{"#write-warning", ".push-on", "#lifetime"}, []string{"#implied-read", ".push-off", "#lifetime-chosen", "#nothing-left"})
	tick("read")
	sees("write without read", []string{"#implied-read", "#write-warning"}, nil)
	tick("write")
	sees("no write", []string{".push-on"}, []string{"#write-warning", "#implied-read", "#nothing-left"})
	tick("push")
	sees("nothing", []string{".push-off", "#nothing-left"}, []string{".push-on"})
	b.Do(chromedp.SetValue("#choose-lifetime", "3600"))
	sees("an end chosen", []string{"#lifetime-chosen"}, []string{"#lifetime"})
	b.Press("#approve")
	b.Until(`document.getElementById("problem")`)
	proper(t, b)
	sees("asked again", []string{"#problem", "#nothing-left", "#lifetime-chosen"}, []string{"#write-warning"})
	tick("write")
	tick("read")
	b.TabTo("#deny")
	b.TabTo("#approve")
	b.TabTo("#approve-reading")
	b.Type("\r")
	b.At("Copy this")
	open(t, app, b.Text("#user-api-key-payload"))
	if got := s.Keys()[0].Scopes.String(); got != "read" {
		t.Errorf("granted %q", got)
	}
}

// TestChromiumWhatAScreenReaderSaysOfAQuestion compares names, descriptions and order with what the page is to say.
func TestChromiumWhatAScreenReaderSaysOfAQuestion(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s := pagesOf(t)
	s.Set("title", "Birdwatchers")
	s.Set("allow_user_api_key_scopes", "read|write")
	b.Open(s.URL + s.App("web", "read,write").Path())
	signIn(b, "alice", testkit.Password)
	b.At("Allow an app")
	b.Until(`!document.getElementById("approve").disabled`)
	want := []string{
		"link: Skip to content", "link: Birdwatchers", "link: Apps", "link: Account", "button: Sign out alice",
		"heading: Allow an app to use your account on Birdwatchers?",
		"heading: If you approve, the answer is", "heading: It calls itself", "heading: It wants to",
		"checkbox: read, write, change and delete everything that you can (This app could act as you. It could write, change and delete in your name, without asking again. Approve only if you trust it with all of that.)",
		"checkbox: read everything that you can read",
		"heading: For how long", "combobox: End it sooner",
		"button: Not you? Switch account", "button: Deny", "button: Approve", "button: Approve reading only",
	}
	if diff := cmp.Diff(want, b.Heard("heading", "link", "checkbox", "combobox", "button")); diff != "" {
		t.Error(diff)
	}
}
