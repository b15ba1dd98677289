package consent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
)

// browser starts a real Chromium. The pages are plain HTML, but what a browser
// makes of their policy and their script only a browser can tell.
func browser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
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
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	// The defaults keep a page drawing that Chromium takes for hidden: without frames no click arrives.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1000, 800))
	options = append(options, more...)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	// A page that has no focus is drawn when Chromium likes: nothing that waits for a frame is sure to come.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// until waits for an expression to be true. It asks from outside: the page's own clocks may stand still.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	for ctx.Err() == nil {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("waited in vain for " + expression)
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

// press presses a button as soon as it can be pressed. It is the page's own click: one of
// the mouse waits for a frame, which a busy machine may never draw.
func press(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	button := "document.querySelector(" + strconv.Quote(selector) + ")"
	until(t, ctx, button+" && !"+button+".disabled")
	inPage[bool](t, ctx, button+".click(), true")
}

func overHTTP(c *server.Config) { c.BaseURL = &url.URL{Scheme: "http", Host: "site.example"} }

const approveDisabled = `document.getElementById("approve").disabled`

func TestGR8_GR9_ApprovingInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	f := fakesite.New(t, overHTTP)
	site := listening(t, f)
	app := make(chan string, 1)
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" {
			app <- r.URL.RawQuery + " from " + r.Referer()
		}
		w.Header().Set("Content-Type", "text/html")
	}))
	defer callback.Close()

	run(t, ctx, chromedp.Navigate(site+fakesite.Ask("auth_redirect="+callback.URL+"/cb?state=1")))
	// On a busy machine the half second may be over before anybody looks.
	if !inPage[bool](t, ctx, approveDisabled+" || performance.now() > 500") {
		t.Error("Approve can be pressed right after the page appeared")
	}
	if inPage[string](t, ctx, `document.activeElement.tagName`) == "BUTTON" {
		t.Error("a button has the focus")
	}
	until(t, ctx, "!"+approveDisabled)
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
	f := fakesite.New(t, overHTTP)
	site := listening(t, f)
	run(t, ctx, chromedp.Navigate(site+fakesite.Ask("auth_redirect=discourse://auth_redirect")))
	until(t, ctx, "!"+approveDisabled)
	inPage[bool](t, ctx, `document.getElementById("approve").click(), document.getElementById("approve").click(), true`)
	until(t, ctx, `document.getElementById("sent").textContent.includes("go back to the app")`)
	for f.Count("userkeys_keys") == 0 && ctx.Err() == nil {
		run(t, ctx, chromedp.Sleep(10*time.Millisecond))
	}
	if n := f.Count("userkeys_keys"); n != 1 {
		t.Errorf("RQ21 a double click made %d keys", n)
	}
}

// TestCopyingThePayloadInABrowser: what is in the clipboard is one line, for most apps that read a pasted answer read one line.
// The clipboard is Chromium's own, and is read by pasting into another page.
func TestCopyingThePayloadInABrowser(t *testing.T) {
	t.Parallel()
	// A plain http page has navigator.clipboard only at an address of this machine.
	ctx := browser(t, chromedp.Flag("host-resolver-rules", "MAP forum.example 127.0.0.1"))
	f := fakesite.New(t, overHTTP)
	secure := listening(t, f)
	plain := strings.Replace(secure, "127.0.0.1", "forum.example", 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<textarea id=here autofocus></textarea>"))
	}))
	defer other.Close()
	pasted := func() string {
		run(t, ctx, chromedp.Navigate(other.URL))
		inPage[bool](t, ctx, `document.getElementById("here").focus(), true`)
		keyed(t, ctx, "v", "Paste")
		until(t, ctx, `document.getElementById("here").value`)
		return inPage[string](t, ctx, `document.getElementById("here").value`)
	}
	for _, tt := range []struct {
		name, site string
		script     bool
		copy       func()
	}{
		{"the button on a secure page", secure, true, func() { copyByButton(t, ctx) }},
		{"the button on plain http", plain, true, func() { copyByButton(t, ctx) }},
		{"by hand on a secure page", secure, true, func() { copyByHand(t, ctx) }},
		{"by hand on plain http", plain, true, func() { copyByHand(t, ctx) }},
		{"by hand without the script", plain, false, func() { copyByHand(t, ctx) }},
	} {
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			t.Fatal(err)
		}
		blocked := []*network.BlockPattern{}
		if !tt.script {
			blocked = append(blocked, &network.BlockPattern{URLPattern: "*://*:*/*.js", Block: true})
		}
		if _, err := chromedp.Call(ctx, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: blocked}); err != nil {
			t.Fatal(err)
		}
		run(t, ctx, chromedp.Navigate(tt.site+fakesite.Ask("-auth_redirect")))
		if inPage[bool](t, ctx, `isSecureContext`) != (tt.site == secure) {
			t.Fatalf("%s: the page's context is not what the test needs", tt.name)
		}
		press(t, ctx, "#approve")
		until(t, ctx, `document.getElementById("user-api-key-payload")`)
		if hidden := inPage[bool](t, ctx, `document.getElementById("copy-api-key-btn").hidden`); hidden == tt.script {
			t.Fatalf("%s: the script runs: %v", tt.name, !hidden)
		}
		shown := inPage[string](t, ctx, `document.getElementById("user-api-key-payload").textContent`)
		tt.copy()
		got := pasted()
		want := strings.ReplaceAll(shown, "\n", "")
		if !tt.script { // one line with spaces, as Discourse's page gives it
			want = strings.TrimSpace(strings.ReplaceAll(shown, "\n", " "))
			got = strings.TrimSpace(got)
		}
		if got != want || strings.Contains(got, "\n") || !strings.Contains(shown, "\n") {
			t.Errorf("%s: copied %q of %q", tt.name, got, shown)
		}
	}
}

// keyed presses ctrl and a key, and gives the command that the key stands for.
func keyed(t *testing.T, ctx context.Context, key, command string) {
	t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Modifiers: 2, Key: key, Code: "Key" + strings.ToUpper(key), Commands: []string{command}}
	up := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Modifiers: 2, Key: key, Code: down.Code}
	for _, event := range []input.DispatchKeyEventParams{down, up} {
		if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, event); err != nil {
			t.Fatal(err)
		}
	}
}

// copyByHand selects the payload, as a click on it does, and presses ctrl and C.
func copyByHand(t *testing.T, ctx context.Context) {
	t.Helper()
	inPage[bool](t, ctx, `getSelection().selectAllChildren(document.getElementById("user-api-key-payload")), true`)
	keyed(t, ctx, "c", "Copy")
}

// copyByButton presses the button with the keyboard: a script's click would not let the page write to the clipboard.
func copyByButton(t *testing.T, ctx context.Context) {
	t.Helper()
	inPage[bool](t, ctx, `document.getElementById("copy-api-key-btn").focus(), true`)
	for _, event := range []input.DispatchKeyEventParams{
		{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13}, {Type: input.DispatchKeyEventTypeKeyUp, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13},
	} {
		if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, event); err != nil {
			t.Fatal(err)
		}
	}
	until(t, ctx, `document.getElementById("copied").textContent === "Copied."`)
}

// listening serves f's site over real HTTP, with alice signed in.
func listening(t *testing.T, f *fakesite.Site) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "session", Value: "alice"})
		f.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
