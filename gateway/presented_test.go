package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"userkeys"
	"userkeys/gateway/internal/request"
)

const feeds = "GET /latest.rss|GET /c/{name}.rss|GET /t/{any...}.rss|GET /u/{name}/bookmarks.ics"

// TestKeyInQuery tests KU4 and W7.1: a key in the query counts on the listed routes and nowhere else.
func TestKeyInQuery(t *testing.T) {
	t.Parallel()
	const good, bad = "user_api_key=" + aliceKey, "user_api_key=cccccccccccccccccccccccccccccccc"
	for _, tt := range []struct {
		name, request string
		status        int
		body          string
		sent          string // the target that the upstream got; empty: none
		checks        int
	}{
		{"a feed", get("/latest.rss?" + good), 200, "ok", "/latest.rss", 1},
		{"a calendar", get("/u/alice/bookmarks.ics?x=1&" + good + "&y=%20z"), 200, "ok", "/u/alice/bookmarks.ics?x=1&y=%20z", 1},
		{"a topic's feed", get("/t/slug/12.rss?" + good), 200, "ok", "/t/slug/12.rss", 1},
		{"PS13 the ending counts", get("/t/slug/12.json?" + good), 200, "ok", "/t/slug/12.json?" + good, 0},
		{"HEAD counts as GET", "HEAD" + get("/latest.rss?" + good)[3:], 200, "", "/latest.rss", 1},
		{"POST is not listed", "POST" + get("/latest.rss?" + good)[3:], 200, "ok", "/latest.rss?" + good, 0},
		{"another route", get("/latest.json?" + good), 200, "ok", "/latest.json?" + good, 0},
		{"the header wins", get("/latest.rss?"+bad, withKey()...), 200, "ok", "/latest.rss", 1},
		{"a bad header is not saved by the query", get("/latest.rss?"+good, "User-Api-Key: x"), 403, "invalid key", "", 1},
		{"a bad key", get("/latest.rss?" + bad), 403, `"reason":"invalid key"`, "", 1},
		{"no value", get("/latest.rss?user_api_key="), 403, "invalid key", "", 1},
		{"twice", get("/latest.rss?" + good + "&" + good), 400, "user_api_key must be sent once", "", 0},
		{"twice, once in disguise", get("/latest.rss?" + good + "&user%2dapi%5fkey=x"), 400, "must be sent once", "", 0},
		{"an odd spelling alone says nothing", get("/latest.rss?user-api-key=" + aliceKey), 200, "ok", "/latest.rss?user-api-key=" + aliceKey, 0},
		{"a longer name says nothing", get("/latest.rss?my_user_api_key=" + aliceKey), 200, "ok", "/latest.rss?my_user_api_key=" + aliceKey, 0},
		{"an ambiguous query", get("/latest.rss?" + good + "&a;b"), 400, "ambiguous query", "", 0},
		{"PS14 the query is not the route", get("/admin?/latest.rss&" + good), 200, "ok", "/admin?/latest.rss&" + good, 0},
		{"PS4 an ambiguous path is no feed", get("//latest.rss?" + good), 200, "ok", "//latest.rss?" + good, 0},
		{"a cookie beside it is dropped", get("/latest.rss?"+good, "Cookie: session=1"), 200, "ok", "/latest.rss", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, up := newEdged(t, "user_api_key_parameter_routes", feeds), newUpstream(t, nil)
			got := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})), tt.request)
			if got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("answer %d %q", got.status, got.body)
			}
			heads := up.got()
			if tt.sent == "" && len(heads) > 0 {
				t.Fatalf("the upstream got %q", heads)
			}
			if tt.sent != "" {
				if len(heads) != 1 || strings.Fields(heads[0])[1] != tt.sent {
					t.Fatalf("the upstream got %q, want %s", heads, tt.sent)
				}
				if keyed := headerLine(heads[0], UsernameHeader) == "alice"; keyed != (tt.checks > 0) || keyed && headerLine(heads[0], "Cookie") != "" {
					t.Errorf("the upstream got %q", heads[0])
				}
				if tt.checks > 0 && got.header.Get("Referrer-Policy") != "no-referrer" && !strings.Contains(tt.request, "User-Api-Key:") {
					t.Error("links of the feed would tell its address")
				}
			}
			if n := len(c.seen()); n != tt.checks {
				t.Errorf("checked %d times, want %d", n, tt.checks)
			}
		})
	}
}

// TestLK2StrangersKeyInTheQueryGoesNoFurther tests LK2: a key in an address where it does not count is not passed
// on; a parameter that only looks like a key is passed on as it came.
func TestLK2StrangersKeyInTheQueryGoesNoFurther(t *testing.T) {
	t.Parallel()
	ours := userkeys.NewKey("").Reveal()
	up := newUpstream(t, nil)
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: newEdged(t)}))
	for _, tt := range []struct{ target, sent string }{
		{"/x?a=1&user_api_key=" + ours + "&b=2", "/x?a=1&b=2"},
		{"/x?user_api_key=" + ours, "/x"},
		{"//x/y?user_api_key=" + ours + "&b", "//x/y?b"},
		{"/x?user_api_key=" + aliceKey, "/x?user_api_key=" + aliceKey},
		{"/x?user_api_key=%zz&user_api_key=" + ours, "/x"},
		{"/x?User_Api_Key=" + ours, "/x"},
		{"/x?USER-API-KEY=" + ours + "&a", "/x?a"},
		{"/x?user%5Fapi.key=" + ours, "/x"},
		{"/x?user_api_key[]=" + ours, "/x"},
		{"/x?a;user_api_key=" + ours, "/x?a"},
		{"/x?user_api_key=+" + ours + "%20", "/x"},
		{"/x?%zz&user_api_key=" + ours, "/x?%zz"},
		{"/x?User_Api_Key=" + aliceKey, "/x?User_Api_Key=" + aliceKey},
	} {
		before := len(up.got())
		if got := send(t, addr, get(tt.target)); got.status != 200 {
			t.Fatalf("%s: %d %s", tt.target, got.status, got.body)
		}
		if sent := strings.Fields(up.got()[before])[1]; sent != tt.sent {
			t.Errorf("%s was sent on as %s, want %s", tt.target, sent, tt.sent)
		}
	}
}

// Handlers get the request without the key, also behind a second guard, and a change of the
// setting counts at the next request.
func TestGuardTakesTheKeyOutOfTheQuery(t *testing.T) {
	t.Parallel()
	c := newEdged(t, "user_api_key_parameter_routes", feeds)
	h := Guard(c)(Require(c)(addresses))
	const at = "/latest.rss?a=1&user_api_key=" + aliceKey
	w := answerOf(h, from("192.0.2.1", "GET", at))
	if got := w.Body.String(); w.Code != 200 || got != "/latest.rss?a=1 /latest.rss?a=1 a=1" {
		t.Errorf("%d %q", w.Code, got)
	}
	if n := len(c.seen()); n != 1 || c.seen()[0].Path != "/latest.rss" {
		t.Errorf("%+v", c.seen())
	}
	c.set(t, "user_api_key_parameter_routes", "GET /other.rss")
	if w := answerOf(h, from("192.0.2.1", "GET", at)); w.Code != 403 || !strings.Contains(w.Body.String(), "no key") {
		t.Errorf("taken off the list, but %d %q", w.Code, w.Body)
	}
	r := from("192.0.2.1", "GET", at)
	Guard(c)(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		if in != r {
			t.Error("a stranger's request is another one")
		}
	})).ServeHTTP(nil, r)
}

// Nothing of what the setting costs is paid by requests without the parameter.
func TestKeyInQueryCostsNothingElsewhere(t *testing.T) {
	e := newEdged(t, "user_api_key_parameter_routes", feeds).Edge()
	r := from("192.0.2.1", "GET", "/latest.rss?page=2&order=created")
	if n := testing.AllocsPerRun(100, func() { request.PresentedBy(r, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPresenceIsPassedToTheChecker(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, "true": true, "false": false, "TRUE": false, "true ": false} {
		c := &fakeChecker{}
		r := from("192.0.2.1", "GET", "/x", userkeys.KeyHeader, aliceKey)
		if value != "" {
			r.Header["Discourse-Present"] = []string{value}
		}
		answerOf(Guard(c)(identities), r)
		if got := c.seen(); len(got) != 1 || got[0].Present != want {
			t.Errorf("Discourse-Present: %q: %+v", value, got)
		}
	}
}

// FuzzKeyInQuery: whatever stands in a query, a handler that got in by it does
// not find a key there again, under any spelling that some framework reads.
func FuzzKeyInQuery(f *testing.F) {
	for _, q := range []string{"user_api_key=" + aliceKey, "a&user_api_key=" + aliceKey + "&b=%41", "user%5Fapi_key=x&user_api_key=y", "user_api_key", "=&&user_api_key=%"} {
		f.Add(q)
	}
	c := newEdged(f, "user_api_key_parameter_routes", "GET /latest.rss")
	h := Guard(c)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := userkeys.FromContext(r.Context()); ok {
			w.Header().Set("In", "yes")
			q := r.URL.RawQuery
			for _, t := range []request.Target{request.TargetOf(r), {Raw: "?" + q, Query: q}} {
				if t.WithoutKey() != t.Raw {
					w.Header().Set("Leak", r.RequestURI)
				}
			}
		}
	}))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	f.Fuzz(func(t *testing.T, query string) {
		r := from("192.0.2.1", "GET", "/latest.rss")
		r.RequestURI, r.URL.RawQuery = "/latest.rss?"+query, query
		w := answerOf(h, r)
		if leak := w.Header().Get("Leak"); leak != "" {
			t.Errorf("the handler of %q got %q", query, leak)
		}
		if in := w.Header().Get("In") == "yes"; in && strings.Count(query, aliceKey)+strings.Count(query, bobKey) == 0 && !strings.Contains(query, "%") {
			t.Errorf("%q got in", query)
		}
		front := newFront(t, FrontConfig{Own: identities, Checker: c, Logger: log})
		if w := answerOf(front, r); w.Code >= 500 {
			t.Errorf("%q: %d", query, w.Code)
		}
	})
}
