package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"userkeys"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, path := range []string{"/user-api-key/new", "/user-api-key/new?scopes=%zz;"} {
		a := f.do(call{method: http.MethodHead, path: path, header: map[string]string{userkeys.KeyHeader: "no key at all"}})
		a.must(t, http.StatusOK)
		if got := a.Header.Get("Auth-Api-Version"); got != "4" || a.text != "" {
			t.Errorf("Auth-Api-Version is %q, body %q", got, a.text)
		}
		if got := a.Header.Get("Auth-Api-Device-Code"); got != "true" {
			t.Errorf("Auth-Api-Device-Code is %q", got)
		}
	}
	f.authority.set("allow_user_api_key_device_auth", "false")
	if a := f.do(call{method: http.MethodHead, path: "/user-api-key/new"}); a.Header.Get("Auth-Api-Device-Code") != "" {
		t.Error("it promises a device flow that is not there")
	}
	f.do(call{method: "POST", path: "/user-api-key/device.json", body: "{}", header: map[string]string{"Content-Type": "application/json"}}).must(t, http.StatusNotFound)
	f.do(call{path: "/user-api-key/activate", as: "alice"}).must(t, http.StatusNotFound)
}

func TestConsentIsJSONForWhatIsMalformed(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, tt := range []struct{ name, path string }{
		{"RQ1 a parameter twice", ask() + "&scopes=write"},
		{"RQ3 a semicolon", "/user-api-key/new?scopes=read;write"},
		{"RQ4 broken encoding", ask("-nonce") + "&nonce=%zz"},
		{"RQ6 a list", ask() + "&scopes[]=read"},
		{"RQ9 nonce missing", ask("-nonce")},
		{"RQ9 nonce of U+200B", ask("nonce=\u200b")},
		{"RQ10 invalid UTF-8", ask("-nonce") + "&nonce=%ff"},
		{"RQ11 NUL", ask("-nonce") + "&nonce=a%00"},
		{"RQ24 unknown padding", ask("padding=OAEP")},
		{"ID12 a name of 10 000 characters", ask("application_name=" + strings.Repeat("x", 10_000))},
		{"nothing at all", "/user-api-key/new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, as := range []string{"", "alice"} {
				a := f.do(call{path: tt.path, as: as, header: map[string]string{"Accept": "text/html,*/*;q=0.8"}})
				a.must(t, http.StatusBadRequest)
				var body struct{ Errors []string }
				if err := json.Unmarshal([]byte(a.text), &body); err != nil || len(body.Errors) != 1 {
					t.Errorf("the body is not the wire's: %v %s", err, a.text)
				}
				if a.Header.Get("Location") != "" {
					t.Error("it leads somewhere")
				}
			}
		})
	}
}

func TestRD46_RefusalPagesLeadNowhere(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, tt := range []struct{ name, path, want string }{
		{"redirect not allowed", ask("auth_redirect=https://not-listed.example/cb"), "allowed_user_api_auth_redirects"},
		{"RD1 CVE-2021-21291 userinfo", ask("auth_redirect=https://app.example@not-listed.example/cb"), "allowed_user_api_auth_redirects"},
		{"RD9 javascript", ask("auth_redirect=javascript:alert(1)//not-listed"), "allowed_user_api_auth_redirects"},
		{"scope not allowed", ask("scopes=read,write"), "allow_user_api_key_scopes"},
		{"unknown scope", ask("scopes=<script>alert(1)</script>"), "allow_user_api_key_scopes"},
		{"no public key", ask("public_key=nonsense"), "PEM"},
		{"RQ23 an expiry that is none", ask("expires_in_seconds=1e3"), "max_user_api_key_expiry_days"},
		{"payload too large", ask("nonce=" + strings.Repeat("n", 300)), "short nonce"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, as := range []string{"", "alice"} {
				a := f.do(call{path: tt.path, as: as})
				a.must(t, http.StatusOK, "unable to issue user API keys", tt.want)
				a.mustNot(t, `href="https://not-listed`, `href="javascript`, `action="https`, "http-equiv=\"refresh\"", "<script>alert")
				if a.Header.Get("Location") != "" {
					t.Error("it leads somewhere")
				}
				if as == "" && strings.Contains(a.text, `<form`) {
					t.Error("it has a form")
				}
			}
		})
	}
	if len(f.authority.open) != 0 {
		t.Errorf("%d questions are open after refusals", len(f.authority.open))
	}
}

func TestConsentRefusesForPrograms(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: ask("scopes=write"), header: map[string]string{"Accept": "application/json"}})
	a.must(t, http.StatusOK, `"state":"generic_error"`, `"reason":"scope not allowed"`)
	a = f.do(call{path: ask(), header: map[string]string{"Accept": "application/json"}})
	a.must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
}

func TestConsentKeysNotAllowed(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("allow_user_api_keys", "false")
	f.do(call{path: ask(), as: "alice"}).must(t, http.StatusOK, "unable to issue user API keys", "allow_user_api_keys")
}

func TestConsentNoTrust(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("user_api_key_allowed_groups", "trust_level_2")
	a := f.do(call{path: ask(), as: "bob"})
	a.must(t, http.StatusOK, "trust level", "allowed group")
	a.mustNot(t, "approve-form")
	f.do(call{path: ask(), as: "alice"}).must(t, http.StatusOK, "approve-form")
}

func TestConsentUnavailableIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.down = errDown
	a := f.do(call{path: ask(), as: "alice"})
	a.must(t, http.StatusServiceUnavailable, "Not available right now")
	a.mustNot(t, "secret-dsn")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
}

// Every parameter comes back from the login page, padding among them.
func TestConsentSendsStrangersToLoginAndBack(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	path := ask("application_name=Alice's \"\u00fcber\" app \\ &+%", "expires_in_seconds=3600") + `&odd=\&discourse_app=1`
	a := f.do(call{path: path})
	a.must(t, http.StatusFound)
	login, err := url.Parse(a.Header.Get("Location"))
	if err != nil || login.Path != "/user-api-key/login" {
		t.Fatalf("it leads to %q: %v", a.Header.Get("Location"), err)
	}
	page := f.do(call{path: login.RequestURI()})
	page.must(t, http.StatusOK)
	doc := byID(t, page.text, "username").Parent
	var back string
	for k := doc.FirstChild; k != nil; k = k.NextSibling {
		if k.Type == html.ElementNode && attr(k, "name") == "redirect" {
			back = attr(k, "value")
		}
	}
	in := f.do(call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "right", "redirect": back}})
	in.must(t, http.StatusSeeOther)
	got, err := url.Parse(in.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Query(), got.Query()); diff != "" || got.Path != want.Path {
		t.Errorf("the request came back changed: %s", diff)
	}
	f.do(call{path: in.Header.Get("Location"), as: "alice"}).must(t, http.StatusOK, "approve-form")
}

func TestConsentShowsTheRealDestinationBeforeTheName(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, tt := range []struct {
		name, redirect, want, domain, action string
	}{
		{"RD https", "auth_redirect=https://app.example/cb", "https://app.example", "app.example", "form-action 'self' https:"},
		{"ID15 a long name before the domain", "auth_redirect=https://bank.example.evil.net/", "https://bank.example.evil.net", "evil.net", "form-action 'self' https:"},
		{"loopback", "auth_redirect=http://127.0.0.1:8787/cb", "a program on this computer (127.0.0.1:8787)", "", "form-action 'self' http:"},
		{"loopback of IPv6", "auth_redirect=http://[::1]:8787/cb", "a program on this computer ([::1]:8787)", "", "form-action 'self' http:"},
		{"a scheme", "auth_redirect=discourse://auth_redirect", "the app on this device that opens discourse://auth_redirect", "", "form-action 'self' discourse:"},
		{"none", "-auth_redirect", "shown to you on the next page, to copy", "", "form-action 'self'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := f.do(call{path: ask(tt.redirect), as: "alice"})
			a.must(t, http.StatusOK)
			if got := inside(t, a.text, "destination"); got != tt.want {
				t.Errorf("the destination reads %q, want %q", got, tt.want)
			}
			if tt.domain != "" && !strings.Contains(a.text, "<strong>"+tt.domain+"</strong>") {
				t.Errorf("%s is not emphasised", tt.domain)
			}
			if strings.Index(a.text, `id="destination"`) > strings.Index(a.text, `id="application-name"`) {
				t.Error("the claimed name stands before the destination")
			}
			if p := a.Header.Get("Content-Security-Policy"); !strings.HasSuffix(p, tt.action) {
				t.Errorf("GR9 the policy is %q, want it to end in %q", p, tt.action)
			}
		})
	}
}

func TestConsentSaysWhatIsAsked(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("allow_user_api_key_scopes", "read|write|push")
	f.authority.set("allowed_user_api_push_urls", "https://push.example/hook")
	a := f.do(call{as: "alice", path: ask("scopes=read,write,push", "push_url=https://push.example/hook", "expires_in_seconds=604800")})
	a.must(t, http.StatusOK, "read everything that you can read", "not verified", "This app could act as you", "until <time")
	for id, want := range map[string]string{"push-host": "push.example", "signed-in-as": "alice", "application-name": "Notifier"} {
		if got := inside(t, a.text, id); got != want {
			t.Errorf("#%s reads %q, want %q", id, got, want)
		}
	}
	if got := inside(t, a.text, "lifetime"); !strings.Contains(got, "7 days") || !strings.Contains(got, "29 Nov 2026") || strings.Contains(got, "180 days") {
		t.Errorf("the lifetime reads %q", got)
	}
	if strings.Contains(a.text, "autofocus") {
		t.Error("an answer has the focus")
	}
	a = f.do(call{as: "alice", path: ask()})
	a.mustNot(t, "write-warning", "push-host")
	if got := inside(t, a.text, "lifetime"); got != "Until you revoke it. It ends by itself after 180 days without use." {
		t.Errorf("the lifetime reads %q", got)
	}
}

// The answers carry the consent's id and the session's token and nothing that was sent.
func TestConsentFormsCarryOnlyTheID(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: ask(), as: "alice"})
	for _, id := range []string{"approve-form", "deny-form"} {
		got := map[string]string{}
		var walk func(n *html.Node)
		walk = func(n *html.Node) {
			if n.Data == "input" {
				got[attr(n, "name")] = attr(n, "value")
			}
			for k := n.FirstChild; k != nil; k = k.NextSibling {
				walk(k)
			}
		}
		walk(byID(t, a.text, id))
		want := map[string]string{"id": "consent-1", tokenField: "token-of-alice"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

func TestID8_ID10_NamesCannotBendThePage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, given, want string }{
		{"markup", `<script>alert(1)</script>`, `<script>alert(1)</script>`},
		{"CVE-2026-53963 an attribute", `"><img src=x onerror=alert(1)>`, `"><img src=x onerror=alert(1)>`},
		{"a template", "{{constructor.constructor('x')()}} ${7*7}", "{{constructor.constructor('x')()}} ${7*7}"},
		{"bidi override", "Not\u202eeifier\u2066\u2069\u200f", "Noteifier"},
		{"zero width", "No\u200bti\ufefffi\u00ader", "Notifier"},
		{"marks without end", "a" + strings.Repeat("\u0335", 50), "a\u0335\u0335"},
		{"other scripts", "\u62ac\u5934 \u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u62ac\u5934 \u0627\u0644\u0639\u0631\u0628\u064a\u0629"},
		{"spaces", "  a \u00a0 \u3000 b ", "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newSite(t)
			a := f.do(call{path: ask("application_name=" + tt.given), as: "alice"})
			a.must(t, http.StatusOK)
			a.mustNot(t, "<script>alert", "<img", "\u202e", "\u200b")
			n := byID(t, a.text, "application-name")
			if n == nil || n.Data != "bdi" {
				t.Fatal("the name does not stand in its own bdi")
			}
			if got := textOf(n); got != tt.want {
				t.Errorf("the name reads %q, want %q", got, tt.want)
			}
		})
	}
}

func approve(t *testing.T, f *fakeSite, changes ...string) answer {
	t.Helper()
	f.do(call{path: ask(changes...), as: "alice"}).must(t, http.StatusOK)
	return f.do(call{method: http.MethodPost, path: "/user-api-key", as: "alice", form: map[string]string{"id": "consent-1"}})
}

func TestRD45_RD47_GrantRedirectsToTheCheckedBytes(t *testing.T) {
	t.Parallel()
	for _, redirect := range []string{"discourse://auth_redirect", "https://app.example/cb", "https://a.evil.net/CB?state=%2f+x&&y", "http://127.0.0.1:8787/"} {
		t.Run(redirect, func(t *testing.T) {
			t.Parallel()
			f := newSite(t)
			a := approve(t, f, "auth_redirect="+redirect)
			a.must(t, http.StatusFound)
			location := a.Header.Get("Location")
			separator := "?"
			if strings.Contains(redirect, "?") {
				separator = "&"
			}
			rest, ok := strings.CutPrefix(location, redirect+separator+"payload=")
			if !ok {
				t.Fatalf("Location is %q", location)
			}
			sealed, err := url.QueryUnescape(rest)
			if err != nil {
				t.Fatal(err)
			}
			private, _ := appKey()
			opened, err := userkeys.OpenPayload(private, userkeys.PaddingOAEP, sealed)
			if err != nil || opened.Nonce != "n-0123456789" {
				t.Errorf("the payload opens to nonce %q: %v", opened.Nonce, err)
			}
			for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Discourse-Route": "user_api_keys/create", "X-Discourse-Username": "alice"} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestGrantWithoutRedirectShowsThePayload(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := approve(t, f, "-auth_redirect")
	a.must(t, http.StatusOK, "This is not yet the key", `id="copy-api-key-btn"`)
	sealed := inside(t, a.text, "user-api-key-payload")
	if !strings.Contains(a.text, ">"+sealed+"<") {
		t.Error("the payload is not written as it is: apps read the page as text")
	}
	private, _ := appKey()
	if _, err := userkeys.OpenPayload(private, userkeys.PaddingOAEP, sealed); err != nil {
		t.Errorf("what the page shows does not open: %v", err)
	}
	if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("GR12 Referrer-Policy is %q", got)
	}
}

func TestGrantForScripts(t *testing.T) {
	t.Parallel()
	xhr := map[string]string{"Accept": "application/json, text/javascript, */*; q=0.01", "X-Requested-With": "XMLHttpRequest", tokenHeader: "token-of-alice"}
	f := newSite(t)
	f.do(call{path: ask(), as: "alice"})
	a := f.do(call{method: http.MethodPost, path: "/user-api-key", as: "alice", noToken: true, header: xhr, form: map[string]string{"id": "consent-1"}})
	a.must(t, http.StatusOK, `{"redirect_url":"https://app.example/cb?payload=`)
	f.do(call{path: ask("-auth_redirect"), as: "alice"})
	a = f.do(call{method: http.MethodPost, path: "/user-api-key.json", as: "alice", form: map[string]string{"id": "consent-2"}})
	a.must(t, http.StatusOK, `"payload":"`, `"instructions":"`)
}

func TestRQ20_ChangedFieldsDoNotCount(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("allow_user_api_key_scopes", "read|write")
	f.do(call{path: ask(), as: "alice"})
	a := f.do(call{method: http.MethodPost, path: "/user-api-key?scopes=write&auth_redirect=https://a.evil.net/", as: "alice", form: map[string]string{
		"id": "consent-1", "scopes": "write", "auth_redirect": "https://a.evil.net/", "application_name": "Other",
	}})
	a.must(t, http.StatusFound)
	if !strings.HasPrefix(a.Header.Get("Location"), "https://app.example/cb?payload=") {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
	if diff := cmp.Diff(userkeys.Scopes{"read"}, f.authority.keys[0].Scopes); diff != "" {
		t.Errorf("scopes: %s", diff)
	}
}

func TestRQ2_TheQueryIsNoBody(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: ask(), as: "alice"})
	f.do(call{method: http.MethodPost, path: "/user-api-key?id=consent-1", as: "alice", form: map[string]string{}}).
		must(t, http.StatusForbidden, "Id is missing")
	f.do(call{method: http.MethodPost, path: "/user-api-key?" + tokenField + "=token-of-alice", as: "alice", noToken: true, form: map[string]string{"id": "consent-1"}}).
		must(t, http.StatusForbidden, "BAD CSRF")
}

func TestRQ21_ASecondAnswerMakesNoSecondKey(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	approve(t, f).must(t, http.StatusFound)
	post := call{method: http.MethodPost, path: "/user-api-key", as: "alice", form: map[string]string{"id": "consent-1"}}
	a := f.do(post)
	a.must(t, http.StatusForbidden, "This request is closed", `href="/my/apps"`)
	post.path = "/user-api-key.json"
	f.do(post).must(t, http.StatusForbidden, `"error_type":"invalid_access"`)
	post.path = "/user-api-key/deny"
	f.do(post).must(t, http.StatusForbidden, "This request is closed")
	if n := len(f.authority.keys); n != 1 {
		t.Errorf("there are %d keys", n)
	}
}

func TestConsentOfAnotherUser(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: ask(), as: "alice"})
	f.do(call{method: http.MethodPost, path: "/user-api-key", as: "bob", form: map[string]string{"id": "consent-1"}}).
		must(t, http.StatusForbidden, "This request is closed")
	if len(f.authority.keys) != 0 {
		t.Error("bob answered alice's question")
	}
}

func TestID16_DenyGivesNothing(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: ask(), as: "alice"})
	a := f.do(call{method: http.MethodPost, path: "/user-api-key/deny", as: "alice", form: map[string]string{"id": "consent-1"}})
	a.must(t, http.StatusOK, "Nothing was given", "not told")
	if len(f.authority.keys) != 0 || a.Header.Get("Location") != "" {
		t.Error("something was given or told")
	}
	// A program on the user's own machine waits: it is told, and nothing more.
	f.do(call{path: ask("auth_redirect=http://127.0.0.1:8787/cb?state=1"), as: "alice"})
	a = f.do(call{method: http.MethodPost, path: "/user-api-key/deny", as: "alice", form: map[string]string{"id": "consent-2"}})
	a.must(t, http.StatusFound)
	if to := a.Header.Get("Location"); to != "http://127.0.0.1:8787/cb?state=1&error=access_denied" || len(f.authority.keys) != 0 {
		t.Errorf("sent to %q", to)
	}
}

func TestGR14_GrantWhileNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: ask(), as: "alice"})
	f.authority.down = errDown
	f.do(call{method: http.MethodPost, path: "/user-api-key", as: "alice", form: map[string]string{"id": "consent-1"}}).
		must(t, http.StatusServiceUnavailable)
	f.do(call{method: http.MethodPost, path: "/user-api-key.json", as: "alice", form: map[string]string{"id": "consent-1"}}).
		must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
}

func TestGrantWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{method: http.MethodPost, path: "/user-api-key", form: map[string]string{"id": "consent-1"}})
	a.must(t, http.StatusForbidden, "You are signed out")
	f.do(call{method: http.MethodPost, path: "/user-api-key.json", form: map[string]string{"id": "consent-1"}}).
		must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
}

// The page as a model for programs (W4.3): every field, by its name.
func TestConsentModel(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("allow_user_api_key_scopes", "read|write")
	asJSON := map[string]string{"Accept": "application/json"}
	a := f.do(call{path: ask("scopes=read,write", "auth_redirect=https://app.example/cb", "expires_in_seconds=3600", "padding=oaep"), as: "alice", header: asJSON})
	a.must(t, http.StatusOK, `"state":"ready"`, `"consent_id":"consent-1"`, `"application_name":"`, `"public_key":"`, `"nonce":"`, `"client_id":"`,
		`"auth_redirect":"https://app.example/cb"`, `"redirect_uri":"app.example"`, `"push_url":null`, `"localized_scopes":["`, `"scopes":"read,write"`,
		`"write_scope":true`, `"padding":"oaep"`, `"expires_in_seconds":"3600"`, `"expires_at":"2026-11-22T13:00:00Z"`, `"current_user":{"username":"alice","avatar_template":"`)
	f.do(call{path: strings.Replace(ask("-auth_redirect"), "/new?", "/new.json?", 1), as: "alice"}).must(t, http.StatusOK, `"state":"ready"`, `"expires_at":null`, `"redirect_uri":null`)
	f.authority.set("user_api_key_allowed_groups", "trust_level_4")
	a = f.do(call{path: ask(), as: "alice", header: asJSON})
	a.must(t, http.StatusOK, `"state":"no_trust_level"`, `"current_user":{"username":"alice"`)
	a.mustNot(t, "consent_id")
	f.do(call{path: ask(), as: "mod", header: asJSON}).must(t, http.StatusOK, `"state":"ready"`)
	f.do(call{path: ask("padding=none"), as: "alice", header: asJSON}).must(t, http.StatusBadRequest, `"error_type":"invalid_parameters"`)
	f.do(call{path: ask("-nonce"), as: "alice", header: asJSON}).must(t, http.StatusBadRequest, "nonce")
}

// A user takes less than was asked for, never more.
func TestTheUserChooses(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.set("allow_user_api_key_scopes", "read|write|notifications")
	f.do(call{path: ask("scopes=read,notifications", "-auth_redirect"), as: "alice"}).must(t, http.StatusOK, `name="allow_read" value="1" checked`, `name="allow_notifications"`, `<select id="choose-lifetime" name="lifetime">`)
	post := func(form map[string]string) answer {
		return f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: form})
	}
	post(map[string]string{"id": "consent-1", "choose": "1", "allow_notifications": "1"}).must(t, http.StatusOK)
	if got := f.authority.keys[0].Scopes.String(); got != "notifications" {
		t.Errorf("granted %q", got)
	}
	for name, form := range map[string]map[string]string{
		"nothing is left":              {"choose": "1"},
		"more than was asked for":      {"choose": "1", "allow_read": "1", "allow_write": "1"},
		"a lifetime that is no number": {"lifetime": "1e3"},
	} {
		f.do(call{path: ask("scopes=read,notifications", "-auth_redirect"), as: "alice"}).must(t, http.StatusOK)
		form["id"] = "consent-" + strconv.Itoa(len(f.authority.owner))
		if a := post(form); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
	if n := f.authority.count(); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// A whole request in place of the page's id counts only with the session's
// token in a header, which no form can send (Nextcloud does so).
func TestGrantDirect(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	fields := map[string]string{}
	q, err := url.ParseQuery(strings.TrimPrefix(ask("auth_redirect=discourse://auth_redirect"), "/user-api-key/new?"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range q {
		fields[name] = q.Get(name)
	}
	f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: fields}).must(t, http.StatusForbidden, "send the session&#39;s token in the header X-CSRF-Token").mustNot(t, "answered already")
	f.do(call{method: "POST", path: "/user-api-key.json", as: "alice", form: fields}).must(t, http.StatusForbidden, "in the header X-CSRF-Token, not as the field authenticity_token")
	xhr := map[string]string{"X-CSRF-Token": "token-of-alice", "X-Requested-With": "XMLHttpRequest", "Origin": "", "Sec-Fetch-Site": ""}
	f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: fields, noToken: true, header: xhr}).must(t, http.StatusOK, `{"redirect_url":"discourse://auth_redirect?payload=`)
	wrong := map[string]string{"X-CSRF-Token": "token-of-bob", "X-Requested-With": "XMLHttpRequest", "Origin": "", "Sec-Fetch-Site": ""}
	f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: fields, noToken: true, header: wrong}).must(t, http.StatusForbidden, "BAD CSRF")
	// Refusals of a POST have statuses of their own (W5.1).
	for change, want := range map[string]int{"nonce=": 400, "scopes=write": 403, "public_key=x": 400, "padding=x": 400, "auth_redirect=": 403, "expires_in_seconds=x": 400} {
		name, value, _ := strings.Cut(change, "=")
		changed := map[string]string{}
		for n, v := range fields {
			changed[n] = v
		}
		changed[name] = value
		if a := f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: changed, noToken: true, header: xhr}); a.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s", change, a.StatusCode, want, a.text)
		}
	}
	if n := f.authority.count(); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// The draft of 2016 comes in by its own words, and its answer goes back as api_key alone.
func TestDraft(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	q, err := url.ParseQuery(strings.TrimPrefix(ask(), "/user-api-key/new?"))
	if err != nil {
		t.Fatal(err)
	}
	draft := url.Values{"redirect_url": {"https://app.example/cb"}, "access_level": {"read,push"}, "client_id": {"desk-1"}, "public_key": q["public_key"], "push_url": {"https://push.example/p"}}
	page := f.do(call{path: "/api_key/generate?" + draft.Encode(), as: "alice"})
	page.must(t, http.StatusOK, "desk-1", "read everything that you can read", "push.example")
	a := f.do(call{method: "POST", path: "/user-api-key", as: "alice", form: map[string]string{"id": "consent-1"}})
	a.must(t, http.StatusFound)
	if to := a.Header.Get("Location"); !strings.HasPrefix(to, "https://app.example/cb?api_key=") || strings.Contains(to, "&") {
		t.Errorf("sent to %q", to)
	}
	draft.Set("access_level", "read")
	f.do(call{path: "/api_key/generate?" + draft.Encode(), as: "alice"}).mustNot(t, `id="push-host"`)
	for name, want := range map[string]int{"client_id": 400, "access_level": 400, "public_key": 400, "redirect_url": 400} {
		less := url.Values{}
		for n, v := range draft {
			if n != name {
				less[n] = v
			}
		}
		f.do(call{path: "/api_key/generate?" + less.Encode(), as: "alice"}).must(t, want, name)
	}
	draft.Set("access_level", "admin")
	f.do(call{path: "/api_key/generate?" + draft.Encode(), as: "alice"}).must(t, http.StatusOK, "unable to issue user API keys")
	f.do(call{path: "/api_key/generate?" + draft.Encode()}).must(t, http.StatusOK)
	draft.Set("access_level", "read")
	f.do(call{path: "/api_key/generate?" + draft.Encode()}).must(t, http.StatusFound)
}
