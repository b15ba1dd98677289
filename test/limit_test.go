package scenario_test

// Limits: of keys, users and addresses. Group RL of docs/attacks.md. Limits of logins are in login_test.go.

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// TestAddressLimits tries the limits by address, behind a trusted proxy (W13.3).
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
			if a.StatusCode != http.StatusTooManyRequests || !strings.HasPrefix(a.Header.Get("Content-Type"),
				"text/plain") || strings.Count(a.Body, "\n") != 3 ||
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

var limited = want{status: 429, kind: "rate_limit"}

// TestRateLimits tries the attacks RL: what counts for which limit.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		const path = "/session/current.json"
		sc.Set("max_user_api_reqs_per_minute", "20")
		n := 0
		fresh := func(sc *scene) *testkit.App {
			n++
			return sc.App(sprint("limited %d", n), "session_info").Connect(sc.alice)
		}
		spend := func(app *testkit.App, calls int) {
			for range calls {
				app.Call("GET", path).Must(sc.t, 200)
			}
		}
		sc.row("RL1 200 calls at once, 20 a minute: exactly 20 pass", func(sc *scene) {
			app := fresh(sc)
			statuses := make([]int, 200)
			var wg sync.WaitGroup
			for i := range statuses {
				wg.Go(func() { statuses[i] = app.Call("GET", path).StatusCode })
			}
			wg.Wait()
			if count(statuses, 200) != 20 || count(statuses, 429) != 180 {
				sc.t.Errorf("%d passed, %d were limited", count(statuses, 200), count(statuses, 429))
			}
		})
		sc.row("RL3 RL4 no header and no spelling of the path has a bucket of its own", func(sc *scene) {
			app := fresh(sc)
			spend(app, 20)
			for i, at := range []string{
				path, "/session/current", path + "?x=1", "/session/%63urrent.json",
				"/SESSION/current.json", "/no/such/page",
			} {
				sc.check(app.Call("GET", at, "User-Api-Client-Id", sprint("c%d", i), "User-Agent", sprint("a%d", i),
					"X-Forwarded-For", sprint("6.6.6.%d", i)), limited)
			}
			fresh(sc).Call("GET", path).Must(sc.t, 200) // another key has its own
		})
		sc.row("RL8 refusals of scope, and pages that are not there, are charged", func(sc *scene) {
			app := fresh(sc)
			for range 10 {
				sc.check(app.Call("POST", "/posts"), denied)
				sc.check(app.Call("GET", "/u/alice/topic-tracking-state.json"), unknown)
			}
			sc.check(app.Call("GET", path), limited)
		})
		sc.row("RL8 unknown keys are charged to nobody's key", func(sc *scene) {
			app := fresh(sc)
			for range 40 {
				sc.check(sc.key(userkeys.NewKey("").Reveal(), "GET", path), deadKey)
			}
			app.Call("GET", path).Must(sc.t, 200)
		})
		sc.row("RL9 a client that leaves at once is charged", func(sc *scene) {
			app := fresh(sc)
			mark, mine := sc.Log.Len(), sprint("key=%d", sc.Keys()[0].ID)
			charged := 0
			// How long a request needs to get through depends on the machine, so patience grows until one did.
			for patience := 150 * time.Microsecond; charged == 0 && patience < time.Minute; patience *= 4 {
				for i := range 5 {
					ctx, cancel := context.WithTimeout(sc.t.Context(), time.Duration(i)*patience)
					if res, err := http.DefaultClient.Do(app.Request("GET", path, "").WithContext(ctx)); err == nil {
						testkit.Read(res)
					}
					cancel()
				}
				time.Sleep(100 * time.Millisecond) // the last lines of the log
				charged = strings.Count(sc.Log.Since(mark), mine+"\n")
			}
			if charged == 0 {
				sc.t.Error("none reached the site")
			}
			passed := 0
			for range 21 {
				if app.Call("GET", path).StatusCode == 200 {
					passed++
				}
			}
			if passed > 20-charged {
				sc.t.Errorf("%d had reached the site, %d passed after them", charged, passed)
			}
		})
		sc.row("the refusal says how long to wait, and a retry then passes", func(sc *scene) {
			app := fresh(sc)
			spend(app, 20)
			a := app.Call("GET", path)
			sc.check(a, want{status: 429, kind: "rate_limit", reason: "limit: 20 per 60 s"})
			_, body := wordsOf(a)
			wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if err != nil || wait < 1 || wait > 60 || body.Extras.WaitSeconds != wait || body.Extras.TimeLeft == "" || a.Header.Get("Discourse-Rate-Limit-Error-Code") != "user_api_key_limiter_60_secs" {
				sc.t.Errorf("%v %s", a.Header, a.Body)
			}
			sc.Clock.Pass(time.Duration(wait-2) * time.Second)
			sc.check(app.Call("GET", path), limited)
			sc.Clock.Pass(2 * time.Second)
			app.Call("GET", path).Must(sc.t, 200)
		})
		sc.row("the day's limit", func(sc *scene) {
			sc.Set("max_user_api_reqs_per_day", "5")
			defer sc.Set("max_user_api_reqs_per_day", "1000000")
			app := fresh(sc)
			spend(app, 5)
			a := app.Call("GET", path)
			sc.check(a, limited)
			if a.Header.Get("Discourse-Rate-Limit-Error-Code") != "user_api_key_limiter_1_day" {
				sc.t.Errorf("%v", a.Header)
			}
		})
		sc.row("RL15 a limit that is raised or lowered counts at once, and what was used stays used", func(sc *scene) {
			defer sc.Set("max_user_api_reqs_per_minute", "20")
			app := fresh(sc)
			spend(app, 20)
			sc.check(app.Call("GET", path), limited)
			sc.Set("max_user_api_reqs_per_minute", "25")
			spend(app, 5)
			sc.check(app.Call("GET", path), limited)
			sc.Set("max_user_api_reqs_per_minute", "10")
			sc.check(app.Call("GET", path), limited)
		})
		sc.row("RL6 RL7 all keys of a user share a limit, and another user has their own", func(sc *scene) {
			one, two, again := fresh(sc), fresh(sc), sc.App("over and over", "session_info")
			sc.User("bob")
			bobs := sc.App("bob's", "session_info").Connect(sc.Person("bob"))
			sc.Clock.Pass(time.Minute)
			sc.Set("max_user_api_reqs_per_user_per_minute", "30")
			defer sc.Set("max_user_api_reqs_per_user_per_minute", "0")
			spend(one, 15)
			for range 5 {
				spend(again.Connect(sc.alice), 2)
			}
			n += 6 // grants, which have a limit of their own below
			spend(two, 5)
			for _, app := range []*testkit.App{one, two, again, again.Connect(sc.alice)} {
				a := app.Call("GET", path)
				sc.check(a, want{status: 429, kind: "rate_limit", reason: "limit: 30 per 60 s for all keys of this user"})
				_, body := wordsOf(a)
				if a.Header.Get("Discourse-Rate-Limit-Error-Code") != "user_api_user_limiter_60_secs" || a.Header.Get("Retry-After") == "" || body.Extras.WaitSeconds < 1 {
					sc.t.Errorf("%v %s", a.Header, a.Body)
				}
			}
			spend(bobs, 20)
		})
		sc.row("RL14 zero refuses everything, and no number is no limit", func(sc *scene) {
			app := fresh(sc)
			sc.Set("max_user_api_reqs_per_minute", "0")
			sc.check(app.Call("GET", path), limited)
			sc.Set("max_user_api_reqs_per_minute", "20")
			for _, bad := range []string{"-1", "1e3", "many", "", "99999999999999999999"} {
				if err := sc.Authority.ChangeSetting(sc.t.Context(), "max_user_api_reqs_per_minute", bad,
					testkit.Command); err == nil {
					sc.t.Errorf("%q was taken", bad)
				}
			}
			app.Call("GET", path).Must(sc.t, 200)
		})
		sc.row("RL6 grants are limited by the hour", func(sc *scene) {
			sc.Set("max_user_api_key_grants_per_hour", sprint("%d", n+3))
			defer sc.Set("max_user_api_key_grants_per_hour", "10000")
			app := sc.App("again", "read")
			granted := 0
			for range 6 {
				switch a := app.Approve(sc.alice); a.StatusCode {
				case 200:
					granted++
				case 429:
					if a.Header.Get("Retry-After") == "" {
						sc.t.Error("no Retry-After")
					}
				default:
					sc.t.Errorf("status %d", a.StatusCode)
				}
			}
			if granted > 3 || granted == 0 {
				sc.t.Errorf("%d grants passed", granted)
			}
		})
		sc.row("RL7 live keys of a user are limited", func(sc *scene) {
			sc.Set("max_user_api_keys_per_user", "3")
			defer sc.Set("max_user_api_keys_per_user", "100")
			before := sc.Keys()
			for range 2 {
				if a := sc.App("one more", "read").Approve(sc.alice); a.StatusCode != 409 {
					sc.t.Errorf("status %d", a.StatusCode)
				}
			}
			sc.Set("max_user_api_reqs_per_minute", "10000")
			sc.unchanged(before)
		})
	})
}
