package sso

import (
	"slices"

	"userkeys"
	"userkeys/internal/accounts"
	"userkeys/site"
)

// Rules say what those who sign in through a provider may do here. They are applied at each sign-in. What no rule is
// about stays as an administrator set it: a trust level and groups that no rule names, and administrators and
// moderators where no rule makes any.
type Rules struct {
	OnlyGroups []string // groups of the provider whose members may sign in; empty: everybody may
	Approve    bool     // an administrator has to approve each new account
	TrustLevel int      // of a new account
	Groups     bool     // the provider's groups are taken over, as far as their names may be names of groups here
	Staff      bool     // the provider's word about administrators and moderators is believed
	Rules      []Rule
}

// Rule gives something to members of a group of the provider, or to one person there.
type Rule struct {
	Group      string // of the provider; compared exactly
	User       string // or: what the provider calls the person, the subject
	Admin      bool
	Moderator  bool
	TrustLevel int    // at least this one; 0: the rule is about something else
	AddGroup   string // a group here
}

func (r Rule) appliesTo(o Person) bool {
	return r.User != "" && r.User == o.Subject || r.Group != "" && slices.Contains(o.Groups, r.Group)
}

// allows reports whether o may sign in at all.
func (rs Rules) allows(o Person) bool {
	return len(rs.OnlyGroups) == 0 ||
		slices.ContainsFunc(o.Groups, func(g string) bool { return slices.Contains(rs.OnlyGroups, g) })
}

// apply gives u what the rules say of o.
func (rs Rules) apply(u *site.User, o Person) {
	any := func(what func(Rule) bool) bool { return slices.ContainsFunc(rs.Rules, what) }
	given := func(what func(Rule) bool) bool {
		return any(func(r Rule) bool { return what(r) && r.appliesTo(o) })
	}
	admin, moderator := func(r Rule) bool { return r.Admin }, func(r Rule) bool { return r.Moderator }
	if rs.Staff || any(admin) {
		u.Admin = rs.Staff && o.Admin || given(admin)
	}
	if rs.Staff || any(moderator) {
		u.Moderator = rs.Staff && o.Moderator || given(moderator)
	}
	if any(func(r Rule) bool { return r.TrustLevel > 0 && r.TrustLevel == u.TrustLevel }) {
		u.TrustLevel = rs.TrustLevel
	}
	for _, r := range rs.Rules {
		if r.appliesTo(o) {
			u.TrustLevel = max(u.TrustLevel, r.TrustLevel)
		}
	}
	u.Groups = rs.groups(u.Groups, o)
}

// groups are the groups here of somebody who has been in the groups had.
func (rs Rules) groups(had []string, o Person) []string {
	var out []string
	if !rs.Groups {
		out = slices.DeleteFunc(slices.Clone(had), func(g string) bool {
			return slices.ContainsFunc(rs.Rules, func(r Rule) bool { return r.AddGroup == g })
		})
	}
	add := func(g string) {
		if len(out) < accounts.MaxGroups && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	for _, r := range rs.Rules {
		if r.AddGroup != "" && r.appliesTo(o) {
			add(r.AddGroup)
		}
	}
	if rs.Groups {
		for _, g := range o.Groups {
			if accounts.IsGroup(g) {
				add(g)
			}
		}
	}
	return out
}

// Check reports what is wrong with the rules.
func (rs Rules) Check() error {
	if rs.TrustLevel < 0 || rs.TrustLevel > 4 {
		return userkeys.Errorf(userkeys.InvalidParameters, "a trust level is 0 to 4")
	}
	for _, r := range rs.Rules {
		if (r.Group == "") == (r.User == "") {
			return userkeys.Errorf(userkeys.InvalidParameters, "a rule names either a group or a user of the provider")
		}
		if r.TrustLevel < 0 || r.TrustLevel > 4 {
			return userkeys.Errorf(userkeys.InvalidParameters, "a trust level is 0 to 4")
		}
		if r.AddGroup != "" && !accounts.IsGroup(r.AddGroup) {
			return userkeys.Errorf(userkeys.InvalidParameters, "the name %q cannot be that of a group here", r.AddGroup)
		}
		if !r.Admin && !r.Moderator && r.TrustLevel == 0 && r.AddGroup == "" {
			return userkeys.Errorf(userkeys.InvalidParameters, "a rule gives something: admin, moderator, trust-level or into")
		}
	}
	return nil
}
