package site_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// The draft of 2016 in its own words.
func TestParseDraftRequest(t *testing.T) {
	t.Parallel()
	draft := func(nameValues ...string) url.Values {
		p := url.Values{"redirect_url": {"https://app.example/cb"}, "access_level": {"read,push"}, "client_id": {"desk"}, "public_key": {"pem"}, "push_url": {"https://p.example/"}}
		for i := 0; i+1 < len(nameValues); i += 2 {
			p.Set(nameValues[i], nameValues[i+1])
		}
		return p
	}
	got, err := site.ParseDraftRequest(draft())
	want := site.AuthorizationRequest{
		Draft: true, ApplicationName: "desk", ClientID: "desk", Scopes: userkeys.Scopes{"read", "push"}, PublicKey: "pem",
		AuthRedirect: "https://app.example/cb", HasAuthRedirect: true, PushURL: "https://p.example/",
	}
	if err != nil || cmp.Diff(want, got) != "" || got.AnswerName() != "api_key" {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
	if got, err := site.ParseDraftRequest(draft("access_level", "read write read", "application_name", "Desk", "nonce", "1")); err != nil ||
		got.Scopes.String() != "read,write" || got.PushURL != "" || got.ApplicationName != "Desk" || got.Nonce != "1" {
		t.Errorf("%v: %+v", err, got)
	}
	for name, code := range map[string]userkeys.Code{
		"client_id=": userkeys.MissingParameter, "access_level=": userkeys.MissingParameter, "public_key= ": userkeys.MissingParameter, "redirect_url=": userkeys.MissingParameter,
		"access_level=admin": userkeys.ScopeNotAllowed, "access_level=READ": userkeys.ScopeNotAllowed, "access_level=,": userkeys.MissingParameter,
		"client_id=" + strings.Repeat("x", 201): userkeys.InvalidParameters,
	} {
		field, value, _ := strings.Cut(name, "=")
		_, err := site.ParseDraftRequest(draft(field, value))
		mustRefuse(t, err, code, "")
	}
	_, err = site.ParseDraftRequest(url.Values{"client_id": {"a", "b"}})
	mustRefuse(t, err, userkeys.InvalidParameters, "duplicate")
}

func TestParseUserCode(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"ABCD-2345": "ABCD2345", "abcd 2345": "ABCD2345", " a.b.c.d-2345 ": "ABCD2345", "ABCD234": "", "ABCD-23456": "", "": "", "\u00c0BCD-2345": "",
		"\u212aBCD-2345": "", strings.Repeat("A", 200): "",
	} {
		got, ok := site.ParseUserCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
}

// Whatever is typed: a code is eight letters and digits of ASCII, and reads the same again.
func FuzzParseUserCode(f *testing.F) {
	f.Add("ABCD-2345")
	f.Add("\u212aabc defg")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := site.ParseUserCode(typed)
		if !ok {
			return
		}
		again, ok := site.ParseUserCode(site.ShowUserCode(code))
		if !ok || again != code || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Errorf("%q: %q, then %q", typed, code, again)
		}
	})
}

func TestNewDeviceGrant(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		d := site.NewDeviceGrant(site.AuthorizationRequest{}, "", time.Unix(1, 0))
		if !site.IsDeviceCode(d.DeviceCode) || !site.IsRequestToken(d.RequestToken) || len(d.UserCode) != 8 || strings.ContainsAny(d.UserCode, "IO01") || d.ExpiresAt.Unix() != 601 {
			t.Fatalf("%+v", d)
		}
		if seen[d.DeviceCode] || seen[d.UserCode] || seen[d.RequestToken] {
			t.Fatal("a code came twice")
		}
		seen[d.DeviceCode], seen[d.UserCode], seen[d.RequestToken] = true, true, true
	}
}

// A user narrows, and never widens.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	if err := s.Set("allowed_user_api_push_urls", "https://p.example/"); err != nil {
		t.Fatal(err)
	}
	asked := site.CheckedRequest{
		AuthorizationRequest: site.AuthorizationRequest{Scopes: userkeys.Scopes{"read", "push"}, PushURL: "https://p.example/"},
		Key:                  parsedKey(t, testPublicKey), Pad: userkeys.PaddingOAEP, Push: true,
	}
	got, err := asked.Narrow(s, site.Choice{})
	if err != nil || got.Scopes.String() != "read,push" || !got.Push || got.Ends != 0 {
		t.Errorf("as asked: %+v, %v", got, err)
	}
	got, err = asked.Narrow(s, site.Choice{Scopes: userkeys.Scopes{"read"}, Lifetime: time.Hour})
	if err != nil || got.Scopes.String() != "read" || got.Push || got.Ends != time.Hour || got.Lifetime != 0 {
		t.Errorf("less: %+v, %v", got, err)
	}
	got, err = asked.Narrow(s, site.Choice{Scopes: userkeys.Scopes{"push", "read", "push"}})
	if err != nil || got.Scopes.String() != "read,push" {
		t.Errorf("all, in another order: %+v, %v", got, err)
	}
	_, err = asked.Narrow(s, site.Choice{Scopes: userkeys.Scopes{}})
	mustRefuse(t, err, userkeys.InvalidParameters, "at least one")
	_, err = asked.Narrow(s, site.Choice{Scopes: userkeys.Scopes{"write"}})
	mustRefuse(t, err, userkeys.InvalidParameters, "did not ask")
	asked.Lifetime, asked.Ends = time.Minute, time.Minute
	_, err = asked.Narrow(s, site.Choice{Lifetime: time.Hour})
	mustRefuse(t, err, userkeys.InvalidParameters, "longer")
	if got, err := asked.Narrow(s, site.Choice{Lifetime: time.Second}); err != nil || got.Lifetime != time.Second || got.Ends != time.Second {
		t.Errorf("sooner: %+v, %v", got, err)
	}
}

func TestEndOf(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return made.AddDate(0, 0, n) }
	for name, c := range map[string]struct {
		key     site.UserAPIKey
		maxLife string
		at      time.Time
		why     site.Ending
	}{
		"unused":      {site.UserAPIKey{CreatedAt: made, LastUsedAt: day(1)}, "0", day(181), site.EndUnused},
		"lifetime":    {site.UserAPIKey{CreatedAt: made, LastUsedAt: made, ExpiresAt: day(7)}, "0", day(7), site.EndLifetime},
		"max life":    {site.UserAPIKey{CreatedAt: made, LastUsedAt: made, ExpiresAt: day(30)}, "10", day(10), site.EndMaxLife},
		"by owner":    {site.UserAPIKey{CreatedAt: made, RevokedAt: day(1), RevokedBy: site.RevokedByOwner}, "0", day(1), site.EndByOwner},
		"by the app":  {site.UserAPIKey{CreatedAt: made, RevokedAt: day(1), RevokedBy: site.RevokedByApp}, "0", day(1), site.EndByApp},
		"by admin":    {site.UserAPIKey{CreatedAt: made, RevokedAt: day(1), RevokedBy: site.RevokedByAdmin}, "0", day(1), site.EndByAdmin},
		"by the job":  {site.UserAPIKey{CreatedAt: made, RevokedAt: day(1), RevokedBy: site.RevokedByUnused}, "0", day(1), site.EndUnused},
		"has expired": {site.UserAPIKey{CreatedAt: made, ExpiresAt: day(1)}, "0", day(1), site.EndLifetime},
	} {
		if err := s.Set("revoke_user_api_keys_maxlife_days", c.maxLife); err != nil {
			t.Fatal(err)
		}
		if at, why := s.EndOf(c.key, day(2)); !at.Equal(c.at) || why != c.why {
			t.Errorf("%s: %v, %q", name, at, why)
		}
	}
	for _, name := range []string{"revoke_user_api_keys_unused_days", "revoke_user_api_keys_maxlife_days"} {
		if err := s.Set(name, "0"); err != nil {
			t.Fatal(err)
		}
	}
	if at, why := s.EndOf(site.UserAPIKey{CreatedAt: made, LastUsedAt: made}, day(2)); !at.IsZero() || why != site.EndNever {
		t.Errorf("never: %v, %q", at, why)
	}
}

func TestRenewedEnd(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings() // 365 days at most
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := site.UserAPIKey{CreatedAt: made, PublicKey: "pem", Lifetime: 100 * 24 * time.Hour, ExpiresAt: made.AddDate(0, 0, 100)}
	if end, err := s.RenewedEnd(k, made.AddDate(0, 0, 90)); err != nil || !end.Equal(made.AddDate(0, 0, 190)) {
		t.Errorf("%v, %v", end, err)
	}
	if end, err := s.RenewedEnd(k, made.AddDate(0, 0, 300)); err != nil || !end.Equal(made.AddDate(0, 0, 365)) {
		t.Errorf("%v, %v", end, err)
	}
	k.ExpiresAt = made.AddDate(0, 0, 365)
	_, err := s.RenewedEnd(k, made.AddDate(0, 0, 360))
	mustRefuse(t, err, userkeys.Conflict, "approve the app again")
	k.Lifetime = 0 // the user set the end
	if end, err := s.RenewedEnd(k, made); err != nil || !end.Equal(k.ExpiresAt) {
		t.Errorf("%v, %v", end, err)
	}
	k.ExpiresAt = time.Time{}
	if end, err := s.RenewedEnd(k, made); err != nil || !end.IsZero() {
		t.Errorf("%v, %v", end, err)
	}
	k.PublicKey = ""
	_, err = s.RenewedEnd(k, made)
	mustRefuse(t, err, userkeys.Conflict, "before renewal was known")
}

func TestClientRegistrationRules(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	if err := s.Set("allow_user_api_key_client_scopes", "read|made_up"); err != nil {
		t.Fatal(err)
	}
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	fields := func(name, value string) url.Values {
		p := url.Values{"client_id": {"fed"}, "application_name": {"Fed"}, "public_key": {testPublicKey}, "auth_redirect": {"https://a.example/cb"}, "scopes": {"read"}}
		if name != "" {
			p.Set(name, value)
		}
		return p
	}
	for _, c := range []struct {
		name, value string
		code        userkeys.Code
	}{
		{"", "", ""},
		{"client_id", " ", userkeys.MissingParameter},
		{"scopes", "write", userkeys.ScopeNotAllowed},
		{"scopes", "made_up", userkeys.Unprocessable},
		{"scopes", ",", userkeys.InvalidParameters},
		{"public_key", "x", userkeys.InvalidPublicKey},
		{"auth_redirect", "javascript://a/", userkeys.InvalidParameters},
		{"application_name", "a\x01", userkeys.InvalidParameters},
	} {
		client, err := site.ParseClientRegistration(fields(c.name, c.value))
		if err == nil {
			err = s.CheckRegistration(client, catalog)
		}
		if c.code == "" {
			if err != nil || !client.Registered() {
				t.Errorf("%v: %+v", err, client)
			}
			continue
		}
		mustRefuse(t, err, c.code, "")
	}
}

// The preset adds, and takes nothing of an administrator's away.
func TestDiscoursePresetAdds(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	for _, p := range site.DiscoursePreset() {
		was := "https://mine.example/cb"
		if !strings.Contains(p.Name, "redirects") {
			was = ""
		}
		now := p.AddTo(was)
		if err := s.Set(p.Name, now); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if !strings.HasPrefix(now, was) || p.AddTo(now) != now || p.AddTo("") != p.Value {
			t.Errorf("%s: %q", p.Name, now)
		}
	}
}
