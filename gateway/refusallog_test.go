package gateway

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// Each refusal has a line with what an operator needs, and never the key.
func TestRefusalsAreWrittenDown(t *testing.T) {
	t.Parallel()
	dead := userkeys.NewKey("").Reveal()
	hash := userkeys.Key(dead).Hash().Short()
	f, c, clock, log := limitedFront(t, FrontConfig{}, "user_api_key_parameter_routes", "GET /user-api-key/feed.rss")
	limited := userkeys.NewKey("").Reveal()
	c.script = func(call site.Call) error {
		if call.Key == limited {
			return &userkeys.Error{Code: userkeys.RateLimited, Reason: "limit: 20 per 60 s", RetryAfter: time.Second}
		}
		return nil
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		line   string
	}{
		{"a dead key", from("203.0.113.9", "GET", "/user-api-key/x?secret=1", userkeys.KeyHeader, dead), 403, `key_hash=` + hash + ` status=403 refused="invalid key" id=ID ip=203.0.113.9 method=GET path=/user-api-key/x`},
		{"a limit", from("203.0.113.9", "GET", "/my/apps", userkeys.KeyHeader, limited), 429, `key_hash=` + userkeys.Key(limited).Hash().Short() + ` status=429 refused="limit: 20 per 60 s" id=ID ip=203.0.113.9 method=GET path=/my/apps`},
		{"an ambiguous path", from("203.0.113.9", "GET", "/user-api-key/..%2fx", userkeys.KeyHeader, dead), 400, `status=400 refused="ambiguous path" id=ID ip=203.0.113.9 method=GET path=(ambiguous)`},
		{"a stranger's ambiguous path", from("203.0.113.9", "GET", "/user-api-key//x"), 400, `refused="ambiguous path"`},
		{"LK2 a key in the query", from("203.0.113.9", "GET", "/user-api-key/feed.rss?user_api_key="+dead), 403, `key_hash=` + hash + ` status=403 refused="invalid key" id=ID ip=203.0.113.9 method=GET path=/user-api-key/feed.rss`},
		{"LK2 a one-time password", from("203.0.113.9", "GET", "/user-api-key/session/otp/0123456789abcdef", userkeys.KeyHeader, dead), 403, `path=/user-api-key/session/otp/...`},
		{"two keys", from("203.0.113.9", "GET", "/my/apps", userkeys.KeyHeader, dead, userkeys.KeyHeader, dead), 400, `status=400 refused="two keys"`},
	} {
		clock.pass(time.Second)
		before := len(log.String())
		w := answerOf(f, tt.r)
		line := log.String()[before:]
		id := w.Header().Get("X-Request-Id")
		if w.Code != tt.status || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) || strings.Count(line, "\n") != 1 ||
			!strings.Contains(line, strings.ReplaceAll(tt.line, "ID", id)) || !strings.Contains(line, "id="+id) {
			t.Errorf("%s: %d, id %q: %s", tt.name, w.Code, id, line)
		}
	}
	for _, secret := range []string{dead, limited, "secret", "0123456789abcdef"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// A flood of bad keys fills no disk: ten lines a second, and the number of those left out.
func TestRefusalLogIsBounded(t *testing.T) {
	t.Parallel()
	f, _, clock, log := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_mode", "none")
	bad := func() *http.Request { return from("203.0.113.9", "GET", "/my/apps", userkeys.KeyHeader, "x") }
	ids := 0
	for range 1000 {
		if answerOf(f, bad()).Header().Get("X-Request-Id") != "" {
			ids++
		}
	}
	if n := strings.Count(log.String(), "\n"); n != linesPerSecond || ids != linesPerSecond {
		t.Errorf("%d lines, %d ids", n, ids)
	}
	clock.pass(time.Second)
	answerOf(f, bad())
	if got := log.String(); strings.Count(got, "\n") != linesPerSecond+2 || !strings.Contains(got, "count=990") {
		t.Errorf("log %s", got)
	}
}
