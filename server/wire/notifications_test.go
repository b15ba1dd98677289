package wire_test

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
	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/site"
)

// TestNotificationShape tests W17, C33: the shape of a notification, byte for byte.
func TestNotificationShape(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	f.Tell("bob", site.Notification{Type: 1})
	f.Tell("alice", site.Notification{
		Type: 6, TopicID: 42, PostNumber: 3, Slug: "hello-there", FancyTitle: "A &amp; B",
		Data: json.RawMessage(` { "display_username": "carol", "n": 1.50, "list": [null, true] } `),
	})
	f.Tell("alice", site.Notification{Type: 14})
	want := `{"load_more_notifications":"/notifications?before=2\u0026limit=60\u0026username=alice","notifications":[` +
		`{"id":3,"user_id":1,"notification_type":14,"read":false,"high_priority":false,"created_at":"2026-11-22T12:00:00.000Z","post_number":null,"topic_id":null,"fancy_title":null,"slug":null,"data":{"display_username":"userkeys"}},` +
		`{"id":2,"user_id":1,"notification_type":6,"read":false,"high_priority":true,"created_at":"2026-11-22T12:00:00.000Z","post_number":3,"topic_id":42,"fancy_title":"A &amp; B","slug":"hello-there","data":{"display_username":"carol","n":1.50,"list":[null,true]}}` +
		`],"seen_notification_id":0,"total_rows_notifications":2}` + "\n"
	for _, c := range []fakesite.Call{
		{Path: "/notifications.json", As: "alice"},
		{Path: "/notifications", As: "alice", Header: map[string]string{"Accept": "text/html"}},
		{Path: "/notifications.json", Key: "key-1"},
		{Path: "/notifications", Key: "key-1"},
		{Path: "/notifications.json", Key: "key-1", As: "bob"}, // a cookie beside a key says nothing
		{Path: "/notifications.json?username=ALICE", Key: "key-1"},
	} {
		a := f.Do(c)
		a.Must(t, http.StatusOK)
		if got := strings.ReplaceAll(a.Text, "&limit", `\u0026limit`); strings.ReplaceAll(got, "&username", `\u0026username`) != want {
			t.Errorf("%+v:\n got %s\nwant %s", c, a.Text, want)
		}
		if a.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("Content-Type is %q", a.Header.Get("Content-Type"))
		}
	}
}

func TestNotificationPages(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	var ids []int64
	for i := range 70 {
		kind := 1
		if i%10 == 0 {
			kind = 6
		}
		ids = append(ids, f.Tell("alice", site.Notification{Type: kind}))
	}
	list := func(path string) fakesite.Listed {
		t.Helper()
		a := f.Do(fakesite.Call{Path: path, As: "alice"})
		a.Must(t, http.StatusOK)
		return fakesite.Decode[fakesite.Listed](t, a)
	}
	first := list("/notifications.json")
	if len(first.Notifications) != 60 || first.Total != 70 || first.Notifications[0].ID != ids[69] || first.Seen == nil {
		t.Errorf("the first page has %d of %d", len(first.Notifications), first.Total)
	}
	f.Tell("alice", site.Notification{Type: 1}) // in between moves nothing onto the next page
	second := list(first.More)
	if len(second.Notifications) != 10 || second.Notifications[0].ID != ids[9] {
		t.Errorf("the second page has %v", second.IDs())
	}
	if third := list(second.More); third.Notifications == nil || len(third.Notifications) != 0 || third.More == "" {
		t.Errorf("beyond the end: %+v", third)
	}
	if got := list("/notifications.json?limit=2&offset=1&filter_by_types=private_message").IDs(); !slices.Equal(got, []int64{ids[50], ids[40]}) {
		t.Errorf("by type and offset: %v", got)
	}
	f.Put("/notifications/read.json", "alice", "", fmt.Sprintf(`{"id":%d}`, ids[60])).Must(t, http.StatusOK)
	if got := list("/notifications.json?filter=read"); !slices.Equal(got.IDs(), ids[60:61]) || got.Total != 1 || !got.Notifications[0].Read {
		t.Errorf("read: %+v", got)
	}
	if got := list("/notifications.json?filter=unread&limit=1&filter_by_types=private_message"); !slices.Equal(got.IDs(), ids[50:51]) || got.Total != 6 {
		t.Errorf("unread: %+v", got)
	}
	u, err := url.Parse(list("/notifications.json?filter=unread&limit=1&offset=2&filter_by_types=private_message").More)
	if err != nil || u.Query().Get("filter") != "unread" || u.Query().Get("filter_by_types") != "private_message" || u.Query().Has("offset") {
		t.Errorf("the next page is %v", u)
	}
}

func TestNotificationsRecent(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	var ids []int64
	for _, kind := range []int{6, 1, 2, 1} {
		ids = append(ids, f.Tell("alice", site.Notification{Type: kind}))
	}
	f.Put("/notifications/read.json", "alice", "", fmt.Sprintf(`{"id":%d}`, ids[3])).Must(t, http.StatusOK)
	recent := func(c fakesite.Call, want []int64, seen int64) {
		t.Helper()
		a := f.Do(c)
		a.Must(t, http.StatusOK)
		l := fakesite.Decode[fakesite.Listed](t, a)
		if !slices.Equal(l.IDs(), want) || *l.Seen != seen {
			t.Errorf("%s: %v seen %d, want %v seen %d", c.Path, l.IDs(), *l.Seen, want, seen)
		}
		a.MustNot(t, "total_rows", "load_more")
	}
	const path = "/notifications.json?recent=true"
	order := []int64{ids[0], ids[2], ids[1], ids[3]} // urgent, then unread, then read
	recent(fakesite.Call{Path: path + "&silent=true", Key: "key-1"}, order, 0)
	recent(fakesite.Call{Path: path + "&silent=", As: "alice"}, order, 0)
	recent(fakesite.Call{Path: path + "&limit=25", Key: "key-1"}, order, 0) // where the marker was: what is new can be told
	recent(fakesite.Call{Path: path, As: "alice"}, order, ids[3])
	recent(fakesite.Call{Path: path + "&limit=2", As: "alice"}, order[:2], ids[3])
	recent(fakesite.Call{Path: path + "&filter_by_types=replied,mentioned", As: "alice"}, []int64{ids[2], ids[1], ids[3]}, ids[3])
	recent(fakesite.Call{Path: path + "&filter=read", As: "alice"}, []int64{ids[3]}, ids[3])
	recent(fakesite.Call{Path: path + "&filter=unread", As: "alice"}, order[:3], ids[3])
	recent(fakesite.Call{Path: path, As: "bob"}, nil, 0)
	f.Tell("bob", site.Notification{Type: 1})
	a := f.Do(fakesite.Call{Path: path + "&username=bob", As: "root"})
	a.Must(t, http.StatusOK, `"pending_reviewables":[]`, `"user_id":2`)
	recent(fakesite.Call{Path: path + "&silent=true", As: "bob"}, []int64{5}, 0) // whoever looks over his shoulder sees nothing for him
	f.Do(fakesite.Call{Path: path, As: "alice"}).MustNot(t, "pending_reviewables")
	for range 20 {
		f.Tell("bob", site.Notification{Type: 1})
	}
	if n := len(fakesite.Decode[fakesite.Listed](t, f.Do(fakesite.Call{Path: path, As: "bob"})).Notifications); n != 15 {
		t.Errorf("%d without a limit, want 15", n)
	}
}

// TestNotificationTotals tests C32: every member that an app reads, and nothing that says there is a chat.
func TestNotificationTotals(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	avatar := f.Door.Frame().Asset("avatar.svg")
	want := func(as, key string, text string) {
		t.Helper()
		for _, path := range []string{"/notifications/totals", "/notifications/totals.json"} {
			a := f.Do(fakesite.Call{Path: path, As: as, Key: key})
			a.Must(t, http.StatusOK)
			if strings.TrimSpace(a.Text) != text {
				t.Errorf("%s as %s%s:\n got %s\nwant %s", path, as, key, a.Text, text)
			}
		}
	}
	alices := func(unread, messages int) string {
		return fmt.Sprintf(`{"id":1,"username":"alice","name":"Alice A.","avatar_template":%q,"unread_notifications":%d,"unread_personal_messages":%d,"unseen_reviewables":0,"topic_tracking":{"new":0,"unread":0}}`, avatar, unread, messages)
	}
	want("alice", "", alices(0, 0))
	for _, kind := range []int{1, 6, 24, 6, 2} {
		f.Tell("alice", site.Notification{Type: kind})
	}
	f.Tell("root", site.Notification{Type: 6})
	want("alice", "", alices(3, 2))
	want("", "key-1", alices(3, 2))
	f.Put("/notifications/read", "", "key-1", `{"id":2}`).Must(t, http.StatusOK, `{"success":"OK"}`)
	want("", "key-1", alices(3, 1))
	want("root", "", fmt.Sprintf(`{"id":3,"username":"root","name":null,"avatar_template":%q,"unread_notifications":0,"unread_personal_messages":1,"unseen_reviewables":0,"topic_tracking":{"new":0,"unread":0},"group_inboxes":[]}`, avatar))
	f.Do(fakesite.Call{Path: "/notifications.json?recent=true", Key: "key-1"}).Must(t, http.StatusOK)
	want("", "key-1", alices(0, 0)) // seen, though not read
	f.Do(fakesite.Call{Path: "/session/current.json", Key: "key-1"}).Must(t, http.StatusOK,
		`"unread_notifications":0`, `"unread_high_priority_notifications":2`, `"all_unread_notifications_count":0`, `"seen_notification_id":5`, `"name":"Alice A."`)
	f.Tell("alice", site.Notification{Type: 1})
	f.Do(fakesite.Call{Path: "/session/current.json", As: "alice"}).Must(t, http.StatusOK, `"unread_notifications":1`, `"all_unread_notifications_count":1`)
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	var ids []int64
	fill := func() {
		t.Helper()
		ids = nil
		for _, kind := range []int{1, 2, 6, 1} {
			ids = append(ids, f.Tell("alice", site.Notification{Type: kind}))
		}
	}
	unread := func(want ...int) {
		t.Helper()
		var places []int
		for _, id := range fakesite.Decode[fakesite.Listed](t, f.Do(fakesite.Call{Path: "/notifications.json?filter=unread", As: "alice"})).IDs() {
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
	foreign := f.Tell("bob", site.Notification{Type: 1})
	// Nothing that is not understood marks anything, least of all everything.
	for _, body := range []string{
		`{"id":null}`, `{"id":""}`, `{"id":0}`, `{"id":-1}`, `{"id":1.0}`, `{"id":1e0}`, `{"id":" 1"}`, `{"id":"01"}`, `{"id":[1]}`, `{"id":{"a":1}}`, `{"id":true}`,
		`{"id":9223372036854775808}`, `{"id":1,"id":2}`, `{"id":1`, `{id:1}`, `id=1&id=2`, `null`, `[]`, `1`, `{}{}`, `{"dismiss_types":""}`, `{"dismiss_types":null}`,
		`{"dismiss_types":"nothing"}`, `{"dismiss_types":"mentioned,"}`, `{"dismiss_types":"mentioned, replied"}`, `{"dismiss_types":["mentioned"]}`, "{\"dismiss_types\":\"\xff\"}", `{"a":"\ud800"}`,
	} {
		for _, key := range []string{"", "key-1"} {
			a := f.Put(path, "alice", key, body)
			a.Must(t, http.StatusBadRequest, `"errors"`)
		}
	}
	for _, body := range []string{``, `{}`, `{"ids":[1]}`, `{"Id":1}`} { // read is for one only
		if a := f.Put("/notifications/read.json", "alice", "", body); a.StatusCode != http.StatusBadRequest {
			t.Errorf("read with %s: %d", body, a.StatusCode)
		}
	}
	unread(0, 1, 2, 3)
	ok := func(a fakesite.Answer) { t.Helper(); a.Must(t, http.StatusOK, `{"success":"OK"}`) }
	ok(f.Put(path, "", "key-1", `{"id":`+id(0)+`}`))
	ok(f.Put(path, "", "key-1", `{"id":`+id(0)+`}`))               // twice is the same
	ok(f.Put(path, "alice", "", `{"id":`+fmt.Sprint(foreign)+`}`)) // bob's: changes nothing, tells nothing
	ok(f.Put(path, "alice", "", `{"id":999999}`))                  // gone: an app need not mind
	ok(f.Put("/notifications/read", "alice", "", "id="+id(3)))     // as browsers' scripts send it
	unread(1, 2)
	if got := fakesite.Decode[fakesite.Listed](t, f.Do(fakesite.Call{Path: "/notifications.json?filter=unread", As: "bob"})); got.Total != 1 {
		t.Error("bob's notification was marked")
	}
	ok(f.Put(path, "alice", "", `{"dismiss_types":"replied,liked"}`))
	unread(2)
	ok(f.Put(path, "", "key-1", `{"dismiss_types":"private_message"}`))
	fill()
	ok(f.Put(path, "", "key-1", `{"id":`+id(1)+`,"dismiss_types":"mentioned"}`)) // the id counts
	unread(0, 2, 3)
	for _, body := range []string{"", "{}", " "} {
		fill()
		ok(f.Put("/notifications/mark-read", "", "key-1", body))
		unread()
	}
	f.Do(fakesite.Call{Path: "/session/current.json", As: "alice"}).Must(t, http.StatusOK, fmt.Sprintf(`"seen_notification_id":%d`, ids[3]))
}

func TestNotificationsAreForTheirOwner(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	f.Tell("bob", site.Notification{Type: 1})
	for _, path := range []string{"/notifications", "/notifications.json", "/notifications.json?recent=true", "/notifications/totals", "/notifications/totals.json", "/user-status.json", "/u/alice.json"} {
		f.Do(fakesite.Call{Path: path, Header: map[string]string{"Accept": "application/json"}}).Must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
		f.Do(fakesite.Call{Path: path, Key: "key-99", As: "alice"}).Must(t, http.StatusForbidden, `"reason":"invalid key"`)
		f.Do(fakesite.Call{Path: path, Key: "key-4"}).Must(t, http.StatusForbidden, `"reason":"invalid key"`) // revoked
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
		a := f.Do(fakesite.Call{Path: "/notifications.json?username=" + tt.name, As: tt.as, Key: tt.key})
		a.Must(t, tt.status)
		if (tt.status == 200) != strings.Contains(a.Text, `"user_id":2`) {
			t.Errorf("%+v: %s", tt, a.Text)
		}
	}
	f.Add(site.UserAPIKey{UserID: fakesite.Root.ID, Scopes: userkeys.Scopes{"read"}})
	f.Do(fakesite.Call{Path: "/notifications.json?username=bob", Key: "key-6"}).Must(t, http.StatusForbidden, "a key reads its owner's notifications")
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
					f.Do(fakesite.Call{Method: method, Path: path, As: "bob", Header: h}).Must(t, http.StatusMethodNotAllowed)
					continue
				}
				f.Do(fakesite.Call{Method: method, Path: path, As: "bob", Body: `{"id":1}`, Header: h}).Must(t, http.StatusForbidden, "BAD CSRF")
			}
		}
	}
	if got := fakesite.Decode[fakesite.Listed](t, f.Do(fakesite.Call{Path: "/notifications.json?filter=unread", As: "bob"})); got.Total != 1 {
		t.Error("it was marked as read")
	}
}

// TestNotificationParameters: what is not understood is said, and changes nothing.
func TestNotificationParameters(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	id := f.Tell("alice", site.Notification{Type: 1})
	for query, says := range map[string]string{
		"limit=0": "1 to 60", "limit=61": "1 to 60", "limit=-1": "whole number", "limit=": "whole number", "limit=1e1": "whole number", "limit=99999999999999999999": "whole number",
		"limit=5&limit=6": "twice", "offset=-1": "whole number", "offset=x": "whole number", "offset=10001": "load_more_notifications", "before=0": "id of a notification",
		"before=1;drop": "query", "before=9223372036854775808": "id of a notification", "before=%00": "not text", "filter=seen": "read or unread", "filter=read,unread": "read or unread",
		"filter_by_types=nothing": "no notification type", "filter_by_types=mentioned,,replied": "no notification type", "filter_by_types=0": "no notification type", "filter_by_types=10000": "no notification type", "filter_by_types=01": "no notification type",
		"filter_by_types=%27+or+1%3D1": "no notification type", "filter_by_types=" + strings.Repeat("mentioned,", 100) + "mentioned": "more than 100", "%zz": "query",
	} {
		for _, form := range []string{"", "recent=true&"} {
			f.Do(fakesite.Call{Path: "/notifications.json?" + form + query, Key: "key-1"}).Must(t, http.StatusBadRequest, says)
		}
	}
	a := f.Do(fakesite.Call{Path: "/notifications.json?silent=true&recent=true", Key: "key-1"})
	a.Must(t, http.StatusOK, fmt.Sprintf(`"id":%d`, id), `"seen_notification_id":0`)
	// No GET but a list that a user sees writes.
	for _, path := range []string{"/notifications.json", "/notifications/totals.json", "/session/current.json", "/u/alice.json", "/user-status.json"} {
		f.Do(fakesite.Call{Path: path, As: "alice"}).Must(t, http.StatusOK)
	}
	f.Do(fakesite.Call{Path: "/notifications.json", As: "alice"}).Must(t, http.StatusOK, `"seen_notification_id":0`, `"read":false`)
}

func TestUserJSON(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	type shown struct {
		User map[string]any `json:"user"`
	}
	get := func(c fakesite.Call) map[string]any {
		t.Helper()
		a := f.Do(c)
		a.Must(t, http.StatusOK)
		return fakesite.Decode[shown](t, a).User
	}
	// W20: live keys only, longest unused first, scopes in words.
	keys, ok := get(fakesite.Call{Path: "/u/alice.json", As: "alice"})["user_api_keys"].([]any)
	if !ok || len(keys) != 3 {
		t.Fatalf("alice's keys: %v", keys)
	}
	want := map[string]any{
		"id": 1.0, "application_name": "Old", "scopes": []any{"read everything that you can read", "read, write, change and delete everything that you can"},
		"created_at": "2026-08-14T12:00:00.000Z", "last_used_at": "2026-10-13T12:00:00.000Z", "expires_at": nil,
	}
	if diff := cmp.Diff(want, keys[1]); diff != "" {
		t.Error(diff)
	}
	if last := keys[2].(map[string]any); last["id"] != 3.0 || last["expires_at"] != "2026-11-29T12:00:00.000Z" {
		t.Errorf("the last one is %v", last)
	}
	mods := get(fakesite.Call{Path: "/u/mod", As: "mod", Header: map[string]string{"Accept": "application/json"}})
	if list, ok := mods["user_api_keys"]; !ok || list != nil {
		t.Errorf("no keys are %v", list)
	}
	if len(get(fakesite.Call{Path: "/u/ALICE.json", As: "root"})["user_api_keys"].([]any)) != 3 {
		t.Error("an administrator does not see a user's keys")
	}
	for _, c := range []fakesite.Call{{Path: "/u/alice.json", As: "bob"}, {Path: "/u/alice.json", As: "mod"}, {Path: "/u/alice.json", Key: "key-1"}, {Path: "/u/bob.json", Key: "key-1"}} {
		if u := get(c); u["user_api_keys"] != nil || u["username"] == nil || u["id"] == nil || u["avatar_template"] == nil {
			t.Errorf("%+v: %v", c, u)
		}
		f.Do(c).MustNot(t, "user_api_keys", "email", "last_seen")
	}
	for _, path := range []string{"/u/nobody.json", "/u/.json", "/u/alice.json.json", "/u/a%20b.json", "/u/alice@example.org.json", "/u/" + strings.Repeat("a", 900) + ".json"} {
		f.Do(fakesite.Call{Path: path, As: "root"}).Must(t, http.StatusNotFound, `"error_type":"not_found"`)
	}
	for _, path := range []string{"/u/%00.json", "/u/%ff.json", "/u/" + strings.Repeat("a", 2000) + ".json"} {
		f.Do(fakesite.Call{Path: path, As: "root"}).Must(t, http.StatusBadRequest)
	}
	f.Do(fakesite.Call{Path: "/u/alice", As: "alice", Header: map[string]string{"Accept": "text/html"}}).Must(t, http.StatusNotFound, "<html")
	off := fakesite.Bob
	off.Active = false
	if err := f.Config.Users.(interface {
		UpdateUser(ctx context.Context, u site.User, act site.Act) error
	}).UpdateUser(t.Context(), off, site.Caller{}.At(fakesite.Now)); err != nil {
		t.Fatal(err)
	}
	f.Do(fakesite.Call{Path: "/u/bob.json", As: "alice"}).Must(t, http.StatusNotFound)
	f.Do(fakesite.Call{Path: "/u/bob.json", As: "root"}).Must(t, http.StatusOK)
}

func TestUserStatus(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	status := func(as, key, want string) {
		t.Helper()
		for _, path := range []string{"/user-status", "/user-status.json"} {
			a := f.Do(fakesite.Call{Path: path, As: as, Key: key})
			a.Must(t, http.StatusOK)
			if strings.TrimSpace(a.Text) != want {
				t.Errorf("%s: %s, want %s", path, a.Text, want)
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
		f.Put("/user-status.json", "alice", "", body).Must(t, http.StatusBadRequest, says)
	}
	status("alice", "", "null")
	long := strings.Repeat("\u00fc", 100)
	f.Put("/user-status", "", "key-1", `{"description":"`+long+`","emoji":"tooth","ends_at":null}`).Must(t, http.StatusOK, `{"success":"OK"}`)
	status("", "key-1", `{"description":"`+long+`","emoji":"tooth","ends_at":null}`)
	f.Put("/user-status.json", "alice", "", "description=at+work&emoji=desktop&ends_at=2026-11-22T13:30:00%2B01:00").Must(t, http.StatusOK)
	status("alice", "", `{"description":"at work","emoji":"desktop","ends_at":"2026-11-22T12:30:00.000Z"}`)
	status("bob", "", "null")
	f.Do(fakesite.Call{Path: "/u/alice.json", As: "bob"}).Must(t, http.StatusOK, `"status":{"description":"at work"`)
	gone := fakesite.Call{Method: http.MethodDelete, Path: "/user-status.json", Key: "key-1"}
	f.Do(gone).Must(t, http.StatusOK, `{"success":"OK"}`)
	f.Do(gone).Must(t, http.StatusOK, `{"success":"OK"}`)
	status("alice", "", "null")
	f.Do(fakesite.Call{Path: "/u/alice.json", As: "bob"}).MustNot(t, "status")
}

func TestBasicInfoAndAbout(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("title", "My <site>")
	f.Set("site_description", "What it is.")
	a := f.Do(fakesite.Call{Path: "/site/basic-info.json"})
	a.Must(t, http.StatusOK, `"title":"My <site>"`, `"description":"What it is."`, `"login_required":false`)
	info := fakesite.Decode[map[string]any](t, a)
	icon, _ := info["apple_touch_icon_url"].(string)
	if !strings.HasPrefix(icon, "https://site.example/user-api-key/assets/icon.") || !strings.HasSuffix(icon, ".png") {
		t.Errorf("the icon is at %q", icon)
	}
	png := f.Do(fakesite.Call{Path: strings.TrimPrefix(icon, "https://site.example")})
	png.Must(t, http.StatusOK, "\x89PNG\r\n")
	if png.Header.Get("Content-Type") != "image/png" {
		t.Errorf("it is %q", png.Header.Get("Content-Type"))
	}
	a = f.Do(fakesite.Call{Path: "/about.json"})
	a.Must(t, http.StatusOK)
	if want := `{"about":{"description":"What it is.","title":"My <site>"}}`; strings.TrimSpace(a.Text) != want {
		t.Errorf("about is %s", a.Text)
	}
}

// TestEndpointsAreAsked: an embedder gets what was asked for, and no more.
func TestEndpointsAreAsked(t *testing.T) {
	t.Parallel()
	has := func(f *fakesite.Site) map[string]bool {
		out := map[string]bool{}
		for _, rt := range f.Door.Routes() {
			_, path, _ := strings.Cut(rt.Pattern, " ")
			out[path] = true
		}
		return out
	}
	bare := has(fakesite.New(t, fakesite.NotStandalone))
	with := has(fakesite.NewWithBus(t, fakesite.NotStandalone, func(c *server.Config) { c.Endpoints = true }))
	noStore := has(fakesite.New(t, fakesite.NotStandalone, func(c *server.Config) { c.Endpoints = true }))
	inboxOnly := has(fakesite.NewWithBus(t, fakesite.NotStandalone))
	for _, path := range append(server.EndpointPaths(), "/u/{username}", "/admin/notifications.json", "/message-bus/{client}/poll") {
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
