package scenario_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
)

// TestRequestParameters puts the attacks RQ on the request for a key to a whole site.
func TestRequestParameters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.refusedAsk("RQ1 CVE-2026-9689 the same parameter twice", malformed.saying("duplicate parameter scopes"), sc.ask()+"&scopes=write")
		sc.refusedAsk("RQ1 the same parameter twice alike", malformed.saying("duplicate parameter nonce"), sc.ask("nonce", "x")+"&nonce=x")
		sc.refusedAsk("RQ3 CVE-2026-0976 semicolon in a list", malformed, sc.ask("scopes", absent)+"&scopes=read;write")
		sc.refusedAsk("RQ3 semicolon before a parameter", malformed, sc.ask("nonce", absent)+"&a=1;nonce=x")
		sc.refusedAsk("RQ4 broken percent-encoding is not a missing nonce", malformed.saying("percent-encoding of parameter nonce").notSaying("missing"), sc.ask("nonce", absent)+"&nonce=%zz")
		sc.refusedAsk("RQ5 an encoded name means the same", pageRefusal.saying("does not allow the scope write"), sc.ask("scopes", absent)+"&%73copes=write")
		sc.refusedAsk("RQ5 an encoded name counts as a duplicate", malformed.saying("duplicate parameter scopes"), sc.ask()+"&%73copes=write")
		for _, name := range []string{"scopes[]", "scopes[a]", "scopes%5B%5D", "nonce[]", "client_id[x]"} {
			sc.refusedAsk("RQ6 an array as "+name, malformed.saying("one value and no list"), sc.ask()+"&"+name+"=read")
		}
		sc.refusedAsk("RQ7 CVE-2025-61726 10 001 parameters", malformed, sc.ask()+strings.Repeat("&a", 10001))
		blanks := map[string]string{"missing": absent, "empty": "", "spaces": "   ", "no-break space": "\u00a0", "zero width space": "\u200b"}
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
		for _, value := range []string{"abc", "-1", "0", "1.5", "1e3", "0x10", " 60", "+60", "\u0666\u0660", "99999999999", strings.Repeat("9", 1000)} {
			sc.refusedAsk(sprint("RQ23 expires_in_seconds %.20q", value), pageRefusal.saying("expires_in_seconds"), sc.ask("expires_in_seconds", value))
		}
		for _, value := range []string{"OAEP", "oaep ", "none", "pkcs1v15", "oaep-512"} {
			sc.refusedAsk(sprint("RQ24 padding %q", value), malformed, sc.ask("padding", value))
		}
	})
}

// TestGrantBody holds what the form that grants may be.
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
		sc.refused("RQ2 a token in the query does not count", badCSRF, posts("/user-api-key?authenticity_token="+token, urlencoded, "id="+id))
		sc.refused("RQ1 a field twice", malformed, posts("/user-api-key", urlencoded, body+"&id=x"))
		sc.refused("RQ3 a semicolon", malformed, posts("/user-api-key", urlencoded, body+";scopes=write"))
		sc.refused("RQ4 broken percent-encoding", malformed, posts("/user-api-key", urlencoded, body+"&a=%zz"))
		sc.refused("RQ10 invalid UTF-8", malformed, posts("/user-api-key", urlencoded, body+"&a=%ff"))
		sc.refused("RQ11 NUL", malformed, posts("/user-api-key", urlencoded, body+"&a=%00"))
		sc.refused("RQ13 a body of 64 KB and one byte", tooLarge, posts("/user-api-key", urlencoded, body+"&a="+strings.Repeat("a", 64<<10-len(body)-2)))
		sc.refused("RQ14 multipart of 1 000 parts and 1 MB", tooLarge, sc.multipart(id, token, 1000, 1<<20))
		sc.refused("RQ14 multipart", wrongMedia, sc.multipart(id, token, 3, 100))
		sc.refused("RQ15 text/plain", wrongMedia, posts("/user-api-key", "text/plain", body))
		sc.refused("RQ15 no type", wrongMedia, posts("/user-api-key", "", body))
		sc.refused("RQ15 a type that is none", wrongMedia, posts("/user-api-key", "application/x-www-form-urlencoded; =", body))
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
			sc.refused(what, malformed, posts("/user-api-key", "application/json", json, "X-CSRF-Token", token, "Accept", "application/json"))
		}
		sc.refused("RQ17 a name in another case in JSON", missing, posts("/user-api-key", "application/json", `{"Id":"`+id+`"}`, "X-CSRF-Token", token, "Accept", "application/json"))
		// After all of these the question is still open: refusals consume nothing.
		sc.row("RQ20 CVE-2026-9689 only the stored request counts", func(sc *scene) {
			changed := url.Values{
				"id": {id}, "authenticity_token": {token}, "scopes": {"write"}, "client_id": {"victim"}, "application_name": {"Bank"},
				"auth_redirect": {"https://evil.example/"}, "public_key": {"x"}, "nonce": {"x"}, "expires_in_seconds": {"1"},
			}
			a := post(sc.alice, "/user-api-key?scopes=write&client_id=victim", urlencoded, changed.Encode()).Must(sc.t, http.StatusOK)
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

// multipart posts a multipart body with the right fields in it.
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

// TestDatabaseInput holds the attacks DB: text that databases or drivers trip over.
func TestDatabaseInput(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		for _, text := range []string{`'; DROP TABLE userkeys_keys; --`, `$1`, `?`, `$$`, `\`, `:name`, `%s`, `" OR 1=1`, `E'\x00'`} {
			sc.row("DB2 CVE-2024-27304 kept as it is: "+text, func(sc *scene) {
				sc.App(text, "read").With("application_name", text, "nonce", text).Connect(sc.alice)
				if k := sc.Keys()[0]; k.ClientID != text || k.ApplicationName != text {
					sc.t.Errorf("kept %q and %q", k.ClientID, k.ApplicationName)
				}
				sc.alice.Get("/my/apps").Must(sc.t, 200)
			})
		}
		for name, max := range map[string]int{"nonce": 500, "client_id": 200, "application_name": 200, "auth_redirect": 2000, "push_url": 2000, "scopes": 500, "public_key": 4096} {
			sc.refusedAsk("DB3 ID12 CVE-2023-40588 too long: "+name, malformed.saying(name), sc.ask(name, strings.Repeat("a", max+1)))
			sc.refusedAsk("DB3 10 KB in "+name, malformed.saying(name), sc.ask(name, strings.Repeat("a", 10<<10)))
		}
		sc.refusedAsk("RD44 auth_redirect of 2 001 bytes", malformed, sc.ask("auth_redirect", "https://app.example/"+strings.Repeat("a", 1981)))
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
