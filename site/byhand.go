package site

import (
	"crypto/rand"
	"slices"
	"strings"

	"userkeys"
)

const (
	// MaxKeysByHand is how many live keys that were made by hand a user may have.
	MaxKeysByHand = 20
	// ByHandPrefix begins the client_id of every key that was made by hand, and of no app.
	ByHandPrefix = "by-hand:"
	// byHandDays is the lifetime that is offered first, and the longest where apps may ask for none.
	byHandDays = 90
)

// NewKeyByHand is a key that a user makes for a program that cannot ask for one.
type NewKeyByHand struct {
	Name   string // what it is for
	Scopes userkeys.Scopes
	Days   int // its lifetime
}

// NewClientIDByHand makes the client_id of a key that is made by hand: each is a client of its own.
func NewClientIDByHand() string { return ByHandPrefix + rand.Text() }

// ByHand reports whether the user made the key by hand, and no app asked for it.
func (k UserAPIKey) ByHand() bool { return strings.HasPrefix(k.ClientID, ByHandPrefix) }

// CheckMakerByHand returns an error unless u may make keys by hand on this site.
func (s Settings) CheckMakerByHand(u User) error {
	if err := s.givesKeys(); err != nil {
		return err
	}
	if !s.AllowUserAPIKeysByHand {
		return userkeys.Errorf(userkeys.KeysNotAllowed,
			"users of this site make no keys by hand (allow_user_api_keys_by_hand); an app can ask for one")
	}
	if err := s.CheckGrantor(u); err != nil {
		return err
	}
	if u.Staff() || slices.ContainsFunc(s.UserAPIKeysByHandAllowedGroups, u.InGroup) {
		return nil
	}
	return userkeys.Errorf(userkeys.UserNotAllowed,
		"you may not make keys by hand on this site: your trust level is too low and you are in no allowed group "+
			"(user_api_keys_by_hand_allowed_groups)")
}

// ScopesByHand lists the scopes that a key made by hand may have: those that the site allows, but not those that
// need an app which gets pushes or signs the user in.
func (s Settings) ScopesByHand(c *userkeys.Catalog) userkeys.Scopes {
	var out userkeys.Scopes
	for _, name := range s.AllowUserAPIKeyScopes {
		_, known := c.Scope(name)
		if known && name != userkeys.ScopePush && name != userkeys.ScopeOneTimePassword {
			out = append(out, name)
		}
	}
	return out
}

// MaxDaysByHand is the longest lifetime of a key made by hand. There is always one.
func (s Settings) MaxDaysByHand() int {
	if s.MaxUserAPIKeyExpiryDays <= 0 {
		return byHandDays
	}
	return s.MaxUserAPIKeyExpiryDays
}

// DaysByHand is the lifetime that is offered first.
func (s Settings) DaysByHand() int { return min(byHandDays, s.MaxDaysByHand()) }

// Check returns n with its name trimmed, or an error for people if a site with these settings and scopes makes no
// such key for u.
func (n NewKeyByHand) Check(s Settings, c *userkeys.Catalog, u User) (NewKeyByHand, error) {
	if err := s.CheckMakerByHand(u); err != nil {
		return n, err
	}
	n.Name = strings.TrimSpace(n.Name)
	if userkeys.IsBlank(n.Name) {
		return n, invalid("say what the key is for, so that you know later whether you can revoke it")
	}
	if err := nameProblem(n.Name); err != nil {
		return n, invalid("the name must be text of at most %d characters", maxNameCharacters)
	}
	if len(n.Scopes) == 0 {
		return n, invalid("choose at least one thing that the key may do")
	}
	may := s.ScopesByHand(c)
	for _, name := range n.Scopes {
		if !may.Has(name) {
			return n, invalid("a key made by hand cannot have the scope %s", userkeys.Quoted(name))
		}
	}
	if n.Days < 1 || n.Days > s.MaxDaysByHand() {
		return n, invalid("a key made by hand ends after 1 to %d days", s.MaxDaysByHand())
	}
	return n, nil
}

// clientIDProblem refuses a client_id that no app can have.
func clientIDProblem(id string) error {
	if strings.HasPrefix(id, ByHandPrefix) {
		return invalid("a client_id that begins with %s is for keys that users make by hand", ByHandPrefix)
	}
	return textProblem("client_id", withoutLineEnd(id), maxClientID)
}
