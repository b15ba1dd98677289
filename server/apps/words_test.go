package apps

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// TestWhenAKeyEnds: the sentence is true whatever the user and the app do.
func TestWhenAKeyEnds(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	days := func(n int) time.Time { return made.AddDate(0, 0, n) }
	for _, tt := range []struct {
		name string
		key  site.UserAPIKey
		s    site.Settings
		now  time.Time
		want string
	}{
		{"no rule", site.UserAPIKey{}, site.Settings{}, made, "Has no end of its own."},
		{"unused", site.UserAPIKey{}, site.Settings{RevokeUserAPIKeysUnusedDays: 180}, made, "If unused: ends 29 May 2027."},
		{"unused, and a longest life", site.UserAPIKey{}, site.Settings{RevokeUserAPIKeysUnusedDays: 180, RevokeUserAPIKeysMaxlifeDays: 365}, made, "If unused: ends 29 May 2027, otherwise 30 Nov 2027."},
		{"the job has not run", site.UserAPIKey{}, site.Settings{RevokeUserAPIKeysUnusedDays: 180}, days(180), "Ends within a day: it was not used for a long time."},
		{"a lifetime", site.UserAPIKey{ExpiresAt: days(7)}, site.Settings{RevokeUserAPIKeysUnusedDays: 180}, made, "Ends 7 Dec 2026."},
		{"a lifetime of an hour", site.UserAPIKey{ExpiresAt: made.Add(time.Hour)}, site.Settings{}, made, "Ends 30 Nov 2026, 13:00 UTC."},
		{"a lifetime that the app prolongs", site.UserAPIKey{ExpiresAt: days(7), Lifetime: 7 * 24 * time.Hour, PublicKey: "pem"}, site.Settings{AllowUserAPIKeys: true, MaxUserAPIKeyExpiryDays: 365}, made, "Ends 7 Dec 2026 unless the app prolongs it."},
		{"a lifetime that it can prolong no more", site.UserAPIKey{ExpiresAt: days(7), Lifetime: 7 * 24 * time.Hour, PublicKey: "pem"}, site.Settings{AllowUserAPIKeys: true, MaxUserAPIKeyExpiryDays: 7}, made, "Ends 7 Dec 2026."},
	} {
		tt.key.CreatedAt, tt.key.LastUsedAt = made, made
		if got := ends(tt.key, tt.s, tt.now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhereAKeyWent(t *testing.T) {
	t.Parallel()
	for destination, want := range map[string]string{
		"": "", site.DestinationCopy: "copied by you", site.DestinationDevice: "a device that showed a code",
		"http://127.0.0.1:38211": "a program on a computer", "https://forum-app.example:8443": "forum-app.example:8443",
		"discourse://auth_redirect": "an app that opens discourse links",
	} {
		if got := where(destination); got != want {
			t.Errorf("%q: %q, want %q", destination, got, want)
		}
	}
}

func TestWhatAKeyReaches(t *testing.T) {
	t.Parallel()
	for scopes, want := range map[string]string{
		"read,write": "reads and changes everything!", "one_time_password": "signs in as you!", "read": "reads everything",
		"push": "push", "push,session_info": "push, and 1 more", "": "nothing",
	} {
		list, _ := userkeys.ParseScopes(scopes)
		got, strong := reach(list, list)
		if strong {
			got += "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", scopes, got, want)
		}
	}
}
