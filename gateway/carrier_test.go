package gateway

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/gateway/internal/request"
	"userkeys/site"
)

// ukKey is alice's key on a site whose keys begin with uk_.
var ukKey = userkeys.NewKey("uk").Reveal()

// carrying is a checker of a site where keys may stand in Authorization on some routes.
type carrying struct {
	*fakeChecker
	edge site.Edge
}

func (c *carrying) Edge() *site.Edge { return &c.edge }

func (c *carrying) Check(ctx context.Context, call site.Call) (userkeys.Access, error) {
	if call.Key == ukKey {
		call.Key = aliceKey
	}
	a, err := c.fakeChecker.Check(ctx, call)
	if err == nil {
		a.ExternalID = "ann@example"
	}
	return a, err
}

func newCarrying(t testing.TB) *carrying {
	t.Helper()
	c := &carrying{fakeChecker: &fakeChecker{}}
	feed, err := site.ParseKeyRoute("GET /api/feed.rss")
	if err != nil {
		t.Fatal(err)
	}
	c.edge.KeyRoutes = []site.KeyRoute{feed}
	c.edge.SetCarriers([]site.Carrier{
		{Kind: site.BearerCarrier, Routes: routes(t, "GET /api/{rest...}", "POST /api/{rest...}")},
		{Kind: site.BasicCarrier, Routes: routes(t, "GET /dav/{rest...}", "PUT /dav/{rest...}")},
		{Kind: site.BasicCarrier, Routes: routes(t, "GET /cal/{rest...}"), Ask: true},
	}, "uk")
	return c
}

func routes(t testing.TB, texts ...string) (list []userkeys.Route) {
	t.Helper()
	for _, text := range texts {
		r, err := userkeys.ParseRoute(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestCarriers tests CA1 to CA9: where a key in Authorization counts, what is refused, and what the website gets of it.
func TestCarriers(t *testing.T) {
	t.Parallel()
	unknown := userkeys.NewKey("uk").Reveal()
	bearer := "Authorization: Bearer " + ukKey
	const untouched = "untouched" // the website gets the header as it came
	for _, tt := range []struct {
		name, request string
		status        int
		body          string
		user          string // whom the website is told of; - if it gets nothing
		authorization string // that the website gets
		checks        int
	}{
		{"CA1 a bearer token", get("/api/x", bearer), 200, "ok", "alice", "", 1},
		{"CA1 the scheme in any case", get("/api/x", "authorization: bEARER  "+ukKey), 200, "ok", "alice", "", 1},
		{"CA1 HEAD counts as GET", "HEAD" + get("/api/x", bearer)[3:], 200, "", "alice", "", 1},
		{"CA1 a password", get("/dav/x", basic("", ukKey)), 200, "ok", "alice", "", 1},
		{"CA1 a password with the owner's name", get("/dav/x", basic("Alice", ukKey)), 200, "ok", "alice", "", 1},
		{"CA1 a password with the owner's id elsewhere", get("/dav/x", basic("ann@example", ukKey)), 200, "ok", "alice", "", 1},
		{"CA2 another route", get("/other", bearer), 200, "ok", "", "", 0},
		{"CA2 another method", post("/dav/x", "b", basic("", ukKey)), 200, "ok", "", "", 0},
		{"CA2 another kind", get("/api/x", basic("", ukKey)), 200, "ok", "", "", 0},
		{"CA2 bearer where Basic is", get("/dav/x", bearer), 200, "ok", "", "", 0},
		{"CA2 an unknown scheme", get("/api/x", "Authorization: Token "+ukKey), 200, "ok", "", untouched, 0},
		{"CA2 a method that no key may use", "MOVE" + get("/dav/x", basic("", ukKey))[3:], 405, "not allowed", "-", "", 0},
		{"CA2 such a method with the website's token", "MOVE" + get("/dav/x", basic("", "uk_x"))[3:], 200, "ok", "", untouched, 0},
		{"CA8 no key where a password is asked for", get("/cal/x"), 401, "as the password", "-", "", 0},
		{"CA8 the website's password there", get("/cal/x", basic("a", "b")), 401, "as the password", "-", "", 0},
		{"CA8 a key there", get("/cal/x", basic("", ukKey)), 200, "ok", "alice", "", 1},
		{"CA8 a key in its header there", get("/cal/x", withKey()...), 200, "ok", "alice", "", 1},
		{"CA3 the website's token", get("/api/x", "Authorization: Bearer abc"), 200, "ok", "", untouched, 0},
		{"CA3 the website's token, like a key", get("/api/x", "Authorization: Bearer "+aliceKey), 200, "ok", "", untouched, 0},
		{"CA3 the website's token elsewhere", get("/other", "Authorization: Bearer uk_theirs"), 200, "ok", "", untouched, 0},
		{"CA3 the website's password", get("/dav/x", basic("uk_bob", "secret")), 200, "ok", "", untouched, 0},
		{"CA3 broken Basic", get("/dav/x", "Authorization: Basic %%%"), 200, "ok", "", untouched, 0},
		{"CA3 the website's token beside a key", get("/api/x", withKey("Authorization: Bearer abc")...), 200, "ok", "alice", untouched, 1},
		{"CA4 another's name", get("/dav/x", basic("bob", ukKey)), 401, "invalid key", "-", "", 1},
		{"CA4 a name like a key", get("/dav/x", basic("uk_bob", ukKey)), 401, "invalid key", "-", "", 1},
		{"CA4 the key as the name", get("/dav/x", basic(ukKey, "")), 400, "the key is the password", "-", "", 0},
		{"CA5 with User-Api-Key", get("/api/x", withKey(bearer)...), 400, "must be sent once", "-", "", 0},
		{"CA5 with User-Api-Key, alike", get("/api/x", "User-Api-Key: "+ukKey, bearer), 400, "must be sent once", "-", "", 0},
		{"CA5 with the query", get("/api/feed.rss?user_api_key="+aliceKey, bearer), 400, "must be sent once", "-", "", 0},
		{"CA5 twice", get("/api/x", bearer, bearer), 400, "must be sent once", "-", "", 0},
		{"CA5 beside the website's", get("/api/x", bearer, "Authorization: Bearer abc"), 400, "must be sent once", "-", "", 0},
		{"CA5 joined by a comma", get("/api/x", bearer+", Bearer abc"), 401, "invalid key", "-", "", 1},
		{"CA5 not read elsewhere, so not two", get("/other", withKey(bearer)...), 200, "ok", "alice", "", 1},
		{"CA6 a page of another site", get("/dav/x", basic("", ukKey), "Sec-Fetch-Site: cross-site"), 403, "pages of other sites", "-", "", 0},
		{"CA6 a page of a sibling", get("/dav/x", basic("", ukKey), "Sec-Fetch-Site: same-site"), 403, "pages of other sites", "-", "", 0},
		{"CA6 said twice", get("/api/x", bearer, "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"), 403, "pages of other sites", "-", "", 0},
		{"CA6 a page of this site", get("/dav/x", basic("", ukKey), "Sec-Fetch-Site: same-origin"), 200, "ok", "alice", "", 1},
		{"CA6 typed in", get("/dav/x", basic("", ukKey), "Sec-Fetch-Site: none"), 200, "ok", "alice", "", 1},
		{"CA6 a page of another site, without TLS", get("/dav/x", basic("", ukKey), "Origin: http://evil.example"), 403, "pages of other sites", "-", "", 0},
		{"CA6 a page of nowhere, without TLS", get("/dav/x", basic("", ukKey), "Origin: null"), 403, "pages of other sites", "-", "", 0},
		{"CA6 a page of this site, without TLS", get("/dav/x", basic("", ukKey), "Origin: http://site.example"), 200, "ok", "alice", "", 1},
		{"CA6 a page of this site, behind a proxy", get("/dav/x", basic("", ukKey), "Origin: https://www.example", "X-Forwarded-Host: www.example"), 200, "ok", "alice", "", 1},
		{"CA9 a tab", get("/api/x", "Authorization: Bearer\t"+ukKey), 400, "cannot be read by every program", "-", "", 0},
		{"CA9 quoted", get("/api/x", `Authorization: Bearer "`+ukKey+`"`), 400, "cannot be read by every program", "-", "", 0},
		{"CA9 without padding", get("/dav/x", strings.TrimRight(basic("Alice", ukKey), "=")), 400, "cannot be read by every program", "-", "", 0},
		{"CA9 with junk", get("/dav/x", strings.Replace(basic("", ukKey), "Basic ", "Basic !*", 1)), 400, "cannot be read by every program", "-", "", 0},
		{"CA9 a long name", get("/dav/x", basic(strings.Repeat("a", 600), ukKey)), 401, "invalid key", "-", "", 1},
		{"CA7 an ambiguous path", get("/dav//x", basic("", ukKey)), 400, "ambiguous", "-", "", 0},
		{"CA7 an ambiguous path to elsewhere", get("/other/../api/x", bearer), 400, "ambiguous", "-", "", 0},
		{"CA7 an ambiguous query", get("/api/x?a;b", bearer), 400, "ambiguous", "-", "", 0},
		{"CA8 an unknown key", get("/api/x", "Authorization: Bearer "+unknown), 401, `"reason":"invalid key"`, "-", "", 1},
		{"CA8 an unknown password", get("/dav/x", basic("", unknown)), 401, `"reason":"invalid key"`, "-", "", 1},
		{"CA8 no key", get("/api/x", "Authorization: Bearer uk_short"), 401, `"reason":"invalid key"`, "-", "", 1},
		{"CA9 in an odd spelling beside it", get("/api/x", bearer, "HTTP_AUTHORIZATION: Bearer abc", "authorization_: x"), 200, "ok", "alice", "", 1},
		{"CA9 named in Connection", get("/api/x", bearer, "Connection: Authorization, X-Userkeys-Username"), 200, "ok", "alice", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, up := newCarrying(t), newUpstream(t, nil)
			got := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})), tt.request)
			if got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("answer %d %q", got.status, got.body)
			}
			if n := len(c.seen()); n != tt.checks {
				t.Errorf("checked %d times, want %d", n, tt.checks)
			}
			heads := up.got()
			if tt.user == "-" {
				if len(heads) > 0 {
					t.Errorf("the website got %q", heads)
				}
				return
			}
			if len(heads) != 1 {
				t.Fatalf("the website got %q", heads)
			}
			want := tt.authorization
			if want == untouched {
				want = headerLine(tt.request, "Authorization")
			}
			if user, sent := headerLine(heads[0], UsernameHeader), headerLine(heads[0], "Authorization"); user != tt.user || sent != want {
				t.Errorf("the website was told of %q with Authorization %q, want %q with %q", user, sent, tt.user, want)
			}
			if strings.Contains(heads[0], ukKey) && want == "" || strings.Contains(heads[0], base64.StdEncoding.EncodeToString([]byte(":"+ukKey))) {
				t.Errorf("the website got the key:\n%s", heads[0])
			}
			if tt.user != "" && strings.Contains(strings.ToLower(heads[0]), "http_authorization") {
				t.Errorf("the website got a second Authorization:\n%s", heads[0])
			}
		})
	}
}

// Programs ask for a password after 401 and a challenge, and for nothing after 403. What is not about the key stays 403
// or 429, after which they do not ask again.
func TestCarriersChallenge(t *testing.T) {
	t.Parallel()
	const asks = `Basic realm="user API key", charset="UTF-8"`
	for _, tt := range []struct {
		name, request, challenge string
		status                   int
		err                      error
	}{
		{"an invalid password", get("/dav/x", basic("", ukKey)), asks, 401, userkeys.ErrInvalidKey},
		{"an invalid token", get("/api/x", "Authorization: Bearer "+ukKey), `Bearer error="invalid_token"`, 401, userkeys.ErrInvalidKey},
		{"a missing scope", get("/dav/x", basic("", ukKey)), "", 403, &userkeys.Error{Code: userkeys.InvalidAccess, Reason: "missing scope: write"}},
		{"too often", get("/dav/x", basic("", ukKey)), "", 429, &userkeys.Error{Code: userkeys.RateLimited}},
		{"cannot tell", get("/dav/x", basic("", ukKey)), "", 503, &userkeys.Error{Code: userkeys.Unavailable}},
		{"the header stays as it was", get("/dav/x", "User-Api-Key: "+ukKey), "", 403, userkeys.ErrInvalidKey},
		{"no key where a password may be one", get("/dav/x"), asks, 401, nil},
		{"no key elsewhere", get("/api/x"), "", 403, nil},
		{"no key at an ambiguous path", get("/dav//x"), "", 403, nil},
		{"the website's password where a key is needed", get("/dav/x", basic("a", "b")), asks, 401, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCarrying(t)
			c.script = func(site.Call) error { return tt.err }
			got := send(t, listen(t, Require(c)(identities)), tt.request)
			if got.status != tt.status || got.header.Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("%d %q, want %d %q", got.status, got.header.Get("WWW-Authenticate"), tt.status, tt.challenge)
			}
		})
	}
}

// A handler in Go gets the request without the key, and an answer that no cache gives to others.
func TestGuardTakesTheKeyOutOfAuthorization(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		a, _ := userkeys.FromContext(r.Context())
		_, _ = io.WriteString(w, a.Username+"|"+r.Header.Get("Authorization")+"|"+r.Header.Get("X-Other"))
	})
	h := Guard(newCarrying(t))(echo)
	for _, tt := range []struct{ target, authorization, want, vary string }{
		{"/api/x", "Bearer " + ukKey, "alice||1", "Accept, User-Api-Key, Authorization"},
		{"/dav/x", strings.TrimPrefix(basic("", ukKey), "Authorization: "), "alice||1", "Accept, User-Api-Key, Authorization"},
		{"/other", "Bearer " + ukKey, "||1", "Accept"},
		{"/other", "Bearer theirs", "|Bearer theirs|1", "Accept"},
	} {
		r := from("192.0.2.1", "GET", tt.target, "Authorization", tt.authorization, "X-Other", "1")
		w := answerOf(h, r)
		if got := w.Body.String(); got != tt.want || strings.Join(w.Header()["Vary"], ", ") != tt.vary {
			t.Errorf("%s %s: %q, Vary %q", tt.target, tt.authorization, got, w.Header()["Vary"])
		}
		if r.Header.Get("Authorization") != tt.authorization {
			t.Error("the caller's own request was changed")
		}
	}
}

// With VaryByKey, a cache asks here about requests with a key in Authorization too.
func TestVaryByKeyKnowsCarriers(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	for _, tt := range []struct {
		c    Checker
		want []string
	}{{&fakeChecker{}, []string{"User-Api-Key"}}, {newCarrying(t), []string{"User-Api-Key", "Authorization"}}} {
		got := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: tt.c, VaryByKey: true})), get("/x"))
		if vary := got.header["Vary"]; !slices.Equal(vary, tt.want) {
			t.Errorf("Vary: %q, want %q", vary, tt.want)
		}
	}
}

// Sites without carriers, and requests without Authorization, pay nothing.
func TestCarriersCostNothingElsewhere(t *testing.T) {
	c := newCarrying(t)
	r := from("192.0.2.1", "GET", "/api/x", userkeys.KeyHeader, aliceKey)
	if n := testing.AllocsPerRun(100, func() { request.PresentedBy(r, &c.edge) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAuthorization: a handler gets no key that begins like ours, whatever stands in Authorization, and is told of
// alice only where the one header that a strict reader finds has her key.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Bearer KEY", "bearer  KEY ", "Basic KEY", "Basic OmtleQ==", "Bearer KEY, Bearer KEY", "KEY", "", "Bearer\tKEY", "Bearer \"KEY\"", "Basic\tKEY"} {
		f.Add(s, "/api/x", false)
		f.Add(s, "/dav/x", true)
		f.Add(s, "/dav//x", true)
	}
	c := newCarrying(f)
	h := Guard(c)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := userkeys.FromContext(r.Context())
		w.Header().Set("Who", a.Username)
		w.Header()["Got"] = r.Header["Authorization"]
	}))
	f.Fuzz(func(t *testing.T, value, path string, coded bool) {
		value = strings.ReplaceAll(value, "KEY", ukKey)
		if scheme, rest, ok := strings.Cut(value, " "); ok && coded {
			value = scheme + " " + base64.StdEncoding.EncodeToString([]byte(rest))
		}
		r := from("192.0.2.1", "GET", "/")
		r.RequestURI = path
		r.Header["Authorization"] = []string{value}
		w := answerOf(h, r)
		scheme, rest, _ := strings.Cut(value, " ")
		scheme, rest = strings.ToLower(scheme), strings.Trim(rest, " \t")
		_, password, isBasic := r.BasicAuth()
		api := scheme == "bearer" && rest == ukKey && (path == "/api" || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/api?"))
		dav := isBasic && password == ukKey && (path == "/dav" || strings.HasPrefix(path, "/dav/") || strings.HasPrefix(path, "/dav?"))
		if in := w.Header().Get("Who") == "alice"; in && !api && !dav {
			t.Errorf("%q at %q got in", value, path)
		}
		if got := w.Header()["Got"]; got != nil && (got[0] != value || scheme == "bearer" && rest == ukKey || isBasic && password == ukKey) {
			t.Errorf("the handler of %q at %q got %q", value, path, got)
		}
	})
}

// TestMethodsThatScopesName tests CA10: methods of WebDAV are for sites with a scope that names them, and there the
// scopes of the key decide. COPY and MOVE have a second address and are for nobody.
func TestMethodsThatScopesName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		methods []string
		method  string
		status  int
		allow   string
		checks  int
	}{
		{nil, "PROPFIND", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 0},
		{nil, "OPTIONS", 200, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 0},
		{[]string{"PROPFIND"}, "PROPFIND", 200, "", 1},
		{[]string{"PROPFIND"}, "REPORT", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND", 0},
		{[]string{"PROPFIND"}, "OPTIONS", 200, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND", 0},
		{[]string{"PROPFIND", "OPTIONS"}, "OPTIONS", 200, "", 1},
		{userkeys.MoreMethods, "MOVE", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, PROPPATCH, REPORT, MKCOL, MKCALENDAR, LOCK, UNLOCK", 0},
		{userkeys.MoreMethods, "COPY", 405, "", 0},
		{userkeys.MoreMethods, "propfind", 405, "", 0},
	} {
		c, up := newCarrying(t), newUpstream(t, nil)
		c.edge.Methods = tt.methods
		got := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})), tt.method+get("/x", withKey()...)[3:])
		if got.status != tt.status || tt.allow != "" && got.header.Get("Allow") != tt.allow || len(c.seen()) != tt.checks || len(up.got()) != tt.checks {
			t.Errorf("%s where scopes name %q: %d %q after %d checks, the website got %q", tt.method, tt.methods, got.status, got.header.Get("Allow"), len(c.seen()), up.got())
		}
	}
}
