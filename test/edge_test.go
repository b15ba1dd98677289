package scenario_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// TestKeysInAddresses is KU4 and LK2: a key in the query counts on the routes
// that the site lists, and neither the upstream nor a log ever sees it.
func TestKeysInAddresses(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		reader, pusher := sc.victim, sc.grantTo("pusher", "push")
		key := reader.Key.Reveal()
		at := func(sc *scene, path, key string) testkit.Answer {
			return sc.Visitor().Get(path + "?a=1&user_api_key=" + key)
		}
		sc.row("KU4 no route is listed: it says nothing, and goes no further", func(sc *scene) {
			at(sc, "/latest.rss", key).Must(sc.t, 200)
			if got := up.Take(); len(got) != 1 || got[0].Target != "/latest.rss?a=1" || got[0].Header.Get("X-Userkeys-Username") != "" {
				sc.t.Errorf("the upstream got %+v", got)
			}
		})
		sc.Set("user_api_key_parameter_routes", "GET /latest.rss|GET /t/{slug}/{id}.rss|GET /session/current.json")
		sc.row("KU4 a listed route", func(sc *scene) {
			for _, path := range []string{"/latest.rss", "/t/a/1.rss"} {
				at(sc, path, key).Must(sc.t, 200)
				if got := up.Take(); len(got) != 1 || got[0].Target != path+"?a=1" || got[0].Header.Get("X-Userkeys-Username") != "alice" {
					sc.t.Errorf("the upstream got %+v", got)
				}
			}
			at(sc, "/session/current.json", key).Must(sc.t, 200, `"username":"alice"`)
		})
		sc.row("KU4 another route", func(sc *scene) {
			at(sc, "/latest.json", key).Must(sc.t, 200)
			if got := up.Take(); len(got) != 1 || got[0].Target != "/latest.json?a=1" || got[0].Header.Get("X-Userkeys-Username") != "" {
				sc.t.Errorf("the upstream got %+v", got)
			}
			sc.check(sc.Visitor().Get("/my/apps?user_api_key="+key), toLogin)
		})
		revoked := sc.App("revoked", "read").Connect(sc.alice)
		revoked.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
		sc.refused("KU4 a revoked key", deadKey, func(sc *scene) testkit.Answer { return at(sc, "/latest.rss", revoked.Key.Reveal()) })
		sc.refused("KU4 an unknown key", deadKey, func(sc *scene) testkit.Answer { return at(sc, "/latest.rss", userkeys.NewKey("").Reveal()) })
		sc.refused("KU4 a scope that does not cover it", want{status: 403, kind: "invalid_access", reason: "missing scope: read"}, func(sc *scene) testkit.Answer { return at(sc, "/latest.rss", pusher.Key.Reveal()) })
		sc.refused("KU4 twice", want{status: 400, kind: "invalid_parameters", reason: "two keys"}, func(sc *scene) testkit.Answer { return at(sc, "/latest.rss", key+"&user_api_key="+key) })
		if got := up.Take(); len(got) > 0 {
			sc.t.Errorf("refused requests reached the upstream: %+v", got)
		}
		sc.row("a change of the list counts at once", func(sc *scene) {
			sc.Set("user_api_key_parameter_routes", "")
			at(sc, "/latest.rss", key).Must(sc.t, 200)
			if got := up.Take(); len(got) != 1 || got[0].Header.Get("X-Userkeys-Username") != "" {
				sc.t.Errorf("the upstream got %+v", got)
			}
		})
		for _, k := range []*testkit.App{reader, pusher, revoked} {
			if strings.Contains(sc.Log.Since(0), k.Key.Reveal()) {
				sc.t.Error("LK2 a key is in the log")
			}
		}
	})
}

// TestOrigins is W18 through the whole site.
func TestOrigins(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		const page, path = "https://app.example", "/session/current.json"
		preflight := func(sc *scene, origin string) testkit.Answer {
			r := sc.Visitor().Request("OPTIONS", path, "")
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Access-Control-Request-Headers", "user-api-key")
			return sc.Visitor().Do(r)
		}
		allows := func(a testkit.Answer) string { return a.Header.Get("Access-Control-Allow-Origin") }
		sc.row("nothing is listed", func(sc *scene) {
			if a := sc.victim.Call("GET", path, "Origin", page).Must(sc.t, 200); allows(a) != "" || a.Header.Get("Vary") != "User-Api-Key" {
				sc.t.Errorf("%v", a.Header)
			}
			if a := preflight(sc, page); allows(a) != "" {
				sc.t.Errorf("%v", a.Header)
			}
		})
		sc.Set("cors_origins", page)
		sc.row("a listed page with a key", func(sc *scene) {
			if a := preflight(sc, page).Must(sc.t, 200); allows(a) != page || a.Header.Get("Access-Control-Allow-Credentials") != "true" {
				sc.t.Errorf("%v", a.Header)
			}
			a := sc.victim.Call("GET", path, "Origin", page, "Sec-Fetch-Site", "cross-site").Must(sc.t, 200, `"username":"alice"`)
			if allows(a) != page || !strings.Contains(a.Header.Get("Vary"), "Origin") || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
				sc.t.Errorf("%v", a.Header)
			}
			if a := sc.key("x", "GET", path, "Origin", page); allows(a) != page || a.StatusCode != 403 {
				sc.t.Errorf("%d %v", a.StatusCode, a.Header)
			}
		})
		sc.row("a session is nothing for pages elsewhere", func(sc *scene) {
			for _, at := range []string{path, "/my/apps", "/user-api-key/new?" + sc.ask()} {
				r := sc.alice.Request("GET", at, "")
				r.Header.Set("Origin", page)
				if a := sc.alice.Do(r); a.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
					sc.t.Errorf("%s: %v", at, a.Header)
				}
			}
			sc.check(post(sc.alice, "/user-api-key/revoke-all", urlencoded, "", "Origin", page, "Sec-Fetch-Site", "same-site"), badCSRF)
		})
		sc.row("another page", func(sc *scene) {
			for _, other := range []string{"https://evil.example", "null", page + ":443", page + ".evil.example", "http://app.example"} {
				if a := sc.victim.Call("GET", path, "Origin", other).Must(sc.t, 200); allows(a) != "" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
					sc.t.Errorf("%s: %v", other, a.Header)
				}
				if a := preflight(sc, other).Must(sc.t, 200); allows(a) != "" || a.Body != "" {
					sc.t.Errorf("%s: %v", other, a.Header)
				}
			}
		})
	})
}

// TestAddressLimits holds W13.3 and the attacks RL by address, behind a proxy of the site's own.
func TestAddressLimits(t *testing.T) {
	t.Parallel()
	trust := func(cfg *wiring.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	behind(t, func(sc *scene, up *testkit.Upstream) {
		sc.Set("max_reqs_per_ip_per_10_seconds", "5")
		sc.Set("max_reqs_per_ip_per_minute", "1000")
		n := 0
		address := func() string { n++; return sprint("203.0.113.%d", n) }
		ask := func(sc *scene, ip, key, path string, header ...string) testkit.Answer {
			r := sc.Visitor().Request("GET", path, "")
			r.Header.Set("X-Forwarded-For", ip)
			if key != "" {
				r.Header.Set(userkeys.KeyHeader, key)
			}
			for i := 0; i+1 < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			return sc.Visitor().Do(r)
		}
		spend := func(sc *scene, ip, key, path string, want int) {
			sc.t.Helper()
			for range 5 {
				if a := ask(sc, ip, key, path); a.StatusCode != want {
					sc.t.Fatalf("status %d, want %d: %s", a.StatusCode, want, a.Body)
				}
			}
		}
		over := func(sc *scene, a testkit.Answer) {
			sc.t.Helper()
			wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if a.StatusCode != http.StatusTooManyRequests || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") || strings.Count(a.Body, "\n") != 3 ||
				a.Header.Get("Discourse-Rate-Limit-Error-Code") != "ip_10_secs_limit" || err != nil || wait < 1 || wait > 11 {
				sc.t.Errorf("%d %v %q", a.StatusCode, a.Header, a.Body)
			}
		}
		live := sc.victim.Key.Reveal()
		sc.row("RL8 RV12 unknown keys are charged to their address, and a good one from elsewhere goes on", func(sc *scene) {
			ip := address()
			spend(sc, ip, userkeys.NewKey("").Reveal(), "/x", 403)
			mark := sc.Log.Len()
			a := ask(sc, ip, userkeys.NewKey("").Reveal(), "/x")
			over(sc, a)
			sc.oneLine(a, mark)
			over(sc, ask(sc, ip, live, "/x"))
			if a := ask(sc, address(), live, "/x"); a.StatusCode != 200 {
				sc.t.Errorf("status %d", a.StatusCode)
			}
		})
		sc.row("pages of ours are charged, the upstream's visitors are not", func(sc *scene) {
			ip := address()
			spend(sc, ip, "", "/user-api-key/login", 200)
			over(sc, ask(sc, ip, "", "/user-api-key/login"))
			for range 20 {
				if a := ask(sc, ip, "", "/x"); a.StatusCode != 200 {
					sc.t.Fatalf("status %d", a.StatusCode)
				}
			}
		})
		sc.row("RL3 an invented hop is nobody", func(sc *scene) {
			ip := address()
			spend(sc, ip, "", "/user-api-key/login", 200)
			over(sc, ask(sc, "6.6.6.6, "+ip, "", "/user-api-key/login", "User-Agent", "other", "X-Real-Ip", "7.7.7.7"))
		})
		sc.row("RL5 addresses of one IPv6 network", func(sc *scene) {
			for i := range 5 {
				if a := ask(sc, sprint("2001:db8::%x", i), live, "/x"); a.StatusCode != 200 {
					sc.t.Fatalf("status %d", a.StatusCode)
				}
			}
			over(sc, ask(sc, "2001:db8::ffff:1", live, "/x"))
		})
		sc.row("it passes after the wait, and a change counts at once", func(sc *scene) {
			ip := address()
			spend(sc, ip, live, "/x", 200)
			a := ask(sc, ip, live, "/x")
			over(sc, a)
			wait, _ := strconv.Atoi(a.Header.Get("Retry-After"))
			sc.Clock.Pass(time.Duration(wait) * time.Second)
			if a := ask(sc, ip, live, "/x"); a.StatusCode != 200 {
				sc.t.Errorf("status %d after the wait", a.StatusCode)
			}
			spend(sc, address(), live, "/x", 200)
			sc.Set("max_reqs_per_ip_mode", "none")
			defer sc.Set("max_reqs_per_ip_mode", "block")
			for range 20 {
				if a := ask(sc, ip, live, "/x"); a.StatusCode != 200 {
					sc.t.Fatalf("status %d", a.StatusCode)
				}
			}
		})
		sc.row("the proxy itself is not everybody", func(sc *scene) {
			for range 30 {
				if a := sc.victim.Call("GET", "/x"); a.StatusCode != 200 {
					sc.t.Fatalf("status %d", a.StatusCode)
				}
			}
		})
	}, trust)
}

// TestPresence is W7.5: a request with a key says nothing of its user, unless it says so.
func TestPresence(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		go func() { _ = sc.Run(sc.t.Context()) }() // ends with the test
		const path = "/session/current.json"
		id := sc.Keys()[0].UserID
		seen := func() time.Time {
			u, err := sc.Store.User(sc.t.Context(), id)
			if err != nil {
				sc.t.Fatal(err)
			}
			return u.LastSeenAt
		}
		sc.Clock.Pass(10 * time.Minute)
		before := seen()
		sc.victim.Call("GET", path).Must(sc.t, 200)
		sc.key("x", "GET", path, "Discourse-Present", "true")
		bob := sc.User("bob")
		app := sc.App("bobs", "read,session_info").Connect(sc.Person("bob"))
		sc.Clock.Pass(10 * time.Minute)
		quiet := sc.Clock.Now().Truncate(time.Microsecond)
		app.Call("GET", path, "Discourse-Present", "true").Must(sc.t, 200)
		for end := time.Now().Add(slow); bob.LastSeenAt.Before(quiet); time.Sleep(20 * time.Millisecond) { // what would have been written before is written
			if time.Now().After(end) {
				sc.t.Fatal("bob is not seen")
			}
			var err error
			if bob, err = sc.Store.User(sc.t.Context(), bob.ID); err != nil {
				sc.t.Fatal(err)
			}
		}
		if !seen().Equal(before) {
			sc.t.Error("seen without Discourse-Present")
		}
		began := sc.Clock.Now().Truncate(time.Microsecond)
		sc.victim.Call("GET", path, "Discourse-Present", "true").Must(sc.t, 200)
		for end := time.Now().Add(slow); seen().Equal(before); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				sc.t.Fatal("not seen")
			}
		}
		if got := seen(); got.Before(began) || got.After(sc.Clock.Now()) {
			sc.t.Errorf("seen at %v", got)
		}
	})
}
