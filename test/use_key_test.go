package scenario_test

// Using a key: what counts as a key and where it may stand, its owner, and what is noted of a use. Group KU of
// docs/attacks.md.

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// TestKeysInAddresses sends keys in the query: they count on the routes that the site lists, and neither the upstream
// nor the log gets them (KU4, LK2).
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
		sc.refused("KU4 a revoked key", deadKey, func(sc *scene) testkit.Answer {
			return at(sc, "/latest.rss",
				revoked.Key.Reveal())
		})
		sc.refused("KU4 an unknown key", deadKey, func(sc *scene) testkit.Answer {
			return at(sc, "/latest.rss",
				userkeys.NewKey("").Reveal())
		})
		sc.refused("KU4 a scope that does not cover it",
			want{
				status: 403, kind: "invalid_access",
				reason: "missing scope: read",
			}, func(sc *scene) testkit.Answer {
				return at(sc, "/latest.rss",
					pusher.Key.Reveal())
			})
		sc.refused("KU4 twice", want{status: 400, kind: "invalid_parameters", reason: "two keys"},
			func(sc *scene) testkit.Answer { return at(sc, "/latest.rss", key+"&user_api_key="+key) })
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

// TestPresence checks that a request with a key counts as a visit of the user only if it says so (W7.5).
func TestPresence(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
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

// sansDate returns an answer's headers without those that differ each time, and without the id that only refusals with
// a line in the log have.
func sansDate(h http.Header) http.Header {
	h = maps.Clone(h)
	h.Del("Date")
	h.Del("X-Request-Id")
	return h
}

// TestUsingAKey tries the attacks KU: what counts as a key, and what a key may do.
func TestUsingAKey(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		const path = "/session/current.json"
		live := sc.victim.Key.Reveal()
		revoked := sc.App("revoked", "read").Connect(sc.alice)
		revoked.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
		hash := sc.victim.Key.Hash()
		other := byte('0')
		if live[31] == other {
			other = '1'
		}
		refusal := sc.key(userkeys.NewKey("").Reveal(), "GET", path)
		bad := map[string]string{
			"KU1 empty": "", "KU1 spaces": "   ", "KU1 31 characters": live[:31], "KU1 33 characters": live + "0", "KU1 upper case": strings.ToUpper(live),
			"KU1 no hex": "g" + live[1:], "KU1 10 KB": strings.Repeat("a",
				10<<10), "KU1 two in one": live + ", " + live, "KU1 quoted": `"` + live + `"`,
			"KU1 as a bearer": "Bearer " + live, "KU1 not ASCII": "\u00e9" + live[2:], "KU11 the last character changed": live[:31] + string(other),
			"KU13 the stored hash": hex.EncodeToString(hash[:]), "KU13 the first half of the hash": hex.EncodeToString(hash[:16]),
			"KU13 the hash in base64": base64.StdEncoding.EncodeToString(hash[:]), "KU14 another site's prefix": "xyz_" + live, "KU14 an empty prefix": "_" + live,
		}
		for what, key := range bad {
			sc.refused(what, deadKey, func(sc *scene) testkit.Answer {
				before := sc.Store.Statements()
				a := sc.key(key, "GET", path)
				if n := sc.Store.Statements() - before; n != 0 {
					sc.t.Errorf("%d SQL statements for a key that no site can have made", n)
				}
				if a.Body != refusal.Body || sansDate(a.Header).Get("Content-Type") != refusal.Header.Get("Content-Type") || len(sansDate(a.Header)) != len(sansDate(refusal.Header)) {
					sc.t.Errorf("not the answer for an unknown key: %v %s", a.Header, a.Body)
				}
				return a
			})
		}
		for what, key := range map[string]string{
			"X-KEY unknown": userkeys.NewKey("").Reveal(),
			"X-KEY revoked": revoked.Key.Reveal(),
		} {
			for _, at := range []string{path, "/user-api-key/new", "/my/apps", "/no/such/page", "/user-api-key/settings", "/"} {
				sc.refused(what+" at "+at, deadKey, func(sc *scene) testkit.Answer {
					a := sc.key(key, "GET", at)
					if a.Body != refusal.Body {
						sc.t.Errorf("another body: %s", a.Body)
					}
					return a
				})
			}
		}
		sc.refused("KU2 two keys, the same", want{status: 400, kind: "invalid_parameters", reason: "two keys"},
			twoKeys(live, live))
		sc.refused("KU2 two keys, one good", want{status: 400, kind: "invalid_parameters", reason: "two keys"},
			twoKeys(live, userkeys.NewKey("").Reveal()))
		sc.refused("KU1 NUL in the header", want{status: 400}, func(sc *scene) testkit.Answer {
			return sc.Raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nUser-Api-Key: " + live[:31] + "\x00\r\n\r\n")
		})
		for what, set := range map[string]func(*http.Request){
			"KU4 in the query": func(r *http.Request) { r.URL.RawQuery = "user_api_key=" + live },
			"KU5 in a cookie": func(r *http.Request) {
				r.Header.Set("Cookie",
					"User-Api-Key="+live+"; userkeys="+live+"; _t="+live)
			},
			"KU5 as a bearer":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+live) },
			"KU5 as a password":  func(r *http.Request) { r.SetBasicAuth("alice", live) },
			"KU5 as a user":      func(r *http.Request) { r.SetBasicAuth(live, "") },
			"KU5 with a low bar": func(r *http.Request) { r.Header["User_Api_Key"] = []string{live} },
		} {
			sc.refused("SC14 "+what, unknown, func(sc *scene) testkit.Answer {
				p := sc.Visitor()
				r := p.Request("GET", path, "")
				set(r)
				return p.Do(r)
			})
		}
		sc.refused("SC14 KU5 as Api-Key", want{status: 403, kind: "invalid_access", reason: "invalid admin API key"}, func(sc *scene) testkit.Answer {
			p := sc.Visitor()
			r := p.Request("GET", path, "")
			r.Header.Set("Api-Key", live)
			r.Header.Set("Api-Username", "alice")
			return p.Do(r)
		})
		sc.refused("SC14 KU5 in the body", want{status: 403, kind: "not_logged_in"}, func(sc *scene) testkit.Answer {
			return post(sc.Visitor(), "/user-api-key/revoke", urlencoded, "user_api_key="+live, "Accept", "application/json")
		})
		sc.row("KU7 CVE-2026-45691 an invalid key beside a session does not turn the token off", func(sc *scene) {
			_, form := sc.consent()
			for _, key := range []string{"", userkeys.NewKey("").Reveal(), revoked.Key.Reveal()} {
				for _, at := range []string{
					"/user-api-key", "/user-api-key/revoke", "/user-api-key/revoke-all",
					"/user-api-key/undo-revoke",
				} {
					before := sc.Keys()
					body := url.Values{"id": {form.Get("id")}}
					sc.check(post(sc.alice, at, urlencoded, body.Encode(), "User-Api-Key", "x"), deadKey)
					r := sc.alice.Request("POST", at, body.Encode())
					r.Header["User-Api-Key"] = []string{key}
					r.Header.Set("Content-Type", urlencoded)
					sc.check(sc.alice.Do(r), deadKey)
					sc.unchanged(before)
				}
			}
		})
		sc.row("KU8 Api-Username changes nothing", func(sc *scene) {
			sc.User("admin", testkit.Admin)
			sc.victim.Call("GET", path, "Api-Username", "admin", "User-Api-Username", "admin").Must(sc.t, 200,
				`"username":"alice"`)
		})
		sc.row("KU10 an expired key", func(sc *scene) {
			app := sc.App("brief", "read").With("expires_in_seconds", "60").Connect(sc.alice)
			app.Call("GET", path).Must(sc.t, 200)
			sc.Clock.Pass(50 * time.Second)
			app.Call("GET", path).Must(sc.t, 200)
			sc.Clock.Pass(10 * time.Second)
			sc.check(app.Call("GET", path), deadKey)
			sc.check(app.Call("POST", "/user-api-key/revoke"), deadKey)
		})
		sc.row("KU14 a prefix of this site works, and is part of the key", func(sc *scene) {
			sc.Set("user_api_key_prefix", "abc")
			app := sc.App("prefixed", "read").Connect(sc.alice)
			sc.Set("user_api_key_prefix", "")
			text := app.Key.Reveal()
			if !strings.HasPrefix(text, "abc_") {
				sc.t.Fatal("no prefix")
			}
			app.Call("GET", path).Must(sc.t, 200)
			sc.check(sc.key(text[4:], "GET", path), deadKey)
			sc.check(sc.key("abd"+text[3:], "GET", path), deadKey)
		})
	})
}

func twoKeys(a, b string) func(*scene) testkit.Answer {
	return func(sc *scene) testkit.Answer {
		p := sc.Visitor()
		r := p.Request("GET", "/session/current.json", "")
		r.Header[userkeys.KeyHeader] = []string{a, b}
		return p.Do(r)
	}
}

// TestUsesAreNoSecurityState checks that a request is served even if its use cannot be written (KU18).
func TestUsesAreNoSecurityState(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		go func() { _ = sc.Run(sc.t.Context()) }() // ends with the test
		sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
		sc.exec("ALTER TABLE userkeys_key_uses RENAME TO gone")
		for end := time.Now().Add(nettest.Patience); !strings.Contains(sc.Log.Since(0),
			"writing last uses"); time.Sleep(20 * time.Millisecond) {
			sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
			if time.Now().After(end) {
				sc.t.Fatal("the site does not log that it cannot write uses")
			}
		}
		sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
		sc.exec("ALTER TABLE gone RENAME TO userkeys_key_uses")
	})
}
