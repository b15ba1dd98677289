package recipe

import (
	"net"
	"regexp"
	"slices"
	"strings"
)

// around returns the lines that lead to the website at app: they name its address, or what the recipe calls it.
// added are lines that somebody has beside those of the recipe. want are the lines of the recipe that may be changed;
// have may have another line in place of each.
func (s server) around(added, want, have []string, app Address) []string {
	var around []string
	changed := without(have, want)
	for _, way := range append(expressions(s.ways), waysTo(app)...) {
		leads := func(line string) bool {
			return way.MatchString(strings.NewReplacer(`"`, "", "'", "").Replace(s.uncommented(line)))
		}
		mayLead := 0
		for _, line := range without(want, have) {
			if leads(line) {
				mayLead++
			}
		}
		for _, line := range slices.Concat(changed, added) {
			switch {
			case !leads(line) || slices.Contains(around, line):
			case mayLead > 0:
				mayLead--
			default:
				around = append(around, line)
			}
		}
	}
	return around
}

// without returns lines without one of each of others.
func without(lines, others []string) []string {
	lines = slices.Clone(lines)
	for _, other := range others {
		if i := slices.Index(lines, other); i >= 0 {
			lines = slices.Delete(lines, i, i+1)
		}
	}
	return lines
}

// expressions returns expressions of names that stand for themselves, and not within longer ones.
func expressions(names []string) []*regexp.Regexp {
	list := make([]*regexp.Regexp, len(names))
	for i, name := range names {
		list[i] = regexp.MustCompile(`(?i)(^|[^\w.:\]-])(` + name + `)([^\w-]|$)`)
	}
	return list
}

// waysTo returns expressions of an address, and of the other ways to write that of this machine.
func waysTo(a Address) []*regexp.Regexp {
	if a.IsUnix() {
		return expressions([]string{`(unix:?[/@]?)?` + regexp.QuoteMeta(a.path())})
	}
	host, port, _ := net.SplitHostPort(string(a)) // as ParseAddress made it
	name := regexp.QuoteMeta(net.JoinHostPort(host, port))
	if ip := net.ParseIP(host); ip.IsLoopback() || host == "localhost" {
		name = `(127\.0\.0\.1|localhost|\[::1\])?:` + port + "|" + name
	}
	return expressions([]string{name})
}
