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

// Lacks returns what a configuration that somebody has lacks of the recipe for a web server, what stands at another
// place than there, and what undoes the recipe or leads around it: each a line for people. Comments, spaces and lines
// that may be changed do not count, nor does what else was added.
func Lacks(name string, cfg Config, have string) ([]string, error) {
	s, err := serverOf(name)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := Write(&text, name, cfg); err != nil {
		return nil, err
	}
	want, mayWant := s.codes(text.String())
	got, mayGot := s.codes(have)
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
	for _, line := range slices.Concat(s.undone(have), s.around(spare, mayWant, mayGot, cfg.App)) {
		lacks = append(lacks, fmt.Sprintf("has: %s (requests reach the website that nobody was asked about)", line))
	}
	switch name {
	case "nginx":
		for _, line := range nginxUndone(have) {
			lacks = append(lacks, "has: "+line)
		}
	case "haproxy":
		for _, line := range haproxyUndone(have) {
			lacks = append(lacks, "has: "+line)
		}
	}
	return lacks, nil
}

// undone returns the lines of a configuration in which something begins that undoes the recipe, in whatever spelling:
// letters may be large, spaces and quotes may be added, and the rest may stand in the next lines.
func (s server) undone(have string) []string {
	var lines []string
	var ends []int // in folded
	folded := ""
	for line := range strings.Lines(have) {
		line = s.uncommented(line)
		folded += fold(line)
		lines, ends = append(lines, line), append(ends, len(folded))
	}
	var undone []string
	for _, u := range s.unsafe {
		u = fold(u)
		for from := 0; ; {
			at := strings.Index(folded[from:], u)
			if at < 0 {
				break
			}
			from += at + 1
			i, _ := slices.BinarySearch(ends, from)
			undone = append(undone, lines[i])
		}
	}
	return undone
}

// fold returns text in small letters without spaces and quotes.
func fold(text string) string {
	return strings.ToLower(strings.NewReplacer("\"", "", "'", "").Replace(strings.Join(strings.Fields(text), "")))
}

// uncommented is a line without its comment and with single spaces. The beginning of a comment of several lines, which
// only Lua has, is left.
func (s server) uncommented(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	before, after, _ := strings.Cut(" "+line, " "+s.comment)
	if s.comment == luaComment && (strings.HasPrefix(after, "[[") || strings.HasPrefix(after, "[=")) {
		return line
	}
	return strings.TrimSpace(before)
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

// codes are the lines of a configuration that count, and those that may be changed.
func (s server) codes(text string) (codes, yours []string) {
	for line := range strings.Lines(text) {
		switch code, mayChange := s.code(line); {
		case code == "":
		case mayChange:
			yours = append(yours, code)
		default:
			codes = append(codes, code)
		}
	}
	return codes, yours
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
