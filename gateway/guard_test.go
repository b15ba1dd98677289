package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/gateway/internal/request"
	"userkeys/site"
)

func TestGuardDecides(t *testing.T) {
	t.Parallel()
	upper := strings.ToUpper(aliceKey)
	for _, tt := range []struct {
		name    string
		request string
		want    int
		body    string // in the answer
		checks  int    // how often the checker was asked
	}{
		{"a stranger passes", get("/x"), 200, "stranger", 0},
		{"a good key is known", get("/x", withKey()...), 200, "user alice", 1},
		{"the header's name has no case", get("/x", "uSER-aPI-kEY: "+aliceKey), 200, "user alice", 1},
		{"KU1 empty key", get("/x", "User-Api-Key:"), 403, "invalid key", 1},
		{"KU1 spaces", get("/x", "User-Api-Key:    "), 403, "invalid key", 1},
		{"KU1 31 characters", get("/x", "User-Api-Key: "+aliceKey[1:]), 403, "invalid key", 1},
		{"KU1 33 characters", get("/x", "User-Api-Key: a"+aliceKey), 403, "invalid key", 1},
		{"KU1 upper case", get("/x", "User-Api-Key: "+upper), 403, "invalid key", 1},
		{"KU1 non-hex", get("/x", "User-Api-Key: "+strings.Repeat("z", 32)), 403, "invalid key", 1},
		{"KU1 NUL", get("/x", "User-Api-Key: \x00"), 400, "", 0},
		{"KU1 10 KB", get("/x", "User-Api-Key: "+strings.Repeat("a", 10<<10)), 403, "invalid key", 1},
		{"KU2 same key twice", get("/x", withKey(withKey()...)...), 400, "two keys", 0},
		{"KU2 two keys", get("/x", withKey("User-Api-Key: "+bobKey)...), 400, "two keys", 0},
		{"KU2 two keys in two spellings of case", get("/x", withKey("user-api-key: "+bobKey)...), 400, "two keys", 0},
		{"KU2 two keys in one line", get("/x", "User-Api-Key: "+aliceKey+", "+bobKey), 403, "invalid key", 1},
		{"KU4 key in the query is no key", get("/x?user_api_key=" + aliceKey), 200, "stranger", 0},
		{"KU5 key in a cookie is no key", get("/x", "Cookie: User-Api-Key="+aliceKey+"; user_api_key="+aliceKey), 200, "stranger", 0},
		{"KU5 key as bearer is no key", get("/x", "Authorization: Bearer "+aliceKey), 200, "stranger", 0},
		{"KU5 key as Basic password is no key", get("/x", "Authorization: Basic YWxpY2U6"+aliceKey), 200, "stranger", 0},
		{"KU5 key in the body is no key", post("/x", "user_api_key="+aliceKey), 200, "stranger", 0},
		{"SC14 key in a look-alike header is no key", get("/x", "User_Api_Key: "+aliceKey, "X-User-Api-Key: "+aliceKey), 200, "stranger", 0},
		{"KU8 Api-Username has no effect", get("/x", withKey("Api-Username: admin", "Api-Key: x")...), 200, "user alice", 1},
		{"KU13 a hash is no key", get("/x", "User-Api-Key: "+aliceHash()), 403, "invalid key", 1},
		{"PS1 dot segments", get("/pub/../admin/x", withKey()...), 400, "ambiguous path", 0},
		{"PS2 encoded dots", get("/pub/%2e%2e/admin/x", withKey()...), 400, "ambiguous path", 0},
		{"PS2 half encoded dots", get("/pub/.%2E/admin/x", withKey()...), 400, "ambiguous path", 0},
		{"PS3 encoded slash", get("/admin%2fx", withKey()...), 400, "ambiguous path", 0},
		{"PS3 encoded slash and dots", get("/pub/..%2Fadmin/x", withKey()...), 400, "ambiguous path", 0},
		{"PS4 two slashes first", get("//admin/x", withKey()...), 400, "ambiguous path", 0},
		{"PS4 two slashes", get("/pub//admin", withKey()...), 400, "ambiguous path", 0},
		{"PS4 dot", get("/./admin", withKey()...), 400, "ambiguous path", 0},
		{"PS4 dot at the end", get("/admin/.", withKey()...), 400, "ambiguous path", 0},
		{"PS5 path parameter", get("/admin;x=1/y", withKey()...), 400, "ambiguous path", 0},
		{"PS5 path parameter and dots", get("/admin/..;/pub/", withKey()...), 400, "ambiguous path", 0},
		{"PS5 encoded semicolon", get("/admin%3bx", withKey()...), 400, "ambiguous path", 0},
		{"PS6 backslash", get(`/pub/..\admin`, withKey()...), 400, "ambiguous path", 0},
		{"PS6 encoded backslash", get("/pub/..%5cadmin", withKey()...), 400, "ambiguous path", 0},
		{"PS7 number sign", get("/pub/x#/../admin", withKey()...), 400, "ambiguous path", 0},
		{"PS7 encoded number sign", get("/pub/x%23y", withKey()...), 400, "ambiguous path", 0},
		{"PS7 number sign in the query", get("/pub?x#y", withKey()...), 400, "ambiguous query", 0},
		{"PS11 needless encoding is read", get("/%61dmin", withKey()...), 200, "user alice", 1},
		{"double encoding", get("/%2561dmin", withKey()...), 400, "ambiguous path", 0},
		{"encoded NUL", get("/a%00b", withKey()...), 400, "ambiguous path", 0},
		{"PS14 query takes no part", get("/x?x=/public/../..//", withKey()...), 200, "user alice", 1},
		{"PS18 TRACE", "TRACE" + get("/x", withKey()...)[3:], 405, "method not allowed", 0},
		{"PS18 lower-case get", "get" + get("/x", withKey()...)[3:], 405, "method not allowed", 0},
		{"PS18 FOO", "FOO" + get("/x", withKey()...)[3:], 405, "method not allowed", 0},
		{"PS18 PROPFIND", "PROPFIND" + get("/x", withKey()...)[3:], 405, "method not allowed", 0},
		{"PS18 CONNECT", "CONNECT" + get("site.example:443", withKey()...)[3:], 405, "method not allowed", 0},
		{"PS19 OPTIONS is answered here", "OPTIONS" + get("/admin", withKey()...)[3:], 200, "", 0},
		{"PS19 OPTIONS of everything", "OPTIONS" + get("*", withKey()...)[3:], 200, "", 0},
		{"PS20 absolute form", get("http://other.example/admin", withKey()...), 400, "ambiguous path", 0},
		{"PS20 absolute form with user", get("http://u:p@site.example/admin", withKey()...), 400, "ambiguous path", 0},
		{"PS20 script", get("javascript:alert(1)", withKey()...), 400, "ambiguous path", 0},
		{"RP16 semicolon in the query", get("/x?x=1;y=2", withKey()...), 400, "ambiguous query", 0},
		{"RP16 broken encoding in the query", get("/x?x=%zz", withKey()...), 400, "ambiguous query", 0},
		{"RP16 more parameters than are parsed", get("/x?"+strings.Repeat("&", 10000), withKey()...), 400, "ambiguous query", 0},
		{"a question mark alone", get("/x?", withKey()...), 200, "user alice", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &fakeChecker{}
			got := send(t, listen(t, Guard(c)(identities)), tt.request)
			if got.status != tt.want || !strings.Contains(got.body, tt.body) {
				t.Errorf("answer %d %q, want %d with %q", got.status, got.body, tt.want, tt.body)
			}
			if n := len(c.seen()); n != tt.checks {
				t.Errorf("checked %d times, want %d", n, tt.checks)
			}
			if got.status == 405 && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if strings.Contains(got.body, "user") && got.status >= 400 && strings.Contains(got.body, aliceKey) {
				t.Error("the refusal repeats the key")
			}
		})
	}
}

func aliceHash() string {
	h := userkeys.Key(aliceKey).Hash()
	return h.Short() + strings.Repeat("0", 20)
}

func post(target, body string, lines ...string) string {
	head := "POST" + strings.TrimSuffix(get(target, lines...)[3:], "\r\n")
	return head + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func TestGuardOptionsHasNoBody(t *testing.T) {
	t.Parallel()
	got := send(t, listen(t, Guard(&fakeChecker{})(identities)), "OPTIONS"+get("/x", withKey()...)[3:])
	if got.status != 200 || got.body != "" || got.header.Get("Allow") != "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" {
		t.Errorf("answer %+v, want 200 with Allow and no body", got)
	}
}

func TestGuardTellsTheCheckerWhatItSaw(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request string
		want          site.Call
	}{
		{"a read", get("/t/12.json?x=1", withKey()...), site.Call{Key: aliceKey, Method: "GET", Path: "/t/12.json"}},
		{"HEAD stays HEAD", "HEAD" + get("/t", withKey()...)[3:], site.Call{Key: aliceKey, Method: "HEAD", Path: "/t"}},
		{"decoded", get("/caf%C3%A9", withKey()...), site.Call{Key: aliceKey, Method: "GET", Path: "/caf\u00e9"}},
		{"revoke", post("/user-api-key/revoke", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/user-api-key/revoke", ManagesItself: true}},
		{"revoke as JSON", post("/user-api-key/revoke.json?x", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/user-api-key/revoke.json", ManagesItself: true}},
		{"the secret of its pushes", get("/user-api-key/push-secret.json", withKey()...), site.Call{Key: aliceKey, Method: "GET", Path: "/user-api-key/push-secret.json", ManagesItself: true}},
		{"POST reads no secret", post("/user-api-key/push-secret.json", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/user-api-key/push-secret.json"}},
		{"GET revokes nothing", get("/user-api-key/revoke", withKey()...), site.Call{Key: aliceKey, Method: "GET", Path: "/user-api-key/revoke"}},
		{"case counts", post("/user-api-key/Revoke", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/user-api-key/Revoke"}},
		{"a trailing path is another", post("/user-api-key/revoke/x", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/user-api-key/revoke/x"}},
		{"the query is not the path", post("/write?/user-api-key/revoke", "", withKey()...), site.Call{Key: aliceKey, Method: "POST", Path: "/write"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &fakeChecker{}
			send(t, listen(t, Guard(c)(identities)), tt.request)
			if diff := cmp.Diff([]site.Call{tt.want}, c.seen()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGuardJudgesTheRequestLineAndNotWhatARouterMadeOfIt(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	h := http.StripPrefix("/api", Guard(c)(identities))
	if got := send(t, listen(t, h), get("/api/x", withKey()...)); got.status != 200 || c.seen()[0].Path != "/api/x" {
		t.Errorf("answer %+v after checking %v, want /api/x checked", got, c.seen())
	}
	r := httptest.NewRequest("GET", "/ok", nil)
	r.RequestURI = "/ok/../admin"
	r.Header.Set(userkeys.KeyHeader, aliceKey)
	w := httptest.NewRecorder()
	Guard(c)(identities).ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("a cleaned path was judged in place of the sent one: %d", w.Code)
	}
}

func TestGuardInsideGuardChargesOnce(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	addr := listen(t, Guard(c)(Require(c)(identities)))
	if got := send(t, addr, get("/x", withKey()...)); got.body != "user alice" || len(c.seen()) != 1 {
		t.Errorf("answer %q after %d checks, want user alice after 1", got.body, len(c.seen()))
	}
	if got := send(t, addr, get("/x")); got.status != 403 {
		t.Errorf("a stranger got %d from Require", got.status)
	}
}

func TestGuardReadsAHandMadeRequest(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest("GET", "http://site.example/x?y", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(userkeys.KeyHeader, aliceKey)
	c, w := &fakeChecker{}, httptest.NewRecorder()
	Guard(c)(identities).ServeHTTP(w, r)
	if w.Body.String() != "user alice" || c.seen()[0].Path != "/x" {
		t.Errorf("answer %q after checking %v", w.Body, c.seen())
	}
}

func TestGuardNeedsAChecker(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a guard without a checker was made")
		}
	}()
	Guard(nil)
}

func TestRequireRefusesStrangersInJSON(t *testing.T) {
	t.Parallel()
	got := send(t, listen(t, Require(&fakeChecker{})(identities)), get("/x", "Accept: text/html"))
	var body struct {
		Errors []string `json:"errors"`
		Type   string   `json:"error_type"`
		Reason string   `json:"reason"`
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatal(err)
	}
	if got.status != 403 || body.Type != "not_logged_in" || body.Reason != "no key" || got.header.Get("Location") != "" {
		t.Errorf("answer %+v, want 403 not_logged_in", got)
	}
	if got := send(t, listen(t, Require(&fakeChecker{})(identities)), get("/x", withKey()...)); got.body != "user alice" {
		t.Errorf("a good key got %d %q", got.status, got.body)
	}
}

func TestWriteErrorHasTheShapeOfTheWire(t *testing.T) {
	t.Parallel()
	limited := &userkeys.Error{
		Code: userkeys.RateLimited, Public: "too many", Reason: "limit: 20 per 60 s",
		RetryAfter: 2100 * time.Millisecond, LimitCode: "user_api_key_limiter_60_secs",
	}
	for _, tt := range []struct {
		name   string
		err    error
		status int
		header map[string]string
		body   string
	}{
		{
			"limit", limited, 429,
			map[string]string{"Retry-After": "3", "Discourse-Rate-Limit-Error-Code": "user_api_key_limiter_60_secs"},
			`{"errors":["too many"],"error_type":"rate_limit","reason":"limit: 20 per 60 s","extras":{"wait_seconds":3,"time_left":"a few seconds"}}`,
		},
		{
			"invalid key", userkeys.ErrInvalidKey, 403,
			map[string]string{"Retry-After": ""},
			`{"errors":["` + userkeys.NotPermitted + `"],"error_type":"invalid_access","reason":"invalid key"}`,
		},
		{
			"invalid key, wrapped", errors.Join(userkeys.ErrInvalidKey), 403, nil,
			`{"errors":["` + userkeys.NotPermitted + `"],"error_type":"invalid_access","reason":"invalid key"}`,
		},
		{
			"T28 an outage is 503 and never an opinion", &userkeys.Error{Code: userkeys.Unavailable, Public: "ask again", RetryAfter: time.Second, Err: errors.New("10.1.2.3 refused")}, 503,
			map[string]string{"Retry-After": "1"},
			`{"errors":["ask again"],"error_type":"read_only"}`,
		},
		{"a foreign error tells nothing", errors.New("pq: secret at 10.1.2.3"), 500, nil, string(userkeys.AsError(errors.New("x")).JSON())},
		{"405 names what is request.AllowedMethods", userkeys.Errorf(userkeys.MethodNotAllowed, "no"), 405, map[string]string{"Allow": request.AllowedMethods}, `{"errors":["no"],"error_type":"invalid_parameters"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			w.Header().Set("Content-Length", "9999")
			WriteError(w, tt.err)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("answer %d %s\nwant %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			want := map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", "Content-Length": ""}
			for k, v := range tt.header {
				want[k] = v
			}
			for k, v := range want {
				if w.Header().Get(k) != v {
					t.Errorf("%s: %q, want %q", k, w.Header().Get(k), v)
				}
			}
		})
	}
}

// Gitea CVE-2026-28699, Nextcloud CVE-2026-45691: the same secret over another carrier had more rights.
func TestCVE_2026_45691_NoOtherCarrierTurnsAKeyIntoALogin(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	addr := listen(t, Require(c)(identities))
	for _, line := range []string{
		"Authorization: Bearer " + aliceKey, "Authorization: Token " + aliceKey, "Authorization: Basic YWxpY2U6YWFhYQ==",
		"Cookie: user_api_key=" + aliceKey, "Api-Key: " + aliceKey, "X-User-Api-Key: " + aliceKey, "User.Api.Key: " + aliceKey,
	} {
		if got := send(t, addr, get("/x?user_api_key="+aliceKey, line)); got.status != 403 || len(c.seen()) != 0 {
			t.Errorf("%s: %d after %d checks, want 403 after none", line, got.status, len(c.seen()))
		}
	}
}
