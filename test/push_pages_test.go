package scenario_test

// Pushes: the pages and the admin API that show them and act on them.

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/site"
)

// shownPushes are pushes for pages to show; nothing is sent.
type shownPushes struct {
	server.Pushes // what no page calls

	mu         sync.Mutex
	states     map[int64]outbox.KeyState
	hosts      []outbox.Host
	deliveries []outbox.Delivery // oldest first
	done       []string
}

func (f *shownPushes) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, fmt.Sprintf(format, args...))
}

func (f *shownPushes) notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

func (f *shownPushes) KeyPushes(context.Context, []int64) (map[int64]outbox.KeyState, error) {
	return f.states, nil
}

func (f *shownPushes) Hosts(context.Context) ([]outbox.Host, error) { return f.hosts, nil }

func (f *shownPushes) Deliveries(_ context.Context, fl outbox.Filter) ([]outbox.Delivery, error) {
	var out []outbox.Delivery
	for _, d := range slices.Backward(f.deliveries) {
		if d.DeadAt.IsZero() != fl.Dead && (fl.Host == "" || d.Host == fl.Host) && (fl.Before == 0 || d.ID < fl.Before) && len(out) < fl.Limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (f *shownPushes) SendTest(_ context.Context, id int64, by site.Caller) error {
	f.note("test %d by %d", id, by.User.ID)
	return nil
}

func (f *shownPushes) ResumeKey(_ context.Context, id int64, by site.Caller) error {
	f.note("resume key %d by %d", id, by.User.ID)
	return nil
}

func (f *shownPushes) ResumeHost(_ context.Context, host string, _ site.Caller) error {
	f.note("resume %s", host)
	return nil
}

func (f *shownPushes) Replay(_ context.Context, ids []int64, host string, _ site.Caller) (int, error) {
	f.note("replay %v %s", ids, host)
	return 1, nil
}

func (f *shownPushes) Discard(_ context.Context, ids []int64, host string, _ site.Caller) (int, error) {
	f.note("discard %v %s", ids, host)
	return 1, nil
}

func (f *shownPushes) SealedSecret(_ context.Context, id int64) (string, error) {
	return fmt.Sprintf("c2VhbGVk%04d", id), nil
}

// shown makes a site show these pushes.
func shown(f *shownPushes) testkit.Option { return func(cfg *wiring.Config) { cfg.Pushes = f } }

const pushHook = "https://push.apps.example.net/api/notifications/discourse/hook"

// pushedSite is a site where alice has five apps that notifications are pushed to: one
// that works, one that fails, one that is switched off, one that asked for a pause, and one whose address is not allowed.
func pushedSite(t *testing.T) (*testkit.Site, *shownPushes) {
	t.Helper()
	f := &shownPushes{states: map[int64]outbox.KeyState{}}
	s := testkit.NewSite(t, dbtest.SQLite(t), shown(f))
	s.User("alice")
	s.User("root", testkit.Admin)
	s.Set("allowed_user_api_push_urls", pushHook)
	alice, now := s.Person("alice"), s.Clock.Now()
	for _, app := range []struct {
		name, url string
		state     outbox.KeyState
	}{
		{"Living room television", pushHook, outbox.KeyState{DeliveredAt: now.Add(-3 * time.Minute)}},
		{"Pocket reader", pushHook, outbox.KeyState{
			DeliveredAt: now.Add(-26 * time.Hour), FailedAt: now,
			FailingSince: now.Add(-3 * time.Hour), Problem: "status 503",
		}},
		{
			"Notifier with a name that somebody thought about for a long time", pushHook,
			outbox.KeyState{FailedAt: now, OffAt: now.Add(-5 * time.Hour), Problem: outbox.ProblemGone},
		},
		{"Busy watch", pushHook, outbox.KeyState{
			DeliveredAt: now.Add(-26 * time.Hour), FailedAt: now,
			FailingSince: now.Add(-3 * time.Hour), Problem: outbox.ProblemBusy,
		}},
		{
			"From before the list", "https://" + strings.Repeat("very-long-name.", 8) + "example/hook",
			outbox.KeyState{DeliveredAt: now.Add(-50 * 24 * time.Hour)},
		},
	} {
		s.App(app.name, "notifications,push").With("application_name", app.name, "push_url", app.url).Connect(alice)
		f.states[s.Keys()[0].ID] = app.state
	}
	return s, f
}

// fill adds a few hosts in every state, with deliveries that wait and that were given up.
func (f *shownPushes) fill(now time.Time) {
	const bad, good, inside = "https://push.old-hub.example:8443", "https://push.apps.example.net:443", "http://10.20.30.40:9000"
	long := "https://" + strings.Repeat("very-long-name.", 12) + "example:443"
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	f.hosts = []outbox.Host{
		{
			Host: good, Delivered: 128_204, Failed: 31, DeliveredAt: ago(4 * time.Second), FailedAt: ago(50 * time.Hour),
			Problem: outbox.ProblemTimeout, Queued: 2, DueAt: now,
		},
		{
			Host: bad, Delivered: 7031, Failed: 412, Failures: 29, DeliveredAt: ago(9 * time.Hour), FailedAt: ago(time.Minute),
			Problem: "status 503", ClosedUntil: now.Add(4 * time.Minute), Queued: 3, Dead: 4, DueAt: now.Add(4 * time.Minute),
		},
		{Host: inside, Failed: 3, Failures: 3, FailedAt: ago(20 * time.Minute), Problem: outbox.ProblemAddress, Dead: 1},
		{
			Host: long, Delivered: 1, Failed: 2, Failures: 1, DeliveredAt: ago(30 * time.Hour), FailedAt: ago(2 * time.Hour),
			Problem: outbox.ProblemTLS, Queued: 1, DueAt: now.Add(time.Hour),
		},
		{Host: "https://new.example:443", Delivered: 12, DeliveredAt: ago(40 * time.Hour), Off: 3},
		{
			Host: "https://busy.example:443", Failures: 2, Failed: 2, FailedAt: ago(time.Minute), Problem: outbox.ProblemBusy,
			ClosedUntil: now.Add(time.Minute),
		},
	}
	for i, d := range []outbox.Delivery{
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", DeadAt: ago(30 * time.Hour), Attempt: 17,
			Problem: outbox.ProblemConnection,
		},
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", DeadAt: ago(8 * time.Hour), Attempt: 16,
			Problem: "status 503",
		},
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", DeadAt: ago(8 * time.Hour), Attempt: 16,
			Problem: "status 503",
		},
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", DeadAt: ago(7 * time.Hour), Attempt: 1,
			Problem: outbox.ProblemGone,
		},
		{
			Host: inside, PushURL: inside + "/hook", DeadAt: ago(20 * time.Minute), Attempt: 3, Problem: outbox.ProblemAddress,
			NotificationID: -1,
		},
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", NextAt: now.Add(40 * time.Minute), Attempt: 9,
			Problem: outbox.ProblemBusy,
		},
		{
			Host: bad, PushURL: "https://push.old-hub.example:8443/api/publish", NextAt: now.Add(4 * time.Minute), Attempt: 2,
			Problem: "status 503",
		},
		{
			Host: long, PushURL: strings.TrimSuffix(long, ":443") + "/" + strings.Repeat("path", 40), NextAt: now.Add(time.Hour),
			Attempt: 1, Problem: outbox.ProblemTLS,
		},
		{Host: good, PushURL: pushHook, NextAt: now.Add(30 * time.Second), Attempt: 1},
		{Host: good, PushURL: pushHook, NextAt: now},
	} {
		d.ID, d.UserID, d.NotificationID = int64(4001+i), 1, d.NotificationID+int64(i+1)
		d.CreatedAt = now.Add(-time.Duration(10-i) * 3 * time.Hour)
		d.QueuedAt = d.CreatedAt
		if d.PushURL == pushHook && d.Attempt == 0 {
			d.QueuedAt, d.NextAt = now.Add(7*time.Minute), now.Add(7*time.Minute)
		}
		if strings.HasPrefix(d.PushURL, inside) {
			d.NotificationID = 0
		}
		f.deliveries = append(f.deliveries, d)
	}
}

// failEverywhere adds very many hosts, none of which answers.
func (f *shownPushes) failEverywhere(now time.Time) {
	for i := range 120 {
		f.hosts = append(f.hosts, outbox.Host{
			Host: fmt.Sprintf("https://push-%03d.apps.example.org:443",
				i), Failed: int64(40 + i), Failures: 40 + i, FailedAt: now.Add(-time.Minute),
			Problem: outbox.ProblemConnection, ClosedUntil: now.Add(time.Duration(i) * time.Minute), Queued: 830 + i, Dead: i,
		})
	}
}

// A user whose pushes fail tries again, or sends a test, with the keyboard only.
func TestChromiumPushesOnTheAppsPage(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s, f := pushedSite(t)
	b.Open(s.URL + "/my/apps")
	signIn(b, "alice", testkit.Password)
	b.At("Your apps")
	proper(t, b)
	keys := s.Keys() // newest first
	open := func(id int64) {
		b.TabTo(fmt.Sprintf("#key-%d summary", id))
		b.Type("\r")
		b.TabTo(fmt.Sprintf("#push-%d button", id))
	}
	open(keys[4].ID)
	b.Type("\r")
	b.Until(`document.querySelector("[role=status]")?.textContent.startsWith("A test is on its way")`)
	open(keys[2].ID)
	b.Type("\r")
	b.Until(`document.querySelector("[role=status]")?.textContent.startsWith("Notifications are sent to the app again")`)
	want := []string{fmt.Sprintf("test %d by 1", keys[4].ID), fmt.Sprintf("resume key %d by 1", keys[2].ID)}
	if got := f.notes(); !slices.Equal(got, want) {
		t.Errorf("done was %q, want %q", got, want)
	}
	if n := testkit.Eval[int](b, fmt.Sprintf(`document.querySelectorAll("#push-%d button").length`, keys[0].ID)); n != 0 {
		t.Error("there is something to press where nothing may be sent")
	}
}

func TestChromiumDeliveriesPage(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	s, f := pushedSite(t)
	b.Open(s.URL + "/user-api-key/deliveries")
	signIn(b, "root", testkit.Password)
	b.At("Deliveries")
	proper(t, b)
	if !strings.Contains(b.Text("#no-deliveries"), "Nothing was pushed yet") {
		t.Errorf("the empty page says %q", b.Text("main"))
	}
	f.fill(s.Clock.Now())
	b.Open(s.URL + "/")
	b.TabTo(`nav a[href="/user-api-key/deliveries"]`)
	b.Type("\r")
	b.At("Deliveries")
	proper(t, b)
	b.Press("#delivery-4002 button:nth-of-type(2)")
	b.Until(`document.querySelector("[role=status]")?.textContent === "1 delivery is discarded."`)
	b.Press("#delivery-4002 button")
	b.Until(`document.querySelector("[role=status]")?.textContent === "1 delivery is waiting again."`)
	b.Press(`.rows li:first-child form button`)
	b.Until(`document.querySelector("[role=status]")?.textContent.startsWith("The host is tried again")`)
	b.Press(`.rows li:first-child h3 a`)
	b.Until(`new URLSearchParams(location.search).get("host") === "https://push.old-hub.example:8443"`)
	proper(t, b)
	b.Press("details.all summary")
	b.Press("details.all .danger")
	b.Until(`document.querySelector("[role=status]") && new URLSearchParams(location.search).get("host") === "https://push.old-hub.example:8443"`)
	want := []string{
		"discard [4002] ", "replay [4002] ", "resume https://push.old-hub.example:8443",
		"discard [] https://push.old-hub.example:8443",
	}
	if got := f.notes(); !slices.Equal(got, want) {
		t.Errorf("done was %q, want %q", got, want)
	}
}

// An app gets the secret of its pushes whatever its scopes are, and only its own.
func TestPushSecretNeedsNoScope(t *testing.T) {
	t.Parallel()
	f := &shownPushes{}
	s := testkit.NewSite(t, dbtest.SQLite(t), shown(f))
	s.User("alice")
	alice := s.Person("alice")
	app := s.App("pushed", "push").With("push_url", pushHook).Connect(alice)
	id := s.Keys()[0].ID
	app.Call("GET", "/user-api-key/push-secret.json").Must(t, http.StatusOK, fmt.Sprintf(`"payload":"c2VhbGVk%04d"`, id))
	app.Call("GET", "/session/current.json").Must(t, http.StatusForbidden, "missing scope")
	alice.Get("/user-api-key/push-secret.json").Must(t, http.StatusForbidden)
	for range 9 {
		app.Call("GET", "/user-api-key/push-secret.json").Must(t, http.StatusOK)
	}
	app.Call("GET", "/user-api-key/push-secret.json").Must(t, http.StatusTooManyRequests, "limit: 10 per 60 s")
	s.Set("max_user_api_reqs_per_minute", "10000")
	app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK)
	app.Call("GET", "/user-api-key/push-secret.json").Must(t, http.StatusForbidden, "invalid key")
}

// The admin API of pushes answers as its OpenAPI document says.
func TestAdminAPIOfPushes(t *testing.T) {
	t.Parallel()
	s, f := pushedSite(t)
	f.fill(s.Clock.Now())
	root := s.Program("root")
	root.Call("GET", "/user-api-key/admin/deliveries.json", "").Must(t, http.StatusOK, `"username":"alice"`)
	root.Call("GET", "/user-api-key/admin/deliveries.json?dead=true&user=alice&limit=3", "").Must(t, http.StatusOK,
		`"next":`)
	root.Call("GET", "/user-api-key/admin/push-hosts.json", "").Must(t, http.StatusOK, `"closed_until":"20`)
	root.Call("GET", "/user-api-key/admin/keys.json", "").Must(t, http.StatusOK, `"push":{"delivered_at":"20`)
	for what, body := range map[string]string{
		"replay": `{"ids":[4002]}`, "discard": `{"all":true}`,
		"resume": `{"key_id":1}`,
	} {
		root.Call("POST", "/user-api-key/admin/deliveries/"+what+".json", body).Must(t, http.StatusOK, `"success":"OK"`)
	}
	root.Call("POST", "/user-api-key/admin/deliveries/discard.json", `{}`).Must(t, http.StatusBadRequest)
	app := s.App("writer", "notifications").Connect(s.Person("alice"))
	for _, path := range []string{"deliveries.json", "push-hosts.json"} {
		app.Call("GET", "/user-api-key/admin/"+path).Must(t, http.StatusForbidden)
		s.Person("alice").Get("/user-api-key/admin/"+path).Must(t, http.StatusForbidden)
	}
	if got := len(f.notes()); got != 3 {
		t.Errorf("done was %q", f.notes())
	}
}
