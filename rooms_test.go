package userkeys_test

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A room is a package and what it may import: of ours, and of others.
type room struct {
	dir   string
	ours  []string // directories; "." is the root, "*" is any
	third []string // modules
	what  string   // for ARCHITECTURE.md
}

// Modules that more than one room may use.
const (
	sqliteDriver   = "modernc.org/sqlite"
	postgresDriver = "github.com/jackc/pgx/v5"
	xText          = "golang.org/x/text"
	publicSuffix   = "golang.org/x/net/publicsuffix"
	jsonReader     = "github.com/go-json-experiment/json"
	xTerm          = "golang.org/x/term"
	cobra          = "github.com/spf13/cobra"
	pflag          = "github.com/spf13/pflag"
)

// rooms is the whole house. A new room, or a new arrow, is a line here, one in
// ARCHITECTURE.md and, if it changes the shape, a page in docs/decisions.
var rooms = []room{
	{".", nil, []string{"golang.org/x/net/idna"}, "what both sides speak: keys, payloads, parameters, scopes, redirects, addresses, errors, pushes; pure"},
	{"site", []string{"."}, nil, "the nouns and rules of a site: settings, records, checked requests, notifications; pure"},
	{"authority", []string{".", "site", "internal/keycheck", "internal/jobs", "internal/limit"}, nil, "decides: may this app have a key; is this key good for this request now"},
	{"store", []string{".", "site", "outbox"}, []string{"github.com/pressly/goose/v3"}, "remembers: one SQL text over database/sql, on SQLite and Postgres"},
	{
		"gateway",
		[]string{".", "site", "gateway/internal/request", "gateway/internal/headers", "gateway/internal/clientip", "gateway/internal/forward", "gateway/internal/monitor", "gateway/internal/question", "gateway/internal/apology", "internal/logs"},
		nil,
		"the API's door: the guard around a handler, the reverse proxy, the answers to web servers that ask",
	},
	{"gateway/internal/request", []string{".", "site", "gateway/internal/headers", "internal/logs"}, nil, "what a request says: its target, its key, and whether it can be read in one way only"},
	{"gateway/internal/headers", []string{".", "site"}, nil, "which headers pass, and what answers say to caches and to pages of other origins"},
	{"gateway/internal/clientip", []string{".", "site"}, nil, "which address asks, also behind proxies, and whether it asks too often"},
	{"gateway/internal/forward", []string{"gateway/internal/headers", "gateway/internal/request", "gateway/internal/transport", "internal/logs"}, nil, "sends a request to the website byte for byte, and hands the answer back"},
	{"gateway/internal/transport", nil, []string{"golang.org/x/net/http/httpguts"}, "connections to the website: usual requests in the goroutine that asks, others by net/http"},
	{"gateway/internal/monitor", []string{"."}, nil, "ends what outlives the check of its key"},
	{"gateway/internal/apology", []string{".", "gateway/internal/request"}, nil, "pages that people read where neither the website nor our own pages answer"},
	{"gateway/internal/question", []string{".", "gateway/internal/request"}, nil, "what a web server asks about a request of its own, and answers that it passes on"},
	{"internal/outward", []string{"."}, nil, "every request of ours to an address that somebody else chose"},
	{"notify", []string{".", "site", "internal/jobs"}, nil, "tells: what a site has for its users, and what they have read of it"},
	{"outbox", []string{".", "site", "notify", "internal/jobs", "internal/outward"}, nil, "pushes: the rules of when one is sent, the pusher, what people do about them"},
	{"server", []string{
		".", "authority", "notify", "server/door", "server/signin", "server/account", "server/consent", "server/apps", "server/admin", "server/deliveries", "server/wire", "server/live",
	}, nil, "the browser's and the app's side of a site: one list of domains behind one door"},
	{"server/input", []string{"."}, []string{jsonReader}, "reads bodies, queries and ids of requests, each in one meaning only"},
	{"server/page", []string{".", "site", "server/input"}, []string{xText}, "what stands around every page, and how pages say times, numbers and names"},
	{"server/door", []string{".", "site", "gateway", "internal/logs", "server/input", "server/page"}, nil, "who may come in, by which rules, and what every answer carries"},
	{"server/consent", []string{".", "site", "authority", "gateway", "server/consent/question", "server/door", "server/input", "server/page"}, nil, "how an app gets a key: consent page, device codes, one-time passwords, registration, renewal"},
	{"server/consent/question", []string{".", "site", "server/page"}, []string{publicSuffix}, "what a consent page shows of a request, and what its form chose"},
	{"server/apps", []string{".", "site", "gateway", "outbox", "internal/rows", "server/door", "server/input", "server/page"}, nil, "what a user sees of their apps"},
	{"server/signin", []string{".", "site", "gateway", "server/consent/question", "server/door", "server/input", "server/page"}, nil, "how people come in at a browser: password, provider, link of an administrator, first setup"},
	{"server/account", []string{".", "site", "gateway", "internal/rows", "server/door", "server/input", "server/page"}, nil, "what users see and change of their own account: password, sessions, where they sign in from"},
	{"server/admin", []string{".", "site", "gateway", "notify", "outbox", "internal/rows", "server/door", "server/input", "server/page"}, []string{publicSuffix}, "what administrators see and do, on pages and by the admin API"},
	{"server/deliveries", []string{".", "site", "gateway", "outbox", "internal/rows", "server/door", "server/input", "server/page"}, nil, "what administrators see of pushes and do about them"},
	{"server/wire", []string{".", "site", "gateway", "notify", "server/door", "server/input", "server/page"}, nil, "what apps ask a site: session, users, notifications, status, description"},
	{"server/live", []string{".", "site", "gateway", "notify", "server/door", "server/input"}, nil, "polls and event streams"},
	{"client", []string{".", "internal/outward"}, nil, "the app's side: ask for a key, open it, use it"},
	{"internal/ownfile", []string{"."}, []string{"github.com/gofrs/flock"}, "a JSON file of the person's own, which one program at a time changes"},
	{"internal/keystore", []string{".", "client", "internal/ownfile"}, []string{"filippo.io/age", "github.com/zalando/go-keyring", "golang.org/x/sys"}, "the keys that a person has to many sites"},
	{"internal/posts", []string{".", "client", "internal/keystore", "internal/outward", "internal/ownfile"}, nil, "a queue of posts that are published later, each once"},
	{"internal/watch", []string{".", "client", "internal/keystore"}, nil, "keeps an eye on what is unread on many sites; the page that shows it"},
	{"internal/doctor", []string{".", "client", "internal/doctor/reach", "internal/outward"}, nil, "checks everything that can go wrong between an app and a site, and says what helps"},
	{"internal/doctor/behind", []string{".", "internal/doctor"}, nil, "what of a client's forged headers reaches a website through the proxies before it"},
	{"internal/doctor/reach", []string{".", "internal/outward"}, nil, "what it takes to reach a site: its address, the requests, and why one got no answer"},
	{"internal/receiver", []string{".", "client", "internal/ownfile"}, nil, "a receiver of pushes that verifies, keeps, tells, and fails on purpose"},
	{"internal/recipe", nil, nil, "configurations of web servers that ask about each request, and what a file lacks of one"},
	{"internal/rows", []string{".", "site", "outbox"}, nil, "the records that scripts read, from the admin API and from the commands' --json"},
	{"internal/jobs", nil, nil, "what is done again and again, by each node or by one node for all"},
	{"internal/logs", []string{"."}, nil, "what requests may write into a log: how many lines a second, and what of a path"},
	{"internal/keycheck", []string{".", "site", "internal/jobs", "internal/keycheck/memory", "internal/limit"}, nil, "is this key good for this request now: what is kept in memory, and how long it is believed"},
	{"internal/keycheck/memory", []string{"."}, nil, "parts of what a key check keeps in memory: texts, values in common, unknown keys"},
	{"internal/limit", nil, nil, "how often: two sliding windows in memory"},
	{"internal/accounts", []string{".", "site", "internal/password"}, []string{"github.com/alexedwards/scs/v2", xText}, "who is at the browser: accounts and sessions"},
	{"internal/password", []string{".", "site"}, []string{"golang.org/x/crypto", xText}, "passwords: hashes, limits on guessing, the rule for those that people choose"},
	{"internal/sso", []string{".", "site", "gateway", "internal/accounts", "internal/outward"}, []string{"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2", jsonReader, xText}, "lets people sign in through providers: OpenID Connect, DiscourseConnect, the header of a proxy"},
	{"internal/wiring", []string{"*"}, nil, "wires all rooms into one running site, for the command and the tests"},
	{"internal/demo", []string{".", "client"}, nil, "what the demo runs beside a site: a small website and a sample app"},
	{"internal/demo/walk", []string{".", "client", "internal/demo"}, []string{"golang.org/x/net/html"}, "a key's whole life, step by step, printed and checked"},
	{"internal/bench", nil, []string{"golang.org/x/sys"}, "servers compared in interleaved slices"},
	{"internal/bench/*", []string{"*"}, []string{sqliteDriver}, "the command behind make bench: what is compared, with what, and the goals"},
	{"internal/testkit", []string{"*"}, []string{"*"}, "a whole running system for tests"},
	{"internal/testkit/dbtest", []string{".", "site", "store", "outbox"}, []string{sqliteDriver, postgresDriver}, "fresh databases for tests, and rows of theirs"},
	{"internal/testkit/discourse", []string{"."}, nil, "a stand-in for Discourse of three eras"},
	{"internal/testkit/fakesite", []string{"*"}, []string{"*"}, "a site for tests of the server's domains, in one process with them"},
	{"internal/testkit/nettest", nil, []string{"golang.org/x/net/dns/dnsmessage"}, "networks for tests: pipes, addresses, names"},
	{"internal/testkit/provider", nil, []string{"github.com/go-jose/go-jose/v4"}, "providers that sign people in, for tests"},
	{"test", []string{"*"}, []string{"*"}, "scenarios of the whole site, by subject"},
	{"examples/*", []string{".", "client"}, nil, "apps to copy: desktop notifications, a web app for many people, a job that nobody watches, a website with its own consent page"},
	{"scripts/testreport", nil, nil, "tells what the tests skipped, and why"},
	{"internal/cli", []string{"."}, []string{cobra, xTerm}, "what all commands share: exit codes, what they print and ask"},
	{"internal/cli/clitest", []string{".", "client", "internal/cli", "internal/keystore"}, []string{cobra}, "runs commands in tests"},
	{"internal/desktop", []string{"client", "internal/cli"}, nil, "the person's desktop: opens the browser, shows notifications"},
	{"internal/sitecmd", []string{"*"}, []string{cobra, pflag, xTerm}, "the commands that run a site: serve, migrate, demo"},
	{
		"internal/sitecmd/manage",
		[]string{".", "site", "authority", "notify", "outbox", "internal/cli", "internal/rows", "internal/sitecmd/sitedata"},
		[]string{cobra, pflag},
		"the commands that manage a site's data: settings, keys, deliveries",
	},
	{
		"internal/sitecmd/people",
		[]string{".", "site", "internal/cli", "internal/accounts", "internal/sso", "internal/password", "internal/rows", "internal/sitecmd/sitedata"},
		[]string{cobra, pflag},
		"the commands about people, and about who did what",
	},
	{"internal/sitecmd/scopes", []string{".", "gateway", "internal/cli", "internal/sitecmd/sitedata"}, []string{cobra, "github.com/goccy/go-yaml"}, "the command about scopes: made from an OpenAPI document, compared with it, explained"},
	{
		"internal/sitecmd/sitedata",
		[]string{"*"},
		[]string{sqliteDriver, postgresDriver, cobra, pflag, "github.com/BurntSushi/toml", "github.com/gofrs/flock"},
		"the options of a site, and its data as they name it; the only place that chooses drivers",
	},
	{
		"internal/appcmd",
		[]string{".", "client", "internal/appcmd/appkeys", "internal/appcmd/keycmd", "internal/appcmd/watchcmd", "internal/cli", "internal/doctor", "internal/doctor/behind", "internal/keystore", "internal/posts", "internal/receiver"},
		[]string{cobra, xTerm},
		"the commands of an app's side, among them post, push-receiver and doctor",
	},
	{"internal/appcmd/appkeys", []string{".", "client", "internal/cli", "internal/keystore", "internal/outward"}, []string{cobra, xTerm}, "which of the person's keys a command uses, and what a site's refusal means to it"},
	{
		"internal/appcmd/keycmd",
		[]string{".", "client", "internal/appcmd/appkeys", "internal/cli", "internal/desktop", "internal/keystore"},
		[]string{cobra, xTerm, "github.com/skip2/go-qrcode"},
		"the commands that get, use and end keys: login, call, sites, key, renew, logout",
	},
	{
		"internal/appcmd/watchcmd",
		[]string{".", "internal/appcmd/appkeys", "internal/cli", "internal/desktop", "internal/keystore", "internal/watch", "client"},
		[]string{cobra, xTerm},
		"the commands watch and dashboard: what is unread on many sites",
	},
	{"cmd/userkeys", []string{"internal/appcmd", "internal/cli", "internal/sitecmd"}, []string{cobra}, "the program"},
}

// TestRooms holds the table above against the imports of every file but tests.
func TestRooms(t *testing.T) {
	t.Parallel()
	byDir := map[string]room{}
	for _, r := range rooms {
		byDir[r.dir] = r
	}
	seen := map[string]bool{}
	for _, f := range sources(t) {
		dir := path.Dir(f.path)
		if all := path.Dir(dir) + "/*"; byDir[all].dir != "" {
			dir = all
		}
		seen[dir] = true
		if f.test {
			continue
		}
		r, ok := byDir[dir]
		if !ok {
			t.Errorf("%s: the room %s is not in the table of rooms", f.path, dir)
			continue
		}
		for _, spec := range f.syntax.Imports {
			if why := r.forbids(importPath(spec)); why != "" {
				t.Errorf("%s: %s", f.path, why)
			}
		}
	}
	for dir := range byDir {
		switch {
		case seen[dir]:
		case os.Getenv("CI") == "true":
			t.Errorf("the table of rooms has %s, which has no Go file", dir)
		default:
			t.Logf("the table of rooms has %s, which has no Go file; that is an error with CI=true", dir)
		}
	}
}

// TestAppsKnowNoSite: what an app links has nothing of a site in it, neither directly nor by what it imports.
func TestAppsKnowNoSite(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{}
	for _, f := range sources(t) {
		if !f.test {
			for _, spec := range f.syntax.Imports {
				dir := path.Dir(f.path)
				imports[dir] = append(imports[dir], importPath(spec))
			}
		}
	}
	seen := map[string]bool{"client": true}
	for todo := []string{"client"}; len(todo) > 0; todo = todo[1:] {
		for _, imported := range imports[todo[0]] {
			dir, ours := strings.CutPrefix(imported, "userkeys/")
			if ours && !seen[dir] {
				seen[dir] = true
				todo = append(todo, dir)
			}
		}
	}
	if seen["site"] || len(seen) < 2 {
		t.Errorf("client imports %v", slices.Sorted(maps.Keys(seen)))
	}
}

// TestRoomsRefuse proves that the test above can fail.
func TestRoomsRefuse(t *testing.T) {
	t.Parallel()
	store := room{dir: "store", ours: []string{"."}, third: []string{"example.org/migrate"}}
	tests := []struct {
		name  string
		path  string
		allow bool
	}{
		{"the root", "userkeys", true},
		{"standard library", "net/http", true},
		{"its module", "example.org/migrate", true},
		{"package of its module", "example.org/migrate/sub", true},
		{"another room", "userkeys/authority", false},
		{"another module", "example.org/other", false},
		{"a module of a like name", "example.org/migrate2", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if why := store.forbids(tt.path); (why == "") != tt.allow {
				t.Errorf("forbids(%q) = %q, want allowed %v", tt.path, why, tt.allow)
			}
		})
	}
}

// forbids says why r may not import path; empty if it may.
func (r room) forbids(imported string) string {
	if imported == "userkeys" || strings.HasPrefix(imported, "userkeys/") {
		dir := strings.TrimPrefix(strings.TrimPrefix(imported, "userkeys"), "/")
		if dir == "" {
			dir = "."
		}
		if slices.Contains(r.ours, "*") || slices.Contains(r.ours, dir) || path.Dir(dir) == r.dir && strings.HasPrefix(r.dir, "cmd/") {
			return ""
		}
		return fmt.Sprintf("the room %s may not import the room %s", r.dir, dir)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for _, m := range r.third {
		if m == "*" || imported == m || strings.HasPrefix(imported, m+"/") {
			return ""
		}
	}
	return fmt.Sprintf("the room %s may not import %s", r.dir, imported)
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has checked it
	}
	return p
}

// TestArchitectureShowsTheRooms holds ARCHITECTURE.md to the table.
func TestArchitectureShowsTheRooms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, r := range rooms {
		want = append(want, r.row())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ARCHITECTURE.md shows other rooms than rooms_test.go (-table +page):\n%s", diff)
	}
}

// row is the room's line in ARCHITECTURE.md.
func (r room) row() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s |", r.name(), r.what, list(r.ours, "all"), list(r.third, "any"))
}

func (r room) name() string {
	if r.dir == "." {
		return "userkeys"
	}
	return r.dir
}

// list writes names for people: the root as "root", "*" as all, none as a dash.
func list(names []string, all string) string {
	if len(names) == 0 {
		return "-"
	}
	out := make([]string, len(names))
	for i, n := range names {
		switch n {
		case "*":
			out[i] = all
		case ".":
			out[i] = "root"
		default:
			out[i] = n
		}
	}
	return strings.Join(out, ", ")
}
