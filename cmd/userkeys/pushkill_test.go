package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// An arrival is a push as it came, and whether it was answered with 200.
type arrival struct {
	path    string
	at      time.Time
	headers userkeys.PushHeaders
	body    []byte
	taken   bool
}

// A moodyReceiver is an app's server that fails in every way, unless it is calm.
type moodyReceiver struct {
	*httptest.Server
	calm atomic.Bool

	mu  sync.Mutex
	got []arrival
}

func newMoodyReceiver(t *testing.T) *moodyReceiver {
	t.Helper()
	rc := &moodyReceiver{}
	rc.Server = httptest.NewServer(http.HandlerFunc(rc.take))
	t.Cleanup(func() {
		rc.CloseClientConnections()
		rc.Close()
	})
	return rc
}

func (rc *moodyReceiver) take(w http.ResponseWriter, r *http.Request) {
	a := arrival{path: r.URL.Path, at: time.Now(), headers: userkeys.PushHeaders{
		ID: r.Header.Get(userkeys.PushIDHeader), Timestamp: r.Header.Get(userkeys.PushTimestampHeader), Signature: r.Header.Get(userkeys.PushSignatureHeader),
	}}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed in the middle of it
	}
	a.body = body
	mood := rand.IntN(100)
	cutInBody := mood >= 95 && !rc.calm.Load()
	a.taken = rc.calm.Load() || mood < 75 || cutInBody
	rc.mu.Lock()
	rc.got = append(rc.got, a)
	rc.mu.Unlock()
	switch {
	case cutInBody:
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("a"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case a.taken:
	case mood < 84:
		w.WriteHeader(http.StatusInternalServerError)
	case mood < 87:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	default: // it hangs for a while, or not, and hangs up
		if mood < 90 {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		}
		panic(http.ErrAbortHandler)
	}
}

func (rc *moodyReceiver) all() []arrival {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.got)
}

// A pushTrial is a site that is killed while it notifies and pushes, with all that it acknowledged.
type pushTrial struct {
	*testing.T
	data    string
	args    []string // of every command: where the data is
	db      *sql.DB
	store   *store.Store
	rc      *moodyReceiver
	program userkeys.Key // an admin API key
	people  []*testkit.Person
	going   []*goingApp // one for each of the people

	mu   sync.Mutex
	told map[int64]string // acknowledged notifications, and whose they are
	gone map[string]time.Time
}

// A goingApp is given keys that are soon revoked, each under another client id.
type goingApp struct {
	keys int
	app  *testkit.App // nil: there is none that is known to live
}

// TestKill9LosesNoPush tests F38, SS23, T32: kill -9 while notifications are added and pushed, keys are given and
// revoked. Whatever was acknowledged is pushed, perhaps more than once under the same id, and nothing for a key that
// was revoked.
func TestKill9LosesNoPush(t *testing.T) {
	rounds := killRounds(t)
	for name, open := range map[string]func(*testing.T, *pushTrial){"SQLite": onSQLite, "Postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := &pushTrial{T: t, data: t.TempDir(), rc: newMoodyReceiver(t), told: map[int64]string{}, gone: map[string]time.Time{}}
			tr.args = []string{"--data", tr.data}
			open(t, tr)
			tr.prepare("ada", "bob", "cleo", "dan")
			for round := range rounds {
				p := tr.serve()
				if round == 0 {
					tr.connect()
				}
				tr.strain(p)
				tr.timePasses()
			}
			tr.rc.calm.Store(true)
			p := tr.serve()
			tr.drain(p)
			p.Stop(t)
			tr.judge(rounds)
		})
	}
}

func onSQLite(t *testing.T, tr *pushTrial) {
	testkit.Run(t, "", append([]string{"migrate"}, tr.args...)...)
	var err error
	if tr.db, err = sql.Open("sqlite", store.SQLiteDSN(filepath.Join(tr.data, "userkeys.db"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.db.Close() })
	tr.store = dbtest.Open(t, tr.db, store.SQLite)
}

func onPostgres(t *testing.T, tr *pushTrial) {
	tr.db = dbtest.PostgresDB(t)
	tr.store = dbtest.Open(t, tr.db, store.Postgres)
	tr.args = append(tr.args, "--database", postgresDSN(t, tr.db))
}

// postgresDSN is how another process reaches the schema of db, which [dbtest.PostgresDB] made.
func postgresDSN(t *testing.T, db *sql.DB) string {
	t.Helper()
	var schema string
	if err := db.QueryRowContext(t.Context(), "SELECT current_schema()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	dsn := os.Getenv(dbtest.PostgresEnv)
	if !strings.Contains(dsn, "://") {
		return dsn + " search_path=" + schema
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func (tr *pushTrial) run(stdin string, args ...string) string {
	tr.Helper()
	return testkit.Run(tr.T, stdin, append(args, tr.args...)...)
}

func (tr *pushTrial) prepare(names ...string) {
	tr.Helper()
	var urls []string
	for _, name := range names {
		tr.run(testkit.Password+"\n", "user", "add", name, "--password-stdin")
		tr.people = append(tr.people, &testkit.Person{Name: name})
		tr.going = append(tr.going, &goingApp{})
		urls = append(urls, tr.rc.URL+"/stays/"+name, tr.rc.URL+"/goes/"+name)
	}
	tr.run(testkit.Password+"\n", "user", "add", "root", "--password-stdin", "--admin")
	for name, value := range map[string]string{
		"allowed_user_api_push_urls": strings.Join(urls, "|"), "push_notification_time_window_mins": "0",
		"max_admin_api_reqs_per_minute": "60000", "max_user_api_key_grants_per_hour": "10000", "max_user_api_keys_per_user": "10000",
	} {
		tr.run("", "settings", "set", name, value)
	}
	tr.program = userkeys.Key(strings.TrimSpace(tr.run("", "admin-keys", "add", "--description", "tells", "--user", "root")))
}

// serve starts the site, and everybody goes there.
func (tr *pushTrial) serve() *testkit.Process {
	tr.Helper()
	p := testkit.Serve(tr.T, append([]string{"--log-level", "error"}, tr.args...)...)
	s := testkit.At(tr.T, p.URL)
	for i, person := range tr.people {
		if person.HTTP == nil {
			tr.people[i] = s.Person(person.Name)
		}
		tr.people[i].Site = s
		if g := tr.going[i]; g.app != nil {
			g.app.Site = s
		}
	}
	return p
}

// connect gives everybody an app that stays.
func (tr *pushTrial) connect() {
	tr.Helper()
	for _, person := range tr.people {
		person.Site.App("stays-"+person.Name, "notifications").With("push_url", tr.rc.URL+"/stays/"+person.Name).Connect(person)
	}
}

// strain notifies, gives and revokes keys, all at once, until the server is killed.
func (tr *pushTrial) strain(p *testkit.Process) {
	tr.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	until := func(step func() bool) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !step() {
					return
				}
			}
		})
	}
	for range 3 {
		until(func() bool { return tr.tell(p) })
	}
	for i, person := range tr.people {
		until(func() bool { return tr.comeAndGo(person, tr.going[i]) })
	}
	time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
	for end := time.Now().Add(nettest.Patience); !tr.revokedOne() && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // on a busy machine the first revocation takes longer
	}
	p.Kill()
	close(stop)
	wg.Wait()
}

// revokedOne reports whether a revocation was acknowledged yet.
func (tr *pushTrial) revokedOne() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.gone) > 0
}

// tell notifies some of the people; false when the server is gone.
func (tr *pushTrial) tell(p *testkit.Process) bool {
	time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // as fast as all are pushed, about
	var names []string
	for _, i := range rand.Perm(len(tr.people))[:1+rand.IntN(len(tr.people))] {
		names = append(names, tr.people[i].Name)
	}
	body, err := json.Marshal(map[string]any{"usernames": names, "notification_type": "mentioned", "data": map[string]string{"topic_title": "Hello", "url": "/t/1"}})
	if err != nil {
		tr.Error(err)
		return false
	}
	v := testkit.At(tr.T, p.URL).Visitor()
	r := v.Request("POST", "/user-api-key/admin/notifications.json", string(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(site.AdminKeyHeader, tr.program.Reveal())
	a, err := v.Try(r)
	if err != nil {
		return false
	}
	var out struct{ IDs []int64 }
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil || a.StatusCode != http.StatusOK || len(out.IDs) != len(names) {
		tr.Errorf("notifying %v: %d %.300s", names, a.StatusCode, a.Body)
		return false
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i, id := range out.IDs {
		tr.told[id] = names[i]
	}
	return true
}

// comeAndGo gives a key, or lets it revoke itself a moment later; false when the server is gone.
func (tr *pushTrial) comeAndGo(person *testkit.Person, g *goingApp) bool {
	if g.app == nil {
		g.keys++
		app := person.Site.App(fmt.Sprintf("goes-%s-%d", person.Name, g.keys), "notifications").With("push_url", tr.rc.URL+"/goes/"+person.Name)
		key, _, err := app.TryConnect(person)
		if err != nil {
			return false // it may have a key, of which nothing is promised
		}
		app.Key = key
		g.app = app
		return true
	}
	time.Sleep(time.Duration(rand.IntN(80)) * time.Millisecond)
	app := g.app
	g.app = nil
	a, err := app.Try("POST", "/user-api-key/revoke")
	if err != nil {
		return false // it may be revoked, or not
	}
	at := time.Now()
	if a.StatusCode != http.StatusOK {
		tr.Errorf("revoking: %d %.300s", a.StatusCode, a.Body)
		return false
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.gone[app.Params.Get("client_id")] = at
	return true
}

// timePasses between a kill and the next start: what the dead process had claimed is free, and
// what was to be tried later is due. It is the minutes and hours that a test does not have.
func (tr *pushTrial) timePasses() {
	tr.Helper()
	for _, query := range []string{
		"UPDATE userkeys_deliveries SET next_at = queued_at WHERE dead_at = 0",
		"UPDATE userkeys_push_hosts SET closed_until = 0",
	} {
		if _, err := tr.db.ExecContext(tr.Context(), query); err != nil {
			tr.Fatal(err)
		}
	}
}

// drain waits until nothing is left to push; it may take long, if only it goes on.
func (tr *pushTrial) drain(p *testkit.Process) {
	tr.Helper()
	count := func(where string) (n int) {
		tr.Helper()
		if err := tr.db.QueryRowContext(tr.Context(), "SELECT COUNT(*) FROM userkeys_deliveries WHERE "+where).Scan(&n); err != nil {
			tr.Fatal(err)
		}
		return n
	}
	least, since := count("dead_at = 0"), time.Now()
	tr.Logf("%d were left at the end", least)
	for left := least; left > 0; time.Sleep(200 * time.Millisecond) {
		if left = count("dead_at = 0"); left < least {
			least, since = left, time.Now()
		}
		if time.Since(since) > time.Minute {
			hosts, err := tr.store.PushHosts(tr.Context())
			tr.Fatalf("%d deliveries stay; hosts %+v, %v; the server said %s", left, hosts, err, p.Stop(tr.T))
		}
	}
	if n := count("dead_at <> 0"); n != 0 {
		tr.Errorf("%d were given up, although nobody said that it wants none", n)
	}
}

// pushedTo is what a push says.
type pushedTo struct {
	Notifications []struct {
		ClientID       string `json:"client_id"`
		NotificationID int64  `json:"notification_id"`
	}
}

// judge compares what came with what was promised.
func (tr *pushTrial) judge(rounds int) {
	tr.Helper()
	got := tr.rc.all()
	secrets := tr.secrets()
	names := map[string]string{} // what an id is the name of
	ids := map[string]string{}
	taken := map[string]bool{} // path and notification
	var again, late, toGone int
	var latest time.Duration
	for _, a := range got {
		var in pushedTo
		if err := json.Unmarshal(a.body, &in); err != nil || len(in.Notifications) == 0 {
			tr.Fatalf("%s: no push: %.300s", a.path, a.body)
		}
		what := fmt.Sprintf("%s %d", a.path, in.Notifications[0].NotificationID)
		if names[a.headers.ID] != "" {
			again++
		}
		if was := names[a.headers.ID]; was != "" && was != what {
			tr.Errorf("the id %s names %q and %q", a.headers.ID, was, what)
		}
		if was := ids[what]; was != "" && was != a.headers.ID {
			tr.Errorf("%q came under the ids %s and %s", what, was, a.headers.ID)
		}
		names[a.headers.ID], ids[what] = what, a.headers.ID
		taken[what] = taken[what] || a.taken
		for _, n := range in.Notifications {
			if n.NotificationID != in.Notifications[0].NotificationID {
				tr.Errorf("two notifications in %s", a.body)
			}
			if secret, ok := secrets[n.ClientID]; !ok {
				tr.Errorf("%s: there is no key of %s", a.path, n.ClientID)
			} else if _, err := userkeys.VerifyPush(a.headers, a.body, a.at, secret); err != nil {
				tr.Errorf("%s for %s: %v", a.path, n.ClientID, err)
			}
			if at, ok := tr.gone[n.ClientID]; ok {
				toGone++
				latest = max(latest, a.at.Sub(at))
				if a.at.Sub(at) > sentAfterRevoke() {
					late++
				}
			}
		}
	}
	if late > 0 {
		tr.Errorf("%d pushes came for a revoked key, the last %v after its revocation was acknowledged", late, latest)
	}
	lost := 0
	for id, name := range tr.notifications() {
		if !taken[fmt.Sprintf("/stays/%s %d", name, id)] {
			lost++
		}
	}
	if lost > 0 {
		tr.Errorf("%d notifications were never pushed", lost)
	}
	tr.Logf("%d kills, %d notifications acknowledged, %d pushes of which %d were repetitions, %d revocations acknowledged, %d pushes to those keys, the last %v from the acknowledgment",
		rounds, len(tr.told), len(got), again, len(tr.gone), toGone, latest.Round(time.Millisecond))
	if len(tr.told) < rounds || again == 0 || len(tr.gone) == 0 || toGone == 0 && rounds > 5 {
		tr.Error("too little happened: nothing was tested")
	}
}

// sentAfterRevoke is how long after an acknowledged revocation a push may still come.
func sentAfterRevoke() time.Duration {
	if os.Getenv("USERKEYS_LONG") != "" {
		return time.Second // the promise
	}
	return 5 * time.Second // beside other tests on a busy machine
}

// secrets are those of all keys there ever were, by their client.
func (tr *pushTrial) secrets() map[string]userkeys.PushSecret {
	tr.Helper()
	machine, err := wiring.ReadSecret(filepath.Join(tr.data, "userkeys.secret"))
	if err != nil {
		tr.Fatal(err)
	}
	rows, err := tr.db.QueryContext(tr.Context(), "SELECT k.id, c.client_id, k.created_at FROM userkeys_keys k JOIN userkeys_clients c ON c.id = k.client")
	if err != nil {
		tr.Fatal(err)
	}
	defer rows.Close()
	out := map[string]userkeys.PushSecret{}
	for rows.Next() {
		var id, created int64
		var client string
		if err := rows.Scan(&id, &client, &created); err != nil {
			tr.Fatal(err)
		}
		if out[client], err = userkeys.NewPushSecret(machine, id, time.UnixMicro(created)); err != nil {
			tr.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		tr.Fatal(err)
	}
	return out
}

// notifications are all that were written, acknowledged or not, and whose they are; none that was acknowledged may lack.
func (tr *pushTrial) notifications() map[int64]string {
	tr.Helper()
	rows, err := tr.db.QueryContext(tr.Context(), "SELECT n.id, u.username FROM userkeys_notifications n JOIN userkeys_users u ON u.id = n.user_id")
	if err != nil {
		tr.Fatal(err)
	}
	defer rows.Close()
	out := map[int64]string{}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			tr.Fatal(err)
		}
		out[id] = name
	}
	if err := rows.Err(); err != nil {
		tr.Fatal(err)
	}
	for id, name := range tr.told {
		if out[id] != name {
			tr.Errorf("notification %d of %s was acknowledged and is gone", id, name)
		}
	}
	return out
}
