package scopes

import (
	"fmt"
	"slices"
	"strings"

	"userkeys"
)

// sample stands for the values of parameters. No route has it written out.
const sample = "\u00b7sample\u00b7"

// opens reports whether a route opens every request of the operation, as far as {name} stands for one segment.
func opens(r userkeys.Route, o operation) bool {
	return r.Matches(o.Method, o.sample)
}

// meets reports whether a route opens at least one request of the operation.
func meets(r userkeys.Route, o operation) bool {
	if o.Refused != "" {
		return opens(r, o)
	}
	_, pattern, _ := strings.Cut(r.String(), " ")
	theirs, path := strings.Split(pattern, "/"), strings.Split(o.Path, "/")
	if last := len(theirs) - 1; strings.Contains(theirs[last], "...}") { // its ending is that of the last segment
		many := slices.Repeat([]string{"{any}"}, max(0, len(path)-len(theirs)))
		theirs = slices.Insert(theirs, last, many...)
	}
	for i, seg := range path {
		_, ending, wildcard := strings.Cut(seg, "}")
		if wildcard {
			path[i] = sample + ending
		}
		if !wildcard || i >= len(theirs) {
			continue
		}
		_, other, both := strings.Cut(theirs[i], "}")
		switch {
		case !both:
			path[i] = theirs[i]
		case len(other) > len(ending):
			path[i] = sample + other
		}
	}
	request := strings.Join(path, "/")
	return r.Matches(o.Method, request) && o.Route.Matches(o.Method, request)
}

// differences returns a line for every operation that none of the scopes opens, and for every scope or route that
// opens no operation.
func (d *document) differences(scopes []userkeys.Scope) []string {
	var lines []string
	for _, o := range d.operations {
		if !slices.ContainsFunc(scopes, func(s userkeys.Scope) bool {
			return slices.ContainsFunc(s.Routes, func(r userkeys.Route) bool { return opens(r, o) })
		}) {
			lines = append(lines, o.String()+": no scope opens it")
		}
	}
	for _, s := range scopes {
		var idle []string
		for _, r := range s.Routes {
			if !slices.ContainsFunc(d.operations, func(o operation) bool { return meets(r, o) }) {
				idle = append(idle, fmt.Sprintf("scope %s: %s opens no operation of the document", s.Name, r))
			}
		}
		if len(idle) == len(s.Routes) && len(idle) > 0 {
			idle = []string{fmt.Sprintf("scope %s opens no operation of the document", s.Name)}
		}
		lines = append(lines, idle...)
	}
	return lines
}
