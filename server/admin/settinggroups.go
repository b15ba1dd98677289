package admin

import (
	"cmp"
	"strings"
)

// settingGroup is what one wants to do, and the settings for it by their names.
type settingGroup struct {
	ID, Title string
	names     []string
}

// settingGroups are in the order in which the page shows them. Every setting is in one of them.
var settingGroups = []settingGroup{
	{"site", "How the site presents itself", []string{"title", "site_description"}},
	{"keys", "Who may give keys, and with what", []string{
		"allow_user_api_keys", "allow_user_api_key_scopes", "user_api_key_allowed_groups",
		"max_user_api_keys_per_user", "max_user_api_key_grants_per_hour",
		"user_api_key_prefix", "user_api_key_consent_page",
	}},
	{"redirects", "Where keys may go", []string{
		"allowed_user_api_auth_redirects", "allow_user_api_key_loopback_redirects",
		"allow_user_api_key_device_auth", "verbose_user_api_key_device_auth_logging", "allow_user_api_key_oaep_256",
	}},
	{"lifetime", "How long keys live", []string{
		"revoke_user_api_keys_unused_days", "revoke_user_api_keys_maxlife_days", "max_user_api_key_expiry_days",
	}},
	{"limits", "Rate limits", []string{
		"max_user_api_reqs_per_minute", "max_user_api_reqs_per_day",
		"max_user_api_reqs_per_user_per_minute", "max_user_api_reqs_per_user_per_day",
		"max_reqs_per_ip_per_minute", "max_reqs_per_ip_per_10_seconds", "max_reqs_per_ip_mode",
		"max_admin_api_reqs_per_minute",
	}},
	{"uses", "What else keys can be used for", []string{
		"user_api_key_parameter_routes", "allow_user_api_key_otp_by_key",
		"allow_user_api_keys_by_hand", "user_api_keys_by_hand_allowed_groups",
	}},
	{"notifications", "Notifications and pushes", []string{
		"allowed_user_api_push_urls", "allowed_internal_hosts", "push_notification_time_window_mins",
		"notification_retention_days", "discourse_push_secret", "push_api_secret_key",
	}},
	{"clients", "Registered clients", []string{
		"allow_user_api_key_client_scopes", "unused_registered_user_api_key_clients_days",
		"user_api_key_clients_create_per_day", "create_user_api_key_client_ip_rate_limit_override_ips",
	}},
	{"cors", "Other websites that may call the API", []string{"cors_origins", "enable_cors", "cors_origin"}},
}

// settingTitles are the settings in the words of people.
var settingTitles = map[string]string{
	"title":            "Name of the site",
	"site_description": "Description of the site",

	"allow_user_api_keys":                  "New keys",
	"allow_user_api_key_scopes":            "Scopes for apps",
	"user_api_key_allowed_groups":          "Groups that may give keys",
	"max_user_api_keys_per_user":           "Keys of one user",
	"max_user_api_key_grants_per_hour":     "New keys of one user in an hour",
	"user_api_key_prefix":                  "Prefix of new keys",
	"user_api_key_consent_page":            "The website's own page for approving apps",
	"allow_user_api_keys_by_hand":          "Keys made by hand",
	"user_api_keys_by_hand_allowed_groups": "Groups that may make keys by hand",

	"allowed_user_api_auth_redirects":          "Web addresses of apps",
	"allow_user_api_key_loopback_redirects":    "Programs on the user's own computer",
	"allow_user_api_key_device_auth":           "Apps that ask with a code, such as on a television",
	"verbose_user_api_key_device_auth_logging": "Log of apps that ask with a code",
	"allow_user_api_key_oaep_256":              "Newer encryption of answers (OAEP)",

	"revoke_user_api_keys_unused_days":  "Days without use until a key ends",
	"revoke_user_api_keys_maxlife_days": "Days until every key ends",
	"max_user_api_key_expiry_days":      "Longest lifetime, in days, that apps may ask for",

	"max_user_api_reqs_per_minute":          "Requests of a key in a minute",
	"max_user_api_reqs_per_day":             "Requests of a key in a day",
	"max_user_api_reqs_per_user_per_minute": "Requests of a user's keys in a minute",
	"max_user_api_reqs_per_user_per_day":    "Requests of a user's keys in a day",
	"max_reqs_per_ip_per_minute":            "Requests of an IP address in a minute",
	"max_reqs_per_ip_per_10_seconds":        "Requests of an IP address in ten seconds",
	"max_reqs_per_ip_mode":                  "What happens above the limits of an IP address",
	"max_admin_api_reqs_per_minute":         "Requests of an admin API key in a minute",

	"user_api_key_parameter_routes": "Feeds with the key in their address",
	"allow_user_api_key_otp_by_key": "One-time passwords made with a key",

	"allowed_user_api_push_urls":         "Push servers that apps may use",
	"allowed_internal_hosts":             "Push servers in this server's own network",
	"push_notification_time_window_mins": "Minutes without pushes after the user was here",
	"notification_retention_days":        "Days until notifications are forgotten",
	"discourse_push_secret":              "One secret in all pushes, as in Discourse",
	"push_api_secret_key":                "The secret in all pushes",

	"allow_user_api_key_client_scopes":                      "Scopes for registered clients",
	"unused_registered_user_api_key_clients_days":           "Days without use until a client is forgotten",
	"user_api_key_clients_create_per_day":                   "New clients of an IP address in a day",
	"create_user_api_key_client_ip_rate_limit_override_ips": "IP addresses that may register any number",

	"cors_origins": "Websites whose pages may call the API",
	"enable_cors":  "Also use Discourse's list of such websites",
	"cors_origin":  "Discourse's list of such websites",
}

// groupSettings returns the groups with the settings that have all words of a search in their title, name or summary;
// all of them if nothing is searched for.
func groupSettings(views map[string]settingView, search string) []shownGroup {
	words := strings.Fields(strings.ToLower(search))
	var shown []shownGroup
	for _, g := range settingGroups {
		s := shownGroup{ID: "group-" + g.ID, Title: g.Title}
		for _, name := range g.names {
			if v := views[name]; v.has(words) {
				v.Open = v.Saved || v.Error != "" || len(words) > 0
				s.Settings = append(s.Settings, v)
			}
		}
		if len(s.Settings) > 0 {
			shown = append(shown, s)
		}
	}
	return shown
}

// shownGroup is a group on the page.
type shownGroup struct {
	ID, Title string
	Settings  []settingView
}

func (v settingView) has(words []string) bool {
	text := strings.ToLower(v.Title + " " + v.Name + " " + strings.Join(v.Aliases, " ") + " " + v.Summary)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// titleOf returns the title of a setting; one without is called by its name.
func titleOf(name string) string { return cmp.Or(settingTitles[name], name) }
