package server

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// withPushed is withKeys where alice has more keys, 6 to 14, that notifications are pushed to.
func withPushed(t *testing.T) *fakeSite {
	t.Helper()
	f := withKeys(t)
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	const at = "https://push.example/hook"
	f.authority.set("allowed_user_api_push_urls", at)
	both := userkeys.Scopes{"notifications", "push"}
	for _, k := range []struct {
		name, url string
		scopes    userkeys.Scopes
		state     site.KeyPush
		revoked   time.Time
	}{
		{name: "Untold", url: at, scopes: both},
		{name: "Works", url: at, scopes: both, state: site.KeyPush{DeliveredAt: ago(2 * time.Minute), FailedAt: ago(day), Problem: site.PushTimeout}},
		{name: "Fails", url: at, scopes: both, state: site.KeyPush{DeliveredAt: ago(2 * day), FailedAt: ago(time.Minute), FailingSince: ago(3 * time.Hour), Problem: "status 503"}},
		{name: "Off", url: at, scopes: both, state: site.KeyPush{FailedAt: ago(5 * time.Hour), FailingSince: ago(29 * time.Hour), OffAt: ago(5 * time.Hour), Problem: site.PushGone}},
		{name: "Barred", url: "https://elsewhere.example/hook", scopes: both, state: site.KeyPush{DeliveredAt: ago(40 * day)}},
		{name: "Unasked", url: at, scopes: userkeys.Scopes{"read"}},
		{name: "Busy", url: at, scopes: both, state: site.KeyPush{DeliveredAt: ago(2 * day), FailedAt: ago(time.Minute), FailingSince: ago(3 * time.Hour), Problem: site.PushBusy}},
		{name: "Hiccup", url: at, scopes: both, state: site.KeyPush{FailedAt: ago(time.Minute), FailingSince: ago(time.Minute), Problem: "status 503"}},
		{name: "Ended", url: at, scopes: both, state: site.KeyPush{OffAt: ago(time.Hour), Problem: site.PushGone}, revoked: ago(time.Minute)},
	} {
		made := f.authority.add(site.UserAPIKey{
			UserID: alice.ID, ApplicationName: k.name, Scopes: k.scopes, PushURL: k.url, CreatedAt: ago(day), LastUsedAt: ago(day), RevokedAt: k.revoked,
		})
		if k.state != (site.KeyPush{}) {
			f.pushes.states[made.ID] = k.state
		}
	}
	return f
}

func TestAppsPageTellsHowPushesGo(t *testing.T) {
	t.Parallel()
	page := withPushed(t).do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusOK).text
	for _, tt := range []struct {
		name      string
		id        int
		must, not []string
	}{
		{"an app without an address", 1, nil, []string{"Notifications to", "Send a test"}},
		{"nothing was sent yet", 6, []string{"push.example", "nothing sent yet", "none so far", "Send a test to Untold"}, []string{"Try again"}},
		{"it works", 7, []string{"working", "(2 minutes ago)", "Send a test to Works"}, []string{"arrived since", "could not be reached"}},
		{"it fails", 8, []string{"failing", "have not arrived since", "(3 hours ago)", "the app's server could not be reached, or did not accept them", "(2 days ago)", "Send a test to Fails"}, []string{"Try again"}},
		{"it is switched off", 9, []string{"switched off", "No notifications have been sent since", "(5 hours ago)", "wants no more notifications", "none so far", "Try again to send notifications to Off"}, []string{"Send a test"}},
		{"the site does not allow it any more", 10, []string{"elsewhere.example", "not allowed", "This site does not allow sending to that address now"}, []string{"Send a test", "Try again"}},
		{"the user did not allow it", 11, []string{"not allowed", "you did not let it"}, []string{"Send a test", "Try again"}},
		{"its server asked for a pause", 12, []string{"waiting", "have been waiting since", "(3 hours ago)", "the app's server asked for a pause", "tries again by itself", "Send a test to Busy"}, []string{"failing", "trouble", "Try again"}},
		{"it failed once", 13, []string{"waiting", "(1 minute ago)", "Send a test to Hiccup"}, []string{"failing", "trouble", "Try again"}},
		{"a revoked key has nothing to try", 14, []string{"push.example", "Undo"}, []string{"Send a test", "Try again", "switched off"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := inside(t, page, fmt.Sprintf("key-%d", tt.id))
			for _, text := range tt.must {
				if !strings.Contains(got, text) {
					t.Errorf("it lacks %q: %s", text, got)
				}
			}
			for _, text := range tt.not {
				if strings.Contains(got, text) {
					t.Errorf("it has %q: %s", text, got)
				}
			}
		})
	}
}

// TestSS27_SS28_TheAppsPageTellsNothingOfTheInside: whoever may name a push
// address must not learn from this page what answers there, or whether anything does (blind to full SSRF).
func TestSS27_SS28_TheAppsPageTellsNothingOfTheInside(t *testing.T) {
	t.Parallel()
	said := map[string][]string{}
	for _, problem := range []site.PushProblem{
		site.PushConnection, site.PushTimeout, site.PushTLS, site.PushOverdue, site.PushSwitched, "status 200", "status 404", "status 503",
		"dial tcp 10.1.2.3:6379: connect: connection refused", "-ERR wrong number of arguments", site.PushAddress, site.PushGone, site.PushMoved, site.PushBusy,
	} {
		f := withPushed(t)
		f.pushes.states[6] = site.KeyPush{FailedAt: testNow, FailingSince: testNow.Add(-time.Hour), Problem: problem}
		f.pushes.states[7] = site.KeyPush{FailedAt: testNow, OffAt: testNow.Add(-time.Hour), Problem: problem}
		a := f.do(call{path: "/my/apps", as: "alice"})
		a.must(t, http.StatusOK)
		if text := inside(t, a.text, "push-6"); !strings.Contains(text, problem.Sentence()) {
			t.Errorf("%s reads %q", problem, text)
		}
		a.mustNot(t, "10.1.2.3", "6379", "refused", "ERR", "status 2", "status 4", "status 5", "status-", "dial", "/hook")
		text := inside(t, a.text, "push-6")
		said[text] = append(said[text], string(problem))
	}
	if len(said) != 4 { // reached or not, and also an address that lies inside, is one of them
		t.Errorf("%d different texts: %v", len(said), said)
	}
	f := withPushed(t)
	f.pushes.err = &userkeys.Error{Code: userkeys.Unavailable, Public: "the database does not answer", Err: fmt.Errorf("dial tcp 10.1.2.3:5432")}
	for _, c := range []call{{path: "/my/apps", as: "alice"}, pushCall("push-test", "alice", "6"), pushCall("push-resume", "alice", "9")} {
		f.do(c).must(t, http.StatusServiceUnavailable, "atabase does not answer").mustNot(t, "10.1.2.3")
	}
}

func pushCall(what, as, id string) call {
	return call{method: http.MethodPost, path: "/user-api-key/" + what, as: as, form: map[string]string{"id": id}}
}

func TestPushTestAndResume(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		call   call
		status int
		leads  string
		done   []string
	}{
		{"one's own", pushCall("push-test", "alice", "6"), 303, "/my/apps?done=tested", []string{"test 6 by 1 user"}},
		{"switched on again", pushCall("push-resume", "alice", "9"), 303, "/my/apps?done=resumed", []string{"resume key 9 by 1 user"}},
		{"an administrator", pushCall("push-resume", "root", "9"), 303, "/my/apps?done=resumed", []string{"resume key 9 by 3 user"}},
		{"another user's", pushCall("push-test", "bob", "6"), 404, "", nil},
		{"another user's, resumed", pushCall("push-resume", "bob", "9"), 404, "", nil},
		{"a moderator's rank does not help", pushCall("push-test", "mod", "6"), 404, "", nil},
		{"no such key", pushCall("push-test", "alice", "4711"), 404, "", nil},
		{"RV2 no id", pushCall("push-test", "alice", "06"), 404, "", nil},
		{"an app without an address", pushCall("push-test", "alice", "1"), 409, "", nil},
		{"a revoked key", pushCall("push-test", "alice", "14"), 409, "", nil},
		{"nobody", pushCall("push-test", "", "6"), 403, "", nil},
		{"GR2 from another site", with(pushCall("push-test", "alice", "6"), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "", nil},
		{"GR3 without the session's token", without(pushCall("push-test", "alice", "6")), 403, "", nil},
		{"GR3 resumed without the session's token", without(pushCall("push-resume", "alice", "9")), 403, "", nil},
		{"KU6 a key, beside a session", func() call { c := pushCall("push-test", "alice", "6"); c.key = "key-6"; return c }(), 403, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := withPushed(t)
			a := f.do(tt.call).must(t, tt.status)
			if got := a.Header.Get("Location"); got != tt.leads {
				t.Errorf("it leads to %q, want %q", got, tt.leads)
			}
			if diff := cmp.Diff(tt.done, f.pushes.done); diff != "" {
				t.Error(diff)
			}
		})
	}
	f := withPushed(t)
	f.do(call{path: "/my/apps?done=tested", as: "alice"}).must(t, http.StatusOK, `role="status">A test is on its way`)
	f.do(call{path: "/my/apps?done=resumed", as: "alice"}).must(t, http.StatusOK, `role="status">Notifications are sent to the app again`)
	f.pushes.err = &userkeys.Error{Code: userkeys.RateLimited, Public: "one test in ten seconds", RetryAfter: 7 * time.Second}
	a := f.do(pushCall("push-test", "alice", "6")).must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != "/my/apps?done=soon" {
		t.Errorf("a second test leads to %q", a.Header.Get("Location"))
	}
	f.pushes.err = nil
	f.do(call{path: "/my/apps?done=soon", as: "alice"}).must(t, http.StatusOK, `role="status">A test was sent to the app a moment ago`)
	f.pushes.err = &userkeys.Error{Code: userkeys.RateLimited, Public: "one test in ten seconds", RetryAfter: 7 * time.Second}
	a = f.do(with(pushCall("push-test", "alice", "6"), "Accept", "application/json")).must(t, http.StatusTooManyRequests, "one test in ten seconds")
	if a.Header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
}

// with is c with headers, without is c without its token.
func with(c call, nameValues ...string) call {
	c.header = map[string]string{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		c.header[nameValues[i]] = nameValues[i+1]
	}
	return c
}

func without(c call) call {
	c.noToken = true
	return c
}

func TestPushSecret(t *testing.T) {
	t.Parallel()
	f := withPushed(t)
	for _, path := range []string{"/user-api-key/push-secret.json", "/user-api-key/push-secret"} {
		a := f.do(call{path: path, key: "key-6"}).must(t, http.StatusOK, `{"payload":"c2VhbGVk6"}`)
		if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("%s may be kept: %q", path, got)
		}
	}
	const path = "/user-api-key/push-secret.json"
	for _, tt := range []struct {
		name   string
		call   call
		status int
		text   string
	}{
		{"a key without an address", call{path: path, key: "key-1"}, 404, "no push address"},
		{"a revoked key", call{path: path, key: "key-14"}, 403, "invalid key"},
		{"nobody", call{path: path}, 403, "no key"},
		{"the key's owner, at a browser", call{path: path, as: "alice"}, 403, "no key"},
		{"an administrator, at a browser", call{path: path, as: "root"}, 403, "no key"},
		{"an admin API key", call{path: path}.by(adminText("root"), ""), 403, "not for admin API keys"},
		{"another key's is not to be had by its id", call{path: path + "?id=7&key_id=7", key: "key-6"}, 200, "c2VhbGVk6"},
		{"POST", call{method: http.MethodPost, path: path, key: "key-6"}, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := withPushed(t)
			f.authority.addAdminKey("root")
			f.do(tt.call).must(t, tt.status, tt.text)
		})
	}
	f.authority.charged = &userkeys.Error{Code: userkeys.RateLimited, Public: "too many", RetryAfter: 30 * time.Second, Reason: "limit: 10 per 60 s"}
	a := f.do(call{path: path, key: "key-6"}).must(t, http.StatusTooManyRequests, "limit: 10 per 60 s")
	a.mustNot(t, "c2VhbGVk")
	if strings.Contains(f.log.String(), "c2VhbGVk") {
		t.Error("LK1: the secret is in the log")
	}
}

func TestNoPushesNothingShown(t *testing.T) {
	t.Parallel()
	f := newSite(t, withoutPushes)
	f.authority.add(site.UserAPIKey{UserID: alice.ID, ApplicationName: "Pushed", Scopes: userkeys.Scopes{"push"}, PushURL: "https://push.example/x", CreatedAt: testNow, LastUsedAt: testNow})
	f.do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusOK, "push.example").mustNot(t, "Send a test", "nothing sent yet", "not allowed")
	f.do(call{path: "/user-api-key/settings", as: "root"}).must(t, http.StatusOK, "API keys").mustNot(t, "Deliveries")
	f.authority.addAdminKey("root")
	f.do(call{path: "/user-api-key/admin/keys.json"}.by(adminText("root"), "")).must(t, http.StatusOK, "push.example").mustNot(t, `"push":{`)
	for _, path := range []string{"/user-api-key/deliveries", "/user-api-key/admin/deliveries.json", "/user-api-key/admin/push-hosts.json"} {
		f.do(call{path: path, as: "root"}).must(t, http.StatusNotFound)
	}
	f.do(call{path: "/user-api-key/push-secret.json", key: "key-1"}).must(t, http.StatusNotFound, "not_found")
	f.do(call{path: "/.well-known/user-api-key"}).must(t, http.StatusOK, "renewal").mustNot(t, "push_secret")
	newSite(t).do(call{path: "/.well-known/user-api-key"}).must(t, http.StatusOK, `"push_secret":"https://site.example/user-api-key/push-secret.json"`)
}

func TestAdminKeysListHasPushes(t *testing.T) {
	t.Parallel()
	f := withPushed(t)
	f.authority.addAdminKey("root")
	a := f.do(call{path: "/user-api-key/admin/keys.json?live=true"}.by(adminText("root"), "")).must(t, http.StatusOK)
	var got struct {
		Keys []struct {
			ID   int64
			Push *notify.KeyPushJSON
		}
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatal(err)
	}
	states := map[int64]string{}
	for _, k := range got.Keys {
		switch {
		case k.Push == nil:
		case k.Push.OffAt != nil:
			states[k.ID] = "off " + *k.Push.Problem
		case k.Push.FailingSince != nil:
			states[k.ID] = "failing " + *k.Push.Problem
		default:
			states[k.ID] = "on"
		}
	}
	want := map[int64]string{2: "on", 6: "on", 7: "on", 8: "failing status 503", 9: "off gone", 10: "on", 11: "on", 12: "failing busy", 13: "failing status 503"}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
}

// manyDeliveries gives n given-up deliveries and n that wait, newest last.
func (f *fakePushes) manyDeliveries(n int, host string) {
	for i := range 2 * n {
		d := site.Delivery{ID: int64(i + 1), UserID: 1, NotificationID: int64(i + 1), PushURL: host + "/" + strings.Repeat("p", 100), Host: host, CreatedAt: testNow, QueuedAt: testNow, NextAt: testNow.Add(time.Hour)}
		if i%2 == 0 {
			d.DeadAt, d.Problem, d.Attempt = testNow, site.PushTLS, 9
		}
		f.deliveries = append(f.deliveries, d)
	}
}

func TestDeliveriesPageByPages(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.pushes.manyDeliveries(45, goodHost)
	f.pushes.hosts = []site.PushHost{{Host: goodHost, Queued: 45, Dead: 45}}
	seen := map[string]int{}
	path := "/user-api-key/deliveries"
	for range 3 {
		a := f.do(call{path: path, as: "root"}).must(t, http.StatusOK)
		for _, part := range strings.Split(a.text, `<li id="delivery-`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			seen[id]++
		}
		before, _, _ := strings.Cut(a.text, `#dead">Older ones`)
		path = html.UnescapeString(before[strings.LastIndex(before, `"`)+1:])
	}
	for i := range 90 {
		id, want := fmt.Sprint(i+1), 1
		if i%2 == 1 { // those that wait: the first page of them, each time
			if want = 0; i >= 50 {
				want = 3
			}
		}
		if seen[id] != want {
			t.Errorf("delivery %s was seen %d times, want %d", id, seen[id], want)
		}
	}
	f.do(call{path: "/user-api-key/deliveries?waiting=2&dead=1", as: "root"}).must(t, http.StatusOK, "Nothing older waits.", "Nothing older was given up.")
	for _, odd := range []string{"?waiting=-1", "?dead=%27", "?host=javascript:alert(1)", "?host=%00", "?done=replayed&n=9e9", "?done=<b>", "?hosts=none"} { // AD3
		f.do(call{path: "/user-api-key/deliveries" + odd, as: "root"}).must(t, http.StatusOK, "delivery-90", "delivery-89").mustNot(t, "javascript:")
	}
}

func TestDeliveriesPageWithManyHosts(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for i := range 60 {
		h := site.PushHost{Host: fmt.Sprintf("https://h%02d.example:443", i), Delivered: 1, DeliveredAt: testNow}
		switch i {
		case 57:
			h.Dead = 1
		case 58:
			h.Failures = 1
		case 59:
			h.ClosedUntil, h.Queued = testNow.Add(time.Hour), 100
		}
		f.pushes.hosts = append(f.pushes.hosts, h)
	}
	a := f.do(call{path: "/user-api-key/deliveries", as: "root"}).must(t, http.StatusOK, "50 more", "<dd>100</dd>", "<dd>60</dd>")
	at := func(host string) int { return strings.Index(a.text, "<bdi>https://"+host+".example</bdi>") }
	if at("h59") < 0 || at("h59") > at("h58") || at("h58") > at("h57") || at("h57") > at("h00") || at("h30") >= 0 {
		t.Errorf("the order is h59 %d, h58 %d, h57 %d, h00 %d, h30 %d", at("h59"), at("h58"), at("h57"), at("h00"), at("h30"))
	}
	a = f.do(call{path: "/user-api-key/deliveries?hosts=all", as: "root"}).must(t, http.StatusOK)
	if at("h30") < 0 {
		t.Error("a host is left out")
	}
	a.mustNot(t, " more</a>")
}

func TestDeliveriesForms(t *testing.T) {
	t.Parallel()
	post := func(what string, fields ...string) call {
		c := call{method: http.MethodPost, path: "/user-api-key/deliveries/" + what, as: "root", form: map[string]string{}}
		for i := 0; i+1 < len(fields); i += 2 {
			c.form[fields[i]] = fields[i+1]
		}
		return c
	}
	as := func(name string, c call) call { c.as = name; return c }
	of := url.QueryEscape(badHost)
	for _, tt := range []struct {
		name   string
		call   call
		status int
		leads  string
		done   []string
	}{
		{"one again", post("replay", "id", "4"), 303, "?done=replayed&n=1", []string{`replay [4] "" by 3 user`}},
		{"one discarded", post("discard", "id", "5"), 303, "?done=discarded&n=1", []string{`discard [5] "" by 3 user`}},
		{"one that is gone", post("replay", "id", "4711"), 303, "?done=replayed", []string{`replay [4711] "" by 3 user`}},
		{"all of a host, from its page", post("discard", "host", badHost, "of", badHost), 303, "?done=discarded&host=" + of + "&n=2", []string{`discard [] "http://10.1.2.3:9000" by 3 user`}},
		{"all", post("replay", "all", "true"), 303, "?done=replayed&n=2", []string{`replay [] "" by 3 user`}},
		{"a host tried again", post("resume", "host", badHost), 303, "?done=resumed", []string{`resume http://10.1.2.3:9000 by 3 user`}},
		{"nothing said does not mean all", post("discard"), 400, "", nil},
		{"an empty id does not mean all", post("discard", "id", ""), 400, "", nil},
		{"an empty host does not mean all", post("discard", "host", ""), 400, "", nil},
		{"all, but not quite", post("discard", "all", "yes"), 400, "", nil},
		{"two at once", post("discard", "id", "4", "host", badHost), 400, "", nil},
		{"all and one", post("discard", "id", "4", "all", "true"), 400, "", nil},
		{"no id", post("discard", "id", "x"), 404, "", nil},
		{"no host", post("discard", "host", "ftp://x"), 400, "", nil},
		{"an unknown host tried again", post("resume", "host", "https://unknown.example"), 404, "", nil},
		{"no host tried again", post("resume"), 400, "", nil},
		{"a user", as("alice", post("discard", "all", "true")), 403, "", nil},
		{"a moderator", as("mod", post("resume", "host", badHost)), 403, "", nil},
		{"nobody", as("", post("replay", "all", "true")), 403, "", nil},
		{"GR3 without the session's token", without(post("discard", "all", "true")), 403, "", nil},
		{"GR2 from another site", with(post("resume", "host", badHost), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "", nil},
		{"a page to come back to that is elsewhere", post("replay", "id", "4", "of", "https://evil.example@x\r\ny"), 303, "?done=replayed&n=1", []string{`replay [4] "" by 3 user`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newSite(t)
			f.pushes.fill()
			a := f.do(tt.call).must(t, tt.status)
			if got := strings.TrimPrefix(a.Header.Get("Location"), "/user-api-key/deliveries"); got != tt.leads {
				t.Errorf("it leads to %q, want %q", got, tt.leads)
			}
			if diff := cmp.Diff(tt.done, f.pushes.done); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What needs no hand looks different from what does.
func TestDeliveriesPageTellsStates(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	f := newSite(t)
	f.pushes.hosts = []site.PushHost{
		{Host: "https://off.example:443", Delivered: 1_204_331, DeliveredAt: ago(day), Off: 3},
		{Host: "https://busy.example:443", Failures: 1, FailedAt: ago(time.Minute), Problem: site.PushBusy, ClosedUntil: testNow.Add(time.Minute)},
		{Host: "https://once.example:443", Failures: 1, FailedAt: ago(time.Minute), Problem: "status 503"},
		{Host: "https://down.example:443", Failures: 4, FailedAt: ago(time.Minute), Problem: "status 503", Off: 1},
		{Host: "https://well.example:443", DeliveredAt: ago(time.Minute), FailedAt: ago(time.Hour), Problem: "status 500", ClosedUntil: ago(time.Hour)},
	}
	f.pushes.deliveries = []site.Delivery{
		{ID: 1, UserID: 1, NotificationID: 1, PushURL: "https://a.example/x", CreatedAt: ago(time.Hour), QueuedAt: testNow.Add(5 * time.Minute), NextAt: testNow.Add(5 * time.Minute)},
		{ID: 2, UserID: 1, NotificationID: 1, PushURL: "https://a.example/x", CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour), NextAt: testNow.Add(time.Minute)},
	}
	a := f.do(call{path: "/user-api-key/deliveries", as: "root"}).must(t, http.StatusOK, "1,204,331 delivered")
	rows := map[string]string{}
	for _, row := range strings.Split(a.text, "<li>") {
		for _, h := range f.pushes.hosts {
			if strings.Contains(row, "<bdi>"+hostName(h.Host)+"</bdi>") {
				rows[h.Host], _, _ = strings.Cut(row, "</li>")
			}
		}
	}
	for host, want := range map[string]struct{ must, not []string }{
		"https://off.example:443":  {[]string{`<span class="tag trouble">switched off for 3 apps</span>`, "Try again"}, []string{"Replay"}},
		"https://busy.example:443": {[]string{`<span class="tag">waiting</span>`, "Some of it is left alone until", "Try again"}, []string{"trouble"}},
		"https://once.example:443": {[]string{`<span class="tag">waiting</span>`, "status 503"}, []string{"trouble"}},
		"https://down.example:443": {[]string{`<span class="tag trouble">failing</span>`, "switched off for 1 app<"}, nil},
		"https://well.example:443": {[]string{">1 hour ago</time>.</p>"}, []string{"status 500", "left alone", "Try again", "tag"}},
	} {
		for _, text := range want.must {
			if !strings.Contains(rows[host], text) {
				t.Errorf("%s lacks %q: %s", host, text, rows[host])
			}
		}
		for _, text := range want.not {
			if strings.Contains(rows[host], text) {
				t.Errorf("%s has %q: %s", host, text, rows[host])
			}
		}
	}
	if got := inside(t, a.text, "delivery-1"); !strings.Contains(got, "queued 1 hour ago") || !strings.Contains(got, "Held back until") || !strings.Contains(got, "in 5 minutes") {
		t.Errorf("what is held back reads %s", got)
	}
	if got := inside(t, a.text, "delivery-2"); strings.Contains(got, "Held back") || !strings.Contains(got, "not tried yet") {
		t.Errorf("what is being sent reads %s", got)
	}
}

// The page is the administrators'; what it shows of apps is text.
func TestDeliveriesPageIsTheAdministrators(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.pushes.fill()
	a := f.do(call{path: "/user-api-key/deliveries", as: "root"}).must(t, http.StatusOK, "status 503", "/secret-path", "&lt;b&gt;")
	a.mustNot(t, "<b>", "\u202e") // ID8, ID10
	for as, status := range map[string]int{"": 302, "alice": 403, "mod": 403} {
		f.do(call{path: "/user-api-key/deliveries", as: as}).must(t, status).mustNot(t, "10.1.2.3")
	}
	f.authority.add(site.UserAPIKey{UserID: root.ID, Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: testNow, LastUsedAt: testNow})
	f.do(call{path: "/user-api-key/deliveries", key: "key-1"}).must(t, http.StatusForbidden, "not for keys").mustNot(t, "10.1.2.3")
	f.do(call{path: "/user-api-key/admin/deliveries.json", key: "key-1"}).must(t, http.StatusForbidden, "not for keys").mustNot(t, "10.1.2.3")
	f.pushes.err = errDown
	f.do(call{path: "/user-api-key/deliveries", as: "root"}).must(t, http.StatusServiceUnavailable).mustNot(t, "secret-dsn")
}

func TestAdminDeliveries(t *testing.T) {
	t.Parallel()
	list := func(t *testing.T, query string) (ids []int64, next *int64) {
		t.Helper()
		f := withAdminKeys(t)
		f.pushes.fill()
		a := f.do(call{path: "/user-api-key/admin/deliveries.json" + query}.by(adminText("root"), "")).must(t, http.StatusOK)
		var got struct {
			Deliveries []struct{ ID int64 }
			Next       *int64
		}
		if err := json.Unmarshal([]byte(a.text), &got); err != nil {
			t.Fatal(err)
		}
		for _, d := range got.Deliveries {
			ids = append(ids, d.ID)
		}
		return ids, got.Next
	}
	two := int64(2)
	for _, tt := range []struct {
		query string
		ids   []int64
		next  *int64
	}{
		{"", []int64{3, 2, 1}, nil},
		{"?dead=false", []int64{3, 2, 1}, nil},
		{"?dead=true", []int64{5, 4}, nil},
		{"?limit=2", []int64{3, 2}, &two},
		{"?limit=2&before=2", []int64{1}, nil},
		{"?host=https://push.example:443", []int64{1}, nil},
		{"?host=push.example", []int64{1}, nil},
		{"?user=Alice", []int64{2, 1}, nil},
		{"?user_id=2&dead=true", []int64{4}, nil},
		{"?host=unknown.example", nil, nil},
	} {
		ids, next := list(t, tt.query)
		if diff := cmp.Diff(tt.ids, ids); diff != "" {
			t.Errorf("%s: %s", tt.query, diff)
		}
		if diff := cmp.Diff(tt.next, next); diff != "" {
			t.Errorf("%s: next %s", tt.query, diff)
		}
	}
	f := withAdminKeys(t)
	f.pushes.fill()
	get := func(path string) answer { return f.do(call{path: path}.by(adminText("root"), "")) }
	get("/user-api-key/admin/deliveries.json").must(t, http.StatusOK,
		`{"id":3,"user_id":2,"username":"bob","notification_id":null,"key_id":5,"push_url":"http://10.1.2.3:9000/secret-path","host":"http://10.1.2.3:9000","created_at":"2026-11-22T11:00:00Z","queued_at":"2026-11-22T11:00:00Z","next_at":"2026-11-22T12:01:00Z","attempts":1,"dead_at":null,"problem":"address"}`)
	get("/user-api-key/admin/deliveries.json?dead=true").must(t, http.StatusOK, `"next_at":null,"attempts":14,"dead_at":"2026-11-21T12:00:00Z","problem":"connection"`)
	get("/user-api-key/admin/push-hosts.json").must(t, http.StatusOK,
		`{"host":"https://push.example:443","queued":1,"dead":0,"off":0,"delivered":1204,"failed":3,"failures":0,"closed_until":null,"delivered_at":"2026-11-22T11:58:00Z","failed_at":"2026-11-21T12:00:00Z","problem":null,"due_at":"2026-11-22T12:00:00Z"}`,
		`"off":3,"delivered":7,"failed":40,"failures":12,"closed_until":"2026-11-22T12:04:00Z"`)
	for _, bad := range []string{"deliveries.json?dead=maybe", "deliveries.json?host=ftp://x", "deliveries.json?user=alice&user_id=1", "deliveries.json?before=0", "deliveries.json?limit=1001", "deliveries.json?dad=true", "deliveries.json?dead=true&dead=false", "push-hosts.json?host=x"} {
		get("/user-api-key/admin/"+bad).must(t, http.StatusBadRequest, "invalid_parameters")
	}
	get("/user-api-key/admin/deliveries.json?user=nobody").must(t, http.StatusNotFound)
}

func TestAdminDeliveriesChanges(t *testing.T) {
	t.Parallel()
	many := "[1" + strings.Repeat(",1", maxPicked) + "]"
	for _, tt := range []struct {
		name, what, body string
		status           int
		text             string
		done             []string
	}{
		{"by ids", "replay", `{"ids":[4,5]}`, 200, `"replayed":2`, []string{`replay [4 5] "" by 3 admin key`}},
		{"of a host", "discard", `{"host":"http://10.1.2.3:9000"}`, 200, `"discarded":2`, []string{`discard [] "http://10.1.2.3:9000" by 3 admin key`}},
		{"all", "replay", `{"all":true}`, 200, `"replayed":2`, []string{`replay [] "" by 3 admin key`}},
		{"a host tried again", "resume", `{"host":"push.example"}`, 200, `"success":"OK"`, []string{`resume https://push.example:443 by 3 admin key`}},
		{"a key tried again", "resume", `{"key_id":9}`, 200, `"success":"OK"`, []string{`resume key 9 by 3 admin key`}},
		{"nothing said does not mean all", "discard", ``, 400, "JSON object", nil},
		{"an empty object does not mean all", "discard", `{}`, 400, "only one of them", nil},
		{"an empty list does not mean all", "discard", `{"ids":[]}`, 400, "1 to 1000", nil},
		{"null does not mean all", "discard", `{"ids":null}`, 400, "1 to 1000", nil},
		{"an empty host does not mean all", "discard", `{"host":""}`, 400, "written as it is listed", nil},
		{"all, denied", "discard", `{"all":false}`, 400, "only one of them", nil},
		{"two at once", "discard", `{"ids":[4],"all":true}`, 400, "only one of them", nil},
		{"a member that is not known", "discard", `{"id":4}`, 400, "no member", nil},
		{"a member twice", "discard", `{"ids":[4],"ids":[5]}`, 400, "each name once", nil},
		{"what is no number", "discard", `{"ids":[4,-1]}`, 400, "1 to 1000", nil},
		{"too many", "discard", `{"ids":` + many + `}`, 400, "1 to 1000", nil},
		{"no text for a host", "resume", `{"host":7}`, 400, "must be a text", nil},
		{"no id of a key", "resume", `{"key_id":"9"}`, 400, "whole number", nil},
		{"nothing to try again", "resume", `{}`, 400, "host or key_id", nil},
		{"of a host with nothing given up", "discard", `{"host":"push.example"}`, 200, `"discarded":0`, []string{`discard [] "https://push.example:443" by 3 admin key`}},
		{"none that is there", "replay", `{"ids":[99]}`, 404, "none of these deliveries", []string{`replay [99] "" by 3 admin key`}},
		{"an unknown host's", "replay", `{"host":"nope"}`, 404, "nothing was ever pushed to https://nope:443; there is https://push.example:443, http://10.1.2.3:9000", []string{`replay [] "https://nope:443" by 3 admin key`}},
		{"an unknown host", "resume", `{"host":"unknown.example"}`, 404, "there is https://push.example:443", nil},
		{"a host without its scheme", "resume", `{"host":"10.1.2.3:9000"}`, 404, "did you mean http://10.1.2.3:9000?", nil},
		{"an unknown key", "resume", `{"key_id":4711}`, 404, "no such key", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := withPushed(t)
			f.pushes.fill()
			f.authority.addAdminKey("root")
			f.do(jsonCall(http.MethodPost, "/user-api-key/admin/deliveries/"+tt.what+".json", tt.body).by(adminText("root"), "")).must(t, tt.status, tt.text)
			if diff := cmp.Diff(tt.done, f.pushes.done); diff != "" {
				t.Error(diff)
			}
		})
	}
}
