package demo_test

import (
	"context"
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
		"GET /notifications.json",
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

func TestSitePostReachesOthers(t *testing.T) {
	t.Parallel()
	var told []demo.News
	h := demo.NewSite(demo.SiteConfig{Readers: []string{"alice", "bob"}, Notify: func(_ context.Context, n demo.News) error {
		told = append(told, n)
		return nil
	}})
	status, body, _ := ask(t, h, "bob", "POST", "/posts.json", formType, "raw=Tea+%3Cb%3E+at+four")
	if status != 200 || body["cooked"] != "<p>Tea &lt;b&gt; at four</p>" || body["username"] != "bob" {
		t.Errorf("post: %d %v", status, body)
	}
	_, posts, _ := ask(t, h, "alice", "GET", "/posts.json", "", "")
	if first := posts["latest_posts"].([]any)[0].(map[string]any); first["raw"] != "Tea <b> at four" {
		t.Errorf("the newest post is %v", first)
	}
	want := []demo.News{{Usernames: []string{"alice"}, Type: "replied", From: "bob", Title: "Tea <b> at four", Excerpt: "Tea <b> at four", Link: "/"}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if _, current, _ := ask(t, h, "b%C3%B6b", "GET", "/session/current.json", "", ""); current["current_user"].(map[string]any)["username"] != "b\u00f6b" {
		t.Errorf("current: %v", current)
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
		{"no form", "POST", "/posts.json", "application/json", "{}", 400},
		{"what userkeys answers", "GET", "/notifications.json", "", "", 404},
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
