package userkeys

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsText tells whether s is one line of text: valid UTF-8 without control
// characters, and so the same in every log, page and database.
func IsText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || isLineSeparator(r) {
			return false
		}
	}
	return true
}

// IsStorable is the rule for text that may have lines, such as a PEM block:
// valid UTF-8 without NUL. Of everything else the databases would each keep something else.
func IsStorable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// Printable is foreign text as a terminal, log or page may show it: what
// steers, turns, joins or hides what stands around it becomes U+FFFD, each
// character one. A name that is not its own Printable form deceives somebody.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || isInvisible(r) && !unicode.Is(unicode.Zs, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// isBlank tells whether s shows nothing: empty, or only spaces of any kind and
// characters that have no look of their own. Rails calls only spaces blank; a
// nonce or a name that nobody can see helps nobody but a deceiver.
func isBlank(s string) bool {
	return strings.TrimFunc(s, isInvisible) == ""
}

func isInvisible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsSpace(r) || r == brailleBlank ||
		unicode.In(r, unicode.Cf, unicode.Zs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func isLineSeparator(r rune) bool { return r == '\u2028' || r == '\u2029' }

// isSpaces tells whether s is empty or spaces: the wire's blank, for optional
// parameters where anything more must be read or refused, never ignored.
func isSpaces(s string) bool { return strings.TrimSpace(s) == "" }

// quoted writes s between quotes in ASCII, so that nothing in it can bend the
// line, page or terminal that shows it.
func quoted(s string) string { return strconv.QuoteToASCII(s) }
