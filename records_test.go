package userkeys_test

import (
	"testing"
	"time"

	"userkeys"
)

func TestUser(t *testing.T) {
	t.Parallel()
	u := userkeys.User{TrustLevel: 2, Moderator: true, Active: true, Groups: []string{"testers", "admins"}}
	for group, want := range map[string]bool{
		"everyone": true, "moderators": true, "staff": true, "admins": false, "testers": true, "Testers": false, "": false,
		"trust_level_0": true, "trust_level_2": true, "trust_level_3": false, "trust_level_4": false,
		"trust_level_9": false, "trust_level_": false, "trust_level_22": false, "trust_level_/": false,
	} {
		if u.InGroup(group) != want {
			t.Errorf("in %q: %v", group, !want)
		}
	}
	if !u.MayAct() || (userkeys.User{}).MayAct() {
		t.Error("active or not makes no difference")
	}
	u.SuspendedAt = time.Unix(1, 0)
	if u.MayAct() {
		t.Error("a suspended user may act")
	}
	if (userkeys.User{TrustLevel: 4}).Staff() || !(userkeys.User{Admin: true}).Staff() {
		t.Error("staff are administrators and moderators")
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name string
		k    userkeys.UserAPIKey
		want bool
	}{
		{"no end", userkeys.UserAPIKey{}, true},
		{"revoked", userkeys.UserAPIKey{RevokedAt: now}, false},
		{"before its end", userkeys.UserAPIKey{ExpiresAt: now.Add(1)}, true},
		{"at its end", userkeys.UserAPIKey{ExpiresAt: now}, false},
		{"revoked before its end", userkeys.UserAPIKey{ExpiresAt: now.Add(1), RevokedAt: now}, false},
	} {
		if c.k.Live(now) != c.want {
			t.Errorf("%s: live is %v", c.name, !c.want)
		}
	}
	if (userkeys.UserAPIKey{CreatedAt: now, LastUsedAt: now}).Used() || !(userkeys.UserAPIKey{CreatedAt: now, LastUsedAt: now.Add(1)}).Used() {
		t.Error("Used does not tell a use from the creation")
	}
	if (userkeys.Client{PublicKey: "x"}).Registered() || !(userkeys.Client{AuthRedirect: "x"}).Registered() {
		t.Error("Registered tells the wrong clients")
	}
}
