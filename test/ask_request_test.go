package scenario_test

// Asking for a key: the parameters of a request, what an app says of itself in them, and text that databases or
// drivers stumble over. Groups RQ, ID and DB of docs/attacks.md.

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
)

// TestRequestParameters tries the attacks RQ on the request for a key.
func TestRequestParameters(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.refusedAsk("RQ1 CVE-2026-9689 the same parameter twice", malformed.saying("duplicate parameter scopes"),
			sc.ask()+"&scopes=write")
		sc.refusedAsk("RQ1 the same parameter twice alike", malformed.saying("duplicate parameter nonce"),
			sc.ask("nonce", "x")+"&nonce=x")
		sc.refusedAsk("RQ3 CVE-2026-0976 semicolon in a list", malformed, sc.ask("scopes", absent)+"&scopes=read;write")
		sc.refusedAsk("RQ3 semicolon before a parameter", malformed, sc.ask("nonce", absent)+"&a=1;nonce=x")
		sc.refusedAsk("RQ4 broken percent-encoding is not a missing nonce",
			malformed.saying("percent-encoding of parameter nonce").notSaying("missing"), sc.ask("nonce", absent)+"&nonce=%zz")
		sc.refusedAsk("RQ5 an encoded name means the same", pageRefusal.saying("does not allow the scope write"),
			sc.ask("scopes", absent)+"&%73copes=write")
		sc.refusedAsk("RQ5 an encoded name counts as a duplicate", malformed.saying("duplicate parameter scopes"),
			sc.ask()+"&%73copes=write")
		for _, name := range []string{"scopes[]", "scopes[a]", "scopes%5B%5D", "nonce[]", "client_id[x]"} {
			sc.refusedAsk("RQ6 an array as "+name, malformed.saying("one value and no list"), sc.ask()+"&"+name+"=read")
		}
		sc.refusedAsk("RQ7 CVE-2025-61726 10 001 parameters", malformed, sc.ask()+strings.Repeat("&a", 10001))
		blanks := map[string]string{
			"missing": absent, "empty": "", "spaces": "   ", "no-break space": "\u00a0",
			"zero width space": "\u200b",
		}
		for what, value := range blanks {
			for _, name := range []string{"nonce", "scopes", "client_id", "public_key", "application_name"} {
				sc.refusedAsk("RQ9 "+name+" "+what, missing.saying(name), sc.ask(name, value))
			}
		}
		order := []string{"nonce", "scopes", "client_id", "public_key", "application_name"}
		for i, first := range order {
			var without []string
			for _, name := range order[i:] {
				without = append(without, name, absent)
			}
			sc.refusedAsk("RQ9 the first that is missing is named: "+first, missing.saying("empty: "+first), sc.ask(without...))
		}
		texts := []string{"nonce", "scopes", "client_id", "public_key", "application_name", "auth_redirect", "push_url"}
		for _, name := range texts {
			sc.refusedAsk("RQ10 invalid UTF-8 in "+name, malformed, sc.ask(name, absent)+"&"+name+"=x%ffy")
			sc.refusedAsk("RQ11 NUL in "+name, malformed, sc.ask(name, absent)+"&"+name+"=x%00y")
			for _, c := range []string{"\x01", "\x1b", "\x85", "\u2028", "\u2029", "\r"} {
				if name == "public_key" && c != "\x01" && c != "\x1b" { // has line ends; see TestPublicKeys
					continue
				}
				sc.refusedAsk(sprint("RQ12 %+q in %s", c, name), malformed, sc.ask(name, "https://x"+c+"y"))
			}
		}
		sc.refusedAsk("RQ12 line end inside client_id", malformed, sc.ask("client_id", "a\nb"))
		for _, end := range []string{"\n", "\r\n", "\r"} {
			sc.row(sprint("RQ12 one final %q of client_id is kept", end), func(sc *scene) {
				sc.App("laptop"+end, "read").With("nonce", "n", "application_name", "Laptop").Connect(sc.alice)
				if k := sc.Keys()[0]; k.ClientID != "laptop"+end {
					sc.t.Errorf("client_id %q", k.ClientID)
				}
			})
		}
		for _, value := range []string{
			"abc", "-1", "0", "1.5", "1e3", "0x10", " 60", "+60", "\u0666\u0660", "99999999999",
			strings.Repeat("9", 1000),
		} {
			sc.refusedAsk(sprint("RQ23 expires_in_seconds %.20q", value), pageRefusal.saying("expires_in_seconds"),
				sc.ask("expires_in_seconds", value))
		}
		for _, value := range []string{"OAEP", "oaep ", "none", "pkcs1v15", "oaep-512"} {
			sc.refusedAsk(sprint("RQ24 padding %q", value), malformed, sc.ask("padding", value))
		}
	})
}

// TestDatabaseInput sends text that databases or drivers could misread (DB).
func TestDatabaseInput(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		for _, text := range []string{
			`'; DROP TABLE userkeys_keys; --`, `$1`, `?`, `$$`, `\`, `:name`, `%s`, `" OR 1=1`,
			`E'\x00'`,
		} {
			sc.row("DB2 CVE-2024-27304 kept as it is: "+text, func(sc *scene) {
				sc.App(text, "read").With("application_name", text, "nonce", text).Connect(sc.alice)
				if k := sc.Keys()[0]; k.ClientID != text || k.ApplicationName != text {
					sc.t.Errorf("kept %q and %q", k.ClientID, k.ApplicationName)
				}
				sc.alice.Get("/my/apps").Must(sc.t, 200)
			})
		}
		for name, max := range map[string]int{
			"nonce": 500, "client_id": 200, "application_name": 200, "auth_redirect": 2000,
			"push_url": 2000, "scopes": 500, "public_key": 4096,
		} {
			sc.refusedAsk("DB3 ID12 CVE-2023-40588 too long: "+name, malformed.saying(name),
				sc.ask(name, strings.Repeat("a", max+1)))
			sc.refusedAsk("DB3 10 KB in "+name, malformed.saying(name), sc.ask(name, strings.Repeat("a", 10<<10)))
		}
		sc.refusedAsk("RD44 auth_redirect of 2 001 bytes", malformed,
			sc.ask("auth_redirect", "https://app.example/"+strings.Repeat("a", 1981)))
		sc.refusedAsk("DB1 overlong UTF-8", malformed, sc.ask("client_id", absent)+"&client_id=%c0%ae")
		sc.refusedAsk("DB1 a surrogate", malformed, sc.ask("client_id", absent)+"&client_id=%ed%a0%80")
		sc.row("ID4 DB4 client ids are compared as bytes", func(sc *scene) {
			ids := []string{"Abc", "abc", "caf\u00e9", "cafe\u0301"}
			apps := make([]*testkit.App, len(ids))
			for i, id := range ids {
				apps[i] = sc.App(id, "read").Connect(sc.alice)
			}
			seen := map[string]bool{}
			for i, a := range apps {
				a.Call("GET", "/session/current.json").Must(sc.t, 200)
				seen[ids[i]] = true
			}
			for _, k := range sc.Keys() {
				delete(seen, k.ClientID)
			}
			if len(seen) > 0 {
				sc.t.Errorf("no key for %v", seen)
			}
		})
		sc.row("DB4 user names are one whatever their case", func(sc *scene) {
			if u, err := sc.Identity.FindUser(sc.t.Context(), "ALICE"); err != nil || u.Username != "alice" {
				sc.t.Errorf("%+v, %v", u, err)
			}
		})
		sc.row("DB8 a refusal of the store is never an internal error", func(sc *scene) {
			sc.Set("max_user_api_keys_per_user", "1")
			defer sc.Set("max_user_api_keys_per_user", "100")
			sc.check(sc.App("one too many", "read").Approve(sc.alice), want{status: userkeys.Conflict.Status()})
		})
	})
}

// TestNames tries the attacks ID: false or hostile names, and client ids of others.
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
					if csp := a.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp,
						"default-src 'none'") {
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
				shown, _ := sc.App("bent", "read").With("application_name", name).Ask(sc.alice).Must(sc.t,
					200).Text("application-name")
				if strings.ContainsAny(shown, "\u202e\u2066\u2069\u200b\ufeff") || strings.Count(shown, "\u0301") > 2 {
					sc.t.Errorf("shown as %q", shown)
				}
			})
		}
		sc.refusedAsk("ID10 a name of 201 characters", malformed.saying("application_name"),
			sc.ask("application_name", strings.Repeat("\u00e9", 201)))
		sc.refusedAsk("ID10 a name of more than 800 bytes", malformed.saying("application_name"),
			sc.ask("application_name", strings.Repeat("\U0001f600", 201)))
		sc.refusedAsk("ID12 CVE-2023-40588 a name of 10 000 characters", malformed.saying("application_name"),
			sc.ask("application_name", strings.Repeat("a", 10000)))
		sc.row("ID15 a long sub-domain does not hide the domain", func(sc *scene) {
			sc.Set("allowed_user_api_auth_redirects", "https://*.evil.net/cb")
			host := "login.bank.example." + strings.Repeat("a.", 20) + "evil.net"
			page := sc.App("spoof", "read").With("auth_redirect", "https://"+host+"/cb").Ask(sc.alice).Must(sc.t, 200,
				"<strong>evil.net</strong>")
			if shown, _ := page.Text("destination"); shown != "https://"+host {
				sc.t.Errorf("shown as %q", shown)
			}
			if strings.Index(page.Body, "evil.net") > strings.Index(page.Body, "App spoof") {
				sc.t.Error("the claimed name comes before the real origin")
			}
		})
		for header, value := range map[string]string{
			"another's client": "victim", "201 bytes": strings.Repeat("a", 201),
			"control bytes": "a\tb", "nothing": "",
		} {
			sc.row("ID6 User-Api-Client-Id: "+header, func(sc *scene) {
				before := sc.Keys()
				sc.victim.Call("GET", "/session/current.json", "User-Api-Client-Id", value).Must(sc.t, 200, `"username":"alice"`)
				sc.unchanged(before)
			})
		}
		sc.row("ID16 no is no", func(sc *scene) {
			before := sc.Keys()
			page := sc.App("unwanted", "read").Ask(sc.alice)
			a := sc.alice.Submit(page, "/user-api-key/deny").Must(sc.t, 303)
			if a.Header.Get("Location") != "/user-api-key/denied" {
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
