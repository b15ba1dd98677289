package scenario_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// TestNames holds the attacks ID: what an app says of itself, and whose keys it touches.
func TestNames(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("bob")
		bob := sc.Person("bob")
		sc.row("ID1 another user's grant for the same client leaves alice's key alone", func(sc *scene) {
			app := sc.App("victim", "read").With("public_key", testkit.PublicPEM(&otherKey().PublicKey))
			app.Private = otherKey()
			app.Ask(bob).Must(sc.t, 200, "not verified")
			app.Connect(bob)
			app.Call("GET", "/session/current.json").Must(sc.t, 200, `"username":"bob"`)
			sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200, `"username":"alice"`)
		})
		for _, name := range []string{
			`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `{{constructor.constructor('x')()}}`, `${7*7}`,
			`</title><script>`, `<!--`, `&lt;b&gt;`, "`onmouseover=x`", `javascript:alert(1)`, `</bdi></h2><form action=https://evil.example>`,
		} {
			sc.row("ID8 AD5 CVE-2026-53963 a name is text: "+name, func(sc *scene) {
				app := sc.App("named", "read").With("application_name", name, "client_id", "named")
				for _, a := range []testkit.Answer{app.Ask(sc.alice), app.Approve(sc.alice), sc.alice.Get("/my/apps")} {
					a.Must(sc.t, 200)
					if strings.ContainsAny(name, "<") {
						a.MustNot(sc.t, name)
					}
					if csp := a.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
						sc.t.Errorf("policy %q", csp)
					}
					if shown, ok := a.Text("application-name"); ok && shown != name {
						sc.t.Errorf("shown as %q", shown)
					}
				}
			})
		}
		for what, name := range map[string]string{
			"right to left override": "evil\u202ecod.exe", "isolates": "a\u2066b\u2069c", "zero width": "a\u200bb\ufeffc", "marks": "z" + strings.Repeat("\u0301", 50),
		} {
			sc.row("ID10 a name cannot bend the page: "+what, func(sc *scene) {
				shown, _ := sc.App("bent", "read").With("application_name", name).Ask(sc.alice).Must(sc.t, 200).Text("application-name")
				if strings.ContainsAny(shown, "\u202e\u2066\u2069\u200b\ufeff") || strings.Count(shown, "\u0301") > 2 {
					sc.t.Errorf("shown as %q", shown)
				}
			})
		}
		sc.refusedAsk("ID10 a name of 201 characters", malformed.saying("application_name"), sc.ask("application_name", strings.Repeat("\u00e9", 201)))
		sc.refusedAsk("ID10 a name of more than 800 bytes", malformed.saying("application_name"), sc.ask("application_name", strings.Repeat("\U0001f600", 201)))
		sc.refusedAsk("ID12 CVE-2023-40588 a name of 10 000 characters", malformed.saying("application_name"), sc.ask("application_name", strings.Repeat("a", 10000)))
		sc.row("ID15 a long sub-domain does not hide the domain", func(sc *scene) {
			sc.Set("allowed_user_api_auth_redirects", "https://*.evil.net/cb")
			host := "login.bank.example." + strings.Repeat("a.", 20) + "evil.net"
			page := sc.App("spoof", "read").With("auth_redirect", "https://"+host+"/cb").Ask(sc.alice).Must(sc.t, 200, "<strong>evil.net</strong>")
			if shown, _ := page.Text("destination"); shown != "https://"+host {
				sc.t.Errorf("shown as %q", shown)
			}
			if strings.Index(page.Body, "evil.net") > strings.Index(page.Body, "App spoof") {
				sc.t.Error("the claimed name comes before the real origin")
			}
		})
		for header, value := range map[string]string{"another's client": "victim", "201 bytes": strings.Repeat("a", 201), "control bytes": "a\tb", "nothing": ""} {
			sc.row("ID6 User-Api-Client-Id: "+header, func(sc *scene) {
				before := sc.Keys()
				sc.victim.Call("GET", "/session/current.json", "User-Api-Client-Id", value).Must(sc.t, 200, `"username":"alice"`)
				sc.unchanged(before)
			})
		}
		sc.row("ID16 no is no", func(sc *scene) {
			before := sc.Keys()
			page := sc.App("unwanted", "read").Ask(sc.alice)
			a := sc.alice.Submit(page, "/user-api-key/deny").Must(sc.t, 200)
			if a.Header.Get("Location") != "" {
				sc.t.Errorf("the app is told: %v", a.Header)
			}
			own := sc.App("waiting", "read").With("auth_redirect", "http://127.0.0.1:5000/cb?a=1").Ask(sc.alice)
			a = sc.alice.Submit(own, "/user-api-key/deny").Must(sc.t, 302)
			if to := a.Header.Get("Location"); to != "http://127.0.0.1:5000/cb?a=1&error=access_denied" {
				sc.t.Errorf("a program on the user's machine is sent %q", to)
			}
			sc.check(sc.alice.Submit(page, "/user-api-key"), gone)
			sc.check(sc.alice.Submit(page, "/user-api-key/deny"), gone)
			sc.unchanged(before)
		})
		sc.row("ID5 20 parallel grants for one client leave one live key", parallelGrants)
	})
}

func parallelGrants(sc *scene) {
	var forms []url.Values
	for range 20 {
		_, form := sc.consent("client_id", "parallel")
		forms = append(forms, form)
	}
	var wg sync.WaitGroup
	for _, form := range forms {
		wg.Go(func() {
			if a := post(sc.alice, "/user-api-key", urlencoded, form.Encode()); a.StatusCode != 200 {
				sc.t.Errorf("status %d: %.300s", a.StatusCode, a.Body)
			}
		})
	}
	wg.Wait()
	live := 0
	for _, k := range sc.Keys() {
		if k.ClientID == "parallel" && k.Live(sc.Clock.Now()) {
			live++
		}
	}
	if live != 1 {
		sc.t.Errorf("%d live keys", live)
	}
}

// TestGrantForm holds the attacks GR: who may say yes, and how the page is kept from others.
func TestGrantForm(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("bob")
		bob := sc.Person("bob")
		again := sc.Person("alice") // in another browser
		_, form := sc.consent()
		yes := func(p *testkit.Person, change func(url.Values), header ...string) func(*scene) testkit.Answer {
			return func(sc *scene) testkit.Answer {
				f := url.Values{"id": {form.Get("id")}, "authenticity_token": {form.Get("authenticity_token")}}
				change(f)
				return post(p.At(sc.Site), "/user-api-key", urlencoded, f.Encode(), header...)
			}
		}
		same := func(url.Values) {}
		token := func(value string) func(url.Values) {
			return func(f url.Values) { f.Set("authenticity_token", value) }
		}
		right := form.Get("authenticity_token")
		last := string(right[len(right)-1] ^ 1)
		sc.refused("GR2 CVE-2025-24358 the token of another session of the same user", badCSRF, yes(sc.alice, token(sc.tokenOf(again))))
		sc.refused("GR2 the token of another user", badCSRF, yes(sc.alice, token(sc.tokenOf(bob))))
		sc.refused("GR2 the last character changed", badCSRF, yes(sc.alice, token(right[:len(right)-1]+last)))
		sc.refused("GR2 an empty token", badCSRF, yes(sc.alice, token("")))
		sc.refused("GR2 no token", badCSRF, yes(sc.alice, func(f url.Values) { f.Del("authenticity_token") }))
		sc.refused("GR2 a token of 1 MB", tooLarge, yes(sc.alice, token(strings.Repeat("a", 1<<20))))
		sc.refused("GR2 another user's session with their own token", gone, yes(bob, token(sc.tokenOf(bob))))
		sc.refused("GR2 the same user's other session with its own token", gone, yes(again, token(sc.tokenOf(again))))
		sc.refused("GR2 nobody's session", want{status: 403, has: []string{"signed in"}}, yes(sc.Visitor(), same))
		sc.refused("GR2 an id of nobody", gone, yes(sc.alice, func(f url.Values) { f.Set("id", strings.Repeat("A", 43)) }))
		sc.refused("GR2 no id", noID, yes(sc.alice, func(f url.Values) { f.Del("id") }))
		for _, from := range []string{"cross-site", "same-site"} {
			sc.refused("GR3 CVE-2019-1020017 Sec-Fetch-Site "+from, badCSRF, yes(sc.alice, same, "Sec-Fetch-Site", from))
			sc.refused("GR3 the same without Origin: "+from, badCSRF, yes(sc.alice, same, "Sec-Fetch-Site", from, "Origin", ""))
		}
		for _, origin := range []string{"https://evil.example", "null", "http://127.0.0.1:1", "http://sub.localhost"} {
			sc.refused("GR3 an older browser at "+origin, badCSRF, yes(sc.alice, same, "Sec-Fetch-Site", "", "Origin", origin))
		}
		q := url.Values{"id": {form.Get("id")}, "authenticity_token": {right}}.Encode()
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			sc.refused("GR6 CVE-2019-1020018 "+method+" with the form's fields", want{status: 405}, func(sc *scene) testkit.Answer {
				r := sc.alice.Request(method, "/user-api-key?"+q+"&_method=POST", "")
				r.Header.Set("X-HTTP-Method-Override", "POST")
				return sc.alice.Do(r)
			})
		}
		sc.row("GR7 GR8 GR11 GR12 the headers of the pages", pageHeaders)
		sc.row("GR16 a key whose answer was lost is in the list as not used yet, and the next replaces it", func(sc *scene) {
			app := sc.App("lost", "read")
			app.Approve(sc.alice).Must(sc.t, 200)
			first := sc.Keys()[0]
			sc.alice.Get("/my/apps").Must(sc.t, 200, "App lost", "not used yet")
			app.Connect(sc.alice)
			for _, k := range sc.Keys() {
				if k.ID == first.ID {
					sc.t.Error("the lost key is still there")
				}
			}
		})
		sc.row("after all of these the page still grants", func(sc *scene) { yes(sc.alice, same)(sc).Must(sc.t, 200) })
		sc.row("the page to copy from is loaded again", reloadedPayload)
	})
}

// tokenOf is the CSRF token of somebody's session.
func (sc *scene) tokenOf(p *testkit.Person) string {
	sc.t.Helper()
	form, ok := p.Get("/my/apps").Form("/user-api-key/logout")
	if !ok || form.Get("authenticity_token") == "" {
		sc.t.Fatal("the page has no token")
	}
	return form.Get("authenticity_token")
}

// reloadedPayload: whoever loads the page with the answer again sees the same answer, and nothing is made.
func reloadedPayload(sc *scene) {
	app := sc.App("reloaded", "read")
	form, ok := app.Ask(sc.alice).Must(sc.t, 200).Form("/user-api-key")
	if !ok {
		sc.t.Fatal("no form")
	}
	first, _ := sc.alice.Post("/user-api-key", form).Must(sc.t, 200).Text("user-api-key-payload")
	keys := len(sc.Keys())
	again, _ := sc.alice.Post("/user-api-key", form).Must(sc.t, 200, "App reloaded").Text("user-api-key-payload")
	if first == "" || again != first || len(sc.Keys()) != keys {
		sc.t.Errorf("%q, then %q; %d keys, then %d", first, again, keys, len(sc.Keys()))
	}
	sc.User("eve")
	eve := sc.Person("eve")
	eve.Post("/user-api-key", url.Values{"id": form["id"], "authenticity_token": {sc.tokenOf(eve)}}).Must(sc.t, 403, "This request is closed").MustNot(sc.t, first[:40])
	sc.Clock.Pass(11 * time.Minute)
	sc.alice.Post("/user-api-key", form).Must(sc.t, 403, "This request is closed").MustNot(sc.t, first[:40])
}

func pageHeaders(sc *scene) {
	app := sc.App("headers", "read")
	page := app.Ask(sc.alice).Must(sc.t, 200, "data-guard", "page.")
	payload := sc.alice.Submit(page, "/user-api-key").Must(sc.t, 200, "user-api-key-payload")
	if payload.Header.Get("Referrer-Policy") != "no-referrer" {
		sc.t.Errorf("GR12: the payload page has %q", payload.Header.Get("Referrer-Policy"))
	}
	for _, a := range []testkit.Answer{page, payload, sc.alice.Get("/my/apps"), sc.Visitor().Get("/login"), sc.alice.Get("/nothing"), sc.alice.Get("/user-api-key/settings")} {
		for name, value := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != value {
				sc.t.Errorf("%s: %s: %q", a.Request.URL.Path, name, got)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, part) {
				sc.t.Errorf("%s: the policy lacks %s: %q", a.Request.URL.Path, part, csp)
			}
		}
		a.MustNot(sc.t, "unsafe-inline", "onclick=", "<style", "javascript:")
	}
	r := sc.alice.Request("GET", "/my/apps", "")
	r.Header.Set("Range", "bytes=0-9")
	r.Header.Set("If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT")
	sc.alice.Do(r).Must(sc.t, 200) // HT15
}

// TestCookies is GR18 and GR19, behind https.
func TestCookies(t *testing.T) {
	t.Parallel()
	https := func(cfg *wiring.Config) {
		u := *cfg.BaseURL
		u.Scheme = "https"
		cfg.BaseURL = &u
	}
	onSecure := func(sc *scene) {
		sc.User("bob")
		p := sc.Visitor()
		a := p.Login("bob", testkit.Password)
		lines := a.Header.Values("Set-Cookie")
		if len(lines) != 1 || a.StatusCode != http.StatusSeeOther {
			sc.t.Fatalf("status %d, cookies %q", a.StatusCode, lines)
		}
		for _, part := range []string{"__Host-userkeys=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"} {
			if !strings.Contains(lines[0], part) {
				sc.t.Errorf("GR18: %q lacks %q", lines[0], part)
			}
		}
		if strings.Contains(strings.ToLower(lines[0]), "domain") {
			sc.t.Errorf("GR18: %q has a domain", lines[0])
		}
		value, _, _ := strings.Cut(lines[0], ";")
		with := func(cookie string) testkit.Answer {
			r := sc.Visitor().Request("GET", "/session/current.json", "")
			r.Header.Set("Cookie", cookie)
			return sc.Visitor().Do(r)
		}
		with(value).Must(sc.t, 200, `"username":"bob"`)
		sc.check(with(value+"; __Host-userkeys="+strings.Repeat("A", 43)), unknown)    // GR19
		sc.check(with("__Host-userkeys="+strings.Repeat("A", 43)+"; "+value), unknown) // GR19
		sc.check(with(strings.Replace(value, "__Host-", "", 1)), unknown)
		if a := with(value + strings.Repeat("; a=b", 3001)); a.StatusCode != 404 && a.StatusCode != 200 && a.StatusCode/100 != 4 {
			sc.t.Errorf("GR19: 3 001 cookies: %d", a.StatusCode)
		}
		if a.Header.Get("Strict-Transport-Security") == "" {
			sc.t.Error("no Strict-Transport-Security behind https")
		}
	}
	for name, open := range eachStore {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, st := open(t)
			onSecure(&scene{Site: testkit.NewSite(t, st, https), t: t, db: db})
		})
	}
}
