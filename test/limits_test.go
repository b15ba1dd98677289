package scenario_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
)

var limited = want{status: 429, kind: "rate_limit"}

// TestRateLimits holds the attacks RL: what counts for which limit.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
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
			for i, at := range []string{path, "/session/current", path + "?x=1", "/session/%63urrent.json", "/SESSION/current.json", "/no/such/page"} {
				sc.check(app.Call("GET", at, "User-Api-Client-Id", sprint("c%d", i), "User-Agent", sprint("a%d", i), "X-Forwarded-For", sprint("6.6.6.%d", i)), limited)
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
				if err := sc.Authority.ChangeSetting(sc.t.Context(), "max_user_api_reqs_per_minute", bad, testkit.Command); err == nil {
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
