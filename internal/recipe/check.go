package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// Marker begins the command line in the first line of every recipe.
const Marker = "userkeys recipe "

// yours ends lines that may be changed.
const yours = "yours"

// CommandOf returns the arguments of the command that wrote a configuration, as its first lines tell them.
func CommandOf(text string) ([]string, bool) {
	for line := range strings.Lines(text) {
		words := strings.TrimLeft(line, "#- \t")
		if rest, ok := strings.CutPrefix(words, Marker); ok {
			return strings.Fields(rest), true
		}
	}
	return nil, false
}

// Lacks returns what a configuration that somebody has lacks of the recipe in text for a web server, what stands at
// another place than there, and what undoes the recipe: each a line for people. Comments, spaces and lines that may be
// changed do not count, nor does what was added.
func Lacks(name, text, have string) ([]string, error) {
	s, err := serverOf(name)
	if err != nil {
		return nil, err
	}
	want, got := s.codes(text), s.codes(have)
	kept, spare := common(want, got)
	var lacks []string
	for i, line := range want {
		switch at := slices.Index(spare, line); {
		case kept[i]:
		case at < 0:
			lacks = append(lacks, "lacks: "+line)
		default:
			lacks = append(lacks, "elsewhere: "+line+" (a recipe's lines must keep their order)")
			spare = slices.Delete(spare, at, at+1)
		}
	}
	for _, u := range s.unsafe {
		for _, line := range got {
			if strings.Contains(line, u) {
				lacks = append(lacks, fmt.Sprintf("has: %s (requests reach the website that nobody was asked about)", line))
			}
		}
	}
	return lacks, nil
}

// common finds the longest sequence of lines that want and got have in the same order. kept says of each line of want
// whether it belongs to it; spare are the lines of got that do not.
func common(want, got []string) (kept []bool, spare []string) {
	longest := make([][]int, len(want)+1) // of want[i:] and got[j:]
	for i := range longest {
		longest[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if want[i] == got[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	kept = make([]bool, len(want))
	i := 0
	for j, line := range got {
		for i < len(want) && want[i] != line && longest[i+1][j] == longest[i][j] {
			i++
		}
		if i < len(want) && want[i] == line {
			kept[i] = true
			i++
		} else {
			spare = append(spare, line)
		}
	}
	return kept, spare
}

// codes are the lines of a configuration that count.
func (s server) codes(text string) []string {
	var codes []string
	for line := range strings.Lines(text) {
		if code, mayChange := s.code(line); code != "" && !mayChange {
			codes = append(codes, code)
		}
	}
	return codes
}

// code is a line without its comment and with single spaces.
func (s server) code(line string) (code string, mayChange bool) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, s.comment) {
		return "", false
	}
	if before, comment, found := strings.Cut(line, " "+s.comment+" "); found {
		line, mayChange = before, strings.TrimSpace(comment) == yours
	}
	return strings.Join(strings.Fields(line), " "), mayChange
}
