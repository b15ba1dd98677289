package scenario_test

// Granting a key: by hand, on the user's own page.

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/site"
)

const byHand = "/my/apps/new"

// makeByHand fills in the form, with the boxes of the scopes ticked, and sends it.
func makeByHand(sc *scene, p *testkit.Person, name string, scopes ...string) testkit.Answer {
	sc.t.Helper()
	changes := []string{"name", name, "days", "30"}
	form, ok := p.Get(byHand).Must(sc.t, http.StatusOK).Form(byHand)
	if !ok {
		sc.t.Fatal("the page has no form")
	}
	for field := range form {
		if strings.HasPrefix(field, "allow_") {
			form.Del(field)
		}
	}
	for _, s := range scopes {
		changes = append(changes, "allow_"+s, "1")
	}
	for i := 0; i+1 < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return p.Post(byHand, form)
}

// madeByHand is makeByHand for a key that is made, as an app that has it.
func madeByHand(sc *scene, p *testkit.Person, name string, scopes ...string) *testkit.App {
	sc.t.Helper()
	a := makeByHand(sc, p, name, scopes...).Must(sc.t, http.StatusOK, "shown only this once")
	text, ok := a.Text("user-api-key-payload")
	if !ok || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Frame-Options") != "DENY" {
		sc.t.Fatalf("no key, or one that can be kept or framed: %v", a.Header)
	}
	app := sc.App("by hand", "read")
	app.Key = userkeys.Key(text)
	return app
}

// TestKeyMadeByHand makes a key on the user's page, uses it, and finds it in the list.
func TestKeyMadeByHand(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Set("allow_user_api_key_scopes", "read|write|session_info|notifications|push|one_time_password")
		sc.refused("GR20 off as it ships", want{status: 403, has: []string{"allow_user_api_keys_by_hand"}}, func(sc *scene) testkit.Answer {
			return sc.alice.Get(byHand)
		})
		sc.alice.Get("/my/apps").MustNot(sc.t, byHand)
		sc.Set("allow_user_api_keys_by_hand", "true")
		sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, `href="/my/apps/new"`)
		sc.alice.Get(byHand).Must(sc.t, http.StatusOK, "allow_write", `<option value="90" selected>90 days`, `<option value="365">`).
			MustNot(sc.t, " checked", "allow_push", "allow_one_time_password")
		app := madeByHand(sc, sc.alice, "nightly <backup>", "session_info", "read")
		app.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
		k := sc.Keys()[0]
		if !k.ByHand() || k.PublicKey != "" || k.PushURL != "" || k.Scopes.String() != "session_info,read" || !k.ExpiresAt.Equal(k.CreatedAt.AddDate(0, 0, 30)) {
			sc.t.Errorf("%+v", k)
		}
		sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, "nightly &lt;backup&gt;", ">made by hand<").MustNot(sc.t, app.Key.Reveal())
		events, err := sc.Store.AuditEvents(sc.t.Context(), site.AuditFilter{Limit: 1})
		if err != nil || events[0].Action != "key made by hand" || events[0].KeyID != k.ID || events[0].Caller.Kind() != site.CallerUser {
			sc.t.Errorf("the log says %+v, %v", events, err)
		}
		sc.row("the line to try it is whole", func(sc *scene) {
			a := makeByHand(sc, sc.alice, "line", "read").Must(sc.t, http.StatusOK)
			line, _ := a.Text("try")
			key, _ := a.Text("user-api-key-payload")
			if line != "curl -H 'User-Api-Key: "+key+"' "+sc.URL+"/session/current.json" {
				sc.t.Errorf("the page says %s", line)
			}
		})
		sc.row("GR21 the page shows the key once: loaded again it shows and makes none", func(sc *scene) {
			form, _ := sc.alice.Get(byHand).Form(byHand)
			form.Set("name", "once")
			form.Set("days", "1")
			form.Set("allow_read", "1")
			sc.alice.Post(byHand, form).Must(sc.t, http.StatusOK, "shown only this once")
			before := sc.Keys()
			sc.alice.Post(byHand, form).Must(sc.t, http.StatusConflict, "sent already", `">To the start page`).MustNot(sc.t, "user-api-key-payload")
			sc.unchanged(before)
		})
		sc.row("it is revoked and restored as any other", func(sc *scene) {
			sc.manage(sc.alice, "revoke", sprint("%d", k.ID))
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
			sc.manage(sc.alice, "undo-revoke", sprint("%d", k.ID))
			app.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK)
		})
		sc.row("it is neither renewed nor moved to an app", func(sc *scene) {
			app.Call("POST", "/user-api-key/renew").Must(sc.t, http.StatusConflict, "made by hand")
			app.Call("GET", "/session/current.json", "User-Api-Client-Id", "other").Must(sc.t, http.StatusOK)
			if got, err := sc.Store.Key(sc.t.Context(), k.ID); err != nil || got.ClientID != k.ClientID {
				sc.t.Errorf("%+v, %v", got, err)
			}
		})
		if log := sc.Log.String(); strings.Contains(log, app.Key.Reveal()) {
			sc.t.Error("LK1 the key is in the log")
		}
	})
}

// TestKeyByHandIsRefused tries what must make no key.
func TestKeyByHandIsRefused(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.Set("allow_user_api_keys_by_hand", "true")
		sc.Set("allow_user_api_key_scopes", "read|write|push|one_time_password|session_info")
		filled := func(change ...string) url.Values {
			form, _ := sc.alice.Get(byHand).Form(byHand)
			for _, s := range []string{"write", "session_info"} {
				form.Del("allow_" + s)
			}
			form.Set("name", "x")
			form.Set("days", "30")
			form.Set("allow_read", "1")
			for i := 0; i+1 < len(change); i += 2 {
				form.Set(change[i], change[i+1])
			}
			return form
		}
		for name, change := range map[string][]string{
			"an end at once":              {"days", "0"},
			"no end":                      {"days", ""},
			"an end too late":             {"days", "366"},
			"an end in the past":          {"days", "-1"},
			"no name":                     {"name", " "},
			"a name that is no text":      {"name", "a\u0007b"},
			"a long name":                 {"name", strings.Repeat("x", 201)},
			"a scope that signs in":       {"allow_one_time_password", "1"},
			"a scope that pushes":         {"allow_push", "1"},
			"a scope that is not allowed": {"allow_notifications", "1"},
		} {
			sc.refused("GR22 "+name, want{status: 400}, func(sc *scene) testkit.Answer {
				return sc.alice.At(sc.Site).Post(byHand, filled(change...))
			})
		}
		sc.refused("GR22 nothing that it may", want{status: 400, has: []string{"at least one"}}, func(sc *scene) testkit.Answer {
			form := filled()
			form.Del("allow_read")
			return sc.alice.At(sc.Site).Post(byHand, form)
		})
		sc.refused("GR6 by GET", want{status: 200, hasNot: []string{"user-api-key-payload"}}, func(sc *scene) testkit.Answer {
			return sc.alice.At(sc.Site).Get(byHand + "?" + filled().Encode())
		})
		for _, from := range []string{"cross-site", "same-site"} {
			sc.refused("GR3 from "+from, badCSRF, func(sc *scene) testkit.Answer {
				return post(sc.alice.At(sc.Site), byHand, urlencoded, filled().Encode(), "Sec-Fetch-Site", from)
			})
		}
		sc.refused("GR2 without the token", badCSRF, func(sc *scene) testkit.Answer {
			return sc.alice.At(sc.Site).Post(byHand, filled("authenticity_token", ""))
		})
		sc.refused("GR21 without the form's own token", want{status: 400}, func(sc *scene) testkit.Answer {
			return sc.alice.At(sc.Site).Post(byHand, filled("form", ""))
		})
		writer := sc.App("writer", "read,write").Connect(sc.alice)
		for _, method := range []string{"GET", "POST"} {
			sc.refused("SC15 a key makes none: "+method, notForKeys, func(sc *scene) testkit.Answer {
				return writer.At(sc.Site).Call(method, byHand, "Cookie", sc.cookie(sc.alice))
			})
			sc.refused("SC15 an admin API key makes none: "+method, want{status: 403, reason: "not for admin API keys"}, func(sc *scene) testkit.Answer {
				return sc.Program("").As("alice").Call(method, byHand, "")
			})
		}
		sc.refused("GR23 an app that takes the client_id of a key by hand", want{status: 400, has: []string{"by hand"}}, func(sc *scene) testkit.Answer {
			return sc.App("by-hand:"+strings.Repeat("A", 26), "read").Ask(sc.alice)
		})
		sc.row("SC15 a session of an app makes none", func(sc *scene) {
			password := sc.askOneTime(sc.App("phone", "read"), "discourse://auth_redirect")
			guest := sc.Visitor()
			guest.Submit(guest.Get("/session/otp/"+password), "/session/otp/"+password).Must(sc.t, http.StatusFound)
			guest.Get("/my/apps").Must(sc.t, http.StatusOK).MustNot(sc.t, byHand)
			guest.Get(byHand).Must(sc.t, http.StatusForbidden, "signed in by the app")
			before := sc.Keys()
			guest.Post(byHand, filled("authenticity_token", sc.tokenOf(guest))).Must(sc.t, http.StatusForbidden, "signed in by the app")
			sc.unchanged(before)
		})
		sc.row("GR24 a sign-in that is too old", func(sc *scene) {
			form := filled()
			before := sc.Keys()
			sc.Clock.Pass(15*time.Minute + time.Second)
			sc.alice.Post(byHand, form).Must(sc.t, http.StatusForbidden, "<p>Sign in again to do this").MustNot(sc.t, "view the requested resource")
			page := sc.alice.Get(byHand).Must(sc.t, http.StatusOK, "Sign in again").MustNot(sc.t, `action="/my/apps/new"`)
			if !strings.Contains(html.UnescapeString(page.Body), "again=1") {
				sc.t.Error("the page leads to no sign-in")
			}
			sc.unchanged(before)
		})
	})
}

// TestKeysByHandAreCounted holds keys made by hand to the limits of users.
func TestKeysByHandAreCounted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Set("allow_user_api_keys_by_hand", "true")
		sc.row("who may is a setting", func(sc *scene) {
			sc.Set("min_trust_level_for_user_api_keys_by_hand", "3")
			sc.alice.Get(byHand).Must(sc.t, http.StatusForbidden, "trust level is too low")
			sc.alice.Get("/my/apps").MustNot(sc.t, byHand)
			sc.App("asks", "read").Connect(sc.alice) // an app may still ask
			sc.Set("min_trust_level_for_user_api_keys_by_hand", "0")
			sc.Set("user_api_key_allowed_groups", "trust_level_3")
			sc.alice.Get(byHand).Must(sc.t, http.StatusForbidden, "trust level is too low")
			sc.Set("user_api_key_allowed_groups", "trust_level_0")
			sc.Set("allow_user_api_keys", "false")
			sc.alice.Get(byHand).Must(sc.t, http.StatusForbidden, "turned them off")
			sc.Set("allow_user_api_keys", "true")
		})
		sc.row("the lifetime is the site's at most, and there is always one", func(sc *scene) {
			sc.Set("max_user_api_key_expiry_days", "20")
			sc.alice.Get(byHand).Must(sc.t, http.StatusOK, `<option value="20" selected>`).MustNot(sc.t, `value="30"`)
			sc.Set("max_user_api_key_expiry_days", "0")
			sc.alice.Get(byHand).Must(sc.t, http.StatusOK, `<option value="90" selected>`).MustNot(sc.t, `value="365"`)
			sc.Set("max_user_api_key_expiry_days", "365")
		})
		sc.Clock.Pass(2 * time.Hour)
		sc.alice = sc.Person("alice")
		sc.row("GR25 the hour's limit counts both kinds", func(sc *scene) {
			sc.Set("max_user_api_key_grants_per_hour", "2")
			madeByHand(sc, sc.alice, "first", "read")
			sc.App("second", "read").Connect(sc.alice)
			makeByHand(sc, sc.alice, "third", "read").Must(sc.t, http.StatusTooManyRequests)
			sc.App("fourth", "read").Approve(sc.alice).Must(sc.t, http.StatusTooManyRequests)
			sc.Set("max_user_api_key_grants_per_hour", "10000")
		})
		sc.row("GR25 the limit of live keys counts both kinds", func(sc *scene) {
			sc.Set("max_user_api_keys_per_user", sprint("%d", len(sc.Keys())))
			makeByHand(sc, sc.alice, "one more", "read").Must(sc.t, http.StatusConflict, "live keys")
			sc.Set("max_user_api_keys_per_user", "100")
		})
		sc.row("GR25 twenty live ones, also made at once, and when a revocation is undone", func(sc *scene) {
			var at sync.WaitGroup
			for range 26 {
				form, _ := sc.alice.Get(byHand).Form(byHand)
				form.Set("name", "many")
				form.Set("days", "1")
				form.Set("allow_read", "1")
				at.Go(func() { sc.alice.Post(byHand, form) })
			}
			at.Wait()
			live := func() (n int, one site.UserAPIKey) {
				for _, k := range sc.Keys() {
					if k.ByHand() && k.Live(sc.Clock.Now()) {
						n, one = n+1, k
					}
				}
				return n, one
			}
			n, one := live()
			if n != site.MaxKeysByHand {
				sc.t.Fatalf("%d keys made by hand", n)
			}
			sc.manage(sc.alice, "revoke", sprint("%d", one.ID))
			madeByHand(sc, sc.alice, "in its place", "read")
			sc.manage(sc.alice, "undo-revoke", sprint("%d", one.ID)).Must(sc.t, http.StatusConflict, "made by hand")
			if n, _ := live(); n != site.MaxKeysByHand {
				sc.t.Errorf("%d keys made by hand", n)
			}
		})
	})
}
