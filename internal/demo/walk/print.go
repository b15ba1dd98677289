package walk

import (
	"fmt"
	"io"
	"strings"
)

// lineWidth is where lines are broken.
const lineWidth = 88

// The few colours, for terminals only.
const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	cyan  = "\x1b[36m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

// A printer writes the walk and keeps the first error of writing.
type printer struct {
	w      io.Writer
	colour bool
	err    error
}

func (p *printer) line(style, text string) {
	if p.err != nil {
		return
	}
	if p.colour && style != "" {
		text = style + text + plain
	}
	_, p.err = fmt.Fprintln(p.w, text)
}

func (p *printer) heading(text string) {
	p.line("", "")
	p.line(bold, text)
	p.line(bold, strings.Repeat("=", len(text)))
}

func (p *printer) step(n int, title string) {
	p.line("", "")
	p.line(bold, fmt.Sprintf("%2d. %s", n, title))
}

// say prints an explanation.
func (p *printer) say(format string, args ...any) {
	p.wrapped(dim, "    ", "    ", fmt.Sprintf(format, args...))
}

// note prints an explanation of one line that is sent.
func (p *printer) note(text string) { p.wrapped(dim, "        ", "        ", text) }

// sent prints what is sent to the site.
func (p *printer) sent(lines ...string) { p.traffic(cyan, "    > ", lines) }

// got prints what is received.
func (p *printer) got(lines ...string) { p.traffic(green, "    < ", lines) }

func (p *printer) traffic(style, mark string, lines []string) {
	for _, l := range lines {
		p.wrapped(style, mark, mark+"    ", visible(l))
	}
}

// wrapped breaks text at spaces, and words that are longer than a line after a comma, & or ?.
func (p *printer) wrapped(style, first, next, text string) {
	line, indent := first, first
	flush := func() {
		p.line(style, strings.TrimRight(line, " "))
		line, indent = next, next
	}
	for _, word := range strings.Fields(text) {
		rest := []rune(word)
		if len(rest) <= lineWidth-len(next) && len(rest) > lineWidth-len([]rune(line)) && line != indent {
			flush()
		}
		for room := lineWidth - len([]rune(line)); len(rest) > room; room = lineWidth - len([]rune(line)) {
			n := breakAt(rest, room)
			line += string(rest[:n])
			rest = rest[n:]
			flush()
		}
		line += string(rest) + " "
	}
	flush()
}

// breakAt returns the last good place within room to break a long word.
func breakAt(word []rune, room int) int {
	for n := room; n > room/2; n-- {
		if strings.ContainsRune(",&?", word[n-1]) {
			return n
		}
	}
	return max(room, 1)
}

// visible replaces characters that would steer the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return '?'
		}
		return r
	}, s)
}
