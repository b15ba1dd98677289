package testkit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Axe is the text of axe-core, which finds what keeps people from using a page: names that a screen reader lacks,
// contrast that is too low, an order that makes no sense. Where it is not installed the test is skipped, or fails where
// CI=true promises to skip nothing.
func Axe(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	script, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../testdata/apps/node_modules/axe-core/axe.min.js"))
	switch {
	case err == nil:
		return string(script)
	case !errors.Is(err, fs.ErrNotExist), os.Getenv("CI") == "true":
		t.Fatal(err)
	}
	t.Skip("no testdata/apps/node_modules/axe-core: nothing looks for what keeps people from using the pages " +
		"(scripts/setup installs it)")
	return ""
}

// Violations are what axe finds wrong with the page that the browser shows, by these of its rules or by all: the rule,
// what it asks for, and where.
func (b *Browser) Violations(axe string, rules ...string) []string {
	b.t.Helper()
	only := ""
	if len(rules) > 0 {
		only = `, runOnly: ["` + strings.Join(rules, `", "`) + `"]`
	}
	if !Eval[bool](b, "typeof axe === 'object'") {
		Eval[bool](b, axe+";true")
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](
		`axe.run(document, {resultTypes: ["violations"]`+only+`}).then(r => r.violations.flatMap(v => v.nodes.map(n =>
			v.id + ": " + v.help + ": " + n.html + " (" + n.failureSummary.replace(/\s+/g, " ") + ")")))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}
