package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// told is what the site's program is answered.
type told struct {
	Created  int
	IDs      []int64
	Repeated *bool
	Queued   *int
}

// notifyAs posts to the admin API as a page of the site does.
func (f *fakeSite) notifyAs(as, body string, header ...string) answer {
	f.t.Helper()
	h := map[string]string{"Content-Type": "application/json", "X-CSRF-Token": "token-of-" + as}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return f.do(call{method: http.MethodPost, path: "/admin/notifications.json", as: as, body: body, header: h})
}

func TestNotifyWithAMessage(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	a := f.notifyAs("root", `{"username":"alice","title":"Tom & Jerry","excerpt":"said\n<hello>","link":"/t/x/1","from":"carol"}`)
	a.must(t, http.StatusOK, `"success":"OK"`, `"created":1`, `"repeated":false`, `"queued":0`)
	f.do(call{path: "/notifications.json", as: "alice"}).must(t, http.StatusOK, `"notification_type":14`, `"fancy_title":"Tom &amp; Jerry"`,
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
		if a := f.notifyAs("root", tt.body); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.text, tt.says) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	f.do(call{path: "/notifications.json", as: "alice"}).must(t, http.StatusOK, `"total_rows_notifications":1`)
}

func TestNotifyOnce(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	const body = `{"usernames":["alice","bob"],"title":"Hello"}`
	send := func(body string, header ...string) told {
		t.Helper()
		a := f.notifyAs("root", body, header...)
		a.must(t, http.StatusOK)
		return decode[told](t, a)
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
	f.notifyAs("root", inBody, "Idempotency-Key", "k2").must(t, http.StatusBadRequest, "one idempotency key")
	for _, values := range [][]string{{""}, {"k1", "k1"}} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Idempotency-Key"] = values
		if key, err := idempotencyKey(r, ""); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("the headers %q are the key %q: %v", values, key, err)
		}
	}
	a := f.notifyAs("root", `{"usernames":["alice","bob"],"title":"Bye"}`, "Idempotency-Key", "k1")
	a.must(t, http.StatusConflict, "used for something else within the last 7 days")
	if other := send(body, "Idempotency-Key", "k2"); *other.Repeated {
		t.Errorf("another key: %+v", other)
	}
	f.do(call{path: "/notifications.json", as: "alice"}).must(t, http.StatusOK, `"total_rows_notifications":2`)
}

// TestNotifyPush: push says whether, and else the type does.
func TestNotifyPush(t *testing.T) {
	t.Parallel()
	var pushed []bool
	f := inboxSite(t)
	in := f.server.cfg.Inbox
	f.server.cfg.Inbox = notify.New(notify.Config{Store: pushWatch{f.server.cfg.Users.(notify.Store), &pushed}, Now: f.server.cfg.Now, Settings: site.DefaultSettings})
	defer func() { f.server.cfg.Inbox = in }()
	for _, body := range []string{
		`{"username":"alice","title":"t"}`, `{"username":"alice","title":"t","push":false}`, `{"username":"alice","notification_type":"liked"}`,
		`{"username":"alice","notification_type":"liked","push":true}`,
	} {
		f.notifyAs("root", body).must(t, http.StatusOK)
	}
	if want := []bool{true, false, false, true}; !slices.Equal(pushed, want) {
		t.Errorf("pushed: %v, want %v", pushed, want)
	}
}
