package scenario_test

// Signing in: guesses, floods, and sessions. Group LG of docs/attacks.md.

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"userkeys/internal/accounts"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// loginFrom signs in from an address that a trusted proxy names.
func (sc *scene) loginFrom(ip, name, password string) testkit.Answer {
	return post(sc.Visitor(), "/login", urlencoded, url.Values{"username": {name}, "password": {password}}.Encode(),
		"X-Forwarded-For", ip)
}

// trustLocal trusts the machine itself as a proxy, so that a test can name addresses of clients.
func trustLocal(cfg *wiring.Config) {
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// TestLogin tries the attacks LG: guessing passwords, and finding out who has an account.
func TestLogin(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Clock.Stop() // waits of a second must not pass while a slow machine looks at passwords
		sc.User("bob", func(n *accounts.NewUser) { n.Email = "bob@mail.example" })
		ended := sc.User("ended")
		if _, err := sc.Identity.Suspend(sc.t.Context(), ended.ID, testkit.Command); err != nil {
			sc.t.Fatal(err)
		}
		sc.User("sleeping", func(n *accounts.NewUser) { n.Inactive = true })
		sc.User("keyless", func(n *accounts.NewUser) { n.Password = "" })
		sc.row("LG1 LG14 LG18 CVE-2025-69413 one answer to everybody who does not get in", func(sc *scene) {
			answers := map[string]string{}
			for _, who := range [][2]string{
				{"nobody", testkit.Password},
				{"bob", "wrong"},
				{"ended", testkit.Password},
				{"sleeping", testkit.Password},
				{"keyless", ""},
				{"keyless", testkit.Password},
				{"' OR 1=1 --", "x"},
				{"a\x01b", "x"},
				{strings.Repeat("a", 5000), "x"},
				{"", ""},
				{"bob", strings.Repeat("a", 10<<10)},
			} {
				a := sc.loginFrom("198.51.100.1", who[0], who[1])
				if a.StatusCode != 403 || len(a.Header["Set-Cookie"]) > 0 {
					sc.t.Errorf("%.20q: status %d, cookies %q", who[0], a.StatusCode, a.Header["Set-Cookie"])
				}
				said, _ := a.Text("login-error")
				answers[sprint("%s %v", said, slices.Sorted(maps.Keys(a.Header)))] = who[0]
			}
			if len(answers) != 1 {
				sc.t.Errorf("%d different answers: %q", len(answers), answers)
			}
		})
		sc.row("LG2 LG3 CVE-2025-24806 every spelling of a name counts as one, and the right password waits too", func(sc *scene) {
			for i, name := range []string{"bob", "BOB", " bob ", "bob", "Bob"} {
				if a := sc.loginFrom("198.51.100.2", name, "wrong"); a.StatusCode != 403 {
					sc.t.Errorf("try %d: status %d", i, a.StatusCode)
				}
			}
			a := sc.loginFrom("198.51.100.2", "bob", testkit.Password)
			if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
				sc.t.Errorf("the sixth try: %d %v", a.StatusCode, a.Header)
			}
			sc.loginFrom("198.51.100.3", "bob", testkit.Password).Must(sc.t, 303) // another address is not shut out
		})
		sc.row("LG1 who has an e-mail address, and who a name, cannot be told", func(sc *scene) {
			for i, name := range []string{"bob", "bob@mail.example", "carol", "carol@mail.example"} {
				ip := sprint("198.51.100.%d", 20+i)
				for range 7 {
					sc.loginFrom(ip, name, "wrong")
				}
				for _, other := range []string{"bob", "bob@mail.example", "carol", "carol@mail.example"} {
					if want := map[bool]int{true: 429, false: 403}[other == name]; sc.loginFrom(ip, other,
						"wrong").StatusCode != want {
						sc.t.Errorf("%s after %s: not %d", other, name, want)
					}
				}
			}
		})
		sc.row("RL3 headers do not make another client of one behind the trusted proxy", func(sc *scene) {
			statuses := map[int]int{}
			for i := range 7 {
				a := post(sc.Visitor(), "/login", urlencoded, "username=rita&password=x", "X-Forwarded-For",
					sprint("6.6.6.%d, 198.51.100.9", i),
					"User-Agent", sprint("agent %d", i), "X-Real-IP", sprint("6.6.7.%d", i), "Forwarded", "for=6.6.8.8")
				statuses[a.StatusCode]++
			}
			if statuses[429] != 2 {
				sc.t.Errorf("statuses %v", statuses)
			}
		})
		sc.row("RL5 the addresses of one /64 are one client", func(sc *scene) {
			statuses := map[int]int{}
			for i := range 7 {
				statuses[sc.loginFrom(sprint("2001:db8:1:2::%x", i+1), "sixes", "wrong").StatusCode]++
			}
			if statuses[429] != 2 {
				sc.t.Errorf("statuses %v", statuses)
			}
		})
		sc.row("LG4 CVE-2021-3138 30 tries at once: no more are checked than one after the other", func(sc *scene) {
			statuses := make([]int, 30)
			var wg sync.WaitGroup
			for i := range statuses {
				wg.Go(func() { statuses[i] = sc.loginFrom("198.51.100.4", "alice", "wrong").StatusCode })
			}
			wg.Wait()
			if n := count(statuses, 403); n > 6 || n+count(statuses, 429)+count(statuses, 503) != len(statuses) {
				sc.t.Errorf("%d were checked: %v", n, statuses)
			}
		})
	}, trustLocal)
}

// TestLoginFlood signs in very often at once: the queue is bounded, and other requests are served.
func TestLoginFlood(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.row("LG7 a flood of logins: a bounded queue, and others are served", func(sc *scene) {
			statuses := make(chan int, 80)
			for i := range cap(statuses) {
				go func() { statuses <- sc.loginFrom(sprint("203.0.113.%d", i), sprint("flood%d", i), "wrong").StatusCode }()
			}
			// The first refusal says that the queue is full. Who does not sign in waits for none of those in it.
			var got []int
			for full := false; !full && len(got) < cap(statuses); {
				got = append(got, <-statuses)
				full = got[len(got)-1] == 503
			}
			sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
			if waiting := cap(statuses) - len(got) - len(statuses); waiting == 0 {
				sc.t.Error("a call waited for the whole flood")
			}
			for len(got) < cap(statuses) {
				got = append(got, <-statuses)
			}
			if count(got, 503) == 0 || count(got, 403)+count(got, 503) != len(got) {
				sc.t.Errorf("statuses %v", got)
			}
		})
	}, trustLocal, testkit.ShippedPasswords)
}

func count(statuses []int, status int) int {
	return len(slices.DeleteFunc(slices.Clone(statuses), func(s int) bool { return s != status }))
}

// TestSessions tries the attacks LG on session cookies.
func TestSessions(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		who := func(cookie string) testkit.Answer {
			p := sc.Visitor()
			r := p.Request("GET", "/session/current.json", "")
			r.Header.Set("Cookie", cookie)
			return p.Do(r)
		}
		sc.row("LG8 CVE-2026-34454 a cookie planted before login is not the session after it", func(sc *scene) {
			planted := "userkeys=" + strings.Repeat("A", 43)
			p := sc.Visitor()
			r := p.Request("POST", "/login", url.Values{"username": {"alice"}, "password": {testkit.Password}}.Encode())
			r.Header.Set("Content-Type", urlencoded)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Cookie", planted)
			fresh, _, _ := strings.Cut(p.Do(r).Must(sc.t, 303).Header.Get("Set-Cookie"), ";")
			if fresh == planted {
				sc.t.Error("the planted cookie was kept")
			}
			sc.check(who(planted), unknown)
			who(fresh).Must(sc.t, 200)
		})
		sc.row("LG8 a second login in the same browser ends the first session", func(sc *scene) {
			p := sc.Person("alice")
			old := sc.cookie(p)
			p.Login("alice", testkit.Password).Must(sc.t, 303)
			sc.check(who(old), unknown)
		})
		sc.row("LG9 CVE-2026-34454 the cookie is dead after signing out", func(sc *scene) {
			p := sc.Person("alice")
			old := sc.cookie(p)
			who(old).Must(sc.t, 200)
			p.Submit(p.Get("/my/apps"), "/user-api-key/logout").Must(sc.t, 303)
			sc.check(who(old), unknown)
		})
		sc.row("signing out needs the token", func(sc *scene) {
			sc.check(sc.alice.Post("/user-api-key/logout", url.Values{}), badCSRF)
			sc.check(post(sc.alice, "/user-api-key/login", urlencoded, "username=mallory&password=x", "Sec-Fetch-Site",
				"cross-site"), badCSRF) // LG15, OT7: login CSRF
			who(sc.cookie(sc.alice)).Must(sc.t, 200)
		})
		good := sc.cookie(sc.alice)
		for what, cookie := range map[string]string{
			"guessed": "userkeys=" + strings.Repeat("B",
				43), "cut": good[:len(good)-1], "longer": good + "A", "empty": "userkeys=", "a user's id": "userkeys=1", "upper case": strings.ToUpper(good),
			"10 KB": "userkeys=" + strings.Repeat("A",
				10<<10), "SQL": "userkeys=' OR 1=1 --", "two": good + "; userkeys=" + strings.Repeat("A", 43), "quoted": `userkeys="` + good[9:] + `x"`,
		} {
			sc.refused("LG10 GR19 a session cookie: "+what, unknown, func(*scene) testkit.Answer { return who(cookie) })
		}
		for _, path := range []string{"/my/apps", "/user-api-key/settings", "/u/alice/preferences/apps"} {
			sc.refused("LG10 a stranger at "+path, toLogin, func(sc *scene) testkit.Answer { return sc.Visitor().Get(path) })
		}
	})
}
