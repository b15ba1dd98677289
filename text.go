package userkeys

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isText tells whether s is valid UTF-8 without control characters, and so
// the same in every log, page and database.
func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
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

// isSpaces tells whether s is empty or spaces: the wire's blank, for optional
// parameters where anything more must be read or refused, never ignored.
func isSpaces(s string) bool { return strings.TrimSpace(s) == "" }

// quoted writes s between quotes in ASCII, so that nothing in it can bend the
// line, page or terminal that shows it.
func quoted(s string) string { return strconv.QuoteToASCII(s) }
