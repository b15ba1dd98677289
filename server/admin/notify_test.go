package admin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/admin"
	"userkeys/site"
)

func TestNotifyUsers(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	post := func(path, as, body string, header ...string) fakesite.Answer {
		t.Helper()
		h := map[string]string{"Content-Type": "application/json", "X-CSRF-Token": "token-of-" + as}
		for i := 0; i+1 < len(header); i += 2 {
			h[header[i]] = header[i+1]
		}
		return f.Do(fakesite.Call{Method: http.MethodPost, Path: path, As: as, Body: body, Header: h})
	}
	total := func() int {
		n := 0
		for _, who := range []string{"alice", "bob", "root", "mod"} {
			n += fakesite.Decode[fakesite.Listed](t, f.Do(fakesite.Call{Path: "/notifications.json", As: who})).Total
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
			a.Must(t, tt.status, tt.says, `"errors"`)
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
		post(path, tt.as, good, tt.header...).Must(t, http.StatusForbidden, tt.says)
	}
	f.Do(fakesite.Call{Method: http.MethodPost, Path: path, Key: "key-3", Body: good}).Must(t, http.StatusForbidden, "not for keys")
	post(path, "root", good, "Content-Type", "text/plain").Must(t, http.StatusUnsupportedMediaType)
	f.Do(fakesite.Call{Path: path, As: "root"}).Must(t, http.StatusMethodNotAllowed)
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
		post(p, "root", body).Must(t, http.StatusOK, want)
	}
	f.Do(fakesite.Call{Path: "/notifications.json", As: "bob"}).Must(t, http.StatusOK, `"total_rows_notifications":1`, `"high_priority":true`, `"topic_id":42`, `"fancy_title":"T <b>"`, `"data":{"k":[{"a":1}],"display_username":"userkeys"}`)
	f.Do(fakesite.Call{Path: "/notifications.json", As: "mod"}).Must(t, http.StatusOK, `"high_priority":true`)
}

// told is what the site's program is answered.
type told struct {
	Created  int
	IDs      []int64
	Repeated *bool
	Queued   *int
}

func TestNotifyWithAMessage(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	a := notifyAs(f, "root", `{"username":"alice","title":"Tom & Jerry","excerpt":"said\n<hello>","link":"/t/x/1","from":"carol"}`)
	a.Must(t, http.StatusOK, `"success":"OK"`, `"created":1`, `"repeated":false`, `"queued":0`)
	f.Do(fakesite.Call{Path: "/notifications.json", As: "alice"}).Must(t, http.StatusOK, `"notification_type":14`, `"fancy_title":"Tom &amp; Jerry"`,
		`"data":{"topic_title":"Tom & Jerry","excerpt":"said <hello>","url":"/t/x/1","display_username":"carol"}`)
	for _, tt := range []struct{ name, body, says string }{
		{"neither type nor title", `{"username":"alice","excerpt":"e"}`, "notification_type is missing"},
		{"an empty title", `{"username":"alice","title":""}`, "notification_type is missing"},
		{"a long title", `{"username":"alice","title":"` + strings.Repeat("x", 256) + `"}`, "title must be one line"},
		{"a title of two lines", `{"username":"alice","title":"a\nb"}`, "title must be one line"},
		{"a title that is a number", `{"username":"alice","title":1}`, "title has a value of the wrong type"},
		{"a link elsewhere", `{"username":"alice","title":"t","link":"https://evil.example/"}`, "link: "},
		{"a link without a host", `{"username":"alice","title":"t","link":"//evil.example/"}`, "link: it leads to another site"},
		{"a script", `{"username":"alice","title":"t","link":"javascript:alert(1)"}`, "link: "},
		{"a sender of two lines", `{"username":"alice","title":"t","from":"a\nb"}`, "from must be one line"},
		{"push that is a text", `{"username":"alice","title":"t","push":"yes"}`, "push has a value of the wrong type"},
		{"push null", `{"username":"alice","title":"t","push":null}`, "push has a value of the wrong type"},
		{"type 0 beside a title", `{"username":"alice","title":"t","notification_type":0}`, "1 to 9999"},
		{"an empty idempotency key", `{"username":"alice","title":"t","idempotency_key":""}`, "idempotency_key is empty"},
		{"a long one", `{"username":"alice","title":"t","idempotency_key":"` + strings.Repeat("k", 256) + `"}`, "at most 255 bytes"},
		{"one of two lines", `{"username":"alice","title":"t","idempotency_key":"a\nb"}`, "at most 255 bytes"},
	} {
		if a := notifyAs(f, "root", tt.body); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.Text, tt.says) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.Text)
		}
	}
	f.Do(fakesite.Call{Path: "/notifications.json", As: "alice"}).Must(t, http.StatusOK, `"total_rows_notifications":1`)
}

func TestNotifyOnce(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	const body = `{"usernames":["alice","bob"],"title":"Hello"}`
	send := func(body string, header ...string) told {
		t.Helper()
		a := notifyAs(f, "root", body, header...)
		a.Must(t, http.StatusOK)
		return fakesite.Decode[told](t, a)
	}
	first := send(body, "Idempotency-Key", "k1")
	again := send(body, "Idempotency-Key", "k1")
	if *first.Repeated || !*again.Repeated || !slices.Equal(first.IDs, again.IDs) || again.Created != 2 || len(first.IDs) != 2 || *again.Queued != 0 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	inBody := `{"usernames":["alice","bob"],"title":"Hello","idempotency_key":"k1"}`
	for name, a := range map[string]told{"in the body": send(inBody), "in both": send(inBody, "Idempotency-Key", "k1")} {
		if !*a.Repeated || !slices.Equal(a.IDs, first.IDs) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	notifyAs(f, "root", inBody, "Idempotency-Key", "k2").Must(t, http.StatusBadRequest, "one idempotency key")
	for _, values := range [][]string{{""}, {"k1", "k1"}} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Idempotency-Key"] = values
		if key, err := admin.IdempotencyKey(r, ""); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("the headers %q are the key %q: %v", values, key, err)
		}
	}
	a := notifyAs(f, "root", `{"usernames":["alice","bob"],"title":"Bye"}`, "Idempotency-Key", "k1")
	a.Must(t, http.StatusConflict, "used for something else within the last 7 days")
	if other := send(body, "Idempotency-Key", "k2"); *other.Repeated {
		t.Errorf("another key: %+v", other)
	}
	f.Do(fakesite.Call{Path: "/notifications.json", As: "alice"}).Must(t, http.StatusOK, `"total_rows_notifications":2`)
}

// TestNotifyPush: push says whether, and else the type does.
func TestNotifyPush(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	f.Set("allow_user_api_key_scopes", "notifications|push")
	f.Set("allowed_user_api_push_urls", "https://push.example/hook")
	f.Add(site.UserAPIKey{UserID: fakesite.Alice.ID, Scopes: userkeys.Scopes{"notifications", "push"}, PushURL: "https://push.example/hook", CreatedAt: fakesite.Now})
	var pushed []bool
	for _, body := range []string{
		`{"username":"alice","title":"t"}`, `{"username":"alice","title":"t","push":false}`, `{"username":"alice","notification_type":"liked"}`,
		`{"username":"alice","notification_type":"liked","push":true}`,
	} {
		before := f.Count("userkeys_deliveries")
		notifyAs(f, "root", body).Must(t, http.StatusOK)
		pushed = append(pushed, f.Count("userkeys_deliveries") > before)
	}
	if want := []bool{true, false, false, true}; !slices.Equal(pushed, want) {
		t.Errorf("pushed: %v, want %v", pushed, want)
	}
}

// notifyAs posts to the admin API as a page of the site does.
func notifyAs(f *fakesite.Site, as, body string, header ...string) fakesite.Answer {
	f.T.Helper()
	h := map[string]string{"Content-Type": "application/json", "X-CSRF-Token": "token-of-" + as}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return f.Do(fakesite.Call{Method: http.MethodPost, Path: "/admin/notifications.json", As: as, Body: body, Header: h})
}
