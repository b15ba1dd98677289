package sso

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userkeys/site"
)

// TestRulesLeaveTheRest: what an administrator gave by hand stays, and what a rule gave ends with what it was given for.
func TestRulesLeaveTheRest(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		{Group: "members", TrustLevel: 2, AddGroup: "members"}, {User: "17", AddGroup: "bosses"}, {Group: "old", TrustLevel: 3},
	}
	for _, tt := range []struct {
		name  string
		rules Rules
		had   site.User
		o     Person
		want  site.User
	}{
		{
			"no rules",
			Rules{TrustLevel: 1},
			site.User{TrustLevel: 3, Groups: []string{"hand"}, Admin: true},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 3, Groups: []string{"hand"}, Admin: true},
		},
		{
			"given by a rule",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 1, Groups: []string{"hand"}, Admin: true},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 2, Groups: []string{"hand", "members"}, Admin: true},
		},
		{
			"given by a rule, and again",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 2, Groups: []string{"hand", "members"}},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 2, Groups: []string{"hand", "members"}},
		},
		{
			"not given any more",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 2, Groups: []string{"members", "hand", "bosses"}},
			Person{Subject: "18"},
			site.User{TrustLevel: 1, Groups: []string{"hand"}},
		},
		{
			"a level above those of rules",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 4},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 4, Groups: []string{"members"}},
		},
		{
			"a level taken by hand",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 0},
			Person{},
			site.User{TrustLevel: 0},
		},
		{
			"a lower rule",
			Rules{TrustLevel: 1, Rules: rules},
			site.User{TrustLevel: 3},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 2, Groups: []string{"members"}},
		},
		{
			"all groups are the provider's",
			Rules{TrustLevel: 1, Groups: true, Rules: rules},
			site.User{TrustLevel: 1, Groups: []string{"hand"}},
			Person{Subject: "17", Groups: []string{"editors", "no group"}},
			site.User{TrustLevel: 1, Groups: []string{"bosses", "editors"}},
		},
		{
			"administrators are the provider's",
			Rules{TrustLevel: 1, Rules: []Rule{{Group: "staff", Admin: true}}},
			site.User{TrustLevel: 1, Admin: true, Moderator: true},
			Person{Groups: []string{"members"}},
			site.User{TrustLevel: 1, Moderator: true},
		},
	} {
		got := tt.had
		tt.rules.apply(&got, tt.o)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
