package discourse

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// defaults are the settings that the stand-in knows, site and global ones
// alike, with Discourse's defaults; but the limits per address are off (0).
func defaults() map[string]string {
	return map[string]string{
		"title":                             "Stand-in",
		"login_required":                    "false",
		"allow_user_api_key_scopes":         "read|write|message_bus|push|notifications|session_info|one_time_password",
		"allowed_user_api_auth_redirects":   "https://api.discourse.org/api/auth_redirect|discourse://auth_redirect",
		"allowed_user_api_push_urls":        "",
		"min_trust_level_for_user_api_key":  "0",
		"user_api_key_allowed_groups":       "admins|moderators|trust_level_0",
		"max_user_api_key_expiry_days":      "365",
		"max_user_api_reqs_per_minute":      "20",
		"max_user_api_reqs_per_day":         "2880",
		"max_reqs_per_ip_per_minute":        "0",
		"max_reqs_per_ip_per_10_seconds":    "0",
		"min_post_length":                   "20",
		"min_topic_title_length":            "15",
		"enable_cors":                       "false",
		"cors_origin":                       "",
		"cors_origins":                      "",
		"long_polling_interval":             "25",
		"user_api_key_device_poll_interval": "5",
	}
}

// Set changes a site setting or global setting by Discourse's name for it;
// lists are joined by |. Two are the stand-in's own: long_polling_interval and
// user_api_key_device_poll_interval, in seconds.
func (s *Site) Set(name, value string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.settings[name]; !ok {
		s.t.Errorf("discourse: there is no setting %q; there are %s", name, slices.Sorted(maps.Keys(s.settings)))
	}
	s.settings[name] = value
}

// The following read settings; callers hold mu.

func (s *Site) list(name string) []string {
	return strings.FieldsFunc(s.settings[name], func(r rune) bool { return r == '|' })
}

func (s *Site) number(name string) int {
	n, err := strconv.Atoi(s.settings[name])
	if err != nil {
		s.t.Errorf("discourse: setting %s: %v", name, err)
	}
	return n
}

func (s *Site) on(name string) bool { return s.settings[name] == "true" }

// mayGrant is the rule of who may give out keys: staff always, others by trust
// level in the oldest era and by group after. Existing keys outlive it.
func (s *Site) mayGrant(u *User) bool {
	if u.staff() {
		return true
	}
	if s.Era == Old {
		return u.TrustLevel >= s.number("min_trust_level_for_user_api_key")
	}
	return slices.ContainsFunc(s.list("user_api_key_allowed_groups"), func(group string) bool {
		level, err := strconv.Atoi(strings.TrimPrefix(group, "trust_level_"))
		if err != nil {
			return false
		}
		if level >= firstTrustGroup { // the group's id
			level -= firstTrustGroup
		}
		return u.TrustLevel >= level
	})
}

// firstTrustGroup is the id of the group trust_level_0.
const firstTrustGroup = 10
