package question

import (
	"slices"
	"strings"

	"userkeys"
)

// weight says how much a scope lets an app do. Pages show the heaviest first.
type weight int

const (
	acts    weight = iota // in the user's place: anything, or signing in
	changes               // something of its own
	all                   // reads whatever the user can read
	sends                 // what the user would read to somewhere else
	reads                 // something
)

// Reads reports whether a scope of that weight changes nothing for the user. A button approves these alone.
func (w weight) Reads() bool { return w >= all }

// weigh judges a scope by its routes, and Discourse's by their names where the routes do not tell: a poll of the
// message bus is a POST, and marking notifications as read is no reason to take a reader for more.
func weigh(s userkeys.Scope) weight {
	switch s.Name {
	case userkeys.ScopeOneTimePassword:
		return acts
	case userkeys.ScopePush:
		return sends
	case userkeys.ScopeNotifications, userkeys.ScopeMessageBus:
		return reads
	}
	heaviest := reads
	for _, r := range s.Routes {
		heaviest = min(heaviest, weighRoute(r))
	}
	return heaviest
}

// safeMethods change nothing where they are used as meant.
var safeMethods = []string{"GET", "OPTIONS", "PROPFIND", "REPORT"}

func weighRoute(r userkeys.Route) weight {
	method, path, _ := strings.Cut(r.String(), " ")
	everywhere := strings.HasPrefix(path, "/{") && strings.HasSuffix(path, "...}") && strings.Count(path, "/") == 1
	switch safe := slices.Contains(safeMethods, method); {
	case everywhere && safe:
		return all
	case everywhere:
		return acts
	case safe:
		return reads
	}
	return changes
}
