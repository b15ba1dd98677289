package recipe

import (
	"fmt"
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

// Lacks returns what a configuration that somebody has lacks of the recipe in text for a web server, and what stands
// in it that undoes the recipe: each a line for people. Comments, spaces and lines that may be changed do not count,
// nor does what was added.
func Lacks(name, text, have string) ([]string, error) {
	s, err := serverOf(name)
	if err != nil {
		return nil, err
	}
	left := map[string]int{}
	for line := range strings.Lines(have) {
		line, _ = s.code(line)
		left[line]++
	}
	var lacks []string
	for line := range strings.Lines(text) {
		line, mayChange := s.code(line)
		if line == "" || mayChange {
			continue
		}
		if left[line] == 0 {
			lacks = append(lacks, "lacks: "+line)
			continue
		}
		left[line]--
	}
	for _, u := range s.unsafe {
		for line := range left {
			if strings.Contains(line, u) {
				lacks = append(lacks, fmt.Sprintf("has: %s (requests reach the website that nobody was asked about)", line))
			}
		}
	}
	return lacks, nil
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
