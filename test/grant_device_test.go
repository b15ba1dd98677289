package scenario_test

// Granting a key: by a code that a user types for a device. Group DV of docs/attacks.md.

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// device is an app on a machine without a browser.
type device struct {
	sc   *scene
	app  *testkit.App
	code string // of the device
	user string
	page string // with the request's token
}

func (sc *scene) asksFrom(fields map[string]string) testkit.Answer {
	body, err := json.Marshal(fields)
	if err != nil {
		sc.t.Fatal(err)
	}
	return sc.json(sc.Visitor(), "/user-api-key/device.json", string(body))
}

func (sc *scene) json(p *testkit.Person, path, body string, header ...string) testkit.Answer {
	r := p.Request("POST", path, body)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return p.Do(r)
}

// fields is an app's request as JSON.
func deviceFields(app *testkit.App, change ...string) map[string]string {
	f := map[string]string{}
	for name := range app.Params {
		f[name] = app.Params.Get(name)
	}
	for i := 0; i+1 < len(change); i += 2 {
		f[change[i]] = change[i+1]
	}
	return f
}

func (sc *scene) newDevice(client, scopes string, change ...string) *device {
	sc.t.Helper()
	d := &device{sc: sc, app: sc.App(client, scopes)}
	var answer struct {
		Device  string `json:"device_code"`
		User    string `json:"user_code"`
		Address string `json:"verification_uri_with_request"`
	}
	a := sc.asksFrom(deviceFields(d.app, change...)).Must(sc.t, http.StatusOK)
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
		sc.t.Fatal(err)
	}
	d.code, d.user = answer.Device, answer.User
	u, err := url.Parse(answer.Address)
	if err != nil {
		sc.t.Fatal(err)
	}
	d.page = u.RequestURI()
	return d
}

// poll sends a poll of the device.
func (d *device) poll() (status, payload string) {
	d.sc.t.Helper()
	var answer struct{ Status, Payload string }
	a := d.sc.json(d.sc.Visitor(), "/user-api-key/device/poll.json", `{"device_code":"`+d.code+`"}`).Must(d.sc.t,
		http.StatusOK)
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
		d.sc.t.Fatal(err)
	}
	return answer.Status, answer.Payload
}

func (d *device) mustBe(want string) string {
	d.sc.t.Helper()
	status, payload := d.poll()
	if status != want {
		d.sc.t.Errorf("status %q, want %q", status, want)
	}
	return payload
}

// TestDeviceFlow takes the device flow from the request to the key, as the device and as its user.
func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		d := sc.newDevice("tv", "read,notifications", "padding", "oaep")
		d.mustBe("authorization_pending")
		stranger := sc.Visitor()
		to := stranger.Get(d.page+"&code=ABCD-2345").Must(sc.t, http.StatusFound).Header.Get("Location")
		if strings.Contains(to, "code") && strings.Contains(to, "ABCD") || !strings.Contains(to, "request%3D") {
			sc.t.Errorf("sent to %q", to)
		}
		typed := strings.ToLower(strings.ReplaceAll(d.user, "-", " "))
		page := sc.alice.Post("/user-api-key/activate", url.Values{"code": {typed}, "authenticity_token": {sc.token()}}).
			Must(sc.t, http.StatusOK, "App tv", "not verified", "from the address", "127.0.0.1",
				"read everything that you can read")
		sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/authorize")).Must(sc.t, http.StatusOK,
			"go back to the device")
		sealed := d.mustBe("authorized")
		payload, err := userkeys.OpenPayload(d.app.Private, userkeys.PaddingOAEP, sealed)
		if err != nil || payload.Nonce != "nonce-of-tv" {
			sc.t.Fatalf("payload %v, %v", payload, err)
		}
		d.mustBe("expired_token")
		d.app.Key = payload.Key
		d.app.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, "alice")

		preview := sc.newDevice("radio", "read")
		page = sc.alice.Get(preview.page).Must(sc.t, http.StatusOK, "App radio")
		sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/authorize", "code", preview.user)).Must(sc.t,
			http.StatusOK, "go back to the device")
		preview.mustBe("authorized")

		denied := sc.newDevice("phone", "read")
		page = sc.alice.Post("/user-api-key/activate", url.Values{"code": {denied.user}, "authenticity_token": {sc.token()}})
		sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/deny")).Must(sc.t, http.StatusOK, "Nothing was given")
		denied.mustBe("access_denied")
		denied.mustBe("expired_token")
	})
}

// token returns the token of alice's forms.
func (sc *scene) token() string {
	sc.t.Helper()
	var answer struct{ CSRF string }
	a := sc.alice.Get("/session/csrf").Must(sc.t, http.StatusOK)
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
		sc.t.Fatal(err)
	}
	return answer.CSRF
}

// TestDeviceAttacks tries the attacks DV on the device authorization.
func TestDeviceAttacks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		d := sc.newDevice("tv", "read")
		asJSON := func(a testkit.Answer) map[string]any {
			var m map[string]any
			if err := json.Unmarshal([]byte(a.Body), &m); err != nil {
				sc.t.Fatalf("%v: %.300s", err, a.Body)
			}
			return m
		}
		for name, c := range map[string]struct{ typed, flag string }{
			"DV2 a code that nobody has": {"ABCD-EFGH", "expired_code"},
			"DV2 seven letters":          {"ABCD-EFG", "invalid_code"},
			"DV2 nine letters":           {"ABCD-EFGHJ", "invalid_code"},
			"DV2 another alphabet":       {"\u00c0BCD-EFGH", "invalid_code"},
			"DV2 SQL":                    {"' OR 1=1 --", "invalid_code"},
			"DV2 nothing":                {"", "invalid_code"},
		} {
			sc.User("u" + strings.ReplaceAll(strings.ToLower(name[4:]), " ", ""))
			p := sc.Person("u" + strings.ReplaceAll(strings.ToLower(name[4:]), " ", ""))
			token := asJSON(p.Get("/session/csrf"))["csrf"].(string)
			r := p.Request("POST", "/user-api-key/activate.json", url.Values{"code": {c.typed}}.Encode())
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-CSRF-Token", token)
			m := asJSON(p.Do(r).Must(sc.t, http.StatusOK))
			if m["state"] != "enter_code" || m[c.flag] != true {
				sc.t.Errorf("%s: %v", name, m)
			}
		}
		sc.row("W22 a code of another device, at the address of this one", func(sc *scene) {
			request := strings.TrimPrefix(d.page, "/user-api-key/activate?request=")
			for _, c := range []struct{ request, typed, flag string }{
				{request, "ABCD-EFGH", "invalid_code"}, {request, "ABCD-EFG", "invalid_code"}, {
					"AAAAAAAA", "ABCD-EFGH",
					"expired_code",
				},
			} {
				r := sc.alice.Request("POST", "/user-api-key/device/authorize.json",
					url.Values{"request": {c.request}, "code": {c.typed}}.Encode())
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("X-CSRF-Token", sc.token())
				m := asJSON(sc.alice.Do(r).Must(sc.t, http.StatusOK))
				for _, flag := range []string{"invalid_code", "expired_code"} {
					if m["state"] != "enter_code" || m[flag] != (flag == c.flag) {
						sc.t.Errorf("%+v: %v", c, m)
					}
				}
			}
			d.mustBe("authorization_pending")
		})
		sc.row("the page says and offers what that of a browser does", func(sc *scene) {
			sc.Set("revoke_user_api_keys_maxlife_days", "400")
			most := sc.Clock.Now().AddDate(0, 0, 400).UTC().Format("2 Jan 2006")
			browser := sc.App("of a browser", "read").Ask(sc.alice)
			typed := sc.alice.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {sc.token()}})
			shown := sc.alice.Get(d.page)
			for _, page := range []testkit.Answer{browser, typed, shown} {
				page.Must(sc.t, http.StatusOK, "At most until <time", ">"+most, "or until the app has not used it for 180 days", "Not you? Switch account")
			}
			shown.Must(sc.t, http.StatusOK, `name="redirect" value="`+d.page+`"`)
			sc.Set("revoke_user_api_keys_maxlife_days", "0")
		})
		sc.row("DV3 a code in the address is not taken", func(sc *scene) {
			to := sc.alice.Get("/user-api-key/activate?code="+d.user).Must(sc.t, http.StatusFound).Header.Get("Location")
			if to != "/user-api-key/activate" {
				sc.t.Errorf("sent to %q", to)
			}
		})
		sc.row("DV5 wrong, malformed and used codes are told alike", func(sc *scene) {
			var first string
			for _, code := range []string{strings.Repeat("a", 64), "x", "", strings.Repeat("A", 64), strings.Repeat("a", 9000)} {
				a := sc.json(sc.Visitor(), "/user-api-key/device/poll", `{"device_code":"`+code+`"}`).Must(sc.t, http.StatusOK,
					`{"status":"expired_token"}`)
				if first == "" {
					first = a.Body
				}
				if a.Body != first {
					sc.t.Errorf("%q is told %q", code, a.Body)
				}
			}
		})
		sc.row("DV9 one_time_password cannot be asked for", func(sc *scene) {
			sc.Set("allow_user_api_key_scopes", "read|one_time_password")
			sc.asksFrom(deviceFields(d.app, "scopes", "one_time_password")).Must(sc.t, http.StatusBadRequest,
				"one_time_password")
			sc.asksFrom(deviceFields(d.app, "scopes", "write")).Must(sc.t, http.StatusForbidden, `"error_type":"invalid_access"`)
			sc.asksFrom(deviceFields(d.app, "nonce", strings.Repeat("n", 200))).Must(sc.t, http.StatusBadRequest,
				"Payload too large for PKCS#1")
			sc.asksFrom(deviceFields(d.app, "nonce", strings.Repeat("n", 257))).Must(sc.t, http.StatusBadRequest,
				"nonce is longer than 256 bytes")
			sc.asksFrom(deviceFields(d.app, "public_key", "x")).Must(sc.t, http.StatusBadRequest, "public_key")
		})
		sc.row("DV11 a form begins nothing and polls nothing", func(sc *scene) {
			sc.Visitor().Post("/user-api-key/device.json", d.app.Params).Must(sc.t, http.StatusForbidden)
			sc.Visitor().Post("/user-api-key/device/poll", url.Values{"device_code": {d.code}}).Must(sc.t, http.StatusForbidden)
		})
		sc.row("DV1 somebody else's approval token answers nothing", func(sc *scene) {
			sc.User("mallory")
			mallory := sc.Person("mallory")
			page := sc.alice.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {sc.token()}})
			approval := formValue(sc.t, page, "approval_token")
			token := asJSON(mallory.Get("/session/csrf"))["csrf"].(string)
			for _, path := range []string{"/user-api-key/device/authorize", "/user-api-key/device/deny"} {
				mallory.Post(path, url.Values{"approval_token": {approval}, "authenticity_token": {token}}).Must(sc.t,
					http.StatusOK, "id=\"problem\"")
			}
			mallory.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {token}}).Must(sc.t,
				http.StatusOK, "id=\"problem\"")
			d.mustBe("authorization_pending")
		})
		sc.row("DV4 the request's token alone denies nothing", func(sc *scene) {
			sc.alice.Post("/user-api-key/device/deny", url.Values{"request": {strings.TrimPrefix(d.page,
				"/user-api-key/activate?request=")}, "authenticity_token": {sc.token()}}).Must(sc.t, http.StatusOK)
			d.mustBe("authorization_pending")
		})
		sc.row("W22 a user below the trust level", func(sc *scene) {
			sc.Set("user_api_key_allowed_groups", "trust_level_4")
			page := sc.alice.Post("/user-api-key/activate",
				url.Values{"code": {d.user}, "authenticity_token": {sc.token()}}).Must(sc.t, http.StatusOK, "trust level")
			sc.alice.Submit(page, "/user-api-key/device/authorize").Must(sc.t, http.StatusForbidden)
			d.mustBe("authorization_pending")
			sc.Set("user_api_key_allowed_groups", "trust_level_0")
		})
		sc.row("DV7 an answer that nobody fetches is gone after a minute", func(sc *scene) {
			page := sc.alice.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {sc.token()}})
			sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/authorize")).Must(sc.t, http.StatusOK,
				"go back to the device")
			sc.Clock.Pass(61 * time.Second)
			d.mustBe("expired_token")
		})
		sc.row("W22 a code is good for ten minutes", func(sc *scene) {
			late := sc.newDevice("late", "read")
			sc.Clock.Pass(601 * time.Second)
			late.mustBe("expired_token")
			sc.alice.Post("/user-api-key/activate", url.Values{
				"code":               {late.user},
				"authenticity_token": {sc.token()},
			}).Must(sc.t, http.StatusOK, "id=\"problem\"")
		})
		sc.row("DV10 creations are counted by address", func(sc *scene) {
			sc.Clock.Pass(time.Minute)
			for range 20 {
				sc.asksFrom(deviceFields(d.app)).Must(sc.t, http.StatusOK)
			}
			a := sc.asksFrom(deviceFields(d.app)).Must(sc.t, http.StatusTooManyRequests, `"error_type":"rate_limit"`)
			if a.Header.Get("Retry-After") == "" {
				sc.t.Error("no Retry-After")
			}
		})
		sc.row("W13.5 tries of codes are counted by user", func(sc *scene) {
			sc.Clock.Pass(time.Hour)
			token := sc.token()
			status := 0
			for range 11 {
				status = sc.alice.Post("/user-api-key/activate",
					url.Values{"code": {"ABCD-EFGH"}, "authenticity_token": {token}}).StatusCode
			}
			if status != http.StatusTooManyRequests {
				sc.t.Errorf("the eleventh try in a minute: status %d", status)
			}
		})
		sc.row("LK1 no code is in the log", func(sc *scene) {
			if log := sc.Log.String(); strings.Contains(log, d.code) || strings.Contains(log,
				strings.ReplaceAll(d.user, "-", "")) || strings.Contains(log, d.user) {
				sc.t.Error("the log has a code")
			}
		})
	})
}

// formValue is a field of the first form that has it.
func formValue(t *testing.T, a testkit.Answer, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(a.Body, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	if !ok || value == "" {
		t.Fatalf("no %s in %.500s", name, a.Body)
	}
	return value
}

// TestOneTimeThingsAreConsumedOnce uses one-time passwords and device codes 64 times at once: one succeeds (DV6, OT3).
func TestOneTimeThingsAreConsumedOnce(t *testing.T) {
	t.Parallel()
	rounds := 5
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 10_000
	}
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		now := time.Now().UTC()
		u, err := st.CreateUser(t.Context(), site.Account{User: site.User{Username: "alice", Active: true, CreatedAt: now}}, testkit.Command)
		if err != nil {
			t.Fatal(err)
		}
		by := site.Caller{User: u, Session: site.Session{ID: "s"}}
		for range rounds {
			password := userkeys.NewOneTimePassword()
			err := st.CreateOneTimePassword(t.Context(),
				site.OneTimePassword{
					Password: password, UserID: u.ID, CreatedAt: now,
					ExpiresAt: now.Add(time.Hour),
				}, "", testkit.Command)
			if err != nil {
				t.Fatal(err)
			}
			once(t, func() error {
				_, err := st.ConsumeOneTimePassword(t.Context(), password, testkit.Command.At(now))
				return err
			})
			d := site.NewDeviceGrant(site.AuthorizationRequest{ClientID: "c"}, "", now)
			if err := st.CreateDeviceGrant(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if _, err := st.BindDeviceGrant(t.Context(), site.TypedCode{UserCode: d.UserCode, Approval: "approval" + d.RequestToken}, by.At(now)); err != nil {
				t.Fatal(err)
			}
			if err := st.DenyDeviceGrant(t.Context(), "approval"+d.RequestToken, by.At(now)); err != nil {
				t.Fatal(err)
			}
			once(t, func() error {
				_, err := st.PollDeviceGrant(t.Context(), d.DeviceCode, now)
				return err
			})
		}
	})
}

// once calls redeem 64 times at once and fails unless one call succeeds and the others return ConsentGone.
func once(t *testing.T, redeem func() error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	start := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			<-start
			errs <- redeem()
		})
	}
	close(start)
	wg.Wait()
	close(errs)
	won := 0
	for err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, userkeys.ConsentGone):
			t.Errorf("refused with %v", err)
		}
	}
	if won != 1 {
		t.Fatalf("%d of 64 got it", won)
	}
}

// TestDeviceLogIsWithoutCodes checks that each step is logged if the site wants that, with 12 digits of a hash of
// each code (W21).
func TestDeviceLogIsWithoutCodes(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		way := func() *device {
			d := sc.newDevice("tv", "read")
			page := sc.alice.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {sc.token()}})
			sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/authorize")).Must(sc.t, http.StatusOK)
			d.mustBe("authorized")
			return d
		}
		way()
		if strings.Contains(sc.Log.String(), "device authorization") {
			sc.t.Error("the flow is logged without the setting")
		}
		sc.Set("verbose_user_api_key_device_auth_logging", "true")
		d := way()
		log := sc.Log.String()
		for _, step := range []string{"created", "activated", "authorized", "fetched"} {
			if !strings.Contains(log, "step="+step) {
				sc.t.Errorf("the log lacks the step %s", step)
			}
		}
		if !strings.Contains(log, userkeys.Key(d.code).Hash().Short()) || strings.Contains(log,
			d.code) || strings.Contains(log, strings.ReplaceAll(d.user, "-", "")) {
			sc.t.Error("the log lacks the hash of a code, or has the code")
		}
	})
}
