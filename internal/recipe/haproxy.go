package recipe

import (
	"slices"
	"strings"
)

// haproxySections are the words that begin a section of HAProxy.
var haproxySections = []string{
	"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "cache", "program", "ring",
	"mailers", "http-errors", "fcgi-app", "log-forward",
}

// haproxyUndone returns the rules of HAProxy that undo the recipe: those by which requests to its frontend are let
// through before the rules that follow.
func haproxyUndone(text string) []string {
	var undone []string
	ours := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case slices.Contains(haproxySections, words[0]):
			ours = len(words) > 1 && words[0] == "frontend" && words[1] == "userkeys"
		case ours && len(words) > 1 && words[0] == "http-request" && words[1] == "allow":
			undone = append(undone, strings.Join(words, " ")+" (HAProxy passes over the rules of the recipe that follow)")
		}
	}
	return undone
}
