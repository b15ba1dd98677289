package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
)

// shipped is a site that was opened for the apps that exist, as its
// administrator would do it, before a small forum.
type shipped struct {
	*testkit.Site
	t     *testing.T
	alice *testkit.Person
	data  string
}

func openForShippedApps(t *testing.T, settings ...string) *shipped {
	t.Helper()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	testkit.Run(t, "", "settings", "preset", "discourse", "--data", data)
	for i := 0; i < len(settings); i += 2 {
		testkit.Run(t, "", "settings", "set", settings[i], settings[i+1], "--data", data)
	}
	server := testkit.Serve(t, "--data", data, "--upstream", shippedForum(t), "--own", "apps,/login")
	s := testkit.At(t, server.URL)
	return &shipped{Site: s, t: t, alice: s.Person("alice"), data: data}
}

// shippedForum answers what apps read and write of a forum, and tells whom it was told of.
func shippedForum(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Api-Key") != "" {
			t.Error("the website was given the key")
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"who":"`+r.Header.Get("X-Userkeys-Username")+`","path":"`+r.URL.Path+`","topic_slug":"t","topic_id":42,"post_number":1}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// pair is an app's key pair; format is of its public half.
func pair(t *testing.T, bits int, format string) (*rsa.PrivateKey, string) {
	t.Helper()
	private := testkit.KeyOf(t, bits)
	if format == "pkcs1" {
		return private, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)}))
	}
	return private, testkit.PublicPEM(&private.PublicKey)
}

// open opens the payload, which must have the members that apps take apart, and no other.
func (s *shipped) open(private *rsa.PrivateKey, padding userkeys.Padding, sealed, nonce string) userkeys.Key {
	s.t.Helper()
	p, err := userkeys.OpenPayload(private, padding, sealed)
	if err != nil || p.Nonce != nonce || p.API != 4 {
		s.t.Fatalf("payload %+v, error %v", p, err)
	}
	return p.Key
}

// send is one request as an app makes it: no cookies, no browser's headers.
func (s *shipped) send(method, path, body string, header ...string) testkit.Answer {
	s.t.Helper()
	v := s.Visitor()
	return s.sendAs(v, method, path, body, header...)
}

func (s *shipped) sendAs(v *testkit.Person, method, path, body string, header ...string) testkit.Answer {
	s.t.Helper()
	r := v.Request(method, path, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return v.Do(r)
}

// probe is how every app finds out whom it speaks to.
func (s *shipped) probe(device bool) {
	s.t.Helper()
	a := s.send("HEAD", "/user-api-key/new", "").Must(s.t, http.StatusOK)
	if a.Header.Get("Auth-Api-Version") != "4" || (a.Header.Get("Auth-Api-Device-Code") == "true") != device || a.Body != "" {
		s.t.Errorf("probe: %v %q", a.Header, a.Body)
	}
}

// approve opens the app's address in the user's browser and approves.
func (s *shipped) approve(params url.Values) testkit.Answer {
	s.t.Helper()
	page := s.alice.Get("/user-api-key/new?"+params.Encode()).Must(s.t, http.StatusOK)
	return s.alice.Submit(page, "/user-api-key")
}

// decode reads an answer's JSON object.
func decode(t *testing.T, a testkit.Answer) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.Body), &m); err != nil {
		t.Fatalf("%s %s: %v: %.500s", a.Request.Method, a.Request.URL.Path, err, a.Body)
	}
	return m
}

// The official mobile app, from the probe to the end of its key.
func TestReplayDiscourseMobile(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	s.probe(true)
	info := decode(t, s.send("GET", "/site/basic-info.json", "").Must(t, http.StatusOK))
	for _, name := range []string{"title", "description", "apple_touch_icon_url", "login_required"} {
		if _, ok := info[name]; !ok {
			t.Errorf("basic-info has no %s: %v", name, info)
		}
	}
	private, public := pair(t, 2048, "spki")
	granted := s.approve(url.Values{
		"scopes": {"notifications,session_info,one_time_password"}, "client_id": {"0123456789abcdef0123456789abcdef"}, "nonce": {"0123456789abcdef"},
		"push_url": {"https://api.discourse.org/api/publish_ios"}, "auth_redirect": {"discourse://auth_redirect"},
		"application_name": {"Discourse - Alice's iPhone"}, "public_key": {public}, "discourse_app": {"1"},
	}).Must(t, http.StatusFound)
	back, query, _ := strings.Cut(granted.Header.Get("Location"), "?")
	values, err := url.ParseQuery(query)
	if err != nil || back != "discourse://auth_redirect" || !strings.HasPrefix(query, "payload=") {
		t.Fatalf("sent to %q, %v", granted.Header.Get("Location"), err)
	}
	key := s.open(private, userkeys.PaddingPKCS1, values.Get("payload"), "0123456789abcdef")
	headers := []string{
		"User-Api-Key", key.Reveal(), "User-Agent", "Discourse ios App / 1.0", "Content-Type", "application/json",
		"Dont-Chunk", "true", "User-Api-Client-Id", "",
	}
	totals := decode(t, s.send("GET", "/notifications/totals.json", "", headers...).Must(t, http.StatusOK))
	if tracking, ok := totals["topic_tracking"].(map[string]any); !ok || tracking["unread"] == nil {
		t.Errorf("totals without topic_tracking: %v", totals)
	}

	password := openOneTime(t, private, values.Get("oneTimePassword"))
	webView := s.Visitor()
	page := webView.Get("/session/otp/"+password).Must(t, http.StatusOK, "alice")
	webView.Submit(page, "/session/otp/"+password).Must(t, http.StatusFound)
	webView.Get("/session/current.json").Must(t, http.StatusOK, `"username":"alice"`)

	list := decode(t, s.send("GET", "/notifications.json?recent=true&limit=25", "", headers...).Must(t, http.StatusOK))
	if _, ok := list["notifications"].([]any); !ok {
		t.Errorf("no list of notifications: %v", list)
	}
	s.send("PUT", "/notifications/read", `{"id":901}`, headers...).Must(t, http.StatusOK)
	s.send("POST", "/user-api-key/revoke", "", headers...).Must(t, http.StatusOK)
	s.send("GET", "/notifications/totals.json", "", headers...).Must(t, http.StatusForbidden)
}

// openOneTime opens a one-time password, which is 32 hex digits and nothing else.
func openOneTime(t *testing.T, private *rsa.PrivateKey, sealed string) string {
	t.Helper()
	password, err := userkeys.OpenOneTimePassword(private, userkeys.PaddingPKCS1, sealed)
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(password) {
		t.Fatalf("one-time password: %v", err)
	}
	return password
}

// A browser extension: device flow beside the browser's own cookies and a foreign Origin.
func TestReplayClipToDiscourse(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	s.probe(true)
	private, public := pair(t, 2048, "spki")
	extension := []string{"Origin", "chrome-extension://abcdefghijklmnop", "Sec-Fetch-Site", "none", "Content-Type", "application/json"}
	code := s.device(s.alice, "/user-api-key/device.json", map[string]any{
		"application_name": "Clip To Discourse", "client_id": "clip-to-discourse-2f0c", "scopes": "read,write", "public_key": public,
		"nonce": "0123456789abcdef0123456789abcdef", "padding": "oaep",
	}, extension...)
	sealed := s.poll(s.alice, "/user-api-key/device/poll.json", code, extension...)
	key := s.open(private, userkeys.PaddingOAEP, sealed, "0123456789abcdef0123456789abcdef")
	with := append(extension, "User-Api-Key", key.Reveal(), "User-Api-Client-Id", "clip-to-discourse-2f0c")
	s.sendAs(s.alice, "GET", "/session/current.json", "", with...).Must(t, http.StatusOK, `"username":"alice"`)
	s.sendAs(s.alice, "POST", "/posts.json", `{"raw":"hello"}`, with...).Must(t, http.StatusOK, `"who":"alice"`)
	s.sendAs(s.alice, "POST", "/user-api-key/revoke", "", with...).Must(t, http.StatusOK)
	s.sendAs(s.alice, "GET", "/session/current.json", "", with...).Must(t, http.StatusForbidden)

	// Its fallback: the browser's own window for such flows.
	granted := s.approve(url.Values{
		"auth_redirect": {"https://abcdefghijklmnopabcdefghijklmnop.chromiumapp.org/discourse-user-api"}, "application_name": {"Clip To Discourse"},
		"client_id": {"clip-to-discourse-2f0c"}, "scopes": {"read,write"}, "public_key": {public}, "nonce": {"n"}, "padding": {"oaep"}, "auth_api_version": {"4"},
	}).Must(t, http.StatusFound)
	if to := granted.Header.Get("Location"); !strings.HasPrefix(to, "https://abcdefghijklmnopabcdefghijklmnop.chromiumapp.org/discourse-user-api?payload=") {
		t.Errorf("sent to %q", to)
	}
}

// deviceCode is what the app polls with.
type deviceCode struct{ device, user, address string }

// device asks for a device authorization and has alice approve it.
func (s *shipped) device(from *testkit.Person, path string, body map[string]any, header ...string) string {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := decode(s.t, s.sendAs(from, "POST", path, string(text), header...).Must(s.t, http.StatusOK))
	code := deviceCode{}
	code.device, _ = answer["device_code"].(string)
	code.user, _ = answer["user_code"].(string)
	code.address, _ = answer["verification_uri_with_request"].(string)
	expires, _ := answer["expires_in"].(float64)
	interval, _ := answer["interval"].(float64)
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(code.device) || !regexp.MustCompile(`^[A-Z2-9]{4}-[A-Z2-9]{4}$`).MatchString(code.user) ||
		!strings.HasPrefix(code.address, s.URL+"/user-api-key/activate?request=") || expires <= 0 || interval <= 0 || interval > 60 {
		s.t.Fatalf("device answer %v", answer)
	}
	u, err := url.Parse(code.address)
	if err != nil {
		s.t.Fatal(err)
	}
	page := s.alice.Get(u.RequestURI()).Must(s.t, http.StatusOK)
	s.alice.Follow(s.alice.Submit(page, "/user-api-key/device/authorize", "code", code.user)).Must(s.t, http.StatusOK)
	return code.device
}

// poll fetches the answer, once.
func (s *shipped) poll(from *testkit.Person, path, device string, header ...string) string {
	s.t.Helper()
	body := `{"device_code":"` + device + `"}`
	answer := decode(s.t, s.sendAs(from, "POST", path, body, header...).Must(s.t, http.StatusOK))
	sealed, _ := answer["payload"].(string)
	if answer["status"] != "authorized" || sealed == "" {
		s.t.Fatalf("poll: %v", answer)
	}
	if again := decode(s.t, s.sendAs(from, "POST", path, body, header...).Must(s.t, http.StatusOK)); again["status"] != "expired_token" {
		s.t.Errorf("polled once more: %v", again)
	}
	return sealed
}

// Nextcloud's integration: a program that signs in by forms, with a token that it
// got before, and posts the whole request.
func TestReplayNextcloud(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	private, public := pair(t, 2048, "pkcs1")
	params := url.Values{
		"application_name": {"Nextcloud Discourse integration"}, "client_id": {"nextcloud-1"}, "scopes": {"read,write,notifications"}, "nonce": {"a-b.c_d~e"},
		"public_key": {strings.ReplaceAll(public, "\n", "\r\n")}, "auth_redirect": {"web+nextclouddiscourse://auth-redirect"},
	}
	program := s.Visitor()
	s.sendAs(program, "GET", "/user-api-key/new?"+params.Encode(), "").Must(t, http.StatusFound)
	xhr := []string{"X-Requested-With", "XMLHttpRequest", "Accept", "application/json, text/javascript, */*; q=0.01"}
	token, _ := decode(t, s.sendAs(program, "GET", "/session/csrf", "", xhr...).Must(t, http.StatusOK))["csrf"].(string)
	if token == "" {
		t.Fatal("no token")
	}
	posting := append(xhr, "X-CSRF-Token", token, "Content-Type", "application/x-www-form-urlencoded")
	login := url.Values{"login": {"alice"}, "password": {testkit.Password}, "second_factor_method": {"1"}, "timezone": {"Europe/Berlin"}}
	s.sendAs(program, "POST", "/session", login.Encode(), posting...).Must(t, http.StatusOK, "alice")
	s.sendAs(program, "GET", "/session/current.json", "", xhr...).Must(t, http.StatusOK, `"current_user"`)
	again := url.Values{"username": {"alice"}, "password": {testkit.Password}, "redirect": {"/user-api-key/new?" + params.Encode()}}
	to := s.sendAs(program, "POST", "/login", again.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if to.StatusCode != http.StatusFound && to.StatusCode != http.StatusSeeOther {
		t.Errorf("POST /login: %d", to.StatusCode)
	}
	s.sendAs(program, "GET", to.Header.Get("Location"), "").Must(t, http.StatusOK)
	answer := decode(t, s.sendAs(program, "POST", "/user-api-key", params.Encode(), posting...).Must(t, http.StatusOK))
	location, _ := answer["redirect_url"].(string)
	sealed, ok := strings.CutPrefix(location, "web+nextclouddiscourse://auth-redirect?payload=")
	if !ok {
		t.Fatalf("answer %v", answer)
	}
	sealed, err := url.QueryUnescape(sealed)
	if err != nil {
		t.Fatal(err)
	}
	key := s.open(private, userkeys.PaddingPKCS1, sealed, "a-b.c_d~e")
	agent := []string{"User-Api-Key", key.Reveal(), "User-Agent", "Nextcloud Discourse integration"}
	current := decode(t, s.send("GET", "/session/current.json", "", agent...).Must(t, http.StatusOK))
	if u, _ := current["current_user"].(map[string]any); u == nil || u["username"] != "alice" || u["id"] == 0.0 {
		t.Errorf("current user %v", current)
	}
	s.send("GET", "/notifications.json", "", agent...).Must(t, http.StatusOK, `"notifications"`)
	s.send("GET", "/search.json?q=error", "", agent...).Must(t, http.StatusOK, "search.json")
	if a := s.send("GET", "/notifications.json", "", "User-Api-Key", "bogus"); a.StatusCode < 400 {
		t.Errorf("a bogus key: %d", a.StatusCode)
	}
}

// A wrapper that makes a one-time password with its key, where the site allows that.
func TestReplayChatWrapper(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t, "allow_user_api_key_otp_by_key", "true")
	s.probe(true)
	private, public := pair(t, 2048, "spki")
	asJSON := []string{"Content-Type", "application/json"}
	device := s.device(s.Visitor(), "/user-api-key/device.json", map[string]any{
		"application_name": "Chat", "client_id": "chat-1", "scopes": "write", "public_key": public, "nonce": "n", "padding": "oaep",
	}, asJSON...)
	key := s.open(private, userkeys.PaddingOAEP, s.poll(s.Visitor(), "/user-api-key/device/poll.json", device, asJSON...), "n")
	with := append(asJSON, "User-Api-Key", key.Reveal(), "User-Api-Client-Id", "chat-1")
	body, err := json.Marshal(map[string]string{"public_key": public, "application_name": "Chat", "auth_redirect": "discourse://auth_redirect", "padding": "oaep"})
	if err != nil {
		t.Fatal(err)
	}
	answer := decode(t, s.send("POST", "/user-api-key/otp.json", string(body), with...).Must(t, http.StatusOK))
	location, _ := answer["redirect_url"].(string)
	if strings.Count(location, "oneTimePassword=") != 1 || !strings.HasPrefix(location, "discourse://auth_redirect?oneTimePassword=") {
		t.Fatalf("answer %v", answer)
	}
	sealed, err := url.QueryUnescape(strings.TrimPrefix(location, "discourse://auth_redirect?oneTimePassword="))
	if err != nil {
		t.Fatal(err)
	}
	password, err := userkeys.OpenOneTimePassword(private, userkeys.PaddingOAEP, sealed)
	if err != nil {
		t.Fatal(err)
	}
	s.send("POST", "/user-api-key/revoke", "{}", with...).Must(t, http.StatusOK)
	window := s.Visitor()
	s.sendAs(window, "POST", "/session/otp/"+password, "", "Content-Type", "application/x-www-form-urlencoded").Must(t, http.StatusFound)
	window.Get("/session/current.json").Must(t, http.StatusOK, `"username":"alice"`)
}

// Device flow without .json, and a key that is sent without a client id.
func TestReplayForumScript(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	private, public := pair(t, 2048, "spki")
	asJSON := []string{"Content-Type", "application/json", "Accept", "application/json"}
	device := s.device(s.Visitor(), "/user-api-key/device", map[string]any{
		"application_name": "Issue tracker", "client_id": "forum", "scopes": "write", "public_key": public, "nonce": "n", "padding": "oaep",
	}, asJSON...)
	key := s.open(private, userkeys.PaddingOAEP, s.poll(s.Visitor(), "/user-api-key/device/poll", device, asJSON...), "n")
	s.send("GET", "/session/current.json", "", "User-Api-Key", key.Reveal()).Must(t, http.StatusOK, "alice")
	s.send("POST", "/posts.json", `{"raw":"hello"}`, "User-Api-Key", key.Reveal(), "Content-Type", "application/json").Must(t, http.StatusOK, `"topic_id":42`)
}

// What the many smaller apps ask for, each with its own spelling of the request.
func TestReplayOtherApps(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	for _, app := range []struct {
		name          string
		bits          int
		format        string
		crlf          bool
		noFinalEnd    bool
		clientID      string
		nonce, scopes string
		redirect      string
		call          string
	}{
		{name: "go-klaus", bits: 2048, clientID: "klaus", nonce: "8f1c", scopes: "read", call: "/t/-/42.json"},
		{name: "KengoTODA", bits: 4096, format: "pkcs1", clientID: "host", nonce: "1", scopes: "write", call: "/session/current.json"},
		{name: "TheIndra55", bits: 1024, clientID: strings.Repeat("0123456789abcdef", 6), nonce: "0123456789abcdef", scopes: "session_info", redirect: "http://127.0.0.1:8000/", call: "/session/current.json"},
		{name: "the documentation's Ruby script", bits: 2048, clientID: "laptop\n", nonce: "1", scopes: "read", call: "/latest.json"},
		{name: "shuiyuan", bits: 4096, clientID: "shuiyuan", nonce: "0123", scopes: "read", call: "/latest.json"},
		{name: "helpme", bits: 2048, clientID: "helpme-0.0.43", nonce: "0123", scopes: "write", call: "/categories.json"},
		{name: "obsidian", bits: 4096, crlf: true, clientID: "obsidian", nonce: "0123", scopes: "read,write", call: "/categories.json?include_subcategories=true"},
		{name: "cybernative", bits: 2048, noFinalEnd: true, clientID: "agent", nonce: "n", scopes: "read,write,notifications,session_info", redirect: "http://127.0.0.1:8787/callback", call: "/latest.json"},
		{name: "go-cfx", bits: 2048, clientID: "cfx", nonce: "n", scopes: "session_info", redirect: "http://127.0.0.1:8787/callback?state=5b1c9d0e-1111-4222-8333-444455556666", call: "/session/current.json"},
		{name: "discourse-native", bits: 2048, clientID: "native", nonce: "n", scopes: "read,write,session_info,notifications", redirect: "discourse://auth_redirect", call: "/notifications/totals.json"},
	} {
		t.Run(app.name, func(t *testing.T) {
			s := &shipped{Site: s.Site, t: t, alice: s.alice, data: s.data}
			private, public := pair(t, app.bits, app.format)
			if app.crlf {
				public = strings.ReplaceAll(public, "\n", "\r\n")
			}
			if app.noFinalEnd {
				public = strings.TrimSuffix(public, "\n")
			}
			params := url.Values{
				"application_name": {"App of " + app.name}, "client_id": {app.clientID}, "scopes": {app.scopes}, "nonce": {app.nonce}, "public_key": {public}, "access": {""},
			}
			if app.redirect != "" {
				params.Set("auth_redirect", app.redirect)
			}
			granted := s.approve(params)
			var sealed string
			if app.redirect == "" {
				var ok bool
				if sealed, ok = granted.Must(t, http.StatusOK).Text("user-api-key-payload"); !ok {
					t.Fatal("no payload on the page")
				}
			} else {
				to := granted.Must(t, http.StatusFound).Header.Get("Location")
				if !strings.HasPrefix(to, app.redirect) || strings.Count(to, "?") != 1 || strings.ContainsAny(to, "+\n") {
					t.Fatalf("sent to %q", to)
				}
				u, err := url.Parse(to)
				if err != nil {
					t.Fatal(err)
				}
				sealed = u.Query().Get("payload")
			}
			key := s.open(private, userkeys.PaddingPKCS1, sealed, app.nonce)
			s.send("GET", app.call, "", "User-Api-Key", key.Reveal()).Must(t, http.StatusOK)
			s.send("POST", "/user-api-key/revoke.json", "", "User-Api-Key", key.Reveal(), "Content-Type", "application/x-www-form-urlencoded").Must(t, http.StatusOK)
			s.send("GET", app.call, "", "User-Api-Key", key.Reveal()).Must(t, http.StatusForbidden)
		})
	}
}

// A page of another origin calls the API with a key, as single-page apps do.
func TestReplayBrowserApp(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t, "cors_origins", "https://app.example")
	preflight := s.send("OPTIONS", "/session/current.json", "", "Origin", "https://app.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "user-api-key,user-api-client-id")
	allowed := strings.ToLower(preflight.Header.Get("Access-Control-Allow-Headers"))
	for _, name := range []string{
		"content-type", "cache-control", "x-requested-with", "x-csrf-token", "discourse-present", "user-api-key", "user-api-client-id", "authorization",
	} {
		if !strings.Contains(allowed, name) {
			t.Errorf("preflight does not allow %s: %d %v", name, preflight.StatusCode, preflight.Header)
		}
	}
	if preflight.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("preflight: %d %v", preflight.StatusCode, preflight.Header)
	}
	stranger := s.send("OPTIONS", "/session/current.json", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "user-api-key")
	if stranger.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a stranger's origin is allowed: %v", stranger.Header)
	}
}

// An app that reads what the site allows asks rightly the first time.
func TestReplayDiscovery(t *testing.T) {
	t.Parallel()
	s := openForShippedApps(t)
	d := decode(t, s.send("GET", "/.well-known/user-api-key", "").Must(t, http.StatusOK))
	scopes, _ := d["scopes"].([]any)
	if len(scopes) != 9 || d["device_flow"] != true {
		t.Errorf("%d scopes, device flow %v", len(scopes), d["device_flow"])
	}
	s.send("GET", "/user-api-key/openapi.json", "").Must(t, http.StatusOK, `"openapi":"3.1`)
}
