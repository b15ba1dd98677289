package server_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
	"userkeys/server/input"
)

var update = flag.Bool("update", false, "write testdata/pages anew")

// TestPagesReadAsBefore compares what each page says and offers, in the order
// in which a screen reader meets it, with testdata/pages.
func TestPagesReadAsBefore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		call fakesite.Call
	}{
		{"consent", fakesite.Call{As: "alice", Path: fakesite.Ask("scopes=read,write,push", "push_url=https://push.example/hook", "expires_in_seconds=7200")}},
		{"consent-paste", fakesite.Call{As: "alice", Path: fakesite.Ask("-auth_redirect")}},
		{"refused", fakesite.Call{Path: fakesite.Ask("auth_redirect=https://not-listed.example/cb")}},
		{"no-trust", fakesite.Call{As: "bob", Path: fakesite.Ask("scopes=write")}},
		{"denied", fakesite.Call{As: "alice", Path: "/user-api-key/denied"}},
		{"closed", fakesite.Call{Method: http.MethodPost, As: "alice", Path: "/user-api-key", Form: map[string]string{"id": "no"}}},
		{"apps", fakesite.Call{As: "alice", Path: "/my/apps"}},
		{"apps-none", fakesite.Call{As: "mod", Path: "/my/apps"}},
		{"deliveries", fakesite.Call{As: "root", Path: "/user-api-key/deliveries"}},
		{"deliveries-host", fakesite.Call{As: "root", Path: "/user-api-key/deliveries?host=http%3A%2F%2F10.1.2.3%3A9000&done=replayed&n=2"}},
		{"deliveries-none", fakesite.Call{As: "root", Path: "/user-api-key/deliveries"}},
		{"login", fakesite.Call{Path: "/user-api-key/login?redirect=/my/apps"}},
		{"setup", fakesite.Call{Path: "/user-api-key/setup?token=good"}},
		{"home", fakesite.Call{Path: "/"}},
		{"api-keys", fakesite.Call{As: "root", Path: "/user-api-key/admin/api-keys"}},
		{"api-keys-none", fakesite.Call{As: "root", Path: "/user-api-key/admin/api-keys?before=1"}},
		{"api-keys-new", fakesite.Call{Method: http.MethodPost, As: "root", Path: "/user-api-key/admin/api-keys", Form: map[string]string{"description": "backup", "username": "root"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.NewWithAdminKeys(t)
			f.Set("allow_user_api_key_scopes", "read|write|push")
			f.Set("allowed_user_api_push_urls", "https://push.example/hook")
			f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
			if tt.name == "no-trust" {
				f.Set("user_api_key_allowed_groups", "trust_level_2")
			}
			if tt.name != "deliveries-none" {
				f.FillOutbox()
			}
			a := f.Do(tt.call)
			got := strings.ReplaceAll(outline(t, f.Aliased(a.Text)), a.Header.Get("X-Request-Id"), "0000000000000000")
			path := filepath.Join("testdata", "pages", tt.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" && !*update {
				t.Errorf("the page changed; if it should have, run go test ./server -run %s -update\n%s", t.Name(), diff)
			}
		})
	}
}

// outline is a page as text: one line for each block, with what can be followed, filled in or pressed.
func outline(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	writeOutline(&b, doc)
	var lines []string
	for line := range strings.Lines(b.String()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func writeOutline(b *strings.Builder, n *html.Node) {
	before, after := "", ""
	switch n.Data {
	case "head", "script":
		return
	case "h1", "h2":
		before, after = "\n"+strings.Repeat("#", int(n.Data[1]-'0'))+" ", "\n"
	case "a":
		before, after = "[", "]("+testkit.Attr(n, "href")+")"
	case "button":
		before, after = "\n<", ">\n"
	case "form":
		before, after = fmt.Sprintf("\n%s %s: ", strings.ToUpper(testkit.Attr(n, "method")), testkit.Attr(n, "action")), "\n"
	case "input":
		if name := testkit.Attr(n, "name"); name != input.TokenField && name != door.OnceField {
			before = fmt.Sprintf(" {%s %s=%s}", testkit.Attr(n, "type"), name, outlineValue(testkit.Attr(n, "value")))
		}
	case "textarea":
		before, after = " {"+testkit.Attr(n, "name")+"=", "}"
	case "p", "li", "dt", "dd", "label", "summary", "section", "div", "pre", "header", "main":
		before, after = "\n", "\n"
	}
	b.WriteString(before)
	if n.Type == html.TextNode {
		b.WriteString(strings.ReplaceAll(n.Data, "\n", " "))
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		writeOutline(b, k)
	}
	b.WriteString(after)
}

// outlineValue leaves out what differs from run to run.
func outlineValue(v string) string {
	if strings.Contains(v, "public_key") {
		return "the same request"
	}
	return v
}
