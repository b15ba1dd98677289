// Package scenario_test plays a whole site, as the command wires it, against users, apps, strangers and upstreams.
//
// A test belongs to the file of its subject. Each file begins with what is in it:
//
//	ask_      a request for a key, until it is put to a user or refused
//	grant_    a user, a code or a program approves
//	use_      calls with a key
//	limit     too many calls
//	login     signing in to the site with a password; signin through a provider
//	revoke    keys, and what was given with them, end
//	push      notifications to receivers of apps
//	admin_    what administrators may do, and nobody else
//	proxy     the site as a reverse proxy; proxy_faults for upstreams that misbehave
//	http      malformed, large and slow messages
//	browser   the pages in Chromium; pictures for people to look at
//	secrets   what must be written nowhere
//
// What only one package decides is tested beside it: the store on both databases in store, parsers at the root.
// Here a test runs on both databases ([onBoth]) where a statement decides: what is unique, counted, compared, listed,
// or changed by two at once. All others run on SQLite ([onSQLite]).
package scenario_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
	"userkeys/store"
)

// A scene is a whole site. Alice is signed in, and an app of hers has a key that no refused request may take away.
type scene struct {
	*testkit.Site
	t      *testing.T
	db     *sql.DB // the database itself, for what no door of the site can do
	alice  *testkit.Person
	victim *testkit.App
}

// onBoth plays a scene on each database.
func onBoth(t *testing.T, play func(sc *scene), opts ...testkit.Option) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		onSQLite(t, play, opts...)
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		db := dbtest.PostgresDB(t)
		play(newScene(t, db, dbtest.Open(t, db, store.Postgres), opts...))
	})
}

// onSQLite plays a scene where no statement decides, on the database that every machine has.
func onSQLite(t *testing.T, play func(sc *scene), opts ...testkit.Option) {
	t.Helper()
	db := dbtest.SQLiteDB(t)
	play(newScene(t, db, dbtest.Open(t, db, store.SQLite), opts...))
}

func newScene(t *testing.T, db *sql.DB, st *store.Store, opts ...testkit.Option) *scene {
	t.Helper()
	sc := &scene{Site: testkit.NewSite(t, st, opts...), t: t, db: db}
	sc.User("alice")
	// The limits have rows of their own.
	sc.Set("max_user_api_reqs_per_minute", "10000")
	sc.Set("max_user_api_reqs_per_day", "1000000")
	sc.Set("max_user_api_reqs_per_user_per_minute", "0")
	sc.Set("max_user_api_reqs_per_user_per_day", "0")
	sc.Set("max_user_api_key_grants_per_hour", "10000")
	sc.alice = sc.Person("alice")
	sc.victim = sc.App("victim", "read").Connect(sc.alice)
	return sc
}

// elsewhere opens the database once more, as another process would.
func (sc *scene) elsewhere() *store.Store {
	sc.t.Helper()
	return dbtest.Open(sc.t, sc.db, sc.Store.Dialect())
}

// exec changes the database without the site.
func (sc *scene) exec(query string, args ...any) {
	sc.t.Helper()
	if _, err := sc.db.ExecContext(sc.t.Context(), query, args...); err != nil {
		sc.t.Fatal(err)
	}
}

// row runs a subtest, in which the scene's helpers fail the subtest.
func (sc *scene) row(name string, play func(sc *scene)) {
	sc.t.Helper()
	sc.t.Run(name, func(t *testing.T) {
		inner := scene{Site: sc.For(t), t: t, db: sc.db}
		inner.alice, inner.victim = sc.alice.At(inner.Site), sc.victim.At(inner.Site)
		play(&inner)
	})
}

// want is the answer that a request must get.
type want struct {
	status int
	kind   string   // error_type of the wire; empty: not looked at
	reason string   // ours; empty: not looked at
	has    []string // in the words that a person or a program reads
	hasNot []string // anywhere in the answer
}

// saying returns w with more words that must be in the answer.
func (w want) saying(words ...string) want {
	w.has = append(slices.Clone(w.has), words...)
	return w
}

func (w want) notSaying(words ...string) want {
	w.hasNot = append(slices.Clone(w.hasNot), words...)
	return w
}

// The usual refusals.
var (
	malformed   = want{status: 400, kind: "invalid_parameters"}
	missing     = want{status: 400, has: []string{"param is missing"}}             // X-GET of a required parameter
	pageRefusal = want{status: 200, has: []string{"No key for this app"}}          // X-GET
	deadKey     = want{status: 403, kind: "invalid_access", reason: "invalid key"} // X-KEY
	notForKeys  = want{status: 403, kind: "invalid_access", reason: "not for keys"}
	denied      = want{status: 403, kind: "invalid_access"}
	badCSRF     = want{status: 403, has: []string{`["BAD CSRF"]`}}
	gone        = want{status: 403, kind: "invalid_access", has: []string{"answered already"}}
	noID        = want{status: 403, kind: "invalid_access", has: []string{"X-CSRF-Token"}} // a whole request without the token in the header
	unknown     = want{status: 404, kind: "not_found"}
	wrongMethod = want{status: 405, kind: "invalid_parameters"}
	wrongMedia  = want{status: 415, kind: "invalid_parameters"}
	tooLarge    = want{status: 413, kind: "invalid_parameters"}
	toLogin     = want{status: 302}
)

// slow is how long a refusal may take.
var slow = nettest.Bound(5 * time.Second)

// refused runs a subtest in which a request is sent twice. Both must be refused as wanted, no key may change, the
// victim's key must still work, and the log must have one line for each.
func (sc *scene) refused(name string, w want, do func(sc *scene) testkit.Answer) {
	sc.t.Helper()
	sc.row(name, func(sc *scene) {
		sc.t.Helper()
		before := sc.Keys()
		for range 2 {
			sc.refusedOnce(w, do)
		}
		sc.unchanged(before)
	})
}

func (sc *scene) refusedOnce(w want, do func(sc *scene) testkit.Answer) {
	sc.t.Helper()
	mark, began := sc.Log.Len(), time.Now()
	a := do(sc)
	if took := time.Since(began); took > slow {
		sc.t.Errorf("answered after %v", took)
	}
	sc.check(a, w)
	if w.status/100 != 3 && a.Header.Get("Location") != "" {
		sc.t.Errorf("a refusal redirects to %q", a.Header.Get("Location"))
	}
	sc.oneLine(a, mark)
}

// check compares an answer with what is wanted, and with what holds for every answer.
func (sc *scene) check(a testkit.Answer, w want) {
	sc.t.Helper()
	if a.StatusCode != w.status || a.StatusCode >= 500 {
		sc.t.Errorf("%s %.200s: status %d, want %d: %.600s", a.Request.Method, a.Request.URL, a.StatusCode, w.status, a.Body)
	}
	if len(a.Body) > 64<<10 {
		sc.t.Errorf("the answer has %d bytes", len(a.Body))
	}
	said, body := wordsOf(a)
	if w.kind != "" && body.Type != w.kind && isJSON(a) {
		sc.t.Errorf("error_type %q, want %q: %s", body.Type, w.kind, a.Body)
	}
	if w.reason != "" && body.Reason != w.reason {
		sc.t.Errorf("reason %q, want %q: %.500s", body.Reason, w.reason, a.Body)
	}
	for _, words := range w.has {
		if !strings.Contains(said, words) {
			sc.t.Errorf("the answer does not say %q: %.3000s", words, said)
		}
	}
	for _, words := range w.hasNot {
		if strings.Contains(a.Body, words) {
			sc.t.Errorf("the answer says %q: %.3000s", words, a.Body)
		}
	}
	sc.noEcho(a)
}

// wireError is the body of a refusal to programs.
type wireError struct {
	Errors []string `json:"errors"`
	Type   string   `json:"error_type"`
	Reason string   `json:"reason"`
	Extras struct {
		WaitSeconds int    `json:"wait_seconds"`
		TimeLeft    string `json:"time_left"`
	} `json:"extras"`
}

func isJSON(a testkit.Answer) bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "application/json")
}

// wordsOf returns the decoded text of an answer, and its error.
func wordsOf(a testkit.Answer) (string, wireError) {
	var e wireError
	if isJSON(a) && json.Unmarshal([]byte(a.Body), &e) == nil {
		return strings.Join(e.Errors, " ") + " " + e.Reason, e
	}
	return html.UnescapeString(a.Body), e
}

// noEcho fails if a page repeats markup of the request unescaped.
func (sc *scene) noEcho(a testkit.Answer) {
	sc.t.Helper()
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		return
	}
	sent, _ := url.ParseQuery(a.Request.URL.RawQuery)
	for name, values := range sent {
		for _, v := range values {
			if i := strings.IndexByte(v, '<'); i >= 0 && len(v) > i+3 && strings.Contains(a.Body, v[i:]) {
				sc.t.Errorf("%s is echoed unescaped: %q", name, v[i:])
			}
		}
	}
}

// oneLine fails unless the log has one short line for the answer after mark. It waits for the line, which is written
// after the answer.
func (sc *scene) oneLine(a testkit.Answer, mark int) {
	sc.t.Helper()
	id := a.Header.Get("X-Request-Id")
	if id == "" {
		return
	}
	var lines []string
	for end := time.Now().Add(nettest.Patience); len(lines) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		for line := range strings.Lines(sc.Log.Since(mark)) {
			if strings.Contains(line, "id="+id) {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			break
		}
	}
	if len(lines) != 1 || len(lines[0]) > 1500 || strings.Contains(lines[0], "panic") {
		sc.t.Errorf("%d log lines of request %s: %.2000s", len(lines), id, lines)
	}
	if a.StatusCode >= 400 && !strings.Contains(strings.Join(lines, ""), "refused=") {
		sc.t.Errorf("the log does not say why: %s", lines)
	}
}

// unchanged fails unless the keys are those of before and the victim's still works.
func (sc *scene) unchanged(before []site.UserAPIKey) {
	sc.t.Helper()
	if d := cmp.Diff(before, sc.Keys(), cmpopts.IgnoreFields(site.UserAPIKey{}, "LastUsedAt")); d != "" {
		sc.t.Errorf("a refused request changed the keys: %s", d)
	}
	sc.victim.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
}

// absent as a value removes a parameter from a request; see [scene.ask].
const absent = "\x00absent"

// ask returns the query of an app's request with the given parameters changed.
func (sc *scene) ask(nameValues ...string) string {
	q := sc.App("attacker", "read").With(nameValues...).Params
	for name := range q {
		if q.Get(name) == absent {
			q.Del(name)
		}
	}
	return q.Encode()
}

// refusedAsk is [scene.refused] for a request to the consent page. Alice and a stranger get the same refusal, before
// anybody is sent to sign in.
func (sc *scene) refusedAsk(name string, w want, query string) {
	sc.t.Helper()
	w = w.notSaying(`action="/user-api-key"`)
	sc.row(name, func(sc *scene) {
		sc.t.Helper()
		before := sc.Keys()
		for _, p := range []*testkit.Person{sc.Visitor(), sc.alice, sc.alice} {
			sc.refusedOnce(w, func(*scene) testkit.Answer { return p.Get("/user-api-key/new?" + query) })
		}
		sc.unchanged(before)
	})
}

// shown runs a subtest in which the consent page must be shown.
func (sc *scene) shown(name, query string, has ...string) {
	sc.t.Helper()
	sc.row(name, func(sc *scene) {
		sc.t.Helper()
		sc.check(sc.alice.Get("/user-api-key/new?"+query), want{status: 200, has: append(has, `action="/user-api-key"`)})
	})
}

// consent opens a consent page and returns it with the fields of its form.
func (sc *scene) consent(nameValues ...string) (testkit.Answer, url.Values) {
	sc.t.Helper()
	page := sc.alice.Get("/user-api-key/new?"+sc.ask(nameValues...)).Must(sc.t, 200)
	form, ok := page.Form("/user-api-key")
	if !ok {
		sc.t.Fatalf("no form: %.2000s", page.Body)
	}
	return page, form
}

// key sends a request with any text as its key.
func (sc *scene) key(key, method, path string, header ...string) testkit.Answer {
	sc.t.Helper()
	app := &testkit.App{}
	*app = *sc.victim
	app.Key = userkeys.Key(key)
	return app.Call(method, path, header...)
}

// grantTo allows the scopes on the site and has alice grant them to a new app.
func (sc *scene) grantTo(clientID, scopes string) *testkit.App {
	sc.t.Helper()
	list := "read|notifications|session_info|message_bus|push"
	sc.Set("allow_user_api_key_scopes", list+"|"+strings.ReplaceAll(scopes, ",", "|"))
	return sc.App(clientID, scopes).Connect(sc.alice)
}

// post sends a body to a path as p's page would, with the given headers changed.
func post(p *testkit.Person, path, kind, body string, header ...string) testkit.Answer {
	r := p.Request("POST", path, body)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Origin", p.Site.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Del(header[i]); header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return p.Do(r)
}

const urlencoded = "application/x-www-form-urlencoded"

func sprint(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// tokenOf returns the token of the forms of p's session.
func (sc *scene) tokenOf(p *testkit.Person) string {
	sc.t.Helper()
	form, ok := p.Get("/my/apps").Form("/user-api-key/logout")
	if !ok || form.Get("authenticity_token") == "" {
		sc.t.Fatal("the page has no token")
	}
	return form.Get("authenticity_token")
}
