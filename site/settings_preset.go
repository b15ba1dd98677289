package site

import (
	"slices"
	"strings"
)

// PresetGap is a setting that a preset leaves off although apps exist that need it.
type PresetGap struct {
	Name  string   // of a setting that is true or false
	Why   string   // whom that concerns, what they see, and why it is off: sentences
	Allow []Change // what switches it on, in order
}

// Change is a new value of a setting. In a value, a word in capitals is to be replaced by the administrator.
type Change struct{ Name, Value string }

// PresetValue is what a preset adds to one setting, a list.
type PresetValue struct{ Name, Value string }

// AddTo returns the list was and, behind it, what it lacks of v.
func (v PresetValue) AddTo(was string) string {
	out := strings.Split(was, "|")
	for e := range strings.SplitSeq(v.Value, "|") {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return strings.Trim(strings.Join(out, "|"), "|")
}

// DiscoursePreset returns settings that open a site as Discourse ships it, for the apps that exist:
// the scopes that it allows, the redirects and push URLs of its apps, and
// the feeds and calendars where a key may stand in the address. It gives more
// than a new site gives: above all write, which lets an app act as its user.
func DiscoursePreset() []PresetValue {
	return []PresetValue{
		{
			"allow_user_api_key_scopes",
			"read|write|message_bus|push|notifications|session_info|one_time_password|bookmarks_calendar|user_status",
		},
		{"allowed_user_api_auth_redirects", "https://api.discourse.org/api/auth_redirect|discourse://auth_redirect|" +
			"web+nextclouddiscourse://auth-redirect|https://*.chromiumapp.org/discourse-user-api"},
		{
			"allowed_user_api_push_urls",
			"https://api.discourse.org/api/publish_ios|https://api.discourse.org/api/publish_android",
		},
		{
			"user_api_key_parameter_routes",
			"GET /latest.rss|GET /unread.rss|GET /new.rss|GET /read.rss|GET /posted.rss|GET /bookmarks.rss|" +
				"GET /top.rss|GET /posts.rss|" +
				"GET /c/{slug}/{id}.rss|GET /t/{slug}/{id}.rss|GET /tag/{name}.rss|" +
				"GET /u/{username}/activity.rss|GET /u/{username}/bookmarks.ics",
		},
	}
}

// DiscoursePresetGaps are what [DiscoursePreset] leaves off, though Discourse has it on.
func DiscoursePresetGaps() []PresetGap {
	return []PresetGap{
		{
			"allow_user_api_key_otp_by_key",
			"Apps that show pages of the site in a window of their own need it: chat wrappers, desktop clients, " +
				"forks of DiscourseHub. They trade their key for a one-time password that signs its user in, " +
				"and report that the site gave them no session. " +
				"It is off because a session may do more than a key.",
			[]Change{{"allow_user_api_key_otp_by_key", "true"}},
		},
		{
			"discourse_push_secret",
			"Push receivers that check the secret_key in each push need it, as DiscourseHub's own does: they drop " +
				"pushes without it. It is off because every receiver learns the same secret; receivers written for " +
				"this site check signatures instead.",
			[]Change{{"push_api_secret_key", "SECRET"}, {"discourse_push_secret", "true"}},
		},
	}
}
