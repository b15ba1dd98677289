package demo_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/demo"
)

var someDay = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func newSite() http.Handler {
	return demo.NewSite(demo.SiteConfig{Now: func() time.Time { return someDay }, NotifierURL: "http://127.0.0.1:9000"})
}

// ask calls a handler as user, the way the proxy would; an empty user is a stranger.
func ask(t *testing.T, h http.Handler, user, method, path, kind, body string) (int, map[string]any, http.Header) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if user != "" {
		r.Header.Set("X-Userkeys-Username", user)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := map[string]any{}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s %s answered %q: %v", method, path, w.Body, err)
		}
	}
	return w.Code, got, w.Header()
}

const formType = "application/x-www-form-urlencoded"

func TestSiteRefusesStrangers(t *testing.T) {
	t.Parallel()
	h := newSite()
	for _, route := range []string{
		"GET /notifications.json", "GET /notifications/totals.json", "PUT /notifications/mark-read",
		"GET /posts.json", "POST /posts.json", "GET /session/current.json", "GET /nowhere.json",
	} {
		method, path, _ := strings.Cut(route, " ")
		status, body, _ := ask(t, h, "", method, path, "", "")
		if status != http.StatusUnauthorized || body["error_type"] != "not_logged_in" {
			t.Errorf("%s answered a stranger %d %v", route, status, body)
		}
	}
	if status, _, _ := ask(t, h, "%zz", "GET", "/posts.json", "", ""); status != http.StatusUnauthorized {
		t.Errorf("a name in broken encoding was taken: %d", status)
	}
}

func TestSiteCountsAndMarksAsRead(t *testing.T) {
	t.Parallel()
	h := newSite()
	counts := func(user string) []any {
		t.Helper()
		status, body, _ := ask(t, h, user, "GET", "/notifications/totals.json", "", "")
		if status != 200 || body["topic_tracking"] == nil {
			t.Fatalf("totals: %d %v", status, body)
		}
		return []any{body["username"], body["unread_notifications"], body["unread_personal_messages"]}
	}
	if diff := cmp.Diff([]any{"alice", 2.0, 1.0}, counts("alice")); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	_, list, _ := ask(t, h, "alice", "GET", "/notifications.json?limit=1", "", "")
	items := list["notifications"].([]any)
	newest := items[0].(map[string]any)
	if len(items) != 1 || newest["notification_type"] != 6.0 || list["total_rows_notifications"] != 4.0 {
		t.Errorf("the newest is %v of %v", newest, list["total_rows_notifications"])
	}
	id, err := json.Marshal(map[string]any{"id": newest["id"]})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(t, h, "alice", "PUT", "/notifications/mark-read", "application/json", string(id)); status != 200 {
		t.Errorf("mark one: %d", status)
	}
	if diff := cmp.Diff([]any{"Alice", 2.0, 0.0}, counts("Alice")); diff != "" {
		t.Errorf("after one (-want +got):\n%s", diff)
	}
	if status, _, _ := ask(t, h, "alice", "PUT", "/notifications/mark-read", "", ""); status != 200 {
		t.Errorf("mark all: %d", status)
	}
	if diff := cmp.Diff([]any{"alice", 0.0, 0.0}, counts("alice")); diff != "" {
		t.Errorf("after all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"b\u00f6b", 2.0, 1.0}, counts("b%C3%B6b")); diff != "" {
		t.Errorf("another user (-want +got):\n%s", diff)
	}
}

func TestSitePostReachesOthers(t *testing.T) {
	t.Parallel()
	h := newSite()
	ask(t, h, "alice", "GET", "/session/current.json", "", "") // she has been here
	status, body, _ := ask(t, h, "bob", "POST", "/posts.json", formType, "raw=Tea+%3Cb%3E+at+four")
	if status != 200 || body["cooked"] != "<p>Tea &lt;b&gt; at four</p>" || body["username"] != "bob" {
		t.Errorf("post: %d %v", status, body)
	}
	_, posts, _ := ask(t, h, "alice", "GET", "/posts.json", "", "")
	if first := posts["latest_posts"].([]any)[0].(map[string]any); first["raw"] != "Tea <b> at four" {
		t.Errorf("the newest post is %v", first)
	}
	_, totals, _ := ask(t, h, "alice", "GET", "/notifications/totals.json", "", "")
	_, own, _ := ask(t, h, "bob", "GET", "/notifications/totals.json", "", "")
	if totals["unread_notifications"] != 3.0 || own["unread_notifications"] != 2.0 {
		t.Errorf("alice has %v unread, bob %v; want 3 and 2", totals["unread_notifications"], own["unread_notifications"])
	}
}

func TestSiteRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, kind, body string
		want                           int
	}{
		{"no text", "POST", "/posts.json", formType, "raw=+", 400},
		{"long text", "POST", "/posts.json", formType, "raw=" + strings.Repeat("x", 5001), 400},
		{"huge body", "POST", "/posts.json", formType, "raw=" + strings.Repeat("x", 100_000), 400},
		{"broken JSON", "POST", "/posts.json", "application/json", "{", 400},
		{"a list", "POST", "/posts.json", "application/json", "[]", 400},
		{"somebody else's notification", "PUT", "/notifications/mark-read", formType, "id=9999", 404},
		{"no number", "PUT", "/notifications/mark-read", formType, "id=x", 400},
		{"limit", "GET", "/notifications.json?limit=61", "", "", 400},
		{"no page", "GET", "/nowhere", "", "", 404},
		{"method", "DELETE", "/posts.json", "", "", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body, _ := ask(t, newSite(), "alice", tt.method, tt.path, tt.kind, tt.body)
			if errs, ok := body["errors"].([]any); status != tt.want || !ok || len(errs) == 0 {
				t.Errorf("answered %d %v, want %d and why", status, body, tt.want)
			}
		})
	}
}

func TestSiteFrontPage(t *testing.T) {
	t.Parallel()
	h := newSite()
	ask(t, h, "mallory", "POST", "/posts.json", formType, "raw=%3Cscript%3Ealert(1)%3C/script%3E")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	page := w.Body.String()
	for _, want := range []string{"The Noticeboard", "umbrella", "&lt;script&gt;alert(1)", `href="http://127.0.0.1:9000"`, `href="/my/apps"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the front page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script") || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the front page could run a script")
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/noticeboard.css", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("the style: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
}
