package gateway

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/gateway/internal/headers"
	"userkeys/site"
)

const (
	listed   = "https://app.example"
	unlisted = "https://evil.example"
)

// corsOf are the CORS headers of an answer, without the prefix.
func corsOf(h http.Header) (names []string) {
	for name := range h {
		if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			names = append(names, short)
		}
	}
	slices.Sort(names)
	return names
}

func varies(h http.Header) bool { return headers.HasToken(h["Vary"], "Origin") }

func TestPreflight(t *testing.T) {
	t.Parallel()
	const method, announced = "Access-Control-Request-Method", "Access-Control-Request-Headers"
	all := "Allow-Headers Allow-Methods Allow-Origin Max-Age"
	for _, tt := range []struct {
		name, path string
		headers    []string
		status     int
		cors       string // the headers; empty: none
		upstream   bool   // it is the upstream's to answer
	}{
		{"ours", "/user-api-key/device.json", []string{"Origin", listed, method, "POST"}, 200, all, false},
		{"ours, where nothing answers", "/user-api-key/nothing", []string{"Origin", listed, method, "POST"}, 200, all, false},
		{"ours, for a key: cookies beside it count for nothing", "/my/apps", []string{"Origin", listed, method, "PATCH", announced, "content-type,user-api-key"}, 200, "Allow-Credentials " + all, false},
		{"the upstream's, for a key", "/posts.json", []string{"Origin", listed, method, "PATCH", announced, "user-api-key"}, 200, "Allow-Credentials " + all, false},
		{"the upstream's, for a key among others", "/posts.json", []string{"Origin", listed, method, "PATCH", announced, "Content-Type, User-Api-Key"}, 200, "Allow-Credentials " + all, false},
		{"the upstream's own business", "/posts.json", []string{"Origin", listed, method, "POST", announced, "content-type"}, 200, "", true},
		{"no preflight", "/posts.json", []string{"Origin", listed}, 200, "", true},
		{"not listed", "/user-api-key/device.json", []string{"Origin", unlisted, method, "POST"}, 200, "", false},
		{"not listed, for a key", "/posts.json", []string{"Origin", unlisted, method, "GET", announced, "user-api-key"}, 200, "", false},
		{"null", "/my/apps", []string{"Origin", "null", method, "POST"}, 200, "", false},
		{"two origins", "/my/apps", []string{"Origin", listed, "Origin", unlisted, method, "POST"}, 200, "", false},
		{"no origin", "/my/apps", []string{method, "POST"}, 200, "", false},
		{"with a key, good or bad: nobody is asked", "/my/apps", []string{"Origin", listed, method, "POST", "User-Api-Key", "x"}, 200, all, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, up := newEdged(t, "cors_origins", "https://other.example|"+listed), newUpstream(t, nil)
			front := newFront(t, FrontConfig{
				Own: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a handler was asked") }), Checker: c,
				Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}),
			})
			w := answerOf(front, from("192.0.2.1", "OPTIONS", tt.path, tt.headers...))
			h := w.Header()
			if got := strings.Join(corsOf(h), " "); w.Code != tt.status || got != tt.cors {
				t.Errorf("%d %s, want %s", w.Code, got, tt.cors)
			}
			if tt.cors != "" {
				if h.Get("Access-Control-Allow-Origin") != listed || h.Get("Access-Control-Max-Age") != "7200" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PATCH") {
					t.Errorf("%v", h)
				}
				for _, name := range strings.Split("Content-Type Cache-Control X-Requested-With X-CSRF-Token Discourse-Present User-Api-Key User-Api-Client-Id Authorization", " ") {
					if !headers.HasToken(h["Access-Control-Allow-Headers"], name) {
						t.Errorf("%s is not allowed", name)
					}
				}
				if headers.HasToken(h["Access-Control-Allow-Headers"], "Api-Key") {
					t.Error("Api-Key is allowed")
				}
			}
			if tt.upstream != (len(up.got()) == 1) || len(c.seen()) > 0 {
				t.Errorf("the upstream got %q, the checker %v", up.got(), c.seen())
			}
			if !tt.upstream && (!varies(h) || !headers.HasToken(h["Vary"], method) || !headers.HasToken(h["Vary"], announced) || w.Body.Len() > 0) {
				t.Errorf("Vary %q, body %q", h["Vary"], w.Body)
			}
		})
	}
}

func TestOriginsOfAnswers(t *testing.T) {
	t.Parallel()
	c := newEdged(t, "cors_origins", listed)
	c.script = func(call site.Call) error {
		if call.Path == "/limited" {
			return &userkeys.Error{Code: userkeys.RateLimited, RetryAfter: 1e9, LimitCode: "user_api_key_limiter_60_secs"}
		}
		return nil
	}
	up := newUpstream(t, func(head string, conn net.Conn) {
		more := ""
		if strings.Contains(head, " /own-cors ") {
			more = "Access-Control-Allow-Origin: *\r\nVary: Accept\r\n"
		}
		if strings.Contains(head, " /events ") {
			more = "Content-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\n"
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+more+"Content-Length: 2\r\n\r\nok")
	})
	front := newFront(t, FrontConfig{Own: identities, Checker: c, Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})})
	key := []string{"User-Api-Key", aliceKey}
	keyed, stranger := "Allow-Credentials Allow-Origin Expose-Headers", "Allow-Origin Expose-Headers"
	for _, tt := range []struct {
		name, path, origin string
		headers            []string
		status             int
		cors, allowed      string
		vary               bool
	}{
		{"ours with a key", "/my/apps", listed, key, 200, keyed, listed, true},
		{"ours without: no page reads it with its visitor's session", "/my/apps", listed, nil, 200, stranger, listed, true},
		{"ours, not listed", "/my/apps", unlisted, key, 200, "", "", true},
		{"ours, null", "/my/apps", "null", key, 200, "", "", true},
		{"ours, nobody's page", "/my/apps", "", key, 200, "", "", true},
		{"ours, an ambiguous path", "/my/apps//x", listed, nil, 400, stranger, listed, true},
		{"a bad key can be read", "/my/apps", listed, []string{"User-Api-Key", "x"}, 403, keyed, listed, true},
		{"a limit can be read", "/limited", listed, key, 429, keyed, listed, true},
		{"the upstream's with a key", "/x", listed, key, 200, keyed, listed, true},
		{"the upstream's, not listed", "/x", unlisted, key, 200, "", "", true},
		{"the upstream knows better", "/own-cors", listed, key, 200, "Allow-Origin", "*", true},
		{"the upstream knows better, in a stream", "/events", listed, key, 200, "Allow-Origin", "*", true},
		{"the upstream's own business", "/x", listed, nil, 200, "", "", false},
		{"the upstream's own business, said by it", "/own-cors", listed, nil, 200, "Allow-Origin", "*", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := tt.headers
			if tt.origin != "" {
				lines = append(slices.Clone(lines), "Origin", tt.origin)
			}
			w := answerOf(front, from("192.0.2.1", "GET", tt.path, lines...))
			h := w.Header()
			if got := strings.Join(corsOf(h), " "); w.Code != tt.status || got != tt.cors || strings.Join(h["Access-Control-Allow-Origin"], "|") != tt.allowed {
				t.Errorf("%d %v", w.Code, h)
			}
			if varies(h) != tt.vary {
				t.Errorf("Vary %q", h["Vary"])
			}
			if strings.Contains(tt.cors, "Expose") {
				for _, name := range []string{"Retry-After", "Discourse-Rate-Limit-Error-Code", "X-Discourse-Username", "X-Request-Id"} {
					if !headers.HasToken(h["Access-Control-Expose-Headers"], name) {
						t.Errorf("%s cannot be read", name)
					}
				}
			}
		})
	}
}

// Without a listed origin nothing is different from a site that never heard of CORS; a change of the
// setting counts at the next request.
func TestOriginsAreOffUntilListed(t *testing.T) {
	t.Parallel()
	c := newEdged(t)
	front := newFront(t, FrontConfig{Own: identities, Checker: c})
	ask := func() http.Header {
		return answerOf(front, from("192.0.2.1", "GET", "/x", "Origin", listed, "User-Api-Key", aliceKey)).Header()
	}
	if h := ask(); len(corsOf(h)) > 0 || varies(h) {
		t.Errorf("%v", h)
	}
	c.set(t, "cors_origin", listed)
	if h := ask(); len(corsOf(h)) > 0 {
		t.Errorf("without enable_cors: %v", h)
	}
	c.set(t, "enable_cors", "true")
	if h := ask(); h.Get("Access-Control-Allow-Origin") != listed {
		t.Errorf("%v", h)
	}
	c.set(t, "enable_cors", "false")
	if h := ask(); len(corsOf(h)) > 0 || varies(h) {
		t.Errorf("%v", h)
	}
}
