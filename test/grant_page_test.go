package scenario_test

// Granting a key: the page and its form, from whom it is accepted, and its cookies. Group GR of docs/attacks.md.

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
)

// TestGrantBody sends forms that grant in types, encodings and sizes that are not accepted.
func TestGrantBody(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		_, form := sc.consent()
		id, token := form.Get("id"), form.Get("authenticity_token")
		body := form.Encode()
		posts := func(path, kind, body string, header ...string) func(*scene) testkit.Answer {
			return func(sc *scene) testkit.Answer { return post(sc.alice, path, kind, body, header...) }
		}
		onlyToken := url.Values{"authenticity_token": {token}}.Encode()
		sc.refused("RQ2 a consent id in the query does not count", noID, posts("/user-api-key?id="+id, urlencoded, onlyToken))
		sc.refused("RQ2 a token in the query does not count", badCSRF,
			posts("/user-api-key?authenticity_token="+token, urlencoded, "id="+id))
		sc.refused("RQ1 a field twice", malformed, posts("/user-api-key", urlencoded, body+"&id=x"))
		sc.refused("RQ3 a semicolon", malformed, posts("/user-api-key", urlencoded, body+";scopes=write"))
		sc.refused("RQ4 broken percent-encoding", malformed, posts("/user-api-key", urlencoded, body+"&a=%zz"))
		sc.refused("RQ10 invalid UTF-8", malformed, posts("/user-api-key", urlencoded, body+"&a=%ff"))
		sc.refused("RQ11 NUL", malformed, posts("/user-api-key", urlencoded, body+"&a=%00"))
		sc.refused("RQ13 a body of 64 KB and one byte", tooLarge,
			posts("/user-api-key", urlencoded, body+"&a="+strings.Repeat("a", 64<<10-len(body)-2)))
		sc.refused("RQ14 multipart of 1 000 parts and 1 MB", tooLarge, sc.multipart(id, token, 1000, 1<<20))
		sc.refused("RQ14 multipart", wrongMedia, sc.multipart(id, token, 3, 100))
		sc.refused("RQ15 text/plain", wrongMedia, posts("/user-api-key", "text/plain", body))
		sc.refused("RQ15 no type", wrongMedia, posts("/user-api-key", "", body))
		sc.refused("RQ15 a type that is none", wrongMedia,
			posts("/user-api-key", "application/x-www-form-urlencoded; =", body))
		for what, json := range map[string]string{
			"RQ6 an array in JSON":                 `{"id":["` + id + `"]}`,
			"RQ6 an object in JSON":                `{"id":{"a":"` + id + `"}}`,
			"RQ16 a name twice in JSON":            `{"id":"x","id":"` + id + `"}`,
			"RQ16 a name twice, once escaped":      `{"id":"x","\u0069d":"` + id + `"}`,
			"RQ16 a name twice, once null":         `{"id":null,"id":"` + id + `"}`,
			"RQ18 a second document after JSON":    `{"id":"` + id + `"}{"id":"x"}`,
			"RQ18 JSON that is a text":             `"` + id + `"`,
			"RQ18 10 000 nested arrays":            `{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`,
			"RQ18 JSON that ends early":            `{"id":"` + id + `"`,
			"RQ11 NUL in JSON":                     `{"id":"` + id + `\u0000"}`,
			"RQ10 invalid UTF-8 in JSON":           "{\"id\":\"" + id + "\",\"a\":\"\xff\"}",
			"DB1 half of a surrogate pair in JSON": `{"id":"` + id + `","a":"\ud800"}`,
		} {
			sc.refused(what, malformed, posts("/user-api-key", "application/json", json, "X-CSRF-Token", token, "Accept",
				"application/json"))
		}
		sc.refused("RQ17 a name in another case in JSON", missing,
			posts("/user-api-key", "application/json", `{"Id":"`+id+`"}`, "X-CSRF-Token", token, "Accept", "application/json"))
		// After all of these the question is still open: refusals consume nothing.
		sc.row("RQ20 CVE-2026-9689 only the stored request counts", func(sc *scene) {
			changed := url.Values{
				"id": {id}, "authenticity_token": {token}, "scopes": {"write"}, "client_id": {"victim"}, "application_name": {"Bank"},
				"auth_redirect": {"https://evil.example/"}, "public_key": {"x"}, "nonce": {"x"}, "expires_in_seconds": {"1"},
			}
			a := post(sc.alice, "/user-api-key?scopes=write&client_id=victim", urlencoded, changed.Encode()).Must(sc.t,
				http.StatusOK)
			if a.Header.Get("Location") != "" {
				sc.t.Error("the answer goes to an address that nobody was shown")
			}
			k := sc.Keys()[0]
			if k.Scopes.String() != "read" || k.ClientID != "attacker" || k.ApplicationName != "App attacker" || !k.ExpiresAt.IsZero() {
				sc.t.Errorf("granted %+v", k)
			}
		})
		sc.row("RQ21 the same answer again makes nothing", func(sc *scene) {
			before := sc.Keys()
			post(sc.alice, "/user-api-key", urlencoded, body).Must(sc.t, http.StatusOK, "Copy this to the app")
			sc.unchanged(before)
		})
		sc.row("RQ21 ID5 the same answer 32 times at once", manyYes)
	})
}

// multipart posts the right fields as a multipart body.
func (sc *scene) multipart(id, token string, parts, size int) func(*scene) testkit.Answer {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.WriteField("id", id) // to memory, as all below
	_ = w.WriteField("authenticity_token", token)
	for range parts {
		f, err := w.CreateFormFile("f", "f.bin")
		if err != nil {
			sc.t.Fatal(err)
		}
		_, _ = f.Write(make([]byte, size/parts))
	}
	_ = w.Close()
	return func(sc *scene) testkit.Answer {
		r := sc.alice.Request("POST", "/user-api-key", body.String())
		r.Header.Set("Content-Type", w.FormDataContentType())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("X-CSRF-Token", token)
		return sc.alice.Do(r)
	}
}

func manyYes(sc *scene) {
	_, form := sc.consent("client_id", "impatient")
	answers := make([]testkit.Answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = post(sc.alice, "/user-api-key.json", urlencoded, form.Encode())
		})
	}
	wg.Wait()
	payloads := map[string]bool{}
	for _, a := range answers {
		var yes struct{ Payload string }
		switch {
		case a.StatusCode == http.StatusOK && json.Unmarshal([]byte(a.Body), &yes) == nil && yes.Payload != "":
			payloads[yes.Payload] = true
		default:
			sc.t.Errorf("%d %s", a.StatusCode, a.Body)
		}
	}
	live := 0
	for _, k := range sc.Keys() {
		if k.ClientID == "impatient" && k.Live(sc.Clock.Now()) {
			live++
		}
	}
	if len(payloads) != 1 || live != 1 {
		sc.t.Errorf("%d different answers, %d keys are live", len(payloads), live)
	}
}

// TestGrantForm tries the attacks GR: forms of other sites, sessions and users, and pages in frames and caches.
func TestGrantForm(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
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
		sc.refused("GR2 CVE-2025-24358 the token of another session of the same user", badCSRF,
			yes(sc.alice, token(sc.tokenOf(again))))
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

// reloadedPayload loads the page with the payload again: it is the same payload, and no key is made.
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
	eve.Post("/user-api-key", url.Values{"id": form["id"], "authenticity_token": {sc.tokenOf(eve)}}).Must(sc.t, 403,
		"This request is closed").MustNot(sc.t, first[:40])
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
	for _, a := range []testkit.Answer{
		page, payload, sc.alice.Get("/my/apps"), sc.Visitor().Get("/login"),
		sc.alice.Get("/nothing"), sc.alice.Get("/user-api-key/settings"),
	} {
		for name, value := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != value {
				sc.t.Errorf("%s: %s: %q", a.Request.URL.Path, name, got)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		for _, part := range []string{
			"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'self'",
		} {
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

// TestCookies checks the session cookie of a site with https (GR18, GR19).
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
		if a := with(value + strings.Repeat("; a=b",
			3001)); a.StatusCode != 404 && a.StatusCode != 200 && a.StatusCode/100 != 4 {
			sc.t.Errorf("GR19: 3 001 cookies: %d", a.StatusCode)
		}
		if a.Header.Get("Strict-Transport-Security") == "" {
			sc.t.Error("no Strict-Transport-Security behind https")
		}
	}
	onSecure(&scene{Site: testkit.NewSite(t, dbtest.SQLite(t), https), t: t})
}
