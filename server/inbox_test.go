package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/site"
)

// withInbox gives the site a real store with the same four users, and an inbox over it.
func withInbox(t *testing.T) option {
	t.Helper()
	st := dbtest.SQLite(t)
	for _, u := range []site.User{alice, bob, root, mod} {
		made, err := st.CreateUser(t.Context(), site.Account{User: u}, site.Caller{As: site.CallerCommand})
		if err != nil || made.ID != u.ID {
			t.Fatalf("%s has the id %d, want %d: %v", u.Username, made.ID, u.ID, err)
		}
	}
	return func(c *Config) { c.Users, c.Inbox = st, notify.New(notify.Config{Store: st, Now: c.Now}) }
}

// inboxSite is a site where alice has keys 1 to 4 and bob has 5, with an inbox.
func inboxSite(t *testing.T, options ...option) *fakeSite {
	t.Helper()
	with := newSite(t, append(options, withInbox(t))...)
	for _, k := range withKeys(t).authority.keys {
		with.authority.add(k)
	}
	return with
}

// tell adds a notification for somebody and returns its id.
func (f *fakeSite) tell(who string, n site.Notification) int64 {
	f.t.Helper()
	told, err := f.server.cfg.Inbox.Add(f.t.Context(), site.Announcement{Usernames: []string{who}, Notification: n, Caller: site.Caller{As: site.CallerSystem}})
	if err != nil {
		f.t.Fatal(err)
	}
	return told.IDs[0]
}

// put sends a PUT as a script of the site itself does, or an app.
func (f *fakeSite) put(path, as, key, body string, header ...string) answer {
	f.t.Helper()
	h := map[string]string{"Content-Type": "application/json"}
	if key == "" {
		h["Origin"], h["Sec-Fetch-Site"], h["X-CSRF-Token"] = "https://site.example", "same-origin", "token-of-"+as
	}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return f.do(call{method: http.MethodPut, path: path, as: as, key: key, body: body, header: h})
}

// decode reads an answer's JSON.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return v
}

// listed is what a list answers, as an app reads it.
type listed struct {
	Notifications []struct {
		ID   int64
		Read bool
	}
	Total int    `json:"total_rows_notifications"`
	Seen  *int64 `json:"seen_notification_id"`
	More  string `json:"load_more_notifications"`
}

func (l listed) ids() []int64 {
	var out []int64
	for _, n := range l.Notifications {
		out = append(out, n.ID)
	}
	return out
}

// TestNotificationShape tests W17, C33: the shape of a notification, byte for byte.
func TestNotificationShape(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	f.tell("bob", site.Notification{Type: 1})
	f.tell("alice", site.Notification{
		Type: 6, TopicID: 42, PostNumber: 3, Slug: "hello-there", FancyTitle: "A &amp; B",
		Data: json.RawMessage(` { "display_username": "carol", "n": 1.50, "list": [null, true] } `),
	})
	f.tell("alice", site.Notification{Type: 14})
	want := `{"load_more_notifications":"/notifications?before=2\u0026limit=60\u0026username=alice","notifications":[` +
		`{"id":3,"user_id":1,"notification_type":14,"read":false,"high_priority":false,"created_at":"2026-11-22T12:00:00.000Z","post_number":null,"topic_id":null,"fancy_title":null,"slug":null,"data":{}},` +
		`{"id":2,"user_id":1,"notification_type":6,"read":false,"high_priority":true,"created_at":"2026-11-22T12:00:00.000Z","post_number":3,"topic_id":42,"fancy_title":"A &amp; B","slug":"hello-there","data":{"display_username":"carol","n":1.50,"list":[null,true]}}` +
		`],"seen_notification_id":0,"total_rows_notifications":2}` + "\n"
	for _, c := range []call{
		{path: "/notifications.json", as: "alice"},
		{path: "/notifications", as: "alice", header: map[string]string{"Accept": "text/html"}},
		{path: "/notifications.json", key: "key-1"},
		{path: "/notifications", key: "key-1"},
		{path: "/notifications.json", key: "key-1", as: "bob"}, // a cookie beside a key says nothing
		{path: "/notifications.json?username=ALICE", key: "key-1"},
	} {
		a := f.do(c)
		a.must(t, http.StatusOK)
		if got := strings.ReplaceAll(a.text, "&limit", `\u0026limit`); strings.ReplaceAll(got, "&username", `\u0026username`) != want {
			t.Errorf("%+v:\n got %s\nwant %s", c, a.text, want)
		}
		if a.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("Content-Type is %q", a.Header.Get("Content-Type"))
		}
	}
}

func TestNotificationPages(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	var ids []int64
	for i := range 70 {
		kind := 1
		if i%10 == 0 {
			kind = 6
		}
		ids = append(ids, f.tell("alice", site.Notification{Type: kind}))
	}
	list := func(path string) listed {
		t.Helper()
		a := f.do(call{path: path, as: "alice"})
		a.must(t, http.StatusOK)
		return decode[listed](t, a)
	}
	first := list("/notifications.json")
	if len(first.Notifications) != 60 || first.Total != 70 || first.Notifications[0].ID != ids[69] || first.Seen == nil {
		t.Errorf("the first page has %d of %d", len(first.Notifications), first.Total)
	}
	f.tell("alice", site.Notification{Type: 1}) // in between moves nothing onto the next page
	second := list(first.More)
	if len(second.Notifications) != 10 || second.Notifications[0].ID != ids[9] {
		t.Errorf("the second page has %v", second.ids())
	}
	if third := list(second.More); third.Notifications == nil || len(third.Notifications) != 0 || third.More == "" {
		t.Errorf("beyond the end: %+v", third)
	}
	if got := list("/notifications.json?limit=2&offset=1&filter_by_types=private_message").ids(); !slices.Equal(got, []int64{ids[50], ids[40]}) {
		t.Errorf("by type and offset: %v", got)
	}
	f.put("/notifications/read.json", "alice", "", fmt.Sprintf(`{"id":%d}`, ids[60])).must(t, http.StatusOK)
	if got := list("/notifications.json?filter=read"); !slices.Equal(got.ids(), ids[60:61]) || got.Total != 1 || !got.Notifications[0].Read {
		t.Errorf("read: %+v", got)
	}
	if got := list("/notifications.json?filter=unread&limit=1&filter_by_types=private_message"); !slices.Equal(got.ids(), ids[50:51]) || got.Total != 6 {
		t.Errorf("unread: %+v", got)
	}
	u, err := url.Parse(list("/notifications.json?filter=unread&limit=1&offset=2&filter_by_types=private_message").More)
	if err != nil || u.Query().Get("filter") != "unread" || u.Query().Get("filter_by_types") != "private_message" || u.Query().Has("offset") {
		t.Errorf("the next page is %v", u)
	}
}

func TestNotificationsRecent(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	var ids []int64
	for _, kind := range []int{6, 1, 2, 1} {
		ids = append(ids, f.tell("alice", site.Notification{Type: kind}))
	}
	f.put("/notifications/read.json", "alice", "", fmt.Sprintf(`{"id":%d}`, ids[3])).must(t, http.StatusOK)
	recent := func(c call, want []int64, seen int64) {
		t.Helper()
		a := f.do(c)
		a.must(t, http.StatusOK)
		l := decode[listed](t, a)
		if !slices.Equal(l.ids(), want) || *l.Seen != seen {
			t.Errorf("%s: %v seen %d, want %v seen %d", c.path, l.ids(), *l.Seen, want, seen)
		}
		a.mustNot(t, "total_rows", "load_more")
	}
	const path = "/notifications.json?recent=true"
	order := []int64{ids[0], ids[2], ids[1], ids[3]} // urgent, then unread, then read
	recent(call{path: path + "&silent=true", key: "key-1"}, order, 0)
	recent(call{path: path + "&silent=", as: "alice"}, order, 0)
	recent(call{path: path + "&limit=25", key: "key-1"}, order, 0) // where the marker was: what is new can be told
	recent(call{path: path, as: "alice"}, order, ids[3])
	recent(call{path: path + "&limit=2", as: "alice"}, order[:2], ids[3])
	recent(call{path: path + "&filter_by_types=replied,mentioned", as: "alice"}, []int64{ids[2], ids[1], ids[3]}, ids[3])
	recent(call{path: path + "&filter=read", as: "alice"}, []int64{ids[3]}, ids[3])
	recent(call{path: path + "&filter=unread", as: "alice"}, order[:3], ids[3])
	recent(call{path: path, as: "bob"}, nil, 0)
	f.tell("bob", site.Notification{Type: 1})
	a := f.do(call{path: path + "&username=bob", as: "root"})
	a.must(t, http.StatusOK, `"pending_reviewables":[]`, `"user_id":2`)
	recent(call{path: path + "&silent=true", as: "bob"}, []int64{5}, 0) // whoever looks over his shoulder sees nothing for him
	f.do(call{path: path, as: "alice"}).mustNot(t, "pending_reviewables")
	for range 20 {
		f.tell("bob", site.Notification{Type: 1})
	}
	if n := len(decode[listed](t, f.do(call{path: path, as: "bob"})).Notifications); n != 15 {
		t.Errorf("%d without a limit, want 15", n)
	}
}

// TestNotificationTotals tests C32: every member that an app reads, and nothing that says there is a chat.
func TestNotificationTotals(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	avatar := f.server.assets.url("avatar.svg")
	want := func(as, key string, text string) {
		t.Helper()
		for _, path := range []string{"/notifications/totals", "/notifications/totals.json"} {
			a := f.do(call{path: path, as: as, key: key})
			a.must(t, http.StatusOK)
			if strings.TrimSpace(a.text) != text {
				t.Errorf("%s as %s%s:\n got %s\nwant %s", path, as, key, a.text, text)
			}
		}
	}
	alices := func(unread, messages int) string {
		return fmt.Sprintf(`{"id":1,"username":"alice","name":"Alice A.","avatar_template":%q,"unread_notifications":%d,"unread_personal_messages":%d,"unseen_reviewables":0,"topic_tracking":{"new":0,"unread":0}}`, avatar, unread, messages)
	}
	want("alice", "", alices(0, 0))
	for _, kind := range []int{1, 6, 24, 6, 2} {
		f.tell("alice", site.Notification{Type: kind})
	}
	f.tell("root", site.Notification{Type: 6})
	want("alice", "", alices(3, 2))
	want("", "key-1", alices(3, 2))
	f.put("/notifications/read", "", "key-1", `{"id":2}`).must(t, http.StatusOK, `{"success":"OK"}`)
	want("", "key-1", alices(3, 1))
	want("root", "", fmt.Sprintf(`{"id":3,"username":"root","name":null,"avatar_template":%q,"unread_notifications":0,"unread_personal_messages":1,"unseen_reviewables":0,"topic_tracking":{"new":0,"unread":0},"group_inboxes":[]}`, avatar))
	f.do(call{path: "/notifications.json?recent=true", key: "key-1"}).must(t, http.StatusOK)
	want("", "key-1", alices(0, 0)) // seen, though not read
	f.do(call{path: "/session/current.json", key: "key-1"}).must(t, http.StatusOK,
		`"unread_notifications":0`, `"unread_high_priority_notifications":2`, `"all_unread_notifications_count":0`, `"seen_notification_id":5`, `"name":"Alice A."`)
	f.tell("alice", site.Notification{Type: 1})
	f.do(call{path: "/session/current.json", as: "alice"}).must(t, http.StatusOK, `"unread_notifications":1`, `"all_unread_notifications_count":1`)
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	var ids []int64
	fill := func() {
		t.Helper()
		ids = nil
		for _, kind := range []int{1, 2, 6, 1} {
			ids = append(ids, f.tell("alice", site.Notification{Type: kind}))
		}
	}
	unread := func(want ...int) {
		t.Helper()
		var places []int
		for _, id := range decode[listed](t, f.do(call{path: "/notifications.json?filter=unread", as: "alice"})).ids() {
			places = append(places, slices.Index(ids, id))
		}
		slices.Sort(places)
		if !slices.Equal(places, want) {
			t.Errorf("unread are %v, want %v", places, want)
		}
	}
	const path = "/notifications/mark-read.json"
	id := func(i int) string { return fmt.Sprint(ids[i]) }
	fill()
	foreign := f.tell("bob", site.Notification{Type: 1})
	// Nothing that is not understood marks anything, least of all everything.
	for _, body := range []string{
		`{"id":null}`, `{"id":""}`, `{"id":0}`, `{"id":-1}`, `{"id":1.0}`, `{"id":1e0}`, `{"id":" 1"}`, `{"id":"01"}`, `{"id":[1]}`, `{"id":{"a":1}}`, `{"id":true}`,
		`{"id":9223372036854775808}`, `{"id":1,"id":2}`, `{"id":1`, `{id:1}`, `id=1&id=2`, `null`, `[]`, `1`, `{}{}`, `{"dismiss_types":""}`, `{"dismiss_types":null}`,
		`{"dismiss_types":"nothing"}`, `{"dismiss_types":"mentioned,"}`, `{"dismiss_types":"mentioned, replied"}`, `{"dismiss_types":["mentioned"]}`, "{\"dismiss_types\":\"\xff\"}", `{"a":"\ud800"}`,
	} {
		for _, key := range []string{"", "key-1"} {
			a := f.put(path, "alice", key, body)
			a.must(t, http.StatusBadRequest, `"errors"`)
		}
	}
	for _, body := range []string{``, `{}`, `{"ids":[1]}`, `{"Id":1}`} { // read is for one only
		if a := f.put("/notifications/read.json", "alice", "", body); a.StatusCode != http.StatusBadRequest {
			t.Errorf("read with %s: %d", body, a.StatusCode)
		}
	}
	unread(0, 1, 2, 3)
	ok := func(a answer) { t.Helper(); a.must(t, http.StatusOK, `{"success":"OK"}`) }
	ok(f.put(path, "", "key-1", `{"id":`+id(0)+`}`))
	ok(f.put(path, "", "key-1", `{"id":`+id(0)+`}`))                                                                // twice is the same
	ok(f.put(path, "alice", "", `{"id":`+fmt.Sprint(foreign)+`}`))                                                  // bob's: changes nothing, tells nothing
	ok(f.put(path, "alice", "", `{"id":999999}`))                                                                   // gone: an app need not mind
	ok(f.put("/notifications/read", "alice", "", "id="+id(3), "Content-Type", "application/x-www-form-urlencoded")) // as browsers' scripts send it
	unread(1, 2)
	if got := decode[listed](t, f.do(call{path: "/notifications.json?filter=unread", as: "bob"})); got.Total != 1 {
		t.Error("bob's notification was marked")
	}
	ok(f.put(path, "alice", "", `{"dismiss_types":"replied,liked"}`))
	unread(2)
	ok(f.put(path, "", "key-1", `{"dismiss_types":"private_message"}`))
	fill()
	ok(f.put(path, "", "key-1", `{"id":`+id(1)+`,"dismiss_types":"mentioned"}`)) // the id counts
	unread(0, 2, 3)
	for _, body := range []string{"", "{}", " "} {
		fill()
		ok(f.put("/notifications/mark-read", "", "key-1", body))
		unread()
	}
	f.do(call{path: "/session/current.json", as: "alice"}).must(t, http.StatusOK, fmt.Sprintf(`"seen_notification_id":%d`, ids[3]))
}

func TestNotificationsAreForTheirOwner(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	f.tell("bob", site.Notification{Type: 1})
	for _, path := range []string{"/notifications", "/notifications.json", "/notifications.json?recent=true", "/notifications/totals", "/notifications/totals.json", "/user-status.json", "/u/alice.json"} {
		f.do(call{path: path, header: map[string]string{"Accept": "application/json"}}).must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
		f.do(call{path: path, key: "key-99", as: "alice"}).must(t, http.StatusForbidden, `"reason":"invalid key"`)
		f.do(call{path: path, key: "key-4"}).must(t, http.StatusForbidden, `"reason":"invalid key"`) // revoked
	}
	for _, tt := range []struct {
		as, key, name string
		status        int
	}{
		{"alice", "", "bob", 403},
		{"alice", "", "nobody", 403},
		{"", "key-1", "bob", 403},
		{"", "key-1", "", 403},
		{"root", "", "bob", 200},
		{"mod", "", "BOB", 200},
		{"root", "", "nobody", 404},
		{"root", "", "bob@x", 404},
		{"bob", "", "Bob", 200},
	} {
		a := f.do(call{path: "/notifications.json?username=" + tt.name, as: tt.as, key: tt.key})
		a.must(t, tt.status)
		if (tt.status == 200) != strings.Contains(a.text, `"user_id":2`) {
			t.Errorf("%+v: %s", tt, a.text)
		}
	}
	f.authority.add(site.UserAPIKey{UserID: root.ID, Scopes: userkeys.Scopes{"read"}})
	f.do(call{path: "/notifications.json?username=bob", key: "key-6"}).must(t, http.StatusForbidden, "a key reads its owner's notifications")
	// GR2: a change needs the session's own token, from here.
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		for _, path := range []string{"/notifications/mark-read.json", "/notifications/read", "/user-status.json"} {
			for _, h := range []map[string]string{
				{"Origin": "https://site.example"},
				{"Origin": "https://site.example", "X-CSRF-Token": "token-of-alice"},
				{"Origin": "https://evil.example", "X-CSRF-Token": "token-of-bob"},
				{"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "token-of-bob"},
			} {
				if method == http.MethodDelete && !strings.HasPrefix(path, "/user-status") {
					f.do(call{method: method, path: path, as: "bob", header: h}).must(t, http.StatusMethodNotAllowed)
					continue
				}
				f.do(call{method: method, path: path, as: "bob", body: `{"id":1}`, header: h}).must(t, http.StatusForbidden, "BAD CSRF")
			}
		}
	}
	if got := decode[listed](t, f.do(call{path: "/notifications.json?filter=unread", as: "bob"})); got.Total != 1 {
		t.Error("it was marked as read")
	}
}

// TestNotificationParameters: what is not understood is said, and changes nothing.
func TestNotificationParameters(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	id := f.tell("alice", site.Notification{Type: 1})
	for query, says := range map[string]string{
		"limit=0": "1 to 60", "limit=61": "1 to 60", "limit=-1": "whole number", "limit=": "whole number", "limit=1e1": "whole number", "limit=99999999999999999999": "whole number",
		"limit=5&limit=6": "twice", "offset=-1": "whole number", "offset=x": "whole number", "offset=10001": "load_more_notifications", "before=0": "id of a notification",
		"before=1;drop": "query", "before=9223372036854775808": "id of a notification", "before=%00": "not text", "filter=seen": "read or unread", "filter=read,unread": "read or unread",
		"filter_by_types=nothing": "no notification type", "filter_by_types=mentioned,,replied": "no notification type", "filter_by_types=0": "no notification type", "filter_by_types=10000": "no notification type", "filter_by_types=01": "no notification type",
		"filter_by_types=%27+or+1%3D1": "no notification type", "filter_by_types=" + strings.Repeat("mentioned,", 100) + "mentioned": "more than 100", "%zz": "query",
	} {
		for _, form := range []string{"", "recent=true&"} {
			f.do(call{path: "/notifications.json?" + form + query, key: "key-1"}).must(t, http.StatusBadRequest, says)
		}
	}
	a := f.do(call{path: "/notifications.json?silent=true&recent=true", key: "key-1"})
	a.must(t, http.StatusOK, fmt.Sprintf(`"id":%d`, id), `"seen_notification_id":0`)
	// No GET but a list that a user sees writes.
	for _, path := range []string{"/notifications.json", "/notifications/totals.json", "/session/current.json", "/u/alice.json", "/user-status.json"} {
		f.do(call{path: path, as: "alice"}).must(t, http.StatusOK)
	}
	f.do(call{path: "/notifications.json", as: "alice"}).must(t, http.StatusOK, `"seen_notification_id":0`, `"read":false`)
}

func TestNotifyUsers(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	post := func(path, as, body string, header ...string) answer {
		t.Helper()
		h := map[string]string{"Content-Type": "application/json", "X-CSRF-Token": "token-of-" + as}
		for i := 0; i+1 < len(header); i += 2 {
			h[header[i]] = header[i+1]
		}
		return f.do(call{method: http.MethodPost, path: path, as: as, body: body, header: h})
	}
	total := func() int {
		n := 0
		for _, who := range []string{"alice", "bob", "root", "mod"} {
			n += decode[listed](t, f.do(call{path: "/notifications.json", as: who})).Total
		}
		return n
	}
	const path = "/admin/notifications.json"
	many := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = `"alice"`
		}
		return `{"notification_type":1,"usernames":[` + strings.Join(names, ",") + `]}`
	}
	for _, tt := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"nobody", `{"notification_type":1}`, 400, "say who is told"},
		{"an empty list", `{"notification_type":1,"usernames":[]}`, 400, "1 to 1000"},
		{"1001", many(1001), 400, "1 to 1000"},
		{"both ways", `{"notification_type":1,"username":"alice","usernames":["bob"]}`, 400, "say who is told"},
		{"unknown names", `{"notification_type":1,"usernames":["alice","ghost","nix"]}`, 422, "there is no user ghost, nix"},
		{"an address", `{"notification_type":1,"username":"alice@example.org"}`, 422, "there is no user"},
		{"no type", `{"username":"alice"}`, 400, "notification_type is missing"},
		{"an unknown type", `{"username":"alice","notification_type":"news"}`, 400, "no notification type"},
		{"type 0", `{"username":"alice","notification_type":0}`, 400, "1 to 9999"},
		{"type 1.5", `{"username":"alice","notification_type":1.5}`, 400, "a name or a number"},
		{"type null", `{"username":"alice","notification_type":null}`, 400, "wrong type"},
		{"a mistyped member", `{"username":"alice","notification_type":1,"high_prority":true}`, 400, "high_prority"},
		{"another case", `{"Username":"alice","notification_type":1}`, 400, "Username"},
		{"everybody", `{"all":true,"notification_type":1}`, 400, "all"},
		{"a name that is a number", `{"username":1,"notification_type":1}`, 400, "username has a value of the wrong type"},
		{"names in a text", `{"usernames":"alice,bob","notification_type":1}`, 400, "usernames has a value of the wrong type"},
		{"a topic that is a text", `{"username":"alice","notification_type":1,"topic_id":"42"}`, 400, "topic_id has"},
		{"a negative topic", `{"username":"alice","notification_type":1,"topic_id":-42}`, 400, "positive"},
		{"a topic past int64", `{"username":"alice","notification_type":1,"topic_id":9223372036854775808}`, 400, "topic_id has"},
		{"data that is a text", `{"username":"alice","notification_type":1,"data":"{}"}`, 400, "data must be a JSON object"},
		{"data that is a list", `{"username":"alice","notification_type":1,"data":[1]}`, 400, "data must be a JSON object"},
		{"data of 9 KB", `{"username":"alice","notification_type":1,"data":{"a":"` + strings.Repeat("x", 9000) + `"}}`, 400, "8192"},
		{"a slug of 1 KB", `{"username":"alice","notification_type":1,"slug":"` + strings.Repeat("x", 1000) + `"}`, 400, "slug"},
		{"a name twice", `{"username":"alice","username":"bob","notification_type":1}`, 400, "each name once"},
		{"a name twice in data", `{"username":"alice","notification_type":1,"data":{"a":{"b":1,"b":2}}}`, 400, "each name once"},
		{"data too deep", `{"username":"alice","notification_type":1,"data":{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}}`, 400, "each name once"},
		{"half of a pair", `{"username":"alice","notification_type":1,"data":{"a":"\ud800"}}`, 400, "each name once"},
		{"NUL", `{"username":"alice","notification_type":1,"data":{"a":"\u0000"}}`, 400, "each name once"},
		{"no JSON", `username=alice`, 400, "no JSON object"},
		{"a list", `[]`, 400, "no JSON object"},
		{"two objects", `{"username":"alice","notification_type":1}{}`, 400, "no JSON object"},
		{"nothing", ``, 400, "no JSON object"},
		{"300 KB", `{"username":"` + strings.Repeat("x", 300<<10) + `"}`, 413, "larger than 262144 bytes"},
	} {
		for _, p := range []string{path, "/user-api-key" + path} {
			a := post(p, "root", tt.body)
			a.must(t, tt.status, tt.says, `"errors"`)
		}
		if n := total(); n != 0 {
			t.Fatalf("%s wrote %d", tt.name, n)
		}
	}
	good := `{"username":"alice","notification_type":"replied"}`
	// AD1 AD2: administrators only, at a browser, with the token, from here.
	for _, tt := range []struct {
		as     string
		header []string
		says   string
	}{
		{"", nil, "not_logged_in"},
		{"alice", nil, "invalid_access"},
		{"mod", nil, "invalid_access"},
		{"root", []string{"X-CSRF-Token", ""}, "BAD CSRF"},
		{"root", []string{"X-CSRF-Token", "token-of-mod"}, "BAD CSRF"},
		{"root", []string{"Sec-Fetch-Site", "same-site"}, "BAD CSRF"},
		{"root", []string{"Sec-Fetch-Site", "cross-site"}, "BAD CSRF"},
	} {
		post(path, tt.as, good, tt.header...).must(t, http.StatusForbidden, tt.says)
	}
	f.do(call{method: http.MethodPost, path: path, key: "key-3", body: good}).must(t, http.StatusForbidden, "not for keys")
	post(path, "root", good, "Content-Type", "text/plain").must(t, http.StatusUnsupportedMediaType)
	f.do(call{path: path, as: "root"}).must(t, http.StatusMethodNotAllowed)
	if n := total(); n != 0 {
		t.Fatalf("%d were written", n)
	}
	for i, body := range []string{
		good, many(1000),
		`{"usernames":["bob","ALICE"],"notification_type":6,"topic_id":42,"post_number":3,"slug":"s","fancy_title":"T <b>","data":{"k":[{"a":1}]}}`,
		`{"username":"mod","notification_type":1,"high_priority":true}`,
	} {
		want := []string{
			`{"created":1,"ids":[1],"queued":0,"repeated":false,"success":"OK"}`, `{"created":1,"ids":[2],"queued":0,"repeated":false,"success":"OK"}`,
			`{"created":2,"ids":[4,3],"queued":0,"repeated":false,"success":"OK"}`, `"ids":[5]`,
		}[i]
		p := []string{path, "/user-api-key" + path}[i%2]
		post(p, "root", body).must(t, http.StatusOK, want)
	}
	f.do(call{path: "/notifications.json", as: "bob"}).must(t, http.StatusOK, `"total_rows_notifications":1`, `"high_priority":true`, `"topic_id":42`, `"fancy_title":"T <b>"`, `"data":{"k":[{"a":1}]}`)
	f.do(call{path: "/notifications.json", as: "mod"}).must(t, http.StatusOK, `"high_priority":true`)
}

func TestUserJSON(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	type shown struct {
		User map[string]any `json:"user"`
	}
	get := func(c call) map[string]any {
		t.Helper()
		a := f.do(c)
		a.must(t, http.StatusOK)
		return decode[shown](t, a).User
	}
	// W20: live keys only, longest unused first, scopes in words.
	keys, ok := get(call{path: "/u/alice.json", as: "alice"})["user_api_keys"].([]any)
	if !ok || len(keys) != 3 {
		t.Fatalf("alice's keys: %v", keys)
	}
	want := map[string]any{
		"id": 1.0, "application_name": "Old", "scopes": []any{"read everything that you can read"},
		"created_at": "2026-08-14T12:00:00.000Z", "last_used_at": "2026-10-13T12:00:00.000Z", "expires_at": nil,
	}
	if diff := cmp.Diff(want, keys[1]); diff != "" {
		t.Error(diff)
	}
	if last := keys[2].(map[string]any); last["id"] != 3.0 || last["expires_at"] != "2026-11-29T12:00:00.000Z" {
		t.Errorf("the last one is %v", last)
	}
	mods := get(call{path: "/u/mod", as: "mod", header: map[string]string{"Accept": "application/json"}})
	if list, ok := mods["user_api_keys"]; !ok || list != nil {
		t.Errorf("no keys are %v", list)
	}
	if len(get(call{path: "/u/ALICE.json", as: "root"})["user_api_keys"].([]any)) != 3 {
		t.Error("an administrator does not see a user's keys")
	}
	for _, c := range []call{{path: "/u/alice.json", as: "bob"}, {path: "/u/alice.json", as: "mod"}, {path: "/u/alice.json", key: "key-1"}, {path: "/u/bob.json", key: "key-1"}} {
		if u := get(c); u["user_api_keys"] != nil || u["username"] == nil || u["id"] == nil || u["avatar_template"] == nil {
			t.Errorf("%+v: %v", c, u)
		}
		f.do(c).mustNot(t, "user_api_keys", "email", "last_seen")
	}
	for _, path := range []string{"/u/nobody.json", "/u/.json", "/u/alice.json.json", "/u/a%20b.json", "/u/alice@example.org.json", "/u/" + strings.Repeat("a", 900) + ".json"} {
		f.do(call{path: path, as: "root"}).must(t, http.StatusNotFound, `"error_type":"not_found"`)
	}
	for _, path := range []string{"/u/%00.json", "/u/%ff.json", "/u/" + strings.Repeat("a", 2000) + ".json"} {
		f.do(call{path: path, as: "root"}).must(t, http.StatusBadRequest)
	}
	f.do(call{path: "/u/alice", as: "alice", header: map[string]string{"Accept": "text/html"}}).must(t, http.StatusNotFound, "<html")
	off := bob
	off.Active = false
	if err := f.server.cfg.Users.(interface {
		UpdateUser(ctx context.Context, u site.User, act site.Act) error
	}).UpdateUser(t.Context(), off, site.Caller{}.At(testNow)); err != nil {
		t.Fatal(err)
	}
	f.do(call{path: "/u/bob.json", as: "alice"}).must(t, http.StatusNotFound)
	f.do(call{path: "/u/bob.json", as: "root"}).must(t, http.StatusOK)
}

func TestUserStatus(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	status := func(as, key, want string) {
		t.Helper()
		for _, path := range []string{"/user-status", "/user-status.json"} {
			a := f.do(call{path: path, as: as, key: key})
			a.must(t, http.StatusOK)
			if strings.TrimSpace(a.text) != want {
				t.Errorf("%s: %s, want %s", path, a.text, want)
			}
		}
	}
	status("alice", "", "null")
	for body, says := range map[string]string{
		`{}`: "description is missing", `{"description":"d"}`: "emoji is missing", `{"description":" ","emoji":"x"}`: "description is missing",
		`{"description":"a\nb","emoji":"x"}`: "one line", `{"description":"` + strings.Repeat("x", 101) + `","emoji":"x"}`: "100 characters", `{"description":"d","emoji":"` + strings.Repeat("x", 101) + `"}`: "100 characters",
		`{"description":"d","emoji":"x","ends_at":"tomorrow"}`: "a time to come", `{"description":"d","emoji":"x","ends_at":"2026-11-22T12:00:00Z"}`: "a time to come", `{"description":"d","emoji":"x","ends_at":60}`: "a time to come",
		`{"description":["d"],"emoji":"x"}`: "one text or number", `{"description":"d","emoji":"x"`: "no JSON object",
	} {
		f.put("/user-status.json", "alice", "", body).must(t, http.StatusBadRequest, says)
	}
	status("alice", "", "null")
	long := strings.Repeat("\u00fc", 100)
	f.put("/user-status", "", "key-1", `{"description":"`+long+`","emoji":"tooth","ends_at":null}`).must(t, http.StatusOK, `{"success":"OK"}`)
	status("", "key-1", `{"description":"`+long+`","emoji":"tooth","ends_at":null}`)
	f.put("/user-status.json", "alice", "", "description=at+work&emoji=desktop&ends_at=2026-11-22T13:30:00%2B01:00", "Content-Type", "application/x-www-form-urlencoded").must(t, http.StatusOK)
	status("alice", "", `{"description":"at work","emoji":"desktop","ends_at":"2026-11-22T12:30:00.000Z"}`)
	status("bob", "", "null")
	f.do(call{path: "/u/alice.json", as: "bob"}).must(t, http.StatusOK, `"status":{"description":"at work"`)
	gone := call{method: http.MethodDelete, path: "/user-status.json", key: "key-1"}
	f.do(gone).must(t, http.StatusOK, `{"success":"OK"}`)
	f.do(gone).must(t, http.StatusOK, `{"success":"OK"}`)
	status("alice", "", "null")
	f.do(call{path: "/u/alice.json", as: "bob"}).mustNot(t, "status")
}

func TestBasicInfoAndAbout(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("title", "My <site>")
	f.authority.set("site_description", "What it is.")
	a := f.do(call{path: "/site/basic-info.json"})
	a.must(t, http.StatusOK, `"title":"My <site>"`, `"description":"What it is."`, `"login_required":false`)
	info := decode[map[string]any](t, a)
	icon, _ := info["apple_touch_icon_url"].(string)
	if !strings.HasPrefix(icon, "https://site.example/user-api-key/assets/icon.") || !strings.HasSuffix(icon, ".png") {
		t.Errorf("the icon is at %q", icon)
	}
	png := f.do(call{path: strings.TrimPrefix(icon, "https://site.example")})
	png.must(t, http.StatusOK, "\x89PNG\r\n")
	if png.Header.Get("Content-Type") != "image/png" {
		t.Errorf("it is %q", png.Header.Get("Content-Type"))
	}
	a = f.do(call{path: "/about.json"})
	a.must(t, http.StatusOK)
	if want := `{"about":{"description":"What it is.","title":"My <site>"}}`; strings.TrimSpace(a.text) != want {
		t.Errorf("about is %s", a.text)
	}
}

// TestEndpointsAreAsked: an embedder gets what was asked for, and no more.
func TestEndpointsAreAsked(t *testing.T) {
	t.Parallel()
	has := func(f *fakeSite) map[string]bool {
		out := map[string]bool{}
		for _, rt := range f.server.routes() {
			_, path, _ := strings.Cut(rt.pattern, " ")
			out[path] = true
		}
		return out
	}
	bare := has(newSite(t, notStandalone))
	with := has(newSite(t, notStandalone, func(c *Config) { c.Endpoints = true }, withInbox(t), withBus))
	noStore := has(newSite(t, notStandalone, func(c *Config) { c.Endpoints = true }))
	inboxOnly := has(newSite(t, notStandalone, withInbox(t), withBus))
	for _, path := range append(EndpointPaths(), "/u/{username}", "/admin/notifications.json", "/message-bus/{client}/poll") {
		if path == "/session/" || path == "/message-bus/" { // all below it
			continue
		}
		if bare[path] || !with[path] || inboxOnly[path] {
			t.Errorf("%s: without %v, with %v, with an inbox only %v", path, bare[path], with[path], inboxOnly[path])
		}
		kept := path == "/site/basic-info.json" || path == "/about.json" || strings.HasPrefix(path, "/session")
		if noStore[path] != kept {
			t.Errorf("without a store there is %s: %v", path, noStore[path])
		}
	}
	if !inboxOnly["/user-api-key/admin/notifications.json"] || bare["/user-api-key/admin/notifications.json"] {
		t.Error("the admin API below our own paths goes with the inbox")
	}
}
