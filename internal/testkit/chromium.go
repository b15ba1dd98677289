package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is a real Chromium with a profile of its own. What a browser makes
// of a policy, a redirect or a key press only a browser can tell. At the end of
// the test it fails it for every error and warning of the console, and for
// every refusal of the content security policy.
type Browser struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	asked    []string // addresses that documents were asked for, redirects and other schemes too
	problems []string
	expected []string
}

// Chromium starts a browser that ends with the test. Without Chromium the test
// is skipped, or fails where CI=true promises to skip nothing.
func Chromium(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("short: a browser takes seconds to start")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromiumPath(t)),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1000, 800))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	command(b, audits.Enable, cdp.Empty{})
	command(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	t.Cleanup(b.report)
	return b
}

func chromiumPath(t testing.TB) string {
	t.Helper()
	// The headless shell is the same browser without its window, and takes a quarter of the time.
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Chromium, and CI=true skips nothing")
	}
	t.Skip("there is no Chromium on PATH: pages are not driven in a real browser (scripts/setup installs it)")
	return ""
}

// command sends a command of the protocol to the page.
func command[P, R any](b *Browser, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.t.Fatalf("%s: %v", c.Method, err)
	}
	return result
}

// hear notes what the browser tells. It must be quick: the browser waits for it.
func (b *Browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument {
			b.asked = append(b.asked, e.Request.URL)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("log (%s): %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console.%s", e.Type))
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.problems = append(b.problems, fmt.Sprintf("policy: %s violated by %q", d.ViolatedDirective, d.BlockedURL))
		}
	}
}

// Expect names a text of the problems that are right here, such as the status of a refusal.
func (b *Browser) Expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text)
}

func (b *Browser) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
problems:
	for _, p := range b.problems {
		for _, e := range b.expected {
			if strings.Contains(p, e) {
				continue problems
			}
		}
		b.t.Errorf("the browser complains: %s", p)
	}
}

// Asked waits until the browser asked for an address that begins with prefix,
// and gives the first such address. That it is asked for is what counts: no program
// here opens the addresses of apps.
func (b *Browser) Asked(prefix string) string {
	b.t.Helper()
	var found string
	b.wait("a navigation to "+prefix, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range b.asked {
			if strings.HasPrefix(a, prefix) {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

// wait looks until done. Pages come and go meanwhile, so it asks from outside.
func (b *Browser) wait(what string, done func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(nettest.Patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.t.Fatalf("waited in vain for %s; at %s\nasked: %s\nproblems: %s", what, b.tryAddress(),
				strings.Join(b.asked, "\n "), strings.Join(b.problems, "\n "))
		}
	}
}

func (b *Browser) tryAddress() string {
	address, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return address
}

// Eval evaluates an expression in b's page, also where scripts are off.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Do runs steps of chromedp.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Open goes to an address and waits for the page.
func (b *Browser) Open(address string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(address))
}

// Address is the address of the page.
func (b *Browser) Address() string { return Eval[string](b, "location.href") }

// Until waits for an expression to be true in a page that is loaded.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	b.wait(expression, func() bool {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("document.readyState === 'complete' && !!("+expression+")"))
		return err == nil && ok // an error: the page is just changing
	})
}

// At waits for the page whose heading begins with text to be loaded.
func (b *Browser) At(heading string) {
	b.t.Helper()
	b.Until(fmt.Sprintf("document.querySelector('h1')?.textContent.startsWith(%q)", heading))
}

// Text is the text of the first element that the selector finds.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return Eval[string](b, fmt.Sprintf("document.querySelector(%q)?.textContent ?? 'nothing is '+%[1]q", selector))
}

// Press clicks what the selector finds, as soon as it can be clicked.
func (b *Browser) Press(selector string) {
	b.t.Helper()
	b.Until(fmt.Sprintf("document.querySelector(%q) && !document.querySelector(%[1]q).disabled", selector))
	ctx, cancel := context.WithTimeout(b.ctx, mousePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(selector)); err == nil || b.ctx.Err() != nil {
		return
	}
	// A click of the mouse waits for a frame, which a busy machine may never draw. The page's own does not.
	Eval[bool](b, fmt.Sprintf("document.querySelector(%q)?.click(), true", selector))
}

// mousePatience is how long a click of the mouse may take.
const mousePatience = 30 * time.Second

// Type presses keys, one after the other.
func (b *Browser) Type(keys string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent(keys))
}

// Paste pastes what was copied last.
func (b *Browser) Paste() {
	b.t.Helper()
	b.Do(chromedp.KeyEvent("v", chromedp.KeyModifiers(chromedp.ModifierCtrl), func(p *input.DispatchKeyEventParams) {
		if p.Type == input.DispatchKeyEventTypeKeyDown || p.Type == input.DispatchKeyEventTypeRawKeyDown {
			p.Commands = []string{"paste"}
		}
	}))
}

// TabTo presses Tab until what the selector finds has the focus, and checks
// at every stop that one can see where the focus is.
func (b *Browser) TabTo(selector string) {
	b.t.Helper()
	for range 60 {
		b.Type("\t")
		if Eval[bool](b, `document.activeElement !== document.body &&
			getComputedStyle(document.activeElement).outlineStyle === "none"`) {
			b.t.Errorf("the focus cannot be seen on %s", Eval[string](b, "document.activeElement.outerHTML"))
		}
		if Eval[bool](b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	b.t.Fatalf("the keyboard does not reach %s", selector)
}

// Width makes the window so many pixels wide.
func (b *Browser) Width(pixels int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(pixels, 800))
}

// Dark turns the reader's preference for dark pages on or off, and motion off:
// a picture in the middle of a transition shows neither look.
func (b *Browser) Dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"},
		},
	})
}

// NoScripts turns JavaScript off.
func (b *Browser) NoScripts() {
	b.t.Helper()
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Picture writes the whole page as a PNG file.
func (b *Browser) Picture(file string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
