package demo_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/demo/walk"
)

func TestWalkTeachesTheProtocol(t *testing.T) {
	t.Parallel()
	siteURL, push := startPushingSite(t, nil)
	cfg := walk.Config{SiteURL: siteURL, NotifierURL: startNotifier(t, siteURL), Push: push, Username: "alice", Password: rightPassword, KeyBits: 2048}
	var out bytes.Buffer
	if err := walk.Run(t.Context(), &out, cfg); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text := out.String()
	t.Log("\n" + text)
	for _, want := range []string{
		"/user-api-key/new?", "application_name=Walker", "padding=oaep",
		"302 Found", "Location: /user-api-key/login?", "password=*****", "HttpOnly",
		"read your notifications and mark them as read", "a program on this computer", "not verified", "?payload=",
		`"api":4}`, "User-Api-Key: ", "User-Api-Client-Id: demo-walker", `"unread_notifications":2`,
		"403 Forbidden", "429 Too Many Requests", "Retry-After: ", "user_api_key_limiter_60_secs", `"error_type":"rate_limit"`,
		"GET /user-api-key/push-secret.json", "Webhook-Signature: v1,", `"topic_title":"The choir needs two more altos."`, "its signature is right",
		"POST /user-api-key/revoke", `{"success":"OK"}`, `"reason":"invalid key"`, "14. Refused afterwards", "every step saw what it expected",
	} {
		if !strings.Contains(unwrap(text), unwrap(want)) {
			t.Errorf("the walk does not show %q", want)
		}
	}
	if strings.Contains(text, rightPassword) || showsKey(unwrap(text)) {
		t.Error("the walk shows a secret")
	}
	if strings.Contains(text, "\x1b") {
		t.Error("there is colour without a terminal")
	}
	for i, line := range strings.Split(text, "\n") {
		if len([]rune(line)) > 90 {
			t.Errorf("line %d is too long: %q", i+1, line)
		}
	}
	// A second walk finds the first one's leavings and needs no cleaning.
	cfg.Colour, cfg.Push = true, nil
	out.Reset()
	if err := walk.Run(t.Context(), &out, cfg); err != nil {
		t.Fatalf("again: %v", err)
	}
	if !strings.Contains(out.String(), "\x1b[1m") {
		t.Error("there is no colour on a terminal")
	}
}

// unwrap drops what breaking lines adds.
func unwrap(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '<' || r == '>' }), "")
}

// showsKey reports whether a 32-digit text that passes a key's checksum is in text.
func showsKey(text string) bool {
	for _, word := range regexp.MustCompile(`[0-9a-f]{32}`).FindAllString(text, -1) {
		if _, err := userkeys.ParseKey(word); err == nil {
			return true
		}
	}
	return false
}

// lies makes a site answer requests with prefix "METHOD path" with what change makes of its answer.
func lies(prefix string, change func(w *httptest.ResponseRecorder)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			change(rec)
			for name, values := range rec.Header() {
				if name != "Content-Length" {
					w.Header()[name] = values
				}
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}
}

func replace(old, with string) func(*httptest.ResponseRecorder) {
	return func(w *httptest.ResponseRecorder) {
		w.Body = bytes.NewBuffer(bytes.ReplaceAll(w.Body.Bytes(), []byte(old), []byte(with)))
	}
}

func status(from, to int) func(*httptest.ResponseRecorder) {
	return func(w *httptest.ResponseRecorder) {
		if w.Code == from {
			w.Code = to
		}
	}
}

func header(name, value string) func(*httptest.ResponseRecorder) {
	return func(w *httptest.ResponseRecorder) {
		if w.Header().Get(name) != "" {
			w.Header().Set(name, value)
		}
	}
}

func TestWalkNoticesASiteThatErrs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tamper func(http.Handler) http.Handler
		says   string
	}{
		{"strangers are let in", lies("GET /user-api-key/new", status(302, 200)), "step 3 "},
		{"strangers are sent away", lies("GET /user-api-key/new", header("Location", "https://evil.example/login")), "step 3 "},
		{"strangers are sent in a circle", lies("GET /user-api-key/login", header("Location", "/user-api-key/login")), "redirects without end"},
		{"the sign-in form is gone", lies("GET /sign-in", replace("<form", "<div")), "step 4 "},
		{"the sign-in forgets the request", lies("POST /sign-in", header("Location", "/")), "step 4 "},
		{"scripts can read the cookie", lies("POST /sign-in", func(w *httptest.ResponseRecorder) {
			w.Header().Set("Set-Cookie", strings.ReplaceAll(w.Header().Get("Set-Cookie"), "; HttpOnly", ""))
		}), "step 4 "},
		{"a scope is not said", lies("GET /user-api-key/new", replace("mark them as read", "more")), "step 5 "},
		{"the name is not said", lies("GET /user-api-key/new", replace("Walker", "Somebody")), "step 5 "},
		{"there is nothing to approve", lies("GET /user-api-key/new", replace(`action="/user-api-key"`, `action="/x"`)), "step 6 "},
		{"the answer goes elsewhere", lies("POST /user-api-key", header("Location", "https://evil.example/?payload=x")), ""},
		{"the API forgets who calls", lies("GET /notifications/totals.json", replace("alice", "bob")), "step 8 "},
		{"a write slips through", lies("POST /posts.json", status(403, 200)), "step 9 "},
		{"the limit is lifted", lies("GET /notifications/totals.json", status(429, 200)), "step 10 "},
		{"the limit does not say how long", lies("GET /notifications/totals.json", header("Retry-After", "soon")), "step 10 "},
		{"the limit has no name", lies("GET /notifications/totals.json", header("Discourse-Rate-Limit-Error-Code", "x")), "step 10 "},
		{"the push secret is another's", lies("GET /user-api-key/push-secret.json", status(200, 403)), "step 11 "},
		{"the notice is not taken", lies("POST /notices", status(303, 200)), "step 11 "},
		{"the website can tell nobody", lies("POST /user-api-key/admin/notifications.json", status(200, 403)), "step 11 "},
		{"the app is not listed", lies("GET /my/apps", replace("Walker", "Somebody")), "step 12 "},
		{"revoking fails", lies("POST /user-api-key/revoke", status(200, 500)), "step 13 "},
		{"the dead key is told apart", lies("GET /notifications/totals.json", replace("invalid key", "revoked key")), "step 14 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			siteURL, push := startPushingSite(t, tt.tamper)
			err := walk.Run(t.Context(), &out, walk.Config{SiteURL: siteURL, Push: push, Username: "alice", Password: rightPassword, KeyBits: 2048})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Walk = %v, want an error at %s", err, tt.says)
			}
		})
	}
}

func TestWalkSaysThatThePasswordIsWrong(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := walk.Run(t.Context(), &out, walk.Config{SiteURL: startSite(t, nil), Username: "alice", Password: "wrong", KeyBits: 2048})
	if err == nil || !strings.Contains(err.Error(), "step 4 (The person signs in)") || strings.Contains(err.Error()+out.String(), "wrong ") {
		t.Errorf("Walk = %v", err)
	}
}

type fullDisk struct{ after int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestWalkReportsWhatItCouldNotPrintAndStopsWhenTold(t *testing.T) {
	t.Parallel()
	cfg := walk.Config{SiteURL: startSite(t, nil), Username: "alice", Password: rightPassword, KeyBits: 2048}
	if err := walk.Run(t.Context(), &fullDisk{after: 10}, cfg); err == nil || err.Error() != "no space left" {
		t.Errorf("Walk = %v, want the writer's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := walk.Run(ctx, &bytes.Buffer{}, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Walk = %v, want context.Canceled", err)
	}
}
