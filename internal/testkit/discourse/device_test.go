package discourse_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/discourse"
)

// grantParams is a device's request, as JSON sends it.
func grantParams(changes ...string) map[string]string {
	m := map[string]string{}
	for name, v := range asked(append([]string{"padding", "oaep"}, changes...)...) {
		m[name] = v[0]
	}
	return m
}

const devicePath, pollPath = "/user-api-key/device.json", "/user-api-key/device/poll.json"

func (a app) poll(code any) string {
	a.t.Helper()
	return a.do("POST", pollPath, map[string]any{"device_code": code}).must(a.t, 200).value(a.t)["status"].(string)
}

// TestNoDevices: before the newest era there are no such addresses.
func TestNoDevices(t *testing.T) {
	t.Parallel()
	for _, era := range []discourse.Era{discourse.Old, discourse.Middle} {
		a := app{t: t, s: newSite(t, era)}
		a.do("POST", devicePath, grantParams()).must(t, 404)
		a.do("POST", pollPath, grantParams()).must(t, 404)
		a.get("/user-api-key/activate").must(t, 404)
	}
}

func TestDeviceAuthorized(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	a := app{t: t, s: s}
	for name, link := range map[string]string{"typed": "verification_uri", "link": "verification_uri_with_request"} {
		d := a.do("POST", devicePath, grantParams("expires_in_seconds", "600")).must(t, 200).value(t)
		for field, pattern := range map[string]string{
			"device_code": `^[0-9a-f]{64}$`, "user_code": `^[A-Z2-9]{4}-[A-Z2-9]{4}$`,
			"verification_uri":              "^" + s.URL + `/user-api-key/activate$`,
			"verification_uri_with_request": "^" + s.URL + `/user-api-key/activate\?request=[A-Za-z0-9_-]{8}$`,
		} {
			if !regexp.MustCompile(pattern).MatchString(d[field].(string)) {
				t.Errorf("%s = %q", field, d[field])
			}
		}
		if d["expires_in"] != 600.0 || d["interval"] != 5.0 {
			t.Errorf("times %v", d)
		}
		if got := a.poll(d["device_code"]); got != "authorization_pending" {
			t.Errorf("%s: %s", name, got)
		}
		if err := s.Browser("alice").Activate(d[link].(string), strings.ToLower(d["user_code"].(string))); err != nil {
			t.Fatal(name, err)
		}
		m := a.do("POST", pollPath, map[string]any{"device_code": d["device_code"]}).must(t, 200).value(t)
		if m["status"] != "authorized" {
			t.Fatalf("%s: %v", name, m)
		}
		p := open(t, userkeys.PaddingOAEP, m["payload"].(string))
		if !p.ExpiresAt.Equal(s.Clock.Now().Add(10 * time.Minute)) {
			t.Errorf("ends %v", p.ExpiresAt)
		}
		app{t: t, s: s, key: p.Key}.get("/session/current.json").must(t, 200, "alice")
		if got := a.poll(d["device_code"]); got != "expired_token" {
			t.Errorf("%s: the second time: %s", name, got)
		}
	}
}

func TestDeviceEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	a := app{t: t, s: s}
	begin := func() (code, typed, uri string) {
		d := a.do("POST", devicePath, grantParams()).must(t, 200).value(t)
		return d["device_code"].(string), d["user_code"].(string), d["verification_uri_with_request"].(string)
	}
	late, typed, uri := begin()
	s.Clock.Pass(10 * time.Minute)
	if err := s.Browser("alice").Activate(s.URL+"/user-api-key/activate", typed); err == nil || !strings.Contains(err.Error(), "expired code") {
		t.Errorf("an ended code: %v", err)
	}
	if p, err := s.Browser("alice").Open(uri); err != nil || !strings.Contains(p.Body, "expired code") {
		t.Errorf("an ended link: %v", err)
	}
	refused, typed, uri := begin()
	if err := s.Browser("alice").DenyCode(uri, typed); err != nil {
		t.Fatal(err)
	}
	forgotten, typed, uri := begin()
	if err := s.Browser("alice").Activate(uri, typed); err != nil {
		t.Fatal(err)
	}
	s.Clock.Pass(time.Minute - time.Second)
	for code, want := range map[string]string{late: "expired_token", refused: "access_denied", "nonsense": "expired_token"} {
		if got := a.poll(code); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	s.Clock.Pass(time.Second)
	if got := a.poll(forgotten); got != "expired_token" {
		t.Errorf("a payload that nobody fetched: %s", got)
	}
	if keys := s.Keys(); len(keys) != 1 || !keys[0].Good(s.Clock.Now()) {
		t.Errorf("the key that nobody has is not there: %v", keys)
	}
}

func TestDeviceRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	a := app{t: t, s: s}
	tests := []struct {
		name    string
		changes []string
		status  int
	}{
		{"missing", []string{"nonce", "-"}, 400},
		{"long client id", []string{"client_id", strings.Repeat("c", 201)}, 400},
		{"one-time password", []string{"scopes", "one_time_password"}, 400},
		{"many scopes", []string{"scopes", strings.Repeat("read,", 21)}, 400},
		{"unknown scope", []string{"scopes", "all"}, 403},
		{"broken key", []string{"public_key", "nonsense"}, 400},
		{"padding", []string{"padding", "x"}, 400},
		{"end", []string{"expires_in_seconds", "0"}, 400},
		{"nonce that does not fit", []string{"nonce", strings.Repeat("n", 200)}, 400},
	}
	for _, tt := range tests {
		r := a.do("POST", devicePath, grantParams(tt.changes...))
		if r.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, r.StatusCode, tt.status, r.body)
		}
	}
	a.do("POST", devicePath, asked()).must(t, 403)
	a.do("POST", "/user-api-key/device", grantParams()).must(t, 403)
	a.with("Accept", "application/json").do("POST", "/user-api-key/device", grantParams()).must(t, 200)
}

func TestDeviceLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	a := app{t: t, s: s}
	for range 20 {
		a.do("POST", devicePath, grantParams()).must(t, 200)
	}
	r := a.do("POST", devicePath, grantParams()).must(t, 429, "rate_limit")
	refusedBy(t, r, "60", "")
	for range 60 {
		a.do("POST", pollPath, map[string]string{"device_code": "x"}).must(t, 200)
	}
	a.do("POST", pollPath, map[string]string{"device_code": "x"}).must(t, 429)
	s.Set("max_user_api_reqs_per_minute", "1000")
	w := app{t: t, s: s, key: s.Mint("alice", "write")}
	const activatePath = "/user-api-key/activate.json"
	for range 10 {
		w.do("POST", activatePath, url.Values{"code": {"abc"}}).must(t, 200, `"invalid_code":true`)
	}
	w.do("POST", activatePath, url.Values{"code": {"abc"}}).must(t, 429)
	for range 30 {
		w.get(activatePath+"?request=abcdefgh").must(t, 200, `"expired_code":true`)
	}
	w.get(activatePath+"?request=abcdefgh").must(t, 429)
}

// TestDeviceByProgram walks the JSON of the pages.
func TestDeviceByProgram(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	w, bob := app{t: t, s: s, key: s.Mint("alice", "write")}, app{t: t, s: s, key: s.Mint("bob", "write")}
	d := w.do("POST", devicePath, grantParams()).must(t, 200).value(t)
	code := map[string]any{"code": d["user_code"]}
	bare, request, _ := strings.Cut(strings.TrimPrefix(d["verification_uri_with_request"].(string), s.URL), "?request=")
	w.get(bare+".json?request="+request).must(t, 200, `"state":"enter_code"`, `"application_name":"An app"`, `"unregistered_client":true`)
	m := w.do("POST", bare+".json", code).must(t, 200, `"state":"authorize"`).value(t)
	bob.do("POST", bare+".json", code).must(t, 200, `"expired_code":true`)
	approval := map[string]any{"approval_token": m["approval_token"]}
	bob.do("POST", "/user-api-key/device/authorize.json", approval).must(t, 200, `"expired_code":true`)
	w.do("POST", "/user-api-key/device/deny.json", map[string]any{"request": request, "code": d["user_code"]}).must(t, 200, `"expired_code":true`)
	w.do("POST", "/user-api-key/device/authorize.json", map[string]any{"request": "abcdefgh", "code": d["user_code"]}).must(t, 200, `"expired_code":true`)
	s.Set("user_api_key_allowed_groups", "admins")
	both := map[string]any{"request": request, "code": d["user_code"]}
	w.do("POST", "/user-api-key/device/authorize.json", both).must(t, 403)
	s.Set("user_api_key_allowed_groups", "trust_level_0")
	w.do("POST", "/user-api-key/device/authorize.json", both).must(t, 200, `"state":"complete"`, `"denied":false`)
	w.do("POST", "/user-api-key/device/authorize.json", both).must(t, 200, `"expired_code":true`)
}

// TestActivateStranger: of the address only a well-formed request outlives the login page.
func TestActivateStranger(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	for from, to := range map[string]string{
		"/user-api-key/activate?code=AAAA-AAAA":                  "/user-api-key/activate",
		"/user-api-key/activate?request=abcdefgh&code=AAAA-AAAA": "/user-api-key/activate?request=abcdefgh",
		"/user-api-key/activate?request=x":                       "/user-api-key/activate",
	} {
		b := s.Browser("")
		if _, err := b.Open(from); err != nil {
			t.Fatal(err)
		}
		if p, err := b.SignIn("alice"); err != nil || p.URL != s.URL+to {
			t.Errorf("%s led to %s: %v", from, p.URL, err)
		}
		if p, err := b.Open("/user-api-key/activate?code=AAAA-AAAA"); err != nil || p.URL != s.URL+"/user-api-key/activate" {
			t.Errorf("a code in the address led to %s: %v", p.URL, err)
		}
	}
	if p, err := s.Browser("").Open("/user-api-key/activate"); err != nil || !strings.HasSuffix(p.URL, "/login") {
		t.Errorf("a stranger saw %s: %v", p.URL, err)
	}
}
