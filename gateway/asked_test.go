package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/gateway/internal/headers"
	"userkeys/site"
)

func newAsked(t testing.TB, cfg AskedConfig) *Asked {
	t.Helper()
	if cfg.Checker == nil {
		cfg.Checker = &fakeChecker{}
	}
	a, err := NewAsked(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Questions as web servers ask them, about a request of the client that has more header lines.
func forwardedQuestion(method, target string, more ...string) string {
	return get("/forwarded", append([]string{"X-Forwarded-Method: " + method, "X-Forwarded-Uri: " + target}, more...)...)
}

func nginxQuestion(method, target string, more ...string) string {
	return get("/nginx", append([]string{"X-Original-Method: " + method, "X-Original-URI: " + target}, more...)...)
}

func envoyQuestion(method, target string, more ...string) string {
	return method + get("/envoy"+target, more...)[3:]
}

var dialects = map[string]func(method, target string, more ...string) string{
	"forwarded": forwardedQuestion, "nginx": nginxQuestion, "envoy": envoyQuestion,
}

// required turns a question into one that allows no request without a key.
func required(question string) string { return strings.Replace(question, " /", " /require/", 1) }

// unfolded is a reply as nginx gives it to the client, from what the recipe reads of it.
func unfolded(t *testing.T, r reply) reply {
	t.Helper()
	status := r.header.Get("X-Userkeys-Status")
	if r.status == 200 && status != "200" {
		t.Errorf("an allowing answer says %q: web servers take it for another program's", status)
	}
	if status == "" || r.status == 200 {
		return r
	}
	if r.status != 401 && r.status != 403 || r.body != "" {
		t.Errorf("nginx makes an error of status %d with %q", r.status, r.body)
	}
	code, err := strconv.Atoi(status)
	if err != nil {
		t.Error(err)
	}
	r.status = code
	r.body = r.header.Get("X-Userkeys-Body")
	return r
}

func TestAskedDecides(t *testing.T) {
	t.Parallel()
	limited := &userkeys.Error{Code: userkeys.RateLimited, Public: "slow down", RetryAfter: 17 * time.Second, LimitCode: "user_api_key_limiter_60_secs"}
	scope := &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "missing scope: write"}
	script := func(c site.Call) error {
		switch {
		case c.Path == "/limited":
			return limited
		case c.Path == "/gone":
			return &userkeys.Error{Code: userkeys.Unavailable, Public: "cannot tell", RetryAfter: time.Second}
		case c.Path == "/broken":
			return errors.New("not a word of this")
		case c.Path == "/panic":
			panic("not a word of this")
		case c.Method == "POST":
			return scope
		}
		return nil
	}
	for _, tt := range []struct {
		name, method, target string
		lines                []string
		want                 int
		says                 string // in the body, or the user name in the identity
		checks               int
	}{
		{"a stranger passes", "GET", "/x", nil, 200, "", 0},
		{"a stranger may use any method", "FOO", "/x", nil, 200, "", 0},
		{"a stranger may ask for what is ambiguous", "GET", "/a//b", nil, 200, "", 0},
		{"a good key", "GET", "/x?a=1&b=%20", withKey(), 200, "alice", 1},
		{"HEAD", "HEAD", "/x", withKey(), 200, "alice", 1},
		{"a bad key", "GET", "/x", []string{"User-Api-Key: zzz"}, 403, "invalid key", 1},
		{"an empty key", "GET", "/x", []string{"User-Api-Key:"}, 403, "invalid key", 1},
		{"two keys", "GET", "/x", withKey("User-Api-Key: " + bobKey), 400, "two keys", 0},
		{"FA33 two keys in one line", "GET", "/x", []string{"User-Api-Key: " + aliceKey + ", " + bobKey}, 403, "invalid key", 1},
		{"a missing scope", "POST", "/x", withKey(), 403, "missing scope: write", 1},
		{"a limit", "GET", "/limited", withKey(), 429, "slow down", 1},
		{"FA9 no database", "GET", "/gone", withKey(), 503, "cannot tell", 1},
		{"an error of ours", "GET", "/broken", withKey(), 503, "cannot check keys right now", 1},
		{"a panic of ours", "GET", "/panic", withKey(), 503, "cannot check keys right now", 1},
		{"FA19 FA22 OPTIONS with a good key", "OPTIONS", "/x", withKey(), 405, "method not allowed", 0},
		{"FA22 OPTIONS without a key", "OPTIONS", "/x", nil, 200, "", 0},
		{"FOO with a key", "FOO", "/x", withKey(), 405, "method not allowed", 0},
		{"FA4 encoded dots", "GET", "/public/..%2fadmin", withKey(), 400, "ambiguous path", 0},
		{"FA4 number sign", "GET", "/admin#/../public/", withKey(), 400, "ambiguous path", 0},
		{"FA4 path parameter", "GET", "/public/..;/admin", withKey(), 400, "ambiguous path", 0},
		{"dot segments", "GET", "/pub/../admin", withKey(), 400, "ambiguous path", 0},
		{"two slashes", "GET", "//a", withKey(), 400, "ambiguous path", 0},
		{"an ambiguous query", "GET", "/x?x=1;y=2", withKey(), 400, "ambiguous query", 0},
		{"FA32 a websocket", "GET", "/x", withKey("Connection: Upgrade", "Upgrade: websocket"), 200, "alice", 1},
		{"FA32 a switch to HTTP/2", "GET", "/x", withKey("Connection: Upgrade", "Upgrade: h2c"), 400, "upgrade", 0},
		{"a long path", "GET", "/" + strings.Repeat("a", 9000), withKey(), 200, "alice", 1},
		{"a key in the query is none", "GET", "/x?user_api_key=" + aliceKey, nil, 200, "", 0},
		{"an expectation", "GET", "/x", withKey("Expect: 100-continue"), 200, "alice", 1},
	} {
		for name, question := range dialects {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := &fakeChecker{script: script}
				addr := listen(t, newAsked(t, AskedConfig{Checker: c}))
				sent := question(tt.method, tt.target, tt.lines...)
				checkReply(t, sent, send(t, addr, sent), tt.want, tt.says)
				calls := c.seen()
				if len(calls) != tt.checks {
					t.Errorf("checked %d times, want %d", len(calls), tt.checks)
				}
				path, _, _ := strings.Cut(tt.target, "?")
				if len(calls) == 1 && (calls[0].Path != path || calls[0].Method != tt.method || calls[0].ManagesItself) {
					t.Errorf("judged %+v", calls[0])
				}
				want, says := tt.want, tt.says
				if want == 200 && says == "" {
					want, says = 403, "not_logged_in"
				}
				sent = required(sent)
				checkReply(t, sent, send(t, addr, sent), want, says)
			})
		}
	}
}

// checkReply holds every answer to what all have in common.
func checkReply(t *testing.T, sent string, got reply, want int, says string) {
	t.Helper()
	raw := got.status
	got = unfolded(t, got)
	if got.status != want || got.header.Get("Location") != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer %+v, want %d", got, want)
	}
	if want == 200 {
		if user := got.header.Get(UsernameHeader); user != says || got.body != "" {
			t.Errorf("allowed for %q with the body %q, want %q", user, got.body, says)
		}
		for _, name := range IdentityHeaderNames() {
			if len(got.header[name]) != 1 {
				t.Errorf("%s: %q", name, got.header[name])
			}
		}
		return
	}
	if !strings.Contains(got.body, says) || !strings.HasPrefix(got.body, `{"errors":[`) || strings.Contains(got.body, "not a word") {
		t.Errorf("refused with %q, want %q", got.body, says)
	}
	for _, name := range IdentityHeaderNames() {
		if got.header[name] != nil {
			t.Errorf("a refusal has %s", name)
		}
	}
	if (want == 503 || want == 429) != (got.header.Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", want, got.header.Get("Retry-After"))
	}
	if strings.Contains(sent, "/nginx") && raw != 401 && raw != 403 {
		t.Errorf("nginx makes an error of status %d", raw)
	}
}

// FA1, FA2, FA3, FA5, FA23, FA24, oauth2-proxy CVE-2026-40575: the address that is asked says which pair of headers is
// the question, and everything else that clients can send is no part of it.
func TestCVE_2026_40575_OnePairIsTheQuestion(t *testing.T) {
	t.Parallel()
	spoofed := []string{
		"X-Forwarded-Method: GET", "X-Forwarded-Uri: /public", "X-Original-Method: GET", "X-Original-URI: /public", "X-Original-URL: /public",
		"X-Rewrite-Url: /public", "X-Envoy-Original-Path: /public", "X_Forwarded_Uri: /public", "X_Original_URI: /public", "X-Forwarded-Prefix: /public",
		"X-HTTP-Method-Override: GET", "X-Forwarded-Host: public.example",
	}
	without := func(names ...string) []string {
		return slices.DeleteFunc(withKey(spoofed...), func(line string) bool {
			name, _, _ := strings.Cut(line, ":")
			return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		})
	}
	forwarded, nginx := []string{"X-Forwarded-Method", "X-Forwarded-Uri"}, []string{"X-Original-Method", "X-Original-URI"}
	for _, tt := range []struct {
		name, request string
		want          int // 0: judged as DELETE /admin
	}{
		{"FA24 forwarded", forwardedQuestion("DELETE", "/admin", without(forwarded...)...), 0},
		{"FA24 nginx", nginxQuestion("DELETE", "/admin", without(nginx...)...), 0},
		{"FA24 envoy", envoyQuestion("DELETE", "/admin", withKey(spoofed...)...), 0},
		{"FA11 a query", strings.Replace(nginxQuestion("DELETE", "/admin", without(nginx...)...), "/nginx", "/nginx?skip_auth=1&uri=/public", 1), 0},
		{"FA11 the query of the client", strings.Replace(forwardedQuestion("DELETE", "/admin", without(forwarded...)...), "/forwarded", "/forwarded?x=1", 1), 0},
		{"FA2 two targets", forwardedQuestion("DELETE", "/admin", withKey("X-Forwarded-Uri: /public")...), 403},
		{"FA2 the same target twice", nginxQuestion("DELETE", "/admin", withKey("X-Original-URI: /admin")...), 403},
		{"FA5 two methods", forwardedQuestion("DELETE", "/admin", withKey("X-Forwarded-Method: GET")...), 403},
		{"FA5 two methods in one line", nginxQuestion("GET, DELETE", "/admin", withKey()...), 403},
		{"FA2 two targets in one line", nginxQuestion("GET", "/public, /admin", withKey()...), 400},
		{"FA3 no target", get("/forwarded", without("X-Forwarded-Uri")...), 403},
		{"FA3 no target for nginx", get("/nginx", without("X-Original-URI")...), 403},
		{"FA23 an empty target", forwardedQuestion("GET", "", withKey()...), 403},
		{"FA23 an empty target for nginx", nginxQuestion("GET", "", withKey()...), 403},
		{"FA23 an empty target for envoy", envoyQuestion("GET", "", withKey(spoofed...)...), 403},
		{"FA5 no method", get("/forwarded", without("X-Forwarded-Method")...), 403},
		{"FA5 no method for nginx", get("/nginx", without("X-Original-Method")...), 403},
		{"FA5 an empty method", nginxQuestion("", "/public", withKey()...), 403},
		{"FA5 a method in small letters", nginxQuestion("get", "/public", withKey()...), 405},
		{"FA23 everything", nginxQuestion("OPTIONS", "*"), 400},
		{"FA4 a space in the query", nginxQuestion("GET", "/public?a b", withKey()...), 400},
		{"FA4 a tab", forwardedQuestion("GET", "/public\tx", withKey()...), 400},
		{"FA23 a query alone", envoyQuestion("GET", "?x", withKey()...), 400},
		{"FA23 an absolute target", forwardedQuestion("GET", "http://site.example/public", withKey()...), 400},
		{"FA23 an absolute target without a key", forwardedQuestion("GET", "http://site.example/public"), 400},
		{"FA23 an absolute target for envoy", envoyQuestion("GET", "http://x/public", withKey()...), 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &fakeChecker{}
			addr := listen(t, newAsked(t, AskedConfig{Checker: c}))
			got := unfolded(t, send(t, addr, tt.request))
			if tt.want != 0 {
				if got.status != tt.want || len(c.seen()) != 0 {
					t.Errorf("answer %+v, want %d; judged %+v", got, tt.want, c.seen())
				}
				return
			}
			want := []site.Call{{Key: aliceKey, Method: "DELETE", Path: "/admin"}}
			if diff := cmp.Diff(want, c.seen()); diff != "" || got.status != 200 {
				t.Errorf("answer %+v, judged (-want +got):\n%s", got, diff)
			}
		})
	}
}

func TestAskedKnowsNoOtherPaths(t *testing.T) {
	t.Parallel()
	addr := listen(t, newAsked(t, AskedConfig{}))
	for _, path := range []string{
		"/", "/forwarded/", "/forwardedx", "/Forwarded", "//forwarded", "/require", "/require/", "/require/require/nginx", "/require//nginx", "/nginx/x", "/envoyx",
		"/x/../nginx", "/%6eginx", "/user-api-key/introspect", "/user-api-key/new", "http://site.example/nginx",
	} {
		lines := withKey("X-Forwarded-Method: GET", "X-Forwarded-Uri: /", "X-Original-Method: GET", "X-Original-URI: /")
		if got := send(t, addr, get(path, lines...)); got.status != 404 || got.header.Get("Location") != "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// FA34: no web server takes a key out of the target, so the website would get it, and whoever reads its log.
func TestAskedRefusesAKeyInTheQuery(t *testing.T) {
	t.Parallel()
	key := userkeys.NewKey("").Reveal()
	c := newEdged(t, "user_api_key_parameter_routes", "GET /latest.rss")
	addr := listen(t, newAsked(t, AskedConfig{Checker: c}))
	for _, tt := range []struct {
		name, target string
		lines        []string
		want         int
	}{
		{"on a feed", "/latest.rss?user_api_key=" + key, nil, 400},
		{"on a feed, and bad", "/latest.rss?user_api_key=zzz", nil, 400},
		{"elsewhere", "/x?a=1&user_api_key=" + key, nil, 400},
		{"in another spelling", "/x?User-Api%5fKey=" + key, nil, 400},
		{"beside a key in the header", "/x?user_api_key=" + key, withKey(), 400},
		{"beside a key in the header, on a feed", "/latest.rss?user_api_key=" + key, withKey(), 400},
		{"what is no key", "/x?user_api_key=zzz", nil, 200},
	} {
		for name, question := range dialects {
			got := unfolded(t, send(t, addr, question("GET", tt.target, tt.lines...)))
			if got.status != tt.want || tt.want == 400 && !strings.Contains(got.body, "send it in the header User-Api-Key") {
				t.Errorf("%s, %s: %+v, want %d", tt.name, name, got, tt.want)
			}
		}
	}
	if calls := c.seen(); len(calls) > 0 {
		t.Errorf("checked %+v", calls)
	}
}

// FA14, FA29: who may not ask learns nothing about keys.
func TestAskedFromOutside(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	a := newAsked(t, AskedConfig{Checker: c, From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}})
	for remote, may := range map[string]bool{
		"10.1.2.3:80": true, "[::ffff:10.1.2.3]:80": true, "[fe80::1%eth0]:80": true, "@": true, "": true,
		"127.0.0.1:80": false, "192.0.2.1:80": false, "[2001:db8::1]:80": false, "10.1.2.3": false, "/tmp/10.0.0.1:80": false,
	} {
		for _, key := range []string{aliceKey, "zzz"} {
			r := httptest.NewRequest("GET", "/nginx", nil)
			r.RemoteAddr = remote
			r.Header = http.Header{
				"User-Api-Key": {key}, "X-Original-Method": {"GET"}, "X-Original-Uri": {"/"}, "X-Forwarded-For": {"10.1.2.3"},
			}
			w := httptest.NewRecorder()
			before := len(c.seen())
			a.ServeHTTP(w, r)
			if may != (len(c.seen()) > before) || !may && (w.Code != 404 || w.Body.String() != "404 page not found\n") {
				t.Errorf("%q: %d %s", remote, w.Code, w.Body)
			}
		}
	}
}

// FA26: nginx announces the body of its client and does not send it.
func TestAskedReadsNoBody(t *testing.T) {
	t.Parallel()
	addr := listen(t, newAsked(t, AskedConfig{}))
	for _, line := range []string{"Content-Length: 10485760", "Content-Length: 100000", "Content-Length: 1", "Transfer-Encoding: chunked"} {
		for name, question := range dialects {
			if name == "envoy" {
				continue
			}
			got := send(t, addr, "POST"+question("GET", "/x", withKey(line)...)[3:])
			if got.status != 200 || got.header.Get(UsernameHeader) != "alice" {
				t.Errorf("%s, %s: %+v", name, line, got)
			}
		}
	}
}

// An answer comes within a second whatever the check does, so that no timeout of a web server decides. It is whole
// while the check still hangs.
func TestAskedAnswersInTime(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"forwarded": "/forwarded", "nginx": "/nginx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release, ended := make(chan struct{}), make(chan struct{})
				c := &fakeChecker{script: func(site.Call) error { <-release; return nil }}
				a := newAsked(t, AskedConfig{Checker: c})
				r := httptest.NewRequest("GET", path, nil)
				r.Header = http.Header{
					"User-Api-Key": {aliceKey}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"},
					"X-Original-Method": {"GET"}, "X-Original-Uri": {"/"},
				}
				w := httptest.NewRecorder()
				go func() { a.ServeHTTP(w, r); close(ended) }()
				time.Sleep(time.Second - time.Millisecond)
				synctest.Wait()
				want := map[string]int{"forwarded": 503, "nginx": 403}[name] // which nginx is told to unfold
				length := strconv.Itoa(w.Body.Len())
				if w.Code != want || w.Header().Get("Retry-After") != "1" || !w.Flushed || w.Header().Get("Content-Length") != length {
					t.Errorf("within a second: %d, whole: %t, %v", w.Code, w.Flushed, w.Header())
				}
				close(release)
				<-ended
				if strconv.Itoa(w.Body.Len()) != length || w.Header().Get(UsernameHeader) != "" {
					t.Errorf("the check that came too late said something: %v %s", w.Header(), w.Body)
				}
			})
		})
	}
}

// TestAskedTooLateIsWhole: over a real connection, the answer ends although its handler does not.
func TestAskedTooLateIsWhole(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := &fakeChecker{script: func(site.Call) error { <-release; return nil }}
	s := httptest.NewServer(newAsked(t, AskedConfig{Checker: c}))
	defer s.Close()
	defer close(release)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/forwarded", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"User-Api-Key": {aliceKey}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"}}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 503 || !res.Close || !strings.Contains(string(body), "cannot check keys") {
		t.Errorf("%d %s, %v, closes: %t", res.StatusCode, body, err, res.Close)
	}
}

// panics is a log whose every line panics.
type panics struct{ slog.Handler }

func (panics) Enabled(context.Context, slog.Level) bool { return true }

func (panics) Handle(context.Context, slog.Record) error { panic("the log") }

// TestAskedTooLateAndPanics: a panic while somebody is told that the check takes too long is a panic of the request. It
// ends neither the program nor in a 200, which would be an answer that allows.
func TestAskedTooLateAndPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &fakeChecker{script: func(site.Call) error { time.Sleep(2 * answerWithin); return nil }}
		a := newAsked(t, AskedConfig{Checker: c, Logger: slog.New(panics{})})
		r := httptest.NewRequest("GET", "/forwarded", nil)
		r.Header = http.Header{"User-Api-Key": {aliceKey}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"}}
		w := httptest.NewRecorder()
		defer func() {
			cause, _ := recover().(string)
			if !strings.HasPrefix(cause, "the log\n") || !strings.Contains(cause, "asked_test.go") {
				t.Errorf("the request panics with %q", cause)
			}
			if w.Flushed || w.Body.Len() > 0 {
				t.Errorf("it answers %d %s", w.Code, w.Body)
			}
		}()
		a.ServeHTTP(w, r)
		t.Errorf("it ends with %d", w.Code)
	})
}

// A check whose web server has gone ends with it.
func TestAskedIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		c := &fakeChecker{script: func(site.Call) error { leave(); <-ctx.Done(); return nil }}
		r := httptest.NewRequestWithContext(ctx, "GET", "/forwarded", nil)
		r.Header = http.Header{"User-Api-Key": {aliceKey}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"}}
		began := time.Now()
		newAsked(t, AskedConfig{Checker: c}).ServeHTTP(httptest.NewRecorder(), r)
		if time.Since(began) > 0 {
			t.Error("nobody noticed")
		}
	})
}

// FA15: the log has the address that the web server names, and that of nobody else's header.
func TestAskedLogsTheClient(t *testing.T) {
	t.Parallel()
	for forwarded, want := range map[string]string{
		"203.0.113.7": "ip=203.0.113.7 ", "6.6.6.6, 203.0.113.7": "ip=203.0.113.7 ", "203.0.113.7, 198.51.100.1": "ip=203.0.113.7 ",
	} {
		var log strings.Builder
		a := newAsked(t, AskedConfig{
			Logger: slog.New(slog.NewTextHandler(&log, nil)), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		})
		r := httptest.NewRequest("GET", "/nginx", nil)
		r.RemoteAddr = "127.0.0.1:80"
		r.Header = http.Header{
			"User-Api-Key": {"zzz"}, "X-Original-Method": {"GET"}, "X-Original-Uri": {"/t/1.json?secret"}, "X-Forwarded-For": {forwarded},
		}
		a.ServeHTTP(httptest.NewRecorder(), r)
		if s := log.String(); !strings.Contains(s, want) || !strings.Contains(s, "method=GET path=/t/1.json") || strings.Contains(s, "secret") {
			t.Errorf("%s: logged %q", forwarded, s)
		}
	}
}

func TestAskedNeedsACheckerAndKnowsWhoAsks(t *testing.T) {
	t.Parallel()
	if _, err := NewAsked(AskedConfig{}); !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("without a checker: %v", err)
	}
	everybody := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	if _, err := NewAsked(AskedConfig{Checker: &fakeChecker{}, From: everybody}); !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("from everywhere: %v", err)
	}
}

// Every header of the identity is one that no client's request may bring to the website.
func TestIdentityHeadersAreStripped(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	full := alice
	full.ExternalID, full.Login = "x", "y"
	setIdentity(h, full, nil)
	if len(h) != len(IdentityHeaderNames()) {
		t.Errorf("set %d headers of %d", len(h), len(IdentityHeaderNames()))
	}
	none := headers.Strip{Trusted: true, Ours: func([]string) bool { return false }}
	for _, name := range IdentityHeaderNames() {
		if len(h[name]) != 1 || len(none.Passing(http.Header{name: {"x"}}, 0)) != 0 {
			t.Errorf("%s is not set, or passes", name)
		}
	}
}

// Envoy takes a client's header away if it is told so.
func TestAskedByEnvoy(t *testing.T) {
	t.Parallel()
	addr := listen(t, newAsked(t, AskedConfig{}))
	const removals = "X-Envoy-Auth-Headers-To-Remove"
	got := send(t, addr, envoyQuestion("GET", "/x", withKey()...)).header.Get(removals)
	if got != "user-api-key,x-userkeys-external-id,x-userkeys-login,authorization" {
		t.Errorf("beside a key: %s", got)
	}
	got = send(t, addr, envoyQuestion("GET", "/x")).header.Get(removals)
	if strings.Count(got, ",") != len(IdentityHeaderNames())+1 || !strings.HasPrefix(got, "user-api-key,x-userkeys-username,") {
		t.Errorf("a stranger: %s", got)
	}
	if got := send(t, addr, nginxQuestion("GET", "/x")).header.Get(removals); got != "" {
		t.Errorf("nginx gets %s", got)
	}
}

// FA27, FA30: nginx passes on neither the body nor the status of a refusal, so both are in headers.
func TestAskedFoldsForNginx(t *testing.T) {
	t.Parallel()
	public := ""
	c := &fakeChecker{script: func(site.Call) error {
		return &userkeys.Error{
			Code: userkeys.RateLimited, Public: public, Reason: "limit", RetryAfter: 16500 * time.Millisecond, LimitCode: "some_limit",
		}
	}}
	addr := listen(t, newAsked(t, AskedConfig{Checker: c}))
	for _, public = range []string{
		"plain", `"$host" ${uri} %41 'x' \`, "caf\u00e9 \u4e16\u754c \U0001f511", "two\nlines\r\n\tand a tab\x00\x7f", strings.Repeat("a", 800),
	} {
		sent := nginxQuestion("GET", "/x", withKey()...)
		got := send(t, addr, sent)
		h := got.header
		body := h.Get("X-Userkeys-Body")
		if got.status != 403 || h.Get("X-Userkeys-Status") != "429" || h.Get("Retry-After") != "17" || h.Get("Discourse-Rate-Limit-Error-Code") != "some_limit" || got.body != "" {
			t.Errorf("%q: %+v", public, got)
		}
		direct := send(t, addr, forwardedQuestion("GET", "/x", withKey()...))
		if !sameJSON(t, body, direct.body) || len(body) > 1024 || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("folded %q, elsewhere %q", body, direct.body)
		}
	}
	public = strings.Repeat("\u00e9", 500)
	if body := send(t, addr, nginxQuestion("GET", "/x", withKey()...)).header.Get("X-Userkeys-Body"); len(body) > 1024 || !strings.HasPrefix(body, `{"errors":["`) {
		t.Errorf("a long text became %q", body)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Errorf("%q, %q: %v", a, b, err)
	}
	return cmp.Equal(x, y)
}

// Where keys may stand in Authorization, the answer says what of that header the website may get, and a refusal asks
// for the password.
func TestAskedAboutCarriers(t *testing.T) {
	t.Parallel()
	addr := listen(t, newAsked(t, AskedConfig{Checker: newCarrying(t)}))
	for _, tt := range []struct {
		name, target, line string
		want               int
		passes, challenge  string
	}{
		{"a key as password", "/dav/x", basic("", ukKey), 200, "", ""},
		{"a key as token", "/api/x", "Authorization: Bearer " + ukKey, 200, "", ""},
		{"a key on another route", "/x", "Authorization: Bearer " + ukKey, 200, "", ""},
		{"the site's own token", "/api/x", "Authorization: Bearer other", 200, "Bearer other", ""},
		{"nothing", "/api/x", "A: b", 200, "", ""},
		{"an unknown key", "/dav/x", basic("", userkeys.NewKey("uk").Reveal()), 401, "", `Basic realm="user API key", charset="UTF-8"`},
	} {
		for name, question := range dialects {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				got := unfolded(t, send(t, addr, question("GET", tt.target, tt.line)))
				authorization, said := got.header["Authorization"]
				if got.status != tt.want || said != (tt.want == 200) || said && (len(authorization) != 1 || authorization[0] != tt.passes) {
					t.Errorf("answer %+v, want %d with Authorization %q", got, tt.want, tt.passes)
				}
				if c := got.header.Get("WWW-Authenticate"); c != tt.challenge {
					t.Errorf("challenge %q, want %q", c, tt.challenge)
				}
				if removals := got.header.Get("X-Envoy-Auth-Headers-To-Remove"); name == "envoy" && tt.want == 200 && strings.HasSuffix(removals, ",authorization") == (tt.passes != "") {
					t.Errorf("Envoy removes %s", removals)
				}
			})
		}
	}
	if got := send(t, addr, required(nginxQuestion("GET", "/dav/x"))); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("nobody is asked for a password: %+v", got)
	}
}
