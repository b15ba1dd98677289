package server_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// TestAdminKeysReachNoOtherRoute: where an admin API key is not for, it is
// refused and does not leave the request to the session's cookie.
func TestAdminKeysReachNoOtherRoute(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	for _, rt := range f.Door.Routes() {
		if rt.Lets(door.AdminKey|door.AnyAdminKey) || rt.Who == door.Public {
			continue
		}
		method, path := fakesite.Concrete(rt.Pattern)
		c := fakesite.Call{Method: method, Path: path, As: "root", Form: fakesite.FormFor(method)}.By(fakesite.AdminText("root"), "")
		a := f.Do(c)
		a.Must(t, http.StatusForbidden, `"reason":"not for admin API keys"`, userkeys.NotPermitted)
		if a.Header.Get("Location") != "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s leads somewhere", rt.Pattern)
		}
	}
	f.NothingDone("with a key")
}

// TestEveryRouteIsDeclared is the second writing of the table's rules: a
// route that is not here, or whose door changed, is a decision to make anew. A site that takes no passwords has no
// other rules.
func TestEveryRouteIsDeclared(t *testing.T) {
	t.Parallel()
	whole := func(c *server.Config) {
		c.Own, c.Links, c.Logins = struct{ server.OwnAccounts }{}, struct{ server.SignInLinks }{}, oneLogin{}
	}
	lines := declared(t, whole)
	for _, line := range declared(t, whole, func(c *server.Config) { c.NoPasswords = true }) {
		if !slices.Contains(lines, line) {
			t.Errorf("without passwords there is %s", line)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/routes.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the routes or their rules changed; if they should have, run go test ./server -run %s -update and read the difference\n%s", t.Name(), diff)
	}
}

// oneLogin is a provider that signs people in.
type oneLogin struct{ server.Logins }

func (oneLogin) Choices() []site.LoginChoice { return []site.LoginChoice{{Name: "id", Title: "ID"}} }

// declared are the routes of a site with their rules, a line each.
func declared(t *testing.T, options ...fakesite.Option) []string {
	t.Helper()
	var lines []string
	for _, rt := range fakesite.NewWithBus(t, options...).Door.Routes() {
		parsed := rt.Body != input.NoBody && rt.Body != input.Raw
		rules := []string{[]string{"anyone", "known", "signed in", "administrator"}[rt.As]}
		for _, rule := range []struct {
			name string
			on   bool
		}{
			{"keys", rt.Lets(door.Key | door.Public)},
			{"session", rt.Lets(door.Browser)},
			{"app sessions", rt.Lets(door.AppSession)},
			{"origin", rt.CSRF >= door.CheckOrigin},
			{"token", rt.CSRF >= door.CheckToken},
			{"form", parsed},
			{"json", parsed && rt.Body != input.Form},
			{"only JSON", rt.Body == input.JSON},
			{"lists", rt.Body == input.Record},
			{"once", rt.CSRF == door.CheckOnce},
			{"fresh", rt.Fresh},
			{"long", rt.Long},
			{"in Authorization", rt.Authorization},
			{"in JSON", rt.JSON},
			{"in time", rt.Within > 0},
			{"admin keys", rt.Lets(door.AdminKey | door.AnyAdminKey)},
		} {
			if rule.on {
				rules = append(rules, rule.name)
			}
		}
		if rt.Lets(door.AppSession) && !rt.Lets(door.Browser) {
			t.Errorf("%s lets sessions of apps pass, and knows no session", rt.Pattern)
		}
		if rt.Permission != "" {
			rules = append(rules, "needing "+string(rt.Permission))
		}
		if rt.OrPermission != "" {
			rules = append(rules, "or "+string(rt.OrPermission))
		}
		if rt.Lets(door.AnyAdminKey) {
			rules = append(rules, "needing any")
		}
		if rt.Permission != "" && !rt.Lets(door.AdminKey|door.AnyAdminKey) {
			t.Errorf("%s needs a permission of keys that may not pass", rt.Pattern)
		}
		lines = append(lines, rt.Pattern+": "+strings.Join(rules, " "))
		// What changes something for a session is protected; what knows no session cannot be abused by a page. A poll
		// changes nothing, and no page of another origin may send it.
		if !strings.HasPrefix(rt.Pattern, "GET ") && !strings.HasPrefix(rt.Pattern, "HEAD ") && rt.Lets(door.Browser) && !(rt.CSRF >= door.CheckToken || rt.CSRF == door.CheckOrigin && (parsed || rt.Long)) {
			t.Errorf("%s is not protected", rt.Pattern)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestEveryAnswer walks all routes as everybody; what must be so for every
// answer is held by do.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	for _, rt := range f.Door.Routes() {
		method, path := fakesite.Concrete(rt.Pattern)
		for _, as := range []string{"", "alice", "mod", "root"} {
			for _, accept := range []string{"text/html", "application/json"} {
				a := f.Do(fakesite.Call{Method: method, Path: path, As: as, Form: fakesite.FormFor(method), Header: map[string]string{"Accept": accept}})
				if a.StatusCode >= 500 {
					t.Errorf("%s as %q: status %d", rt.Pattern, as, a.StatusCode)
				}
				if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Strict-Transport-Security") == "" {
					t.Errorf("%s as %q lacks headers: %v", rt.Pattern, as, a.Header)
				}
				if as == "" && a.Header.Get("X-Discourse-Username") != "" {
					t.Errorf("%s names a stranger", rt.Pattern)
				}
				if rt.Name != a.Header.Get("X-Discourse-Route") {
					t.Errorf("%s: X-Discourse-Route is %q", rt.Pattern, a.Header.Get("X-Discourse-Route"))
				}
			}
		}
	}
}

// harmless are the routes with which an administrator changes something, and which ask for no fresh sign-in.
var harmless = map[string]string{
	"POST /user-api-key/admin/keys/{id}/revoke.json":   "it only takes access away, and whoever sees an app misbehave is to be quick",
	"POST /user-api-key/admin/deliveries/replay.json":  "it sends to their receivers what was to be sent there anyway",
	"POST /user-api-key/admin/deliveries/resume.json":  "likewise",
	"POST /user-api-key/admin/deliveries/discard.json": "what is lost is in the inbox of its user still",
	"POST /user-api-key/deliveries/replay":             "the page of the same",
	"POST /user-api-key/deliveries/resume":             "likewise",
	"POST /user-api-key/deliveries/discard":            "likewise",
	"POST /user-api-key/admin/notifications.json":      "a notification gives nobody access",
	"POST /admin/notifications.json":                   "the same by the wire's name",
}

// TestAnAdministratorsDangerousActionsWantAFreshSignIn: a browser that was left open is not enough for what outlives
// its session, or a new route says why it is.
func TestAnAdministratorsDangerousActionsWantAFreshSignIn(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithBus(t, func(c *server.Config) { c.Sync = struct{ server.UserSync }{} })
	f.Identity.Since = fakesite.Now.Add(-server.FreshSignIn - time.Second)
	listed := map[string]bool{}
	for _, rt := range f.Door.Routes() {
		if rt.As != door.Administrator || strings.HasPrefix(rt.Pattern, "GET ") {
			continue
		}
		method, path := fakesite.Concrete(rt.Pattern)
		c := fakesite.Call{Method: method, Path: path, As: "root", Form: fakesite.FormFor(method), Header: map[string]string{
			"Accept": "application/json", "Origin": "https://site.example", door.TokenHeader: "token-of-root",
		}}
		switch listed[rt.Pattern] = true; {
		case rt.Fresh && harmless[rt.Pattern] != "":
			t.Errorf("%s wants a fresh sign-in, and is listed as harmless", rt.Pattern)
		case rt.Fresh:
			f.Do(c).Must(t, http.StatusForbidden, `"reason":"sign in again"`)
		case harmless[rt.Pattern] == "":
			t.Errorf("%s changes something, wants no fresh sign-in, and is not listed as harmless", rt.Pattern)
		}
	}
	for from, back := range map[string]string{
		"https://site.example/user-api-key/settings?saved=title": "%2Fuser-api-key%2Fsettings%3Fsaved%3Dtitle",
		"https://evil.example/user-api-key/settings":             "%2Fmy%2Fapps",
		"https://site.example//evil.example":                     "%2Fmy%2Fapps",
		"":                                                       "%2Fmy%2Fapps",
	} {
		c := fakesite.Call{Method: "POST", Path: door.SettingsPath, As: "root", Form: map[string]string{"name": "title", "value": "x"}, Header: map[string]string{"Referer": from}}
		f.Do(c).Must(t, http.StatusForbidden, `href="/user-api-key/login?again=1&amp;redirect=`+back+`"`)
	}
	for pattern := range harmless {
		if !listed[pattern] {
			t.Errorf("there is no route %s", pattern)
		}
	}
	f.NothingDone("without a fresh sign-in")
}

func TestKeysReachNoBrowserRoute(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	for _, rt := range f.Door.Routes() {
		if rt.Lets(door.Key | door.Public) {
			continue
		}
		method, path := fakesite.Concrete(rt.Pattern)
		// A session's cookie and token beside the key help nothing.
		c := fakesite.Call{Method: method, Path: path, As: "root", Key: "key-3", Form: fakesite.FormFor(method), Header: map[string]string{"Origin": "https://site.example"}}
		a := f.Do(c)
		a.Must(t, http.StatusForbidden, `"error_type":"invalid_access"`, userkeys.NotPermitted)
		if a.Header.Get("Location") != "" {
			t.Errorf("%s leads somewhere", rt.Pattern)
		}
		c.Key = "key-99"
		f.Do(c).Must(t, http.StatusForbidden, `"reason":"invalid key"`)
	}
	f.NothingDone("with a key")
}

func TestAD1_SettingsAreTheAdministrators(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	for _, tt := range []struct {
		as, key   string
		get, post int
	}{{"", "", 302, 403}, {"alice", "", 403, 403}, {"mod", "", 403, 403}, {"", "key-3", 403, 403}, {"root", "", 200, 303}} {
		f.Do(fakesite.Call{Path: "/user-api-key/settings", As: tt.as, Key: tt.key}).Must(t, tt.get)
		f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/settings", As: tt.as, Key: tt.key, Form: map[string]string{"name": "title", "value": "T"}}).Must(t, tt.post)
	}
}

// TestNoAddressIsMadeOfAHostHeader asks every route by another name: whoever can make somebody send a request
// with a Host of theirs would else lead people, and apps, to their own site.
func TestNoAddressIsMadeOfAHostHeader(t *testing.T) {
	t.Parallel()
	for _, standalone := range []bool{true, false} {
		f := fakesite.NewWithInbox(t, func(c *server.Config) { c.Standalone, c.Endpoints = standalone, true })
		for _, rt := range f.Door.Routes() {
			method, path := fakesite.Concrete(rt.Pattern)
			for _, as := range []string{"", "root"} {
				a := f.Do(fakesite.Call{Method: method, Path: path, As: as, Form: fakesite.FormFor(method), Header: map[string]string{
					"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example",
				}})
				if strings.Contains(a.Text, "evil.example") {
					t.Errorf("%s as %q answers\n%s", rt.Pattern, as, a.Text)
				}
				for name, lines := range a.Header {
					if strings.Contains(strings.Join(lines, " "), "evil.example") {
						t.Errorf("%s as %q answers %s: %s", rt.Pattern, as, name, lines)
					}
				}
			}
		}
		a := f.Do(fakesite.Call{Path: "/.well-known/user-api-key", Header: map[string]string{"Host": "evil.example"}})
		a.Must(t, http.StatusOK, "https://site.example/user-api-key/new")
	}
}
