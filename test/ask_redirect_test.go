package scenario_test

// Asking for a key: addresses that the answer or a browser may be sent to. Group RD of docs/attacks.md.

import (
	"bufio"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"userkeys/internal/testkit"
)

// TestRedirects asks with every address of the protocol's vectors. An accepted one is shown, and the browser is sent to
// it byte for byte.
func TestRedirects(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		f, err := os.Open("../testdata/redirects.txt")
		if err != nil {
			sc.t.Fatal(err)
		}
		defer f.Close()
		rulesHold, lines := true, 0
		for s := bufio.NewScanner(f); s.Scan(); lines++ {
			text, note, _ := strings.Cut(s.Text(), " -- ")
			head, rest, _ := strings.Cut(text, " ")
			switch {
			case head == "" || head == "#":
			case head == "rules":
				// Rules that no site can be given leave the list empty: then nothing may pass.
				rulesHold = sc.Authority.ChangeSetting(sc.t.Context(), "allowed_user_api_auth_redirects", rest,
					testkit.Command) == nil
				if !rulesHold {
					sc.Set("allowed_user_api_auth_redirects", "")
				}
			case head == "loopback":
				sc.Set("allow_user_api_key_loopback_redirects", strconv.FormatBool(rest == "on"))
			default:
				verdict, address, _ := strings.Cut(rest, " ")
				if strings.HasPrefix(address, `"`) {
					if address, err = strconv.Unquote(address); err != nil {
						sc.t.Fatal(err)
					}
				}
				sc.redirectRow(head, verdict, address, note, rulesHold)
			}
		}
		if lines < 200 {
			sc.t.Errorf("%d lines", lines)
		}
	})
}

func (sc *scene) redirectRow(id, verdict, address, note string, rulesHold bool) {
	name := sprint("%s %s %.60q", id, verdict, address)
	switch {
	case verdict == "accept" && rulesHold:
		sc.row(name, func(sc *scene) { sc.accepted(address, note) })
	case !utf8.ValidString(address) || strings.ContainsFunc(address, unicode.IsControl):
		sc.refusedAsk(name, malformed, sc.ask("auth_redirect", address))
	case address == "" || !rulesHold:
		sc.refusedAsk(name, pageRefusal, sc.ask("auth_redirect", address))
	case verdict == "refuse":
		sc.refusedAsk(name, pageRefusal.saying(note), sc.ask("auth_redirect", address))
		sc.row(name+": RD46 the refusal leads nowhere", func(sc *scene) {
			leadsNowhere(sc, sc.alice.Get("/user-api-key/new?"+sc.ask("auth_redirect", address)), address)
		})
	}
}

var escapedBase64 = regexp.MustCompile(`^(?:[A-Za-z0-9]|%2B|%2F|%3D|%0A)+$`)

// accepted grants with an address that is allowed, and checks that the browser is sent there byte for byte.
func (sc *scene) accepted(address, origin string) {
	sc.t.Helper()
	app := sc.App("asker", "read").With("auth_redirect", address)
	page := app.Ask(sc.alice).Must(sc.t, 200)
	shown, _ := page.Text("destination")
	if _, host, _ := strings.Cut(origin, "://"); origin != "" && !strings.Contains(shown,
		origin) && (host == "" || !strings.Contains(shown, host)) {
		sc.t.Errorf("the page shows %q, not %q", shown, origin)
	}
	scheme, _, _ := strings.Cut(strings.ToLower(address), ":")
	if csp := page.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' "+scheme+":") {
		sc.t.Errorf("GR9: policy %q", csp)
	}
	a := sc.alice.Submit(page, "/user-api-key").Must(sc.t, 302)
	if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		sc.t.Errorf("RD45 GR12: %v", a.Header)
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	sealed, ok := strings.CutPrefix(a.Header.Get("Location"), address+separator+"payload=")
	if !ok || !escapedBase64.MatchString(sealed) {
		sc.t.Errorf("RD47: sent to %q", a.Header.Get("Location"))
	}
	text, err := url.QueryUnescape(sealed)
	if err != nil || !strings.HasSuffix(text, "\n") {
		sc.t.Errorf("PK29: payload %q, %v", text, err)
	}
	for line := range strings.Lines(text) {
		if len(line) > 61 {
			sc.t.Errorf("PK29: a line of %d", len(line))
		}
	}
}

// leadsNowhere fails if a link, form or redirect of a page has address in it.
func leadsNowhere(sc *scene, a testkit.Answer, address string) {
	sc.t.Helper()
	root, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		sc.t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, at := range n.Attr {
			if len(address) > 2 && strings.Contains(at.Val, address) || strings.Contains(at.Val,
				"evil") || at.Key == "http-equiv" {
				sc.t.Errorf("<%s %s=%q>", n.Data, at.Key, at.Val)
			}
		}
		if n.Data == "form" {
			for _, at := range n.Attr {
				if at.Key == "action" && at.Val != "/user-api-key/logout" {
					sc.t.Errorf("a form to %q", at.Val)
				}
			}
		}
	}
}

// TestRegisteredClients asks with another redirect, key, name and scope than the client registered.
func TestRegisteredClients(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		const at = "https://app.example/cb?x=1&y=%C3%A9"
		sc.Set("allowed_user_api_auth_redirects", "https://app.example/*")
		sc.Set("allow_user_api_key_scopes", "read|write")
		sc.exec("INSERT INTO userkeys_clients (client_id, application_name, public_key, auth_redirect, scopes, created_at) VALUES ('registered', 'Registered App', '" +
			sc.App("x", "read").Params.Get("public_key") + "', '" + at + "', 'read', 1)")
		for what, address := range map[string]string{
			"RD41 another address that is on the list": "https://app.example/other",
			"RD43 a trailing slash":                    "https://app.example/cb/?x=1&y=%C3%A9",
			"RD43 the default port":                    "https://app.example:443/cb?x=1&y=%C3%A9",
			"RD43 percent in another case":             "https://app.example/cb?x=1&y=%c3%a9",
			"RD43 another order":                       "https://app.example/cb?y=%C3%A9&x=1",
			"RD43 the host in another case":            "https://APP.example/cb?x=1&y=%C3%A9",
		} {
			sc.refusedAsk(what, pageRefusal.saying("registered with, letter by letter"),
				sc.ask("client_id", "registered", "auth_redirect", address))
		}
		sc.refusedAsk("SC7 a scope that the client is not registered for",
			pageRefusal.saying("may not ask for the scope write"),
			sc.ask("client_id", "registered", "auth_redirect", at, "scopes", "read,write"))
		sc.shown("ID2 the registered name is shown, whatever the request says",
			sc.ask("client_id", "registered", "auth_redirect", at, "application_name", "Your Bank"), "Registered App")
		sc.row("PK25 ID2 the registered key and name hold", func(sc *scene) {
			other := testkit.PublicPEM(&otherKey().PublicKey)
			app := sc.App("registered", "read").With("auth_redirect", at, "public_key", other, "application_name", "Your Bank")
			app.Ask(sc.alice).Must(sc.t, 200).MustNot(sc.t, "Your Bank")
			app.Connect(sc.alice) // opens with the registered key, which is the app's
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
			if k := sc.Keys()[0]; k.ApplicationName != "Registered App" {
				sc.t.Errorf("kept as %q", k.ApplicationName)
			}
		})
		sc.row("RD42 the address is no longer on the list when the user says yes", func(sc *scene) {
			_, form := sc.consent("client_id", "registered", "auth_redirect", at)
			before := sc.Keys()
			sc.Set("allowed_user_api_auth_redirects", "https://other.example/*")
			for range 2 {
				sc.check(post(sc.alice, "/user-api-key", urlencoded, form.Encode()), denied.saying("does not send answers"))
			}
			sc.unchanged(before)
		})
		sc.refusedAsk("RD42 nor when the page is asked for", pageRefusal,
			sc.ask("client_id", "registered", "auth_redirect", at))
	})
}

// TestReturnAddress tries addresses to return to after the login that are not of this site (RD48).
func TestReturnAddress(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		for _, back := range []string{
			"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example/", "javascript:alert(1)", "evil.example",
			"/\tevil", "/user-api-key/new?a=b\nX: y", "/a/../..//evil.example", "/%2f/evil.example", "/%5cevil.example", "/.//evil.example", "/caf\u00e9", strings.Repeat("/a", 10000),
		} {
			sc.row(sprint("RD48 CVE-2022-1058 %.40q", back), func(sc *scene) {
				for _, a := range []testkit.Answer{
					sc.alice.Get("/login?redirect=" + url.QueryEscape(back)),
					post(sc.alice, "/user-api-key/login", urlencoded,
						url.Values{"username": {"alice"}, "password": {"wrong"}, "redirect": {back}}.Encode()),
				} {
					if a.StatusCode/100 == 3 && a.Header.Get("Location") != "/" {
						sc.t.Errorf("sent to %q", a.Header.Get("Location"))
					}
					leadsHome(sc, a)
				}
				sc.exec("DELETE FROM userkeys_guesses")
			})
		}
		sc.row("RD48 after a login", func(sc *scene) {
			for back, to := range map[string]string{"//evil.example": "/", "/my/apps?unused=30": "/my/apps?unused=30"} {
				p := sc.Visitor()
				r := p.Request("POST", "/login", url.Values{
					"username": {"alice"}, "password": {testkit.Password},
					"redirect": {back},
				}.Encode())
				r.Header.Set("Content-Type", urlencoded)
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("Cookie", "destination_url=https://evil.example/")
				if got := p.Do(r).Must(sc.t, 303).Header.Get("Location"); got != to {
					sc.t.Errorf("%q led to %q", back, got)
				}
			}
		})
		sc.row("RD48 the whole request comes back after login", func(sc *scene) {
			q := sc.ask("application_name", "A & B; #1 \u00e9 +", "nonce", "a+b/c= d")
			p := sc.Visitor()
			to := p.Get("/user-api-key/new?"+q).Must(sc.t, 302).Header.Get("Location")
			page := p.Get(to).Must(sc.t, 200)
			back := p.Submit(page, "/user-api-key/login", "username", "alice", "password", testkit.Password).Must(sc.t,
				303).Header.Get("Location")
			p.Get(back).Must(sc.t, 200, "A &amp; B; #1 \u00e9 ")
		})
	})
}

// leadsHome fails if the login page returns to anything but the start page.
func leadsHome(sc *scene, a testkit.Answer) {
	sc.t.Helper()
	if strings.Contains(a.Body, "evil") {
		sc.t.Errorf("the page carries the address on: %.2000s", a.Body)
	}
}
