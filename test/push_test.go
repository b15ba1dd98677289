package scenario_test

// Pushes: to receivers of apps, from the notification to the signature. Group SS of docs/attacks.md.

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/outbox"
	"userkeys/site"
)

// A hub is a stand-in for the server of an app, such as Discourse's own.
type hub struct {
	*httptest.Server

	mu     sync.Mutex
	secret string // old hubs: the secret_key that they take pushes with; empty: they do not look
	got    []hubPush
}

// hubPush is a push as a hub reads it.
type hubPush struct {
	Path          string `json:"-"`
	Text          string `json:"-"`
	Headers       userkeys.PushHeaders
	SecretKey     *string `json:"secret_key"`
	URL           string
	Title         string
	Notifications []struct {
		Type           int    `json:"notification_type"`
		TopicTitle     string `json:"topic_title"`
		Excerpt        string
		Username       string
		URL            string
		ClientID       string `json:"client_id"`
		NotificationID int64  `json:"notification_id"`
	}
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p := hubPush{Path: r.URL.Path, Text: string(body)}
		if err == nil {
			err = json.Unmarshal(body, &p)
		}
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the hub got %s %s: %.200s, %v", r.Method, r.Header.Get("Content-Type"), body, err)
		}
		p.Headers = userkeys.PushHeaders{
			ID: r.Header.Get(userkeys.PushIDHeader), Timestamp: r.Header.Get(userkeys.PushTimestampHeader), Signature: r.Header.Get(userkeys.PushSignatureHeader),
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, p)
		if h.secret != "" && (p.SecretKey == nil || *p.SecretKey != h.secret) {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hub) all() []hubPush {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func (h *hub) expect(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secret = secret
}

// pushed waits until no push waits any more, and returns what the hub received.
func (sc *scene) pushed(h *hub) []hubPush {
	sc.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		left, err := sc.Store.Deliveries(sc.t.Context(), outbox.Filter{})
		if err != nil {
			sc.t.Fatal(err)
		}
		if len(left) == 0 {
			return h.all()
		}
		if time.Now().After(end) {
			sc.t.Fatalf("these are left: %+v", left)
		}
	}
}

// approved has p approve the app's request and gives the app its key.
func (sc *scene) approved(app *testkit.App, p *testkit.Person) userkeys.Payload {
	sc.t.Helper()
	answer := app.Approve(p)
	sealed, ok := answer.Text("user-api-key-payload")
	if to, err := url.Parse(answer.Header.Get("Location")); err == nil && !ok {
		sealed = to.Query().Get("payload")
	}
	payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, sealed)
	if err != nil {
		sc.t.Fatalf("no payload: %v; %d %.500s", err, answer.StatusCode, answer.Body)
	}
	app.Key = payload.Key
	return payload
}

// machineSecret is the machine secret of the sites of these tests.
const machineSecret = "the machine secret of every test"

// verify checks a push's signature with the secret of a client's key.
func (sc *scene) verify(p hubPush, clientID string, now time.Time) error {
	sc.t.Helper()
	for _, k := range sc.Keys() {
		if k.ClientID != clientID {
			continue
		}
		secret, err := userkeys.NewPushSecret([]byte(machineSecret), k.ID, k.CreatedAt)
		if err != nil {
			sc.t.Fatal(err)
		}
		_, err = userkeys.VerifyPush(p.Headers, []byte(p.Text), now, secret)
		return err
	}
	sc.t.Fatalf("there is no key of %s", clientID)
	return nil
}

// TestDiscourseHub walks the official app's way from the probe to a pushed notification, and to the end of its key.
func TestDiscourseHub(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		const clientID, token = "6d6f62696c656d6f62696c656d6f6269", "fcm_dQw4w9WgXcQ:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"
		h := newHub(sc.t)
		h.expect("the hub's own secret")
		pushURL := h.URL + "/api/publish_ios"
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		for name, value := range map[string]string{
			"title": "A forum", "allowed_user_api_push_urls": pushURL, "push_api_secret_key": "the hub's own secret", "discourse_push_secret": "true",
			"allow_user_api_key_scopes": "read|notifications|session_info|one_time_password|push",
		} {
			sc.Set(name, value)
		}
		sc.Start()
		sc.Visitor().Do(sc.Visitor().Request("HEAD", "/user-api-key/new", "")).Must(sc.t, 200)
		sc.Visitor().Get("/site/basic-info.json").Must(sc.t, 200, `"title":"A forum"`)
		app := sc.App(clientID, "notifications,session_info,one_time_password").With(
			"auth_redirect", "discourse://auth_redirect", "application_name", "Discourse - Alice's iPhone", "discourse_app", "1", "push_url", pushURL)
		if payload := sc.approved(app, sc.alice); !payload.Push {
			sc.t.Errorf("the app is told that nothing will be pushed: %+v", payload)
		}
		send(app, "GET", "/notifications/totals.json", "").Must(sc.t, 200, `"unread_notifications":0`)

		told := func(title string) {
			sc.t.Helper()
			sc.notify(root, adminNotifications, `{"username":"alice","notification_type":"replied","topic_id":42,"post_number":3,"slug":"hello",
				"data":{"display_username":"root","topic_title":"`+title+`","excerpt":"Come and see"}}`).Must(sc.t, 200, `"created":1`)
		}
		told("First")
		send(app, "GET", "/notifications/totals.json", "").Must(sc.t, 200, `"unread_notifications":1`)
		if got := h.all(); len(got) != 0 { // she was at her browser a moment ago (W12.2)
			sc.t.Fatalf("it was pushed to who is there: %+v", got)
		}
		sc.Clock.Pass(10 * time.Minute)
		got := sc.pushed(h)
		if len(got) != 1 || got[0].Path != "/api/publish_ios" || got[0].SecretKey == nil || got[0].URL != sc.URL || got[0].Title != "A forum" || len(got[0].Notifications) != 1 {
			sc.t.Fatalf("the hub has %+v", got)
		}
		first := got[0].Notifications[0]
		if first.ClientID != clientID || first.URL != sc.URL+"/t/hello/42/3" || first.TopicTitle != "First" || first.Excerpt != "Come and see" || first.Username != "root" || first.Type != 2 || first.NotificationID == 0 {
			sc.t.Errorf("the app is told %+v", first)
		}
		if err := sc.verify(got[0], clientID, sc.Clock.Now()); err != nil {
			sc.t.Error("beside the old secret it is signed:", err)
		}

		// SS20: without the setting, no receiver learns what another could be deceived with. SS21: a copy is found out.
		sc.Set("discourse_push_secret", "false")
		h.expect("")
		app.Call("GET", "/notifications/totals.json", "User-Api-Client-Id", token).Must(sc.t, 200) // the app has a new token (W7.4)
		told("Second")
		if got = sc.pushed(h); len(got) != 2 || len(got[1].Notifications) != 1 || got[1].Notifications[0].ClientID != token || got[1].Notifications[0].TopicTitle != "Second" {
			sc.t.Fatalf("after the app's new token the hub has %+v", got)
		}
		if got[1].SecretKey != nil || strings.Contains(got[1].Text, "hub's own") || got[0].Headers.ID == got[1].Headers.ID {
			sc.t.Errorf("the second push is %+v", got[1])
		}
		if err := sc.verify(got[1], token, sc.Clock.Now()); err != nil {
			sc.t.Error(err)
		}
		if err := sc.verify(got[1], token,
			sc.Clock.Now().Add(6*time.Minute)); err == nil || userkeys.AsError(err).Reason != userkeys.ReasonTooOld {
			sc.t.Errorf("a copy after six minutes: %v", err)
		}

		send(app, "POST", "/user-api-key/revoke", "").Must(sc.t, 200, `{"success":"OK"}`)
		sc.check(send(app, "GET", "/notifications/totals.json", ""), deadKey)
		told("Third")
		if got = sc.pushed(h); len(got) != 2 {
			sc.t.Errorf("after the revocation the hub got %+v", got[2:])
		}
	})
}

// TestPushAddresses tries push addresses that are not exactly the listed ones (SS1, SS3, SS16, SS28, T30).
func TestPushAddresses(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		h := newHub(sc.t)
		other := newHub(sc.t) // another port of the same host
		exact := h.URL + "/Hub/device"
		const listed = "https://push.example/hub"
		sc.Set("allowed_user_api_push_urls", exact+"|"+listed)
		sc.Set("push_notification_time_window_mins", "0")
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		ask := func(sc *scene, client, pushURL string) bool {
			return sc.approved(sc.App(client, "notifications").With("push_url", pushURL), sc.alice).Push
		}
		if !ask(sc, "the listed one", exact) {
			sc.t.Fatal("the listed address gets none")
		}
		for name, address := range map[string]string{
			"SS1 another": h.URL + "/other", "SS1 a part of an entry": h.URL + "/Hub", "SS1 the beginning of an entry": h.URL + "/", "SS1 an entry and more": exact + "/device1",
			"SS1 an entry with a query": exact + "?device=1", "SS1 another case of the path": h.URL + "/hub/device", "SS1 another case of the host": "https://PUSH.example/hub",
			"SS1 another case of the scheme": "HTTPS://push.example/hub", "SS1 a slash at the end": exact + "/", "SS1 its default port": "https://push.example:443/hub",
			"SS1 without TLS": "http://push.example/hub", "SS1 a part of an entry's host": "https://example/hub", "SS1 a host that ends so": "https://evil.push.example/hub",
			"SS1 percent-encoded": h.URL + "/Hub/%64evice", "SS16 another port": other.URL + "/Hub/device", "SS16 ssh": "https://push.example:22/hub", "SS16 smtp": "https://push.example:25/hub",
			"SS16 redis": "https://push.example:6379/hub", "SS16 postgres": "https://push.example:5432/hub", "SS16 memcached": "https://push.example:11211/hub",
			"T30 this machine": "http://127.0.0.1:9000/", "T30 metadata": "http://169.254.169.254/latest/meta-data/",
		} {
			sc.row(name, func(sc *scene) {
				if ask(sc, name, address) {
					sc.t.Errorf("the app is told that pushes go to %s", address)
				}
			})
		}
		bad := map[string]string{
			"a user name": "https://a:b@push.example/hub", "a fragment": listed + "#x", "a line end": "https://push.example/hub\r\nX: y", "a tab": "https://push.example/\thub",
			"NUL": "https://push.example/\x00", "a backslash": `https://push.example\@evil.example/hub`, "a host outside ASCII": "https://b\u00fccher.example/hub", "dot segments": "https://push.example/a/../hub",
			"encoded dot segments": "https://push.example/a/%2e%2e/hub", "a number for a host": "http://2130706433/", "a short address": "http://127.1/", "an address in hexadecimal": "http://0x7f000001/",
			"port 0": "https://push.example:0/hub", "a port that is none": "https://push.example:99999/hub", "script": "javascript://push.example/%0aalert(1)", "ftp": "ftp://push.example/hub", "an app": "app.example://push/hub", "no host": "https:///hub",
		}
		for name, address := range bad {
			// What could be read in two ways reaches no page, and no administrator can list it.
			sc.refusedAsk("SS3 "+name, want{status: 400}, sc.ask("scopes", "notifications", "push_url", address))
			if err := sc.Authority.ChangeSetting(sc.t.Context(), "allowed_user_api_push_urls", address,
				testkit.Command); !errors.Is(err, userkeys.InvalidParameters) {
				sc.t.Errorf("SS3 %s: an administrator may list it: %v", name, err)
			}
		}
		for address, host := range map[string]string{
			listed: "push.example",
			"https://unlisted.example:8443/x?to=push.example": "unlisted.example:8443",
		} {
			sc.row("SS28 whom the data would go to is shown, listed or not: "+host, func(sc *scene) {
				page := sc.alice.Get("/user-api-key/new?"+sc.ask("scopes", "notifications", "push_url", address)).Must(sc.t, 200)
				if got, ok := page.Text("push-host"); !ok || got != host {
					sc.t.Errorf("the page shows %q", got)
				}
			})
		}
		sc.Start()
		sc.notify(root, adminNotifications,
			`{"username":"alice","notification_type":"mentioned","data":{"topic_title":"Hello"}}`).Must(sc.t, 200)
		got := sc.pushed(h)
		if len(got) != 1 || got[0].Path != "/Hub/device" || len(got[0].Notifications) != 1 || got[0].Notifications[0].ClientID != "the listed one" {
			sc.t.Errorf("the hub has %+v", got)
		}
		if dead, err := sc.Store.Deliveries(sc.t.Context(),
			outbox.Filter{Dead: true}); err != nil || len(dead) != 0 || len(other.all()) != 0 {
			sc.t.Errorf("%d were tried elsewhere, %d came at another port, %v", len(dead), len(other.all()), err)
		}
	})
}

// TestPushesThatNobodyMayHaveAnyMore takes rights away while pushes wait: they are not sent (SS1, SS23, SS24, T32).
func TestPushesThatNobodyMayHaveAnyMore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		h := newHub(sc.t)
		ctx := sc.t.Context()
		id := func(name string) int64 {
			u, err := sc.Identity.FindUser(ctx, name)
			if err != nil {
				sc.t.Fatal(err)
			}
			return u.ID
		}
		type party struct {
			name string
			app  *testkit.App
			p    *testkit.Person
		}
		cases := []struct {
			name string
			then func(party) error
		}{
			{"keeps", func(party) error { return nil }},
			{"revokes", func(c party) error { c.app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200); return nil }},
			{"isrevoked", func(c party) error {
				keys, err := sc.Authority.Keys(ctx, site.KeyFilter{UserID: id(c.name)})
				return errors.Join(err, sc.Authority.Revoke(ctx, keys[0].ID, testkit.Command))
			}},
			{"expires", func(party) error { return nil }},
			{"suspended", func(c party) error { _, err := sc.Identity.Suspend(ctx, id(c.name), testkit.Command); return err }},
			{"deleted", func(c party) error { return sc.Identity.Delete(ctx, id(c.name), testkit.Command) }},
			{"reads", func(c party) error {
				send(c.app, "PUT", "/notifications/mark-read.json", "{}").Must(sc.t, 200)
				return nil
			}},
			{"lost", func(c party) error { // the site took back what it told them
				_, err := sc.db.ExecContext(ctx, "DELETE FROM userkeys_notifications WHERE user_id = $1", id(c.name))
				return err
			}},
			{"unlisted", func(party) error { return nil }},
		}
		var urls, names, parts []string
		for _, c := range cases {
			urls, names = append(urls, h.URL+"/"+c.name), append(names, `"`+c.name+`"`)
			part := h.URL + "/" + c.name
			if c.name == "unlisted" {
				part += "/device" // of which the old entry is a part
			}
			parts = append(parts, part)
		}
		sc.Set("allowed_user_api_push_urls", strings.Join(urls, "|"))
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		var parties []party
		for i, c := range cases {
			sc.User(c.name)
			p := party{name: c.name, p: sc.Person(c.name)}
			p.app = sc.App("app of "+c.name, "notifications").With("push_url", urls[i])
			if c.name == "expires" {
				p.app.With("expires_in_seconds", "300")
			}
			p.app.Connect(p.p)
			parties = append(parties, p)
		}
		sc.Start()
		sc.notify(root, adminNotifications, `{"usernames":[`+strings.Join(names,
			",")+`],"notification_type":"mentioned","data":{"topic_title":"Hello"}}`).Must(sc.t, 200)
		if waiting, err := sc.Store.Deliveries(ctx,
			outbox.Filter{}); err != nil || len(waiting) != len(cases) || len(h.all()) != 0 {
			sc.t.Fatalf("%d wait, %d came, %v: nothing would be tested", len(waiting), len(h.all()), err)
		}
		for i, c := range cases {
			if err := c.then(parties[i]); err != nil {
				sc.t.Fatal(c.name, err)
			}
		}
		sc.Set("allowed_user_api_push_urls", strings.Join(parts, "|"))
		sc.Clock.Pass(11 * time.Minute)
		var came []string
		for _, p := range sc.pushed(h) {
			came = append(came, p.Path)
		}
		if !slices.Equal(came, []string{"/keeps"}) {
			sc.t.Errorf("the hub got pushes at %v, want only that of who keeps everything", came)
		}
	})
}

// TestPushFailuresTellNothing checks that an app's user learns that pushes fail, but neither status, address nor
// answer, with which somebody could explore the network (SS27).
func TestPushFailuresTellNothing(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Inner", "planted-10.1.2.3")
			w.WriteHeader(599)
			_, _ = io.WriteString(w, "planted-10.1.2.3 wrong password")
		}))
		sc.t.Cleanup(inner.Close)
		dead := "http://" + nettest.ReserveAddress(sc.t)
		sc.Set("allowed_user_api_push_urls", inner.URL+"/push|"+dead+"/push|https://planted.invalid/push")
		sc.Set("push_notification_time_window_mins", "0")
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		status := regexp.MustCompile(`\b599\b`)
		want := map[int64]outbox.Problem{}
		for name, c := range map[string]struct {
			url     string
			problem outbox.Problem
		}{"inner": {inner.URL + "/push", "status 599"}, "dead": {dead + "/push", outbox.ProblemConnection}} {
			sc.App(name, "notifications").With("push_url", c.url).Connect(sc.alice)
			want[sc.Keys()[0].ID] = c.problem
		}
		sc.Start()
		sc.notify(root, adminNotifications,
			`{"username":"alice","notification_type":"mentioned","data":{"topic_title":"Hello"}}`).Must(sc.t, 200)
		for id, problem := range want {
			for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
				state, err := sc.Pushes.KeyPushes(sc.t.Context(), []int64{id})
				if err != nil {
					sc.t.Fatal(err)
				}
				if state[id].Problem == problem {
					break
				}
				if time.Now().After(end) {
					sc.t.Fatalf("it stands at %+v, want %s", state[id], problem)
				}
			}
			if said := problem.Sentence(); said == "" || strings.ContainsAny(said, "0123456789") {
				sc.t.Errorf("%s is told as %q", problem, said)
			}
		}
		for _, path := range []string{
			"/my/apps", "/u/alice.json",
			"/user-api-key/new?" + sc.ask("scopes", "notifications", "push_url", inner.URL+"/push"),
		} {
			answer := sc.alice.Get(path).Must(sc.t, 200).MustNot(sc.t, "planted", "10.1.2.3", "wrong password", "refused",
				"dial", "connect:")
			if status.MatchString(answer.Body) { // as a word: a port, a nonce or a key may have these digits
				sc.t.Errorf("GET %s tells the status that was answered", path)
			}
		}
	})
}
