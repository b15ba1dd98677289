package consent_test

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
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
	"userkeys/server/input"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for _, path := range []string{"/user-api-key/new", "/user-api-key/new?scopes=%zz;"} {
		a := f.Do(fakesite.Call{Method: http.MethodHead, Path: path, Header: map[string]string{userkeys.KeyHeader: "no key at all"}})
		a.Must(t, http.StatusOK)
		if got := a.Header.Get("Auth-Api-Version"); got != "4" || a.Text != "" {
			t.Errorf("Auth-Api-Version is %q, body %q", got, a.Text)
		}
		if got := a.Header.Get("Auth-Api-Device-Code"); got != "true" {
			t.Errorf("Auth-Api-Device-Code is %q", got)
		}
	}
	f.Set("allow_user_api_key_device_auth", "false")
	if a := f.Do(fakesite.Call{Method: http.MethodHead, Path: "/user-api-key/new"}); a.Header.Get("Auth-Api-Device-Code") != "" {
		t.Error("it promises a device flow that is not there")
	}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/device.json", Body: "{}", Header: map[string]string{"Content-Type": "application/json"}}).Must(t, http.StatusNotFound)
	f.Do(fakesite.Call{Path: "/user-api-key/activate", As: "alice"}).Must(t, http.StatusNotFound)
}

// asBrowser are the headers by which a browser asks for a page.
var asBrowser = map[string]string{"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

// TestConsentIsJSONForWhatIsMalformed tests that programs read JSON of a malformed request whatever they ask for, and
// that people at a browser read a page.
func TestConsentIsJSONForWhatIsMalformed(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for _, tt := range []struct{ name, path string }{
		{"RQ1 a parameter twice", fakesite.Ask() + "&scopes=write"},
		{"RQ3 a semicolon", "/user-api-key/new?scopes=read;write"},
		{"RQ4 broken encoding", fakesite.Ask("-nonce") + "&nonce=%zz"},
		{"RQ6 a list", fakesite.Ask() + "&scopes[]=read"},
		{"RQ9 nonce missing", fakesite.Ask("-nonce")},
		{"RQ9 nonce of U+200B", fakesite.Ask("nonce=\u200b")},
		{"RQ10 invalid UTF-8", fakesite.Ask("-nonce") + "&nonce=%ff"},
		{"RQ11 NUL", fakesite.Ask("-nonce") + "&nonce=a%00"},
		{"RQ24 unknown padding", fakesite.Ask("padding=OAEP")},
		{"ID12 a name of 10 000 characters", fakesite.Ask("application_name=" + strings.Repeat("x", 10_000))},
		{"nothing at all", "/user-api-key/new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, as := range []string{"", "alice"} {
				for _, accept := range []string{"", "*/*", "application/json"} {
					a := f.Do(fakesite.Call{Path: tt.path, As: as, Header: map[string]string{"Accept": accept}})
					a.Must(t, http.StatusBadRequest)
					var body struct{ Errors []string }
					if err := json.Unmarshal([]byte(a.Text), &body); err != nil || len(body.Errors) != 1 {
						t.Errorf("the body is not the wire's: %v %s", err, a.Text)
					}
					if a.Header.Get("Location") != "" {
						t.Error("it leads somewhere")
					}
				}
				a := f.Do(fakesite.Call{Path: tt.path, As: as, Header: asBrowser})
				a.Must(t, http.StatusBadRequest, "<h1>No key for this app</h1>", "Show this page to whoever makes the app", "What is wrong")
				if a.Header.Get("Location") != "" {
					t.Error("the page leads somewhere")
				}
			}
		})
	}
}

func TestRD46_RefusalPagesLeadNowhere(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for _, tt := range []struct{ name, path, admin string }{
		{"redirect not allowed", fakesite.Ask("auth_redirect=https://not-listed.example/cb"), "allowed_user_api_auth_redirects"},
		{"RD1 CVE-2021-21291 userinfo", fakesite.Ask("auth_redirect=https://app.example@not-listed.example/cb"), "allowed_user_api_auth_redirects"},
		{"RD9 javascript", fakesite.Ask("auth_redirect=javascript:alert(1)//not-listed"), "allowed_user_api_auth_redirects"},
		{"scope not allowed", fakesite.Ask("scopes=read,write"), "allow_user_api_key_scopes"},
		{"unknown scope", fakesite.Ask("scopes=<script>alert(1)</script>"), "allow_user_api_key_scopes"},
		{"no public key", fakesite.Ask("public_key=nonsense"), ""},
		{"RQ23 an expiry that is none", fakesite.Ask("expires_in_seconds=1e3"), "max_user_api_key_expiry_days"},
		{"payload too large", fakesite.Ask("nonce=" + strings.Repeat("n", 300)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, as := range []string{"", "alice", "root"} {
				a := f.Do(fakesite.Call{Path: tt.path, As: as})
				a.Must(t, http.StatusOK, "unable to issue user API keys", "For whoever makes the app")
				if as == "root" {
					a.Must(t, http.StatusOK, tt.admin)
				} else {
					a.MustNot(t, "administer", "allow_user_api", "max_user_api", "allowed_user_api", `id="rule"`, "an administrator can")
				}
				a.MustNot(t, `href="https://not-listed`, `href="javascript`, `action="https`, "http-equiv=\"refresh\"", "<script>alert")
				if a.Header.Get("Location") != "" {
					t.Error("it leads somewhere")
				}
				if as == "" && strings.Contains(a.Text, `<form`) {
					t.Error("it has a form")
				}
			}
		})
	}
	if n := f.Count("userkeys_consents"); n != 0 {
		t.Errorf("%d questions are open after refusals", n)
	}
}

// TestRD49_WhatHelpsAdministratorsIsForThemOnly tests that a page which anybody can make this site show to anybody names a
// setting, and a line that would send keys to a stranger, to signed-in administrators only, and says what the line means.
func TestRD49_WhatHelpsAdministratorsIsForThemOnly(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	path := fakesite.Ask("auth_redirect=https://*.not-listed.example/cb%22><script>")
	f.Do(fakesite.Call{Path: path, As: "root"}).MustNot(t, "<script>")
	path = fakesite.Ask("auth_redirect=https://not-listed.example/cb")
	a := f.Do(fakesite.Call{Path: path, As: "root"})
	a.Must(t, http.StatusOK, `href="/user-api-key/settings#allowed_user_api_auth_redirects"`, "Add it only if you know who runs <bdi>https://not-listed.example</bdi>")
	if got := testkit.Inside(t, a.Text, "rule"); got != "https://not-listed.example/cb" {
		t.Errorf("the line reads %q", got)
	}
	for _, as := range []string{"", "alice", "mod"} {
		f.Do(fakesite.Call{Path: path, As: as}).Must(t, http.StatusOK, "Ask an administrator of this site, or whoever makes the app.").
			MustNot(t, `id="rule"`, `id="for-admin"`, "allowed_user_api_auth_redirects")
	}
	f.Do(fakesite.Call{Path: path, As: "alice", Header: map[string]string{"Accept": "application/json"}}).
		Must(t, http.StatusOK, "an administrator can allow it with this line in allowed_user_api_auth_redirects: https://not-listed.example/cb")
	f.Do(fakesite.Call{Path: fakesite.Ask("auth_redirect=http://localhost:9/cb")}).Must(t, http.StatusOK, "the app can use 127.0.0.1 in place of localhost, which is allowed on any port.").MustNot(t, "an administrator can")
}

func TestConsentRefusesForPrograms(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: fakesite.Ask("scopes=write"), Header: map[string]string{"Accept": "application/json"}})
	a.Must(t, http.StatusOK, `"state":"generic_error"`, `"reason":"scope not allowed"`)
	a = f.Do(fakesite.Call{Path: fakesite.Ask(), Header: map[string]string{"Accept": "application/json"}})
	a.Must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
}

func TestConsentKeysNotAllowed(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_keys", "false")
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"}).Must(t, http.StatusOK, "unable to issue user API keys", "Apps that have a key keep it").MustNot(t, "allow_user_api_keys")
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "root"}).Must(t, http.StatusOK, "settings#allow_user_api_keys")
}

func TestConsentNoTrust(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("user_api_key_allowed_groups", "trust_level_2")
	a := f.Do(fakesite.Call{Path: fakesite.Ask(), As: "bob"})
	a.Must(t, http.StatusOK, "trust level", "Ask an administrator of this site.")
	a.MustNot(t, "approve-form", "user_api_key_allowed_groups")
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"}).Must(t, http.StatusOK, "approve-form")
}

func TestConsentUnavailableIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Gone()
	a := f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	a.Must(t, http.StatusServiceUnavailable, "Not available right now")
	a.MustNot(t, "database is closed")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
}

// Every parameter comes back from the login page, padding among them.
func TestConsentSendsStrangersToLoginAndBack(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	path := fakesite.Ask("application_name=Alice's \"\u00fcber\" app \\ &+%", "expires_in_seconds=3600") + `&odd=\&discourse_app=1`
	a := f.Do(fakesite.Call{Path: path})
	a.Must(t, http.StatusFound)
	login, err := url.Parse(a.Header.Get("Location"))
	if err != nil || login.Path != "/user-api-key/login" {
		t.Fatalf("it leads to %q: %v", a.Header.Get("Location"), err)
	}
	page := f.Do(fakesite.Call{Path: login.RequestURI()})
	page.Must(t, http.StatusOK)
	doc := testkit.ByID(t, page.Text, "username").Parent
	var back string
	for k := doc.FirstChild; k != nil; k = k.NextSibling {
		if k.Type == html.ElementNode && testkit.Attr(k, "name") == "redirect" {
			back = testkit.Attr(k, "value")
		}
	}
	in := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "right", "redirect": back}})
	in.Must(t, http.StatusSeeOther)
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
	f.Do(fakesite.Call{Path: in.Header.Get("Location"), As: "alice"}).Must(t, http.StatusOK, "approve-form")
}

func TestConsentShowsTheRealDestinationBeforeTheName(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
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
			a := f.Do(fakesite.Call{Path: fakesite.Ask(tt.redirect), As: "alice"})
			a.Must(t, http.StatusOK)
			if got := testkit.Inside(t, a.Text, "destination"); got != tt.want {
				t.Errorf("the destination reads %q, want %q", got, tt.want)
			}
			if tt.domain != "" && !strings.Contains(a.Text, "<strong>"+tt.domain+"</strong>") {
				t.Errorf("%s is not emphasised", tt.domain)
			}
			if strings.Index(a.Text, `id="destination"`) > strings.Index(a.Text, `id="application-name"`) {
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
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write|push")
	f.Set("allowed_user_api_push_urls", "https://push.example/hook")
	a := f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask("scopes=read,write,push", "push_url=https://push.example/hook", "expires_in_seconds=604800")})
	a.Must(t, http.StatusOK, "read everything that you can read", "not verified", "This app could act as you", "until <time")
	for id, want := range map[string]string{"push-host": "push.example", "signed-in-as": "alice", "application-name": "Notifier"} {
		if got := testkit.Inside(t, a.Text, id); got != want {
			t.Errorf("#%s reads %q, want %q", id, got, want)
		}
	}
	if got := testkit.Inside(t, a.Text, "lifetime"); got != "For 7 days at a time, at most until 22 Nov 2027, 12:00 UTC, or until you revoke it." {
		t.Errorf("the lifetime reads %q", got)
	}
	if strings.Contains(a.Text, "autofocus") {
		t.Error("an answer has the focus")
	}
	a = f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask()})
	a.MustNot(t, "write-warning", "push-host")
	if got := testkit.Inside(t, a.Text, "lifetime"); got != "Until you revoke it, or until the app has not used it for 180 days." {
		t.Errorf("the lifetime reads %q", got)
	}
}

// The answers carry the consent's id and the session's token and nothing that was sent.
func TestConsentFormsCarryOnlyTheID(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	for _, id := range []string{"approve-form", "deny-form"} {
		got := map[string]string{}
		var walk func(n *html.Node)
		walk = func(n *html.Node) {
			if n.Data == "input" {
				got[testkit.Attr(n, "name")] = testkit.Attr(n, "value")
			}
			for k := n.FirstChild; k != nil; k = k.NextSibling {
				walk(k)
			}
		}
		walk(testkit.ByID(t, f.Aliased(a.Text), id))
		want := map[string]string{"id": "consent-1", input.TokenField: "token-of-alice"}
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
			f := fakesite.New(t)
			a := f.Do(fakesite.Call{Path: fakesite.Ask("application_name=" + tt.given), As: "alice"})
			a.Must(t, http.StatusOK)
			a.MustNot(t, "<script>alert", "<img", "\u202e", "\u200b")
			n := testkit.ByID(t, a.Text, "application-name")
			if n == nil || n.Data != "bdi" {
				t.Fatal("the name does not stand in its own bdi")
			}
			if got := testkit.TextOf(n); got != tt.want {
				t.Errorf("the name reads %q, want %q", got, tt.want)
			}
		})
	}
}

func approve(t *testing.T, f *fakesite.Site, changes ...string) fakesite.Answer {
	t.Helper()
	f.Do(fakesite.Call{Path: fakesite.Ask(changes...), As: "alice"}).Must(t, http.StatusOK)
	return f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1"}})
}

func TestRD45_RD47_GrantRedirectsToTheCheckedBytes(t *testing.T) {
	t.Parallel()
	for _, redirect := range []string{"discourse://auth_redirect", "https://app.example/cb", "https://a.evil.net/CB?state=%2f+x&&y", "http://127.0.0.1:8787/"} {
		t.Run(redirect, func(t *testing.T) {
			t.Parallel()
			f := fakesite.New(t)
			a := approve(t, f, "auth_redirect="+redirect)
			a.Must(t, http.StatusFound)
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
			private, _ := fakesite.AppKey()
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
	f := fakesite.New(t)
	a := approve(t, f, "-auth_redirect")
	a.Must(t, http.StatusOK, "This is not yet the key", `id="copy-api-key-btn"`)
	sealed := testkit.Inside(t, a.Text, "user-api-key-payload")
	if !strings.Contains(a.Text, ">"+sealed+"<") {
		t.Error("the payload is not written as it is: apps read the page as text")
	}
	private, _ := fakesite.AppKey()
	if _, err := userkeys.OpenPayload(private, userkeys.PaddingOAEP, sealed); err != nil {
		t.Errorf("what the page shows does not open: %v", err)
	}
	if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("GR12 Referrer-Policy is %q", got)
	}
}

func TestGrantForScripts(t *testing.T) {
	t.Parallel()
	xhr := map[string]string{"Accept": "application/json, text/javascript, */*; q=0.01", "X-Requested-With": "XMLHttpRequest", door.TokenHeader: "token-of-alice"}
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "alice", NoToken: true, Header: xhr, Form: map[string]string{"id": "consent-1"}})
	a.Must(t, http.StatusOK, `{"redirect_url":"https://app.example/cb?payload=`)
	f.Do(fakesite.Call{Path: fakesite.Ask("-auth_redirect"), As: "alice"})
	a = f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key.json", As: "alice", Form: map[string]string{"id": "consent-2"}})
	a.Must(t, http.StatusOK, `"payload":"`, `"instructions":"`)
}

func TestRQ20_ChangedFieldsDoNotCount(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write")
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key?scopes=write&auth_redirect=https://a.evil.net/", As: "alice", Form: map[string]string{
		"id": "consent-1", "scopes": "write", "auth_redirect": "https://a.evil.net/", "application_name": "Other",
	}})
	a.Must(t, http.StatusFound)
	if !strings.HasPrefix(a.Header.Get("Location"), "https://app.example/cb?payload=") {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
	if diff := cmp.Diff(userkeys.Scopes{"read"}, f.UserKey(1).Scopes); diff != "" {
		t.Errorf("scopes: %s", diff)
	}
}

func TestRQ2_TheQueryIsNoBody(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key?id=consent-1", As: "alice", Form: map[string]string{}}).
		Must(t, http.StatusForbidden, "Id is missing")
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key?" + input.TokenField + "=token-of-alice", As: "alice", NoToken: true, Form: map[string]string{"id": "consent-1"}}).
		Must(t, http.StatusForbidden, "BAD CSRF")
}

func TestRQ21_ASecondAnswerMakesNoSecondKey(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	approve(t, f).Must(t, http.StatusFound)
	post := fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1"}}
	a := f.Do(post)
	a.Must(t, http.StatusForbidden, "This request is closed", `href="/my/apps"`)
	post.Path = "/user-api-key.json"
	f.Do(post).Must(t, http.StatusForbidden, `"error_type":"invalid_access"`)
	post.Path = "/user-api-key/deny"
	f.Do(post).Must(t, http.StatusForbidden, "This request is closed")
	if n := f.Count("userkeys_keys"); n != 1 {
		t.Errorf("there are %d keys", n)
	}
}

func TestConsentOfAnotherUser(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "bob", Form: map[string]string{"id": "consent-1"}}).
		Must(t, http.StatusForbidden, "This request is closed")
	if f.Count("userkeys_keys") != 0 {
		t.Error("bob answered alice's question")
	}
}

func TestID16_DenyGivesNothing(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/deny", As: "alice", Form: map[string]string{"id": "consent-1"}})
	a.Must(t, http.StatusSeeOther)
	if f.Count("userkeys_keys") != 0 || a.Header.Get("Location") != "/user-api-key/denied" {
		t.Errorf("something was given, or the browser sent to %q", a.Header.Get("Location"))
	}
	for range 2 { // the page may be loaded again
		f.Do(fakesite.Call{Path: a.Header.Get("Location"), As: "alice"}).Must(t, http.StatusOK, "Nothing was given", "not told", `href="/my/apps"`)
	}
	// A program on the user's own machine waits: it is told, and nothing more.
	f.Do(fakesite.Call{Path: fakesite.Ask("auth_redirect=http://127.0.0.1:8787/cb?state=1"), As: "alice"})
	a = f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/deny", As: "alice", Form: map[string]string{"id": "consent-2"}})
	a.Must(t, http.StatusFound)
	if to := a.Header.Get("Location"); to != "http://127.0.0.1:8787/cb?state=1&error=access_denied" || f.Count("userkeys_keys") != 0 {
		t.Errorf("sent to %q", to)
	}
}

func TestGR14_GrantWhileNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	f.Gone()
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1"}}).
		Must(t, http.StatusServiceUnavailable)
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key.json", As: "alice", Form: map[string]string{"id": "consent-1"}}).
		Must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
}

func TestGrantWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", Form: map[string]string{"id": "consent-1"}})
	a.Must(t, http.StatusForbidden, "You are signed out")
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key.json", Form: map[string]string{"id": "consent-1"}}).
		Must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
}

// The page as a model for programs (W4.3): every field, by its name.
func TestConsentModel(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write")
	asJSON := map[string]string{"Accept": "application/json"}
	a := f.Do(fakesite.Call{Path: fakesite.Ask("scopes=read,write", "auth_redirect=https://app.example/cb", "expires_in_seconds=3600", "padding=oaep"), As: "alice", Header: asJSON})
	a.Text = f.Aliased(a.Text)
	a.Must(t, http.StatusOK, `"state":"ready"`, `"consent_id":"consent-1"`, `"application_name":"`, `"public_key":"`, `"nonce":"`, `"client_id":"`,
		`"auth_redirect":"https://app.example/cb"`, `"redirect_uri":"app.example"`, `"push_url":null`, `"localized_scopes":["`, `"scopes":"read,write"`,
		`"write_scope":true`, `"padding":"oaep"`, `"expires_in_seconds":"3600"`, `"expires_at":"2026-11-22T13:00:00Z"`, `"current_user":{"username":"alice","avatar_template":"`)
	f.Do(fakesite.Call{Path: strings.Replace(fakesite.Ask("-auth_redirect"), "/new?", "/new.json?", 1), As: "alice"}).Must(t, http.StatusOK, `"state":"ready"`, `"expires_at":null`, `"redirect_uri":null`)
	f.Set("user_api_key_allowed_groups", "trust_level_4")
	a = f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice", Header: asJSON})
	a.Must(t, http.StatusOK, `"state":"no_trust_level"`, `"current_user":{"username":"alice"`)
	a.MustNot(t, "consent_id")
	f.Do(fakesite.Call{Path: fakesite.Ask(), As: "mod", Header: asJSON}).Must(t, http.StatusOK, `"state":"ready"`)
	f.Do(fakesite.Call{Path: fakesite.Ask("padding=none"), As: "alice", Header: asJSON}).Must(t, http.StatusBadRequest, `"error_type":"invalid_parameters"`)
	f.Do(fakesite.Call{Path: fakesite.Ask("-nonce"), As: "alice", Header: asJSON}).Must(t, http.StatusBadRequest, "nonce")
}

// A user takes less than was asked for, never more.
func TestTheUserChooses(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write|notifications")
	f.Do(fakesite.Call{Path: fakesite.Ask("scopes=read,notifications", "-auth_redirect"), As: "alice"}).Must(t, http.StatusOK, `name="allow_read" value="1" checked`, `name="allow_notifications"`, `<select id="choose-lifetime" name="lifetime">`)
	post := func(form map[string]string) fakesite.Answer {
		return f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: form})
	}
	post(map[string]string{"id": "consent-1", "choose": "1", "allow_notifications": "1"}).Must(t, http.StatusOK)
	if got := f.UserKey(1).Scopes.String(); got != "notifications" {
		t.Errorf("granted %q", got)
	}
	for name, form := range map[string]map[string]string{
		"nothing is left":              {"choose": "1"},
		"nothing of it reads":          {"choose": "1", "only": "reading"},
		"a button that is not there":   {"choose": "1", "allow_read": "1", "only": "writing"},
		"more than was asked for":      {"choose": "1", "allow_read": "1", "allow_write": "1"},
		"a lifetime that is no number": {"lifetime": "1e3"},
	} {
		f.Do(fakesite.Call{Path: fakesite.Ask("scopes=read,notifications", "-auth_redirect"), As: "alice"}).Must(t, http.StatusOK)
		form["id"] = "consent-" + strconv.Itoa(f.Asked())
		if a := post(form); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
	if n := f.Count("userkeys_keys"); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestGrantDirect tests that a whole request in place of the page's id is granted only with the session's token in a
// header, which no form can send. Nextcloud's client grants its keys in this way.
func TestGrantDirect(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	fields := map[string]string{}
	q, err := url.ParseQuery(strings.TrimPrefix(fakesite.Ask("auth_redirect=discourse://auth_redirect"), "/user-api-key/new?"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range q {
		fields[name] = q.Get(name)
	}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: fields}).Must(t, http.StatusForbidden, "send the session&#39;s token in the header X-CSRF-Token").MustNot(t, "answered already")
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key.json", As: "alice", Form: fields}).Must(t, http.StatusForbidden, "in the header X-CSRF-Token, not as the field authenticity_token")
	xhr := map[string]string{"X-CSRF-Token": "token-of-alice", "X-Requested-With": "XMLHttpRequest", "Origin": "", "Sec-Fetch-Site": ""}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: fields, NoToken: true, Header: xhr}).Must(t, http.StatusOK, `{"redirect_url":"discourse://auth_redirect?payload=`)
	wrong := map[string]string{"X-CSRF-Token": "token-of-bob", "X-Requested-With": "XMLHttpRequest", "Origin": "", "Sec-Fetch-Site": ""}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: fields, NoToken: true, Header: wrong}).Must(t, http.StatusForbidden, "BAD CSRF")
	// Refusals of a POST have statuses of their own (W5.1).
	for change, want := range map[string]int{"nonce=": 400, "scopes=write": 403, "public_key=x": 400, "padding=x": 400, "auth_redirect=": 403, "expires_in_seconds=x": 400} {
		name, value, _ := strings.Cut(change, "=")
		changed := map[string]string{}
		for n, v := range fields {
			changed[n] = v
		}
		changed[name] = value
		if a := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: changed, NoToken: true, Header: xhr}); a.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s", change, a.StatusCode, want, a.Text)
		}
	}
	if n := f.Count("userkeys_keys"); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// The draft of 2016 comes in by its own words, and its answer goes back as api_key alone.
func TestDraft(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	q, err := url.ParseQuery(strings.TrimPrefix(fakesite.Ask(), "/user-api-key/new?"))
	if err != nil {
		t.Fatal(err)
	}
	draft := url.Values{"redirect_url": {"https://app.example/cb"}, "access_level": {"read,push"}, "client_id": {"desk-1"}, "public_key": q["public_key"], "push_url": {"https://push.example/p"}}
	page := f.Do(fakesite.Call{Path: "/api_key/generate?" + draft.Encode(), As: "alice"})
	page.Must(t, http.StatusOK, "desk-1", "read everything that you can read", "push.example")
	a := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1"}})
	a.Must(t, http.StatusFound)
	if to := a.Header.Get("Location"); !strings.HasPrefix(to, "https://app.example/cb?api_key=") || strings.Contains(to, "&") {
		t.Errorf("sent to %q", to)
	}
	draft.Set("access_level", "read")
	f.Do(fakesite.Call{Path: "/api_key/generate?" + draft.Encode(), As: "alice"}).MustNot(t, `id="push-host"`)
	for name, want := range map[string]int{"client_id": 400, "access_level": 400, "public_key": 400, "redirect_url": 400} {
		less := url.Values{}
		for n, v := range draft {
			if n != name {
				less[n] = v
			}
		}
		f.Do(fakesite.Call{Path: "/api_key/generate?" + less.Encode(), As: "alice"}).Must(t, want, name)
	}
	draft.Set("access_level", "admin")
	f.Do(fakesite.Call{Path: "/api_key/generate?" + draft.Encode(), As: "alice"}).Must(t, http.StatusOK, "unable to issue user API keys")
	f.Do(fakesite.Call{Path: "/api_key/generate?" + draft.Encode()}).Must(t, http.StatusOK)
	draft.Set("access_level", "read")
	f.Do(fakesite.Call{Path: "/api_key/generate?" + draft.Encode()}).Must(t, http.StatusFound)
}
