package site_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// TestDefaultSettings holds the defaults to W19 and to what is safe.
func TestDefaultSettings(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	for name, want := range map[string]string{
		"allow_user_api_keys":                           "true",
		"allow_user_api_key_scopes":                     "read|notifications|session_info|message_bus|push",
		"user_api_key_allowed_groups":                   "admins|moderators|trust_level_0",
		"allowed_user_api_auth_redirects":               "https://api.discourse.org/api/auth_redirect|discourse://auth_redirect",
		"allow_user_api_key_loopback_redirects":         "true",
		"max_user_api_reqs_per_minute":                  "20",
		"max_user_api_reqs_per_day":                     "2880",
		"revoke_user_api_keys_unused_days":              "180",
		"revoke_user_api_keys_maxlife_days":             "0",
		"max_user_api_key_expiry_days":                  "365",
		"allowed_user_api_push_urls":                    "",
		"user_api_key_consent_page":                     "",
		"allow_user_api_keys_by_hand":                   "false",
		"user_api_keys_by_hand_allowed_groups":          "admins|moderators|trust_level_0",
		"user_api_key_prefix":                           "",
		"push_notification_time_window_mins":            "10",
		"allow_user_api_key_client_scopes":              "",
		"user_api_key_clients_create_per_day":           "1",
		"max_reqs_per_ip_mode":                          "block",
		"enable_cors":                                   "false",
		"expire_user_api_keys_days":                     "180", // the draft's names
		"expire user api keys days":                     "180",
		"min_trust_level_for_api_keys":                  "0",
		"min_trust_level_for_user_api_key":              "0",
		"Min-Trust-Level for API keys":                  "0",
		" unused_registered_user_api_key_clients_days ": "30",
	} {
		if got, err := s.Value(name); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, scope := range []string{"write", "one_time_password"} {
		if s.AllowUserAPIKeyScopes.Has(scope) {
			t.Errorf("%s is allowed by default", scope)
		}
	}
}

// TestSettingTable: every setting is described, bounded and keeps what it is given.
func TestSettingTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range site.AllSettings() {
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			if seen[name] {
				t.Errorf("%s names two settings", name)
			}
			seen[name] = true
			if found, err := site.FindSetting(name); err != nil || found.Name != d.Name {
				t.Errorf("%s is found as %s, %v", name, found.Name, err)
			}
		}
		if d.Summary == "" {
			t.Errorf("%s has no summary", d.Name)
		}
		s := site.DefaultSettings()
		if got, err := s.Value(d.Name); err != nil || got != d.Default {
			t.Errorf("%s: %q, %v; the default is %q", d.Name, got, err, d.Default)
		}
		for value, ok := range edgeValues(t, d) {
			s := site.DefaultSettings()
			err := s.Set(d.Name, value)
			got, _ := s.Value(d.Name)
			if ok && (err != nil || got != value) || !ok && (err == nil || got != d.Default || !strings.Contains(userkeys.AsError(err).Public, d.Name)) {
				t.Errorf("%s = %.40q: %v, kept %.40q", d.Name, value, err, got)
			}
		}
	}
}

// edgeValues are values of a setting and whether it takes them.
func edgeValues(t *testing.T, d site.Setting) map[string]bool {
	t.Helper()
	switch d.Kind {
	case "bool":
		return map[string]bool{"true": true, "false": true, "": false, "yes": false, "2": false}
	case "int":
		if d.Max <= d.Min {
			t.Errorf("%s has no upper bound", d.Name)
		}
		return map[string]bool{
			strconv.Itoa(d.Min): true, strconv.Itoa(d.Max): true, strconv.Itoa(d.Min - 1): false, strconv.Itoa(d.Max + 1): false,
			"": false, "1.5": false, "x": false, "99999999999999999999": false,
		}
	case "list", "text":
		return map[string]bool{"a\x00": false, "a\n": false, "\xff": false, strings.Repeat("a", 65537): false}
	}
	t.Errorf("%s has the kind %q", d.Name, d.Kind)
	return nil
}

func TestSetting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, setting, value string
		want                 string // value then; "" with words: unchanged
		words                string
	}{
		{name: "lists are trimmed and each element counts once", setting: "allow_user_api_key_scopes", value: " read | write||read ", want: "read|write"},
		{name: "empty list", setting: "allow_user_api_key_scopes", value: "", want: ""},
		{name: "SC6 name of a scope", setting: "allow_user_api_key_scopes", value: "read|__proto__", words: "__proto__: is no name of a scope"},
		{name: "trust level", setting: "min_trust_level_for_api_keys", value: "2", want: "admins|moderators|trust_level_2"},
		{name: "trust level in an odd spelling", setting: "min_trust_level_for_user_api_key", value: "+03", want: "admins|moderators|trust_level_3"},
		{name: "no trust level", setting: "min_trust_level_for_user_api_key", value: "5", words: "a trust level is 0 to 4"},
		{name: "no trust level either", setting: "min_trust_level_for_user_api_key", value: "-1", words: "a trust level is 0 to 4"},
		{name: "group", setting: "user_api_key_allowed_groups", value: "testers|trust_level_1", want: "testers|trust_level_1"},
		{name: "no group", setting: "user_api_key_allowed_groups", value: "a b", words: "is no name of a group"},
		{name: "prefix", setting: "user_api_key_prefix", value: "abc", want: "abc"},
		{name: "long prefix", setting: "user_api_key_prefix", value: "abcd", words: "at most three lower-case letters"},
		{name: "prefix with its underscore", setting: "user_api_key_prefix", value: "ab_", words: "the underscore is added"},
		{name: "title", setting: "title", value: "A site", want: "A site"},
		{name: "blank title", setting: "title", value: " ", words: "1 to 200 bytes"},
		{
			name: "trust level for keys by hand", setting: "min_trust_level_for_user_api_keys_by_hand", value: "2",
			want: "admins|moderators|trust_level_2",
		},
		{name: "consent page", setting: "user_api_key_consent_page", value: "/allow", want: "/allow"},
		{name: "consent page elsewhere", setting: "user_api_key_consent_page", value: "https://www.example/allow", want: "https://www.example/allow"},
		{name: "no consent page", setting: "user_api_key_consent_page", value: "", want: ""},
		{name: "consent page that is ours", setting: "user_api_key_consent_page", value: "/user-api-key/new", words: "must be a path"},
		{name: "consent page without a scheme", setting: "user_api_key_consent_page", value: "//www.example/allow", words: "must be a path"},
		{name: "consent page with a query", setting: "user_api_key_consent_page", value: "/allow?x=1", words: "must be a path"},
		{name: "consent page of another scheme", setting: "user_api_key_consent_page", value: "javascript:alert(1)", words: "must be a path"},
		{name: "consent page that is no path", setting: "user_api_key_consent_page", value: "allow", words: "must be a path"},
		{name: "push address", setting: "allowed_user_api_push_urls", value: "https://push.example/p", want: "https://push.example/p"},
		{name: "push address without a host", setting: "allowed_user_api_push_urls", value: "https:///p", words: "no http or https address"},
		{name: "push address with a pattern", setting: "allowed_user_api_push_urls", value: "https://push.example/*", words: "exact addresses only"},
		{name: "push address by ftp", setting: "allowed_user_api_push_urls", value: "ftp://push.example/x", words: "https address: its scheme is ftp"},
		{name: "push address of another scheme", setting: "allowed_user_api_push_urls", value: "app://push", words: "its scheme is app"},
		{name: "push address with a user name", setting: "allowed_user_api_push_urls", value: "https://u@push.example/p", words: "user name"},
		{name: "redirect rule", setting: "allowed_user_api_auth_redirects", value: "https://*.example.com/cb", want: "https://*.example.com/cb"},
		{name: "RD34 redirect rule", setting: "allowed_user_api_auth_redirects", value: "https://a.example/|*", words: "anywhere"},
		{name: "origins", setting: "cors_origins", value: "https://app.example|http://localhost:8080|chrome-extension://abc", want: "https://app.example|http://localhost:8080|chrome-extension://abc"},
		{name: "origin with a path", setting: "cors_origins", value: "https://app.example/", words: "no origin"},
		{name: "origin with its scheme's port", setting: "cors_origins", value: "https://app.example:443", words: "no origin"},
		{name: "origin in upper case", setting: "cors_origin", value: "https://App.example", words: "no origin"},
		{name: "origin of everybody", setting: "cors_origins", value: "*", words: "no origin"},
		{name: "addresses", setting: "create_user_api_key_client_ip_rate_limit_override_ips", value: "192.0.2.1|2001:db8::/32", want: "192.0.2.1|2001:db8::/32"},
		{name: "no address", setting: "create_user_api_key_client_ip_rate_limit_override_ips", value: "example.com", words: "no address or network"},
		{name: "mode", setting: "max_reqs_per_ip_mode", value: "warn+block", want: "warn+block"},
		{name: "no mode", setting: "max_reqs_per_ip_mode", value: "sometimes", words: "must be block"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := site.FindSetting(c.setting)
			if err != nil {
				t.Fatal(err)
			}
			s := site.DefaultSettings()
			err = s.Set(c.setting, c.value)
			want := c.want
			if c.words != "" {
				mustRefuse(t, err, userkeys.InvalidParameters, c.words)
				want = d.Default
			} else if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Value(d.Name); err != nil || got != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestTrustLevelAliasReads(t *testing.T) {
	t.Parallel()
	for groups, want := range map[string]string{"admins|trust_level_3|trust_level_1": "1", "admins|testers": "", "": ""} {
		s := settingsWith(t, map[string]string{"user_api_key_allowed_groups": groups})
		if got, err := s.Value("min_trust_level_for_api_keys"); err != nil || got != want {
			t.Errorf("%s: %q, %v", groups, got, err)
		}
	}
}

func TestUnknownSetting(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	mustRefuse(t, s.Set("nonsense", "1"), userkeys.NotFound, "there is no setting nonsense")
	_, err := s.Value("nonsense")
	mustRefuse(t, err, userkeys.NotFound, "there is no setting nonsense")
	if d := cmp.Diff(site.DefaultSettings(), s); d != "" {
		t.Error(d)
	}
}
