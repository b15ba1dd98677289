package site_test

import (
	"testing"
	"time"

	"userkeys/site"
)

func TestUser(t *testing.T) {
	t.Parallel()
	u := site.User{TrustLevel: 2, Moderator: true, Active: true, Groups: []string{"testers", "admins"}}
	for group, want := range map[string]bool{
		"everyone": true, "moderators": true, "staff": true, "admins": false, "testers": true, "Testers": false, "": false,
		"trust_level_0": true, "trust_level_2": true, "trust_level_3": false, "trust_level_4": false,
		"trust_level_9": false, "trust_level_": false, "trust_level_22": false, "trust_level_/": false,
	} {
		if u.InGroup(group) != want {
			t.Errorf("in %q: %v", group, !want)
		}
	}
	if !u.MayAct() || (site.User{}).MayAct() {
		t.Error("active or not makes no difference")
	}
	u.SuspendedAt = time.Unix(1, 0)
	if u.MayAct() {
		t.Error("a suspended user may act")
	}
	if (site.User{TrustLevel: 4}).Staff() || !(site.User{Admin: true}).Staff() {
		t.Error("staff are administrators and moderators")
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name string
		k    site.UserAPIKey
		want bool
	}{
		{"no end", site.UserAPIKey{}, true},
		{"revoked", site.UserAPIKey{RevokedAt: now}, false},
		{"before its end", site.UserAPIKey{ExpiresAt: now.Add(1)}, true},
		{"at its end", site.UserAPIKey{ExpiresAt: now}, false},
		{"revoked before its end", site.UserAPIKey{ExpiresAt: now.Add(1), RevokedAt: now}, false},
	} {
		if c.k.Live(now) != c.want {
			t.Errorf("%s: live is %v", c.name, !c.want)
		}
	}
	if (site.UserAPIKey{CreatedAt: now, LastUsedAt: now}).Used() || !(site.UserAPIKey{CreatedAt: now, LastUsedAt: now.Add(1)}).Used() {
		t.Error("Used does not tell a use from the creation")
	}
	if (site.Client{PublicKey: "x"}).Registered() || !(site.Client{AuthRedirect: "x"}).Registered() {
		t.Error("Registered tells the wrong clients")
	}
}
