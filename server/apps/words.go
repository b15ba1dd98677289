package apps

import (
	"fmt"
	"strings"
	"time"

	"userkeys"
	"userkeys/server/page"
	"userkeys/site"
)

// where says what the answer with a key went to; empty: that is not known.
func where(destination string) string {
	switch destination {
	case "":
		return ""
	case site.DestinationDevice:
		return "a device that showed a code"
	case site.DestinationCopy:
		return "copied by you"
	}
	r, err := userkeys.ParseRedirect(destination)
	switch {
	case err == nil && r.Loopback():
		return "a program on a computer"
	case err == nil && (r.Scheme() == "https" || r.Scheme() == "http"):
		return page.ShownHost(destination)
	}
	scheme, _, _ := strings.Cut(destination, ":")
	return "an app that opens " + page.ShownText(scheme) + " links"
}

// reach says in few words what an app can do, and whether that is to act as the user. can are the sentences of scopes.
func reach(scopes userkeys.Scopes, can []string) (words string, strong bool) {
	switch {
	case scopes.Has(userkeys.ScopeWrite):
		return "reads and changes everything", true
	case scopes.Has(userkeys.ScopeOneTimePassword):
		return "signs in as you", true
	case scopes.Has(userkeys.ScopeRead):
		return "reads everything", false
	case len(can) == 0:
		return "nothing", false
	case len(can) == 1:
		return can[0], false
	}
	return fmt.Sprintf("%s, and %d more", can[0], len(can)-1), false
}

// ends says in one sentence when a live key ends.
func ends(k site.UserAPIKey, s site.Settings, now time.Time) string {
	at, why := s.EndOf(k, now)
	switch {
	case at.IsZero():
		return "Has no end of its own."
	case !at.After(now): // the job that ends it runs once a day
		return "Ends within a day: " + because(why, s, true) + "."
	case why != site.EndUnused:
		return "Ends " + lastDay(k, s, now) + "."
	}
	inUse := s
	inUse.RevokeUserAPIKeysUnusedDays = 0
	if last, _ := inUse.EndOf(k, now); !last.IsZero() {
		return "If unused: ends " + day(at, now) + ", otherwise " + lastDay(k, inUse, now) + "."
	}
	return "If unused: ends " + day(at, now) + "."
}

// lastDay is the day of the end of a key that is in use, and whether its app can move it.
func lastDay(k site.UserAPIKey, inUse site.Settings, now time.Time) string {
	at, _ := inUse.EndOf(k, now)
	renewed, err := inUse.RenewedEnd(k, at)
	if err == nil && at.Equal(k.ExpiresAt) && renewed.After(at) {
		return day(at, now) + " unless the app prolongs it"
	}
	return day(at, now)
}

// day is the day of t, with the time if it is near.
func day(t, now time.Time) string {
	m := page.MomentAt(t, now)
	if t.Sub(now) < 2*page.Day {
		return m.Absolute
	}
	return m.Day
}

// because says in words why a key ended or will end.
func because(why site.Ending, s site.Settings, ended bool) string {
	switch why {
	case site.EndLifetime:
		if ended {
			return "its lifetime was over"
		}
		return "the lifetime that was granted"
	case site.EndUnused:
		if ended {
			return "it was not used for a long time"
		}
		return "a key of this site ends after " + page.Count(s.RevokeUserAPIKeysUnusedDays, "day") + " without use"
	case site.EndMaxLife:
		return "a key of this site ends after " + page.Count(s.RevokeUserAPIKeysMaxlifeDays, "day")
	case site.EndByAdmin:
		return "an administrator revoked it"
	case site.EndByOwner:
		return "you revoked it"
	case site.EndByApp:
		return "the app itself gave its key back"
	}
	return ""
}
